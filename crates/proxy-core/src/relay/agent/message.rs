//! The agent protocol's messages (draft-ietf-sshm-ssh-agent section 3; OpenSSH's `PROTOCOL.agent` for its own).

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use sha2::{Digest as _, Sha256};
use ssh_key::{Certificate, Fingerprint, HashAlg};

use super::Breach;
use crate::relay::wire::Fields;

/// Longest message taken, in bytes behind its length: what OpenSSH's own agent takes.
pub(super) const MAX_MESSAGE_BYTES: usize = 256 * 1024;

/// Most room for more than came of a message that is not whole, 8 KiB: the longest grows some 40 times, a byte at a time.
const GROWTH_BYTES: usize = 8 * 1024;

/// `SSH_AGENT_FAILURE`, whole: the answer to whatever is not granted.
pub(super) const FAILURE_MESSAGE: [u8; 5] = [0, 0, 0, 1, FAILURE];

pub(super) const LIST: u8 = 11;
pub(super) const SIGN: u8 = 13;
const FAILURE: u8 = 5;
const KEYS: u8 = 12;
const SIGNATURE: u8 = 14;

/// `SSH_AGENTC_REMOVE_IDENTITY`: of those refused, the one that names a key.
const REMOVE: u8 = 18;

/// What the target asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Question {
    /// Which keys there are.
    List,
    /// A signature with the key of this fingerprint.
    Sign { key: String },
    /// Anything else, of this number: keys are not added, removed or locked from a target, and extensions are unknown here. The
    /// fingerprint is that of the key that it names, or empty.
    Other { number: u8, key: String },
}

impl Question {
    /// Reads one message without its length.
    pub(super) fn read(message: &[u8]) -> Self {
        if message == [LIST] {
            return Self::List;
        }
        if let Some(key) = message.strip_prefix(&[SIGN]).and_then(signing_key) {
            return Self::Sign {
                key: fingerprint(key),
            };
        }
        let removed = message.strip_prefix(&[REMOVE]).and_then(removed_key);
        Self::Other {
            number: message.first().copied().unwrap_or_default(),
            key: removed.map(fingerprint).unwrap_or_default(),
        }
    }

    /// Whether this message, without its length, can be the agent's answer.
    pub(super) fn is_answered_by(&self, message: &[u8]) -> bool {
        match (self, message) {
            (_, [FAILURE]) => true,
            (Self::List, [KEYS, rest @ ..]) => is_list_of_keys(rest).is_some(),
            (Self::Sign { .. }, [SIGNATURE, rest @ ..]) => {
                let mut fields = Fields::new(rest);
                fields.string().is_ok() && fields.end().is_ok()
            }
            _ => false,
        }
    }
}

/// The key blob of a request to sign, if it is one: key, data, flags.
fn signing_key(message: &[u8]) -> Option<&[u8]> {
    let mut fields = Fields::new(message);
    let key = fields.string().ok()?;
    fields.string().ok()?;
    fields.u32().ok()?;
    fields.end().ok()?;
    Some(key)
}

/// The key blob of a request to remove a key.
fn removed_key(message: &[u8]) -> Option<&[u8]> {
    let mut fields = Fields::new(message);
    let key = fields.string().ok()?;
    fields.end().ok()?;
    Some(key)
}

/// A number of keys, then a key and a comment for each.
fn is_list_of_keys(message: &[u8]) -> Option<()> {
    let mut fields = Fields::new(message);
    for _ in 0..fields.u32().ok()? {
        fields.string().ok()?;
        fields.string().ok()?;
    }
    fields.end().ok()
}

/// As `ssh-add -l` shows it: of a certificate, that of the key in it.
fn fingerprint(key: &[u8]) -> String {
    let fingerprint = match Certificate::from_bytes(key) {
        Ok(certificate) => certificate.public_key().fingerprint(HashAlg::Sha256),
        Err(_) => Fingerprint::Sha256(Sha256::digest(key).into()),
    };
    fingerprint.to_string()
}

/// Puts the messages of one side together.
#[derive(Default)]
pub(super) struct Assembly(Vec<u8>);

impl fmt::Debug for Assembly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assembly")
            .field("bytes", &self.0.len())
            .finish()
    }
}

impl Assembly {
    /// Takes from the front of `data` what belongs to the message at hand; gives the message, its length in front, once it is
    /// whole. Nothing is set aside for more than came.
    pub(super) fn next(&mut self, data: &mut &[u8]) -> Result<Option<Vec<u8>>, Breach> {
        self.fill(4, data);
        let Some(length) = self.0.first_chunk::<4>() else {
            return Ok(None);
        };
        let got_bytes = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if got_bytes == 0 {
            return Err(Breach::Empty);
        }
        if got_bytes > MAX_MESSAGE_BYTES {
            return Err(Breach::TooLong);
        }
        let whole = got_bytes.saturating_add(4);
        self.fill(whole, data);
        Ok((self.0.len() == whole).then(|| core::mem::take(&mut self.0)))
    }

    fn fill(&mut self, len: usize, data: &mut &[u8]) {
        let missing = len.saturating_sub(self.0.len()).min(data.len());
        let (taken, rest) = data.split_at_checked(missing).unwrap_or((data, &[]));
        let needed = self.0.len().saturating_add(taken.len());
        if needed > self.0.capacity() {
            let there = self.0.len();
            let wanted = there.saturating_add(there.min(GROWTH_BYTES));
            let wanted = wanted.min(len).max(needed);
            self.0.reserve_exact(wanted.saturating_sub(there));
        }
        self.0.extend_from_slice(taken);
        *data = rest;
    }

    /// Bytes set aside for a message that is not whole.
    pub(super) const fn held_bytes(&self) -> usize {
        self.0.capacity()
    }
}
