//! What a security key signs beside the data (OpenSSH `PROTOCOL.u2f`).

use alloc::vec::Vec;

use aws_lc_rs::digest::{SHA256, digest};

/// What a security key said along with a signature, and signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SecurityKeySignature<'a> {
    /// What the key was made for, from its public half: `ssh:` unless told otherwise.
    pub(crate) application: &'a str,
    flags: u8,
    /// Signatures that the key has made, or 0 throughout if it does not count.
    pub(crate) counter: u32,
}

impl<'a> SecurityKeySignature<'a> {
    /// Somebody touched the key.
    const USER_PRESENT: u8 = 0x01;
    /// The key verified its user.
    const USER_VERIFIED: u8 = 0x04;

    pub(super) const fn new(application: &'a str, flags: u8, counter: u32) -> Self {
        Self {
            application,
            flags,
            counter,
        }
    }

    pub(crate) const fn is_user_present(&self) -> bool {
        self.flags & Self::USER_PRESENT != 0
    }

    pub(crate) const fn is_user_verified(&self) -> bool {
        self.flags & Self::USER_VERIFIED != 0
    }

    /// The bytes that the key has signed: `SHA256(application) || flags || counter || SHA256(data)`.
    pub(super) fn signed_data(&self, data: &[u8]) -> Vec<u8> {
        let mut signed = Vec::with_capacity(32 + 1 + 4 + 32);
        signed.extend_from_slice(digest(&SHA256, self.application.as_bytes()).as_ref());
        signed.push(self.flags);
        signed.extend_from_slice(&self.counter.to_be_bytes());
        signed.extend_from_slice(digest(&SHA256, data).as_ref());
        signed
    }
}
