//! What the example programs are made of: the only place of Portreeve with sockets, files, clocks
//! and the operating system's randomness.

#![cfg(unix)]

pub mod approvals;
pub mod arrival;
pub mod asked;
pub mod audit_proxy;
pub mod check_cert;
pub mod config;
pub mod connect;
pub mod demo;
pub mod derive_host_key;
pub mod driver;
pub mod events;
pub mod fresh;
pub mod in_force;
pub mod krl;
pub mod live;
pub mod log_store;
pub mod mint_cert;
pub mod peers;
pub mod policyctl;
pub mod self_test_client;
pub mod session_channel;
pub mod session_server;
pub mod sessionctl;
pub mod shell_command;
pub mod sshd_setup;
pub mod sshlog;
pub mod target;
pub mod token;
pub mod tool;

/// Says that a test cannot be made here; fails where nothing may be skipped.
#[cfg(test)]
fn skipped(why: &str) {
    assert!(
        std::env::var_os("PORTREEVE_NO_SKIP").is_none_or(|value| value != "1"),
        "{why} and nothing may be skipped"
    );
    // Not a macro: what those print is swallowed where a test succeeds.
    let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("SKIPPED: {why}\n"));
}
