//! The `sshlog` command, as its users meet it: files in, text and an exit status out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod cloudflare;
#[path = "../common/mod.rs"]
mod common;
mod exports;
mod files;
mod grep;
mod lab;
mod reading;
mod replay;
mod tree;
mod trouble;
mod trust;
