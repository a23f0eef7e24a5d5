//! What the fuzz targets do, as functions, so that their seeds are tests as well.
//!
//! Each `run` panics when an invariant does not hold; that is the finding.

pub mod certificate;
mod ends;
pub mod host_key;
mod input;
mod keyed;
pub mod krl;
pub mod log_cloudflare;
pub mod log_grant;
pub mod log_keyfiles;
pub mod log_proof;
pub mod log_reader;
pub mod log_records;
pub mod log_sanitizer;
pub mod log_seek;
pub mod log_writer;
#[path = "../../crates/proxy-core/tests/simulation/nested.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests use the rest")]
mod nested;
pub mod operations;
#[path = "../../crates/proxy-core/tests/simulation/play/mod.rs"]
mod play;
pub mod policy_decision;
pub mod policy_document;
pub mod relay;
#[cfg(test)]
mod seeds;
pub mod session;
#[path = "../../crates/proxy-core/tests/sim/mod.rs"]
mod sim;
pub mod transport_client;
pub mod transport_group;
pub mod transport_hostkeys;
pub mod transport_keyed;
pub mod transport_pair;
pub mod transport_server;

/// False under `--cfg fuzzing`, which `cargo fuzz` sets: there `ssh-transport` neither encrypts nor authenticates, so that mutated
/// bytes reach what is behind the encryption; and whatever rests on it cannot be asserted.
pub(crate) const IS_SEALED: bool = cfg!(not(fuzzing));
