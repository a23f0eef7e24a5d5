//! The `connect` helper as `ssh` runs it: tokens, refusals, bytes both ways.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use examples::arrival::{Arrival, Directory, Listener, ListenerKind, TargetNames, receive};
use examples::audit_proxy::admission::{Admission, Farewells, Limits};
use examples::token::TokenHash;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::mpsc;

/// A connect listener; gives its address and the clients that arrive.
async fn proxy() -> (SocketAddr, mpsc::Receiver<Arrival>) {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    let (arrived, arrivals) = mpsc::channel(8);
    tokio::spawn(async move {
        let listener = Listener {
            address,
            kind: ListenerKind::Connect { identity: None },
            proxy_protocol_from: Vec::new(),
        };
        let target = |id: &str, address: &str, port| TargetNames {
            id: id.to_owned(),
            hostname: format!("{id}.example.com"),
            address: Some(address.parse().unwrap()),
            port,
        };
        let directory = Directory {
            tokens: vec![(TokenHash::of("good-token"), 5)],
            targets: vec![
                target("web", "192.0.2.1", 22),
                target("db", "2001:db8::1", 2222),
            ],
        };
        let door = Arc::new(Admission::new(Limits::default()));
        let farewells = Farewells::default();
        loop {
            let (stream, peer) = socket.accept().await.unwrap();
            let deadline = Duration::from_secs(5);
            let place = door.enter().unwrap();
            let arriving = receive(
                &listener,
                &directory,
                (stream, peer),
                (place, &farewells),
                deadline,
            );
            if let Ok(arrival) = arriving.await {
                arrived.send(arrival).await.unwrap();
            }
        }
    });
    (address, arrivals)
}

fn connect(proxy: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(common::example("connect"));
    command
        .args(["--proxy", proxy])
        .args(arguments)
        .env_remove("PORTREEVE_TOKEN")
        .kill_on_drop(true);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_go_both_ways_and_each_way_ends_by_itself() {
    let (address, mut arrivals) = proxy().await;
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "good-token\n").unwrap();
    let sent: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    let expected = sent.clone();
    let server = tokio::spawn(async move {
        let mut arrival = arrivals.recv().await.unwrap();
        assert_eq!((arrival.identity, arrival.target), (5, 0));
        let mut all = arrival.leftover;
        arrival.stream.read_to_end(&mut all).await.unwrap();
        assert!(all == expected);
        // The client's way has ended; this one has not.
        arrival.stream.write_all(&all).await.unwrap();
    });
    let mut child = connect(
        &address.to_string(),
        &[
            "--token-file",
            token.to_str().unwrap(),
            "web.example.com",
            "22",
        ],
    )
    .stdin(Stdio::piped())
    .stdout(Stdio::piped())
    .spawn()
    .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let bytes = sent.clone();
    let writing = tokio::spawn(async move { stdin.write_all(&bytes).await.unwrap() });
    let output = common::bounded(child.wait_with_output()).await.unwrap();
    assert!(output.status.success());
    assert!(output.stdout == sent);
    writing.await.unwrap();
    server.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_when_the_proxy_does_even_if_its_input_goes_on() {
    let (address, mut arrivals) = proxy().await;
    let mut child = connect(&address.to_string(), &["2001:db8::1", "2222"])
        .env("PORTREEVE_TOKEN", "good-token")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let arrival = common::bounded(arrivals.recv()).await.unwrap();
    assert_eq!(arrival.target, 1);
    drop(arrival);
    assert!(common::bounded(child.wait()).await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_is_a_sentence_on_standard_error() {
    let (address, _arrivals) = proxy().await;
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let nowhere = closed.local_addr().unwrap().to_string();
    drop(closed);
    let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let not_http = other.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = other.accept().await {
            stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await.unwrap();
        }
    });
    let address = address.to_string();
    for (proxy, token, arguments, expected) in [
        (&address, None, &["web", "22"][..], "407"),
        (&address, Some("bad-token"), &["web", "22"], "403"),
        (&address, Some("good-token"), &["nowhere", "22"], "404"),
        (
            &address,
            Some("two words"),
            &["web", "22"],
            "the token has characters",
        ),
        (
            &address,
            Some("good-token"),
            &["web\r\nX: y", "22"],
            "is not a host name",
        ),
        (
            &address,
            None,
            &["--token-file", "/nonexistent", "web", "22"],
            "cannot read the token file",
        ),
        (
            &nowhere,
            Some("good-token"),
            &["web", "22"],
            "cannot reach the proxy",
        ),
        (
            &not_http,
            Some("good-token"),
            &["web", "22"],
            "does not answer in HTTP",
        ),
        (
            &"127.0.0.1".to_owned(),
            Some("good-token"),
            &["web", "22"],
            "write HOST:PORT",
        ),
        (
            &"::1:8022".to_owned(),
            Some("good-token"),
            &["web", "22"],
            "write HOST:PORT",
        ),
    ] {
        let mut command = connect(proxy, arguments);
        if let Some(token) = token {
            command.env("PORTREEVE_TOKEN", token);
        }
        let output = common::output(&mut command).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(output.stdout.is_empty());
        assert!(
            said.starts_with("connect: ") && said.contains(expected),
            "{expected}: {said}"
        );
        assert!(!said.contains("good-token"), "{said}");
    }
}
