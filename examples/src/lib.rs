//! What the example programs are made of: the only place of Portreeve with sockets, files, clocks
//! and the operating system's randomness.

#![cfg(unix)]

pub mod arrival;
pub mod asked;
pub mod audit_proxy;
pub mod config;
pub mod connect;
pub mod demo;
pub mod driver;
pub mod events;
pub mod fresh;
pub mod log_store;
pub mod peers;
pub mod self_test_client;
pub mod sshlog;
pub mod target;
pub mod token;
