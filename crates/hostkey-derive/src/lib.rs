#![doc = include_str!("../README.md")]
#![no_std]

extern crate alloc;

mod algorithm;
mod candidate;
mod derive;
mod derived;
mod error;
mod pins;
mod secret;
mod target;

pub use algorithm::Algorithm;
pub use derive::derive;
pub use derived::DerivedHostKey;
pub use error::{DeriveError, PinError, PinMismatch, SecretError};
pub use pins::{Pin, Pins};
pub use secret::AccountSecret;
pub use target::{MAX_TARGET_KEY_BYTES, TargetKey};
