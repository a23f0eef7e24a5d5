//! The one place where cryptographic primitives are named.
//!
//! Authenticated encryption and signatures go through `aws-lc-rs`. Everything that needs a random value takes it from
//! [`Random`], which is a function of the seed, so that equal seeds and inputs give equal bytes; ephemeral keys are
//! therefore RustCrypto's, which can be made from given bytes.

pub(crate) mod aead;
pub(crate) mod exchange;
pub(crate) mod hash;
pub(crate) mod random;
pub(crate) mod verify;

pub(crate) use aead::{OpenKey, SealKey};
pub(crate) use exchange::{Ephemeral, SharedSecret};
pub(crate) use hash::{HashAlgorithm, Hasher};
pub(crate) use random::Random;

/// Whether both are the same, in a time that tells their lengths at most.
pub(crate) fn equals_in_constant_time(a: &[u8], b: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(a, b).is_ok()
}
