#![doc = include_str!("../README.md")]

pub mod chain;
pub mod client;
pub mod detour;
pub mod events;
pub mod foreign;
pub mod house;
pub mod live;
pub mod process;
pub mod proxy;
pub mod records;
pub mod room;
pub mod samples;
pub mod security_key;
pub mod sftp;
pub mod shared;
pub mod sshd;
pub mod tools;

/// Ends the test, as skipped, when one of the named programs is not installed.
#[macro_export]
macro_rules! need {
    ($($tool:literal),+ $(,)?) => {
        if !$crate::tools::need(&[$($tool),+]) {
            return;
        }
    };
}
