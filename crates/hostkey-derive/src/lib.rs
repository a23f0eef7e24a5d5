#![doc = include_str!("../README.md")]
#![no_std]

extern crate alloc;

mod algorithm;
mod candidate;
mod derive;
mod derived;
mod error;
mod known_hosts;
mod origin;
mod pins;
mod ring;
mod secret;
mod target;

pub use algorithm::Algorithm;
pub use derive::derive;
pub use derived::DerivedHostKey;
pub use error::{
    DeriveError, HostNameError, OriginError, PinError, PinMismatch, RingError, SecretError,
};
pub use known_hosts::{HostName, KnownHosts, MAX_HOST_NAME_BYTES};
pub use origin::{Change, Origin};
pub use pins::{Pin, Pins};
pub use ring::SecretRing;
pub use secret::AccountSecret;
pub use target::{MAX_TARGET_KEY_BYTES, TargetKey};
