//! How clients arrive, over real sockets: what is accepted, what is refused, what is told.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use examples::arrival::{
    Arrival, Directory, Listener, ListenerKind, Refused, TargetNames, receive,
};
use examples::audit_proxy::admission::{Admission, Farewells, Full, Limits};
use examples::token::TokenHash;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const DEADLINE: Duration = Duration::from_millis(700);

const PLAIN: ListenerKind = ListenerKind::Plain {
    identity: 4,
    target: 0,
};
const CONNECT: ListenerKind = ListenerKind::Connect { identity: None };

/// Sends `parts` with pauses, and gives what the proxy made of it and what the client read.
async fn arrive(
    kind: ListenerKind,
    balancers: &str,
    parts: &[&[u8]],
    close: bool,
) -> (Result<Arrival, Refused>, Vec<u8>) {
    let door = Arc::new(Admission::new(Limits::default()));
    arrive_at(&door, (kind, balancers), parts, close).await
}

/// As [`arrive`], at a door at which others are already.
async fn arrive_at(
    door: &Arc<Admission>,
    (kind, balancers): (ListenerKind, &str),
    parts: &[&[u8]],
    close: bool,
) -> (Result<Arrival, Refused>, Vec<u8>) {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    let listener = Listener {
        address,
        kind,
        proxy_protocol_from: balancers
            .split_whitespace()
            .map(|range| range.parse().unwrap())
            .collect(),
    };
    let directory = Directory {
        tokens: vec![(TokenHash::of("good"), 7)],
        targets: vec![TargetNames {
            id: "web".to_owned(),
            hostname: "web.example.com".to_owned(),
            address: None,
            port: 22,
        }],
    };
    let parts: Vec<Vec<u8>> = parts.iter().map(|part| part.to_vec()).collect();
    let client = tokio::spawn(async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        for part in parts {
            if stream.write_all(&part).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        if close {
            let _ = stream.shutdown().await;
        }
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(DEADLINE * 4, stream.read_to_end(&mut answer)).await;
        answer
    });
    let (stream, peer) = socket.accept().await.unwrap();
    let (place, farewells) = (door.enter().unwrap(), Farewells::default());
    let received = receive(
        &listener,
        &directory,
        (stream, peer),
        (place, &farewells),
        DEADLINE,
    );
    let mut received = received.await;
    if let Ok(arrival) = &mut received {
        arrival.stream.write_all(b"end").await.unwrap();
        arrival.stream.shutdown().await.unwrap();
    }
    (received, client.await.unwrap())
}

fn proxy_header(source: [u8; 4]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    header.extend(source);
    header.extend([127, 0, 0, 1, 0x30, 0x39, 0, 22]);
    header
}

const REQUEST: &[u8] =
    b"CONNECT web.example.com:22 HTTP/1.1\r\nProxy-Authorization: Bearer good\r\n\r\n";

#[tokio::test]
async fn a_plain_listener_reads_nothing() {
    let (received, answer) = arrive(PLAIN, "", &[], false).await;
    let arrival = received.unwrap();
    assert_eq!((arrival.identity, arrival.target), (4, 0));
    assert!(arrival.leftover.is_empty());
    assert_eq!(arrival.client_addr.ip(), Ipv4Addr::LOCALHOST);
    assert_eq!(answer, b"end");
}

#[tokio::test]
async fn connect_is_answered_and_ssh_bytes_behind_it_are_kept() {
    let together = [REQUEST, b"SSH-2.0-x\r\n"].concat();
    let (received, answer) = arrive(CONNECT, "", &[&together], false).await;
    let arrival = received.unwrap();
    assert_eq!((arrival.identity, arrival.target), (7, 0));
    assert_eq!(arrival.leftover, b"SSH-2.0-x\r\n");
    assert_eq!(answer, b"HTTP/1.1 200 Connection established\r\n\r\nend");
}

#[tokio::test]
async fn a_request_may_come_byte_by_byte() {
    let bytes: Vec<&[u8]> = REQUEST.chunks(1).collect();
    let (received, answer) = arrive(CONNECT, "", &bytes, false).await;
    assert!(received.unwrap().leftover.is_empty());
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
}

#[tokio::test]
async fn who_is_refused_reads_why() {
    let big = [b"CONNECT a:22 HTTP/1.1\r\nX: ", &[b'x'; 20_000][..]].concat();
    for (request, status) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "400 Bad Request"),
        (
            b"CONNECT web:22 HTTP/1.1\r\nProxy-Authorization: Bearer bad\r\n\r\n",
            "403 Forbidden",
        ),
        (
            b"CONNECT nowhere:22 HTTP/1.1\r\nProxy-Authorization: Bearer good\r\n\r\n",
            "404 Not Found",
        ),
        (
            b"CONNECT web:22 HTTP/1.1\r\n\r\n",
            "407 Proxy Authentication Required",
        ),
        (&big, "431 Request Header Fields Too Large"),
    ] {
        let (received, answer) = arrive(CONNECT, "", &[request], true).await;
        match received {
            Err(Refused::Target { identity, .. }) => {
                assert_eq!((identity, status), (7, "404 Not Found"));
            }
            Err(Refused::Http(_)) => assert_ne!(status, "404 Not Found"),
            other => panic!("{status}: {other:?}"),
        }
        let answer = String::from_utf8(answer).unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{status}: {answer}"
        );
    }
}

#[tokio::test]
async fn a_client_without_a_token_is_who_the_listener_says() {
    let kind = ListenerKind::Connect { identity: Some(2) };
    let (received, _) = arrive(kind, "", &[b"CONNECT web:22 HTTP/1.0\r\n\r\n"], false).await;
    assert_eq!(received.unwrap().identity, 2);
    let (received, _) = arrive(kind, "", &[REQUEST], false).await;
    assert_eq!(received.unwrap().identity, 7);
}

#[tokio::test]
async fn a_listed_balancer_says_where_the_client_comes_from() {
    let header = proxy_header([192, 0, 2, 7]);
    let expected: SocketAddr = "192.0.2.7:12345".parse().unwrap();
    for kind in [PLAIN, CONNECT] {
        let all = [&header[..], REQUEST].concat();
        let (received, _) = arrive(kind, "127.0.0.0/8", &[&all], false).await;
        assert_eq!(received.unwrap().client_addr, expected);
        let mut bytes: Vec<&[u8]> = header.chunks(1).collect();
        bytes.push(REQUEST);
        let (received, _) = arrive(kind, "10.0.0.0/8 127.0.0.1/32", &bytes, false).await;
        assert_eq!(received.unwrap().client_addr, expected);
    }
}

#[tokio::test]
async fn a_listed_balancer_must_send_version_two_once() {
    for kind in [PLAIN, CONNECT] {
        let old = b"PROXY TCP4 192.0.2.7 127.0.0.1 1 22\r\n";
        for wrong in [&old[..], REQUEST, b"SSH-2.0-x\r\n"] {
            let (received, answer) = arrive(kind, "127.0.0.0/8", &[wrong], true).await;
            assert!(matches!(received, Err(Refused::Proxy(_))));
            assert!(answer.is_empty());
        }
        let mut long = proxy_header([192, 0, 2, 7]);
        long[14] = 0xff;
        let (received, _) = arrive(kind, "127.0.0.0/8", &[&long], true).await;
        assert!(matches!(received, Err(Refused::Proxy(_))));
    }
    let twice = [
        &proxy_header([192, 0, 2, 7])[..],
        &proxy_header([192, 0, 2, 8]),
    ]
    .concat();
    let (received, answer) = arrive(CONNECT, "127.0.0.0/8", &[&twice], true).await;
    assert!(matches!(received, Err(Refused::ProxyTwice)));
    assert!(answer.is_empty());
}

#[tokio::test]
async fn a_header_from_anyone_else_is_refused() {
    let header = proxy_header([192, 0, 2, 7]);
    for balancers in ["", "10.0.0.0/8"] {
        let (received, _) = arrive(CONNECT, balancers, &[&header, REQUEST], true).await;
        assert!(matches!(received, Err(Refused::ProxyNotListed)));
        let old = b"PROXY TCP4 192.0.2.7 127.0.0.1 1 22\r\n";
        let (received, _) = arrive(CONNECT, balancers, &[old], true).await;
        assert!(matches!(received, Err(Refused::Proxy(_))));
    }
}

#[tokio::test]
async fn who_says_nothing_or_stops_in_the_middle_does_not_stay() {
    let header = proxy_header([192, 0, 2, 7]);
    for length in [0, 1, 20, REQUEST.len() - 1] {
        let part = &REQUEST[..length];
        let (received, _) = arrive(CONNECT, "", &[part], false).await;
        assert!(matches!(received, Err(Refused::TimedOut)), "{length}");
        let (received, _) = arrive(CONNECT, "", &[part], true).await;
        assert!(matches!(received, Err(Refused::Closed)), "{length}");
    }
    for length in [0, 11, 12, 16, header.len() - 1] {
        let part = &header[..length];
        let (received, _) = arrive(PLAIN, "127.0.0.1/32", &[part], false).await;
        assert!(matches!(received, Err(Refused::TimedOut)), "{length}");
        let (received, _) = arrive(PLAIN, "127.0.0.1/32", &[part], true).await;
        assert!(matches!(received, Err(Refused::Closed)), "{length}");
    }
}

#[tokio::test]
async fn a_source_is_where_the_balancer_says_and_too_many_of_one_are_told_in_what_they_speak() {
    let mut limits = Limits::default();
    limits.source.connections = 1;
    let door = Arc::new(Admission::new(limits));
    let mut there = door.enter().unwrap();
    there.locate("192.0.2.7".parse().unwrap()).unwrap();
    for (kind, beginning, expected) in [
        (
            PLAIN,
            &b"SSH-2.0-Portreeve\r\n"[..],
            "access denied: too many",
        ),
        (
            CONNECT,
            b"HTTP/1.1 503 Service Unavailable\r\n",
            "Not now: too many",
        ),
    ] {
        let from = |last| [&proxy_header([192, 0, 2, last])[..], REQUEST].concat();
        let (received, answer) = arrive_at(&door, (kind, "127.0.0.1/32"), &[&from(7)], true).await;
        assert!(
            matches!(received, Err(Refused::Full { client_addr, full: Full::SourceConnections })
                if client_addr.ip() == Ipv4Addr::new(192, 0, 2, 7)),
            "{received:?}"
        );
        let text = String::from_utf8_lossy(&answer);
        assert!(
            answer.starts_with(beginning) && text.contains(expected),
            "{text}"
        );
        let (received, _) = arrive_at(&door, (kind, "127.0.0.1/32"), &[&from(8)], true).await;
        assert!(received.is_ok());
    }
}

#[tokio::test]
async fn who_has_too_many_connections_reads_so_in_ssh_on_either_kind_of_listener() {
    let mut limits = Limits::default();
    limits.identity.connections = 1;
    let door = Arc::new(Admission::new(limits));
    let (mut one, mut other) = (door.enter().unwrap(), door.enter().unwrap());
    one.identify(4).unwrap();
    other.identify(7).unwrap();
    for (kind, parts) in [(PLAIN, &[][..]), (CONNECT, &[REQUEST][..])] {
        let (received, answer) = arrive_at(&door, (kind, ""), parts, true).await;
        assert!(matches!(
            received,
            Err(Refused::Full {
                full: Full::IdentityConnections,
                ..
            })
        ));
        let text = String::from_utf8_lossy(&answer);
        assert!(text.contains("SSH-2.0-Portreeve\r\n") && text.contains("you have too many"));
        assert_eq!(text.starts_with("HTTP/1.1 200 "), kind == CONNECT);
    }
}
