//! What the example programs are made of: the only place of Portreeve with sockets, files, clocks
//! and the operating system's randomness.

#![cfg(unix)]

pub mod self_test_client;
pub mod target;
