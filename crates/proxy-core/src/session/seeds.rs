//! One seed for a session, a stream of its own for everything in it.

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::SessionId;

/// The root of everything random in a session.
pub(super) struct Seeds(Hkdf<Sha256>);

impl Seeds {
    pub(super) fn new(seed: &[u8; 32]) -> Self {
        Self(Hkdf::new(Some(b"portreeve session v1"), seed))
    }

    pub(super) fn session_id(&self) -> SessionId {
        let mut id = [0; 16];
        self.fill("session id", &mut id);
        SessionId(id)
    }

    pub(super) fn bytes_32(&self, label: &str) -> Zeroizing<[u8; 32]> {
        let mut bytes = Zeroizing::new([0; 32]);
        self.fill(label, bytes.as_mut());
        bytes
    }

    /// Serial numbers are random, 63 bits, and never zero: zero means "none" to a revocation list.
    pub(super) fn certificate_serial(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill("certificate serial", &mut bytes);
        (u64::from_be_bytes(bytes) >> 1).max(1)
    }

    fn fill(&self, label: &str, out: &mut [u8]) {
        let filled = self.0.expand(label.as_bytes(), out);
        debug_assert!(filled.is_ok(), "HKDF gives up to 8160 bytes");
    }
}
