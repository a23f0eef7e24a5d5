//! Configurations: the sample works, and every wrong one is told with file, line and what to write.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../common/mod.rs"]
mod common;
mod files;
mod lab;
mod log;
mod mistakes;
mod settings;
