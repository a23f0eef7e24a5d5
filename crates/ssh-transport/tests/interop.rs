//! Every algorithm against every peer that has it, in either role, each forced once: a login, a command with output, keys
//! exchanged again on the way. What a peer has is asked of itself, by what it offers when it has everything enabled. The tables come out on
//! standard output; `interop/minimum.txt` is what must be in them.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail"
)]

#[path = "interop/clients.rs"]
mod clients;
mod common;
#[path = "interop/keys.rs"]
mod keys;
#[path = "interop/offers.rs"]
mod offers;
#[path = "interop/python.rs"]
mod python;
#[path = "interop/rows.rs"]
mod rows;
#[path = "interop/russh_peer.rs"]
mod russh_peer;
#[path = "interop/servers.rs"]
mod servers;

use clients::{Dbclient, Plink, Ssh};
use common::tools;
use python::{PythonClient, PythonServer};
use rows::{check_client, check_server};
use russh_peer::{RusshClient, RusshServer};
use servers::{Dropbear, Sshd};

#[test]
fn openssh_as_client() {
    if let Some(ssh) = tools::find("ssh") {
        check_client(&Ssh::new(ssh));
    }
}

#[test]
fn openssh_as_server() {
    if let Some(sshd) = tools::find("sshd") {
        check_server(&Sshd::new(sshd));
    }
}

#[test]
fn dropbear_as_client() {
    if let (Some(dbclient), Some(convert)) =
        (tools::find("dbclient"), tools::find("dropbearconvert"))
    {
        check_client(&Dbclient::new(dbclient, &convert));
    }
}

#[test]
fn dropbear_as_server() {
    if let (Some(dropbear), Some(convert)) =
        (tools::find("dropbear"), tools::find("dropbearconvert"))
    {
        if let Some(namespace) = servers::mount_namespace() {
            check_server(&Dropbear::new(dropbear, &convert, namespace));
        } else {
            tools::missing(
                "the right to mount in a namespace, `unshare -m` for root with CAP_SYS_ADMIN or \
                 `unshare -m --map-current-user --keep-caps` for others, that dropbear as server needs",
            );
        }
    }
}

#[test]
fn putty_as_client() {
    if let (Some(plink), Some(puttygen)) = (tools::find("plink"), tools::find("puttygen")) {
        check_client(&Plink::new(plink, &puttygen));
    }
}

#[test]
fn paramiko_as_client() {
    if let Some(python) = tools::find_python_with("paramiko") {
        check_client(&PythonClient::new(&python, "paramiko"));
    }
}

#[test]
fn paramiko_as_server() {
    if let Some(python) = tools::find_python_with("paramiko") {
        check_server(&PythonServer::new(&python, "paramiko"));
    }
}

#[test]
fn asyncssh_as_client() {
    if let Some(python) = tools::find_python_with("asyncssh") {
        check_client(&PythonClient::new(&python, "asyncssh"));
    }
}

#[test]
fn asyncssh_as_server() {
    if let Some(python) = tools::find_python_with("asyncssh") {
        check_server(&PythonServer::new(&python, "asyncssh"));
    }
}

#[test]
fn russh_as_client() {
    check_client(&RusshClient);
}

#[test]
fn russh_as_server() {
    check_server(&RusshServer::new());
}
