//! Where cryptographic primitives are named; signing in memory is in `signing`.
//!
//! Hashes, signatures, ciphers, MACs and elliptic curves are `aws-lc-rs`, whatever the [`Provider`]. What is random, and what
//! is made of it, is the provider's.

pub(crate) mod cipher;
pub(crate) mod exchange;
pub(crate) mod hash;
pub(crate) mod provider;
pub(crate) mod verify;

pub(crate) use cipher::{OpenKey, SealKey};
pub(crate) use exchange::{Ephemeral, SharedSecret};
pub(crate) use hash::{Hasher, KeyDerivation};
pub(crate) use provider::Primitives;
pub use provider::Provider;

/// Whether both are the same, in a time that tells their lengths at most.
pub(crate) fn equals_in_constant_time(a: &[u8], b: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(a, b).is_ok()
}
