//! How many may come, how fast, and how long they may take: what the others notice of it, and what it costs.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use e2e::foreign;
use e2e::house::{House, Plan, through_the_proxy_with};
use e2e::need;
use e2e::process::wait_until;
use e2e::proxy::{ADA_TOKEN, Listener, MALLORY_TOKEN, SESSION_CEILING, TARGET};

/// Decides nothing but how long a broken proxy is waited for.
const LIMIT: Duration = Duration::from_secs(60);

fn limits(lines: &'static [&'static str]) -> impl Fn(&mut Plan) {
    move |plan| {
        plan.proxy
            .limits
            .extend(lines.iter().map(ToString::to_string))
    }
}

fn dial(port: u16) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the proxy's listener");
    stream.set_read_timeout(Some(LIMIT)).expect("a timeout");
    stream
}

/// What the proxy says until it closes, as text.
fn heard(stream: TcpStream) -> String {
    String::from_utf8_lossy(&heard_bytes(stream)).into_owned()
}

fn heard_bytes(mut stream: TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    match stream.read_to_end(&mut said) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("not closed: {error}"),
    }
    said
}

/// The packets in clear behind an identification line (RFC 4253 sections 4.2 and 6): the payload of each.
fn payloads(said: &[u8]) -> Vec<&[u8]> {
    let line = said.iter().position(|it| *it == b'\n');
    let mut rest = &said[line.expect("an identification line") + 1..];
    let mut payloads = Vec::new();
    while let Some((len, packet)) = rest.split_first_chunk::<4>() {
        let (packet, more) = packet.split_at(u32::from_be_bytes(*len) as usize);
        payloads.push(&packet[1..packet.len() - usize::from(packet[0])]);
        rest = more;
    }
    assert!(rest.is_empty(), "a part of a packet");
    payloads
}

/// Whether the proxy has begun to serve this connection.
fn is_served(mut stream: &TcpStream) -> bool {
    let mut line = [0; 20];
    stream.read_exact(&mut line).is_ok() && line.starts_with(b"SSH-2.0-OpenSSH_")
}

/// A header of the PROXY protocol for a client with this address.
fn header(client: [u8; 4]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    header.extend(client);
    header.extend([127, 0, 0, 1, 0x30, 0x39, 0, 22]);
    header
}

/// A connection of this client, passed on by a balancer.
fn behind(port: u16, client: [u8; 4]) -> TcpStream {
    let mut stream = dial(port);
    stream.write_all(&header(client)).expect("a taken header");
    stream
}

/// A connection that asks for the target with a token, and says nothing more yet.
fn asking_as(house: &House, token: &str) -> TcpStream {
    let mut stream = dial(house.proxy().ports[1]);
    let request = format!(
        "CONNECT {TARGET}:{} HTTP/1.1\r\nProxy-Authorization: Bearer {token}\r\n\r\n",
        house.sshd.port
    );
    stream.write_all(request.as_bytes()).expect("a request");
    stream
}

#[test]
fn who_comes_too_fast_reads_so_in_ssh_and_plink_and_the_operator_is_told() {
    need!("ssh", "sshd", "plink");
    through_the_proxy_with(limits(&["source = { per_minute = 1 }"]), |house| {
        let words = "your address makes new connections too fast; wait a minute and try again";
        // Its first connection is the one of this minute.
        let plink = foreign::plink(house);
        let mut connections = 1;
        for client in [house.ssh(), plink] {
            let mut refused = client.run("echo in");
            if refused.code == Some(0) {
                // That minute had passed, and this was the connection of the next.
                connections += 1;
                refused = client.run("echo in");
            }
            let refused = refused.expect_failure();
            assert!(refused.err().contains(words), "{}", refused.err());
            assert_eq!(refused.out(), "");
        }
        let told = house.proxy().wait_for_all("connection.refused", 1);
        assert!(told.iter().all(|it| it.text("reason") == "source_rate"));
        // The second may still be untold.
        let refused: u64 = told.iter().map(|it| it.number("refused")).sum();
        assert!((1..=2).contains(&refused), "{told:?}");
        assert_eq!(house.sshd.connections(), connections);
    });
}

#[test]
fn a_source_that_is_refused_reads_why_in_clear_and_no_packet_of_a_key_exchange() {
    need!("ssh", "sshd");
    const DISCONNECT: u8 = 1;
    const TOO_MANY_CONNECTIONS: [u8; 4] = 12_u32.to_be_bytes();
    const KEXINIT: u8 = 20;
    for (limit, words) in [
        ("connections = 1", "too many connections are open from"),
        ("unauthenticated = 1", "have not logged in"),
        ("per_minute = 1", "makes new connections too fast"),
    ] {
        let plan = |plan: &mut Plan| plan.proxy.limits.push(format!("source = {{ {limit} }}"));
        through_the_proxy_with(plan, |house| {
            let speaks = || {
                let mut stream = dial(house.proxy().port);
                let line = stream.write_all(b"SSH-2.0-client\r\n");
                line.expect("a taken line");
                stream
            };
            let served = speaks();
            assert!(is_served(&served));
            let said = heard_bytes(speaks());
            let [payload] = payloads(&said)[..] else {
                panic!("{limit}: {said:?}");
            };
            assert_eq!(payload[0], DISCONNECT, "{limit}");
            assert_eq!(payload[1..5], TOO_MANY_CONNECTIONS, "{limit}");
            let text = String::from_utf8_lossy(payload);
            assert!(text.contains(words), "{limit}: {text}");
            // Who is served gets one, in the same shape.
            let mut served = BufReader::new(served);
            served.skip_until(b'\n').expect("a line");
            let mut packet = [0; 6];
            served.read_exact(&mut packet).expect("a packet");
            assert_eq!(packet[5], KEXINIT, "{limit}");
            assert_eq!(house.sshd.connections(), 1, "{limit}");
        });
    }
}

#[test]
fn clients_that_do_not_log_in_take_no_place_of_those_who_did() {
    need!("ssh", "sshd");
    through_the_proxy_with(limits(&["source = { unauthenticated = 3 }"]), |house| {
        let mut inside: Vec<_> = (0..5)
            .map(|_| {
                let ssh = house.ssh().live("echo up; cat");
                ssh.hear("up");
                ssh
            })
            .collect();
        let silent: Vec<_> = (0..3).map(|_| dial(house.proxy().port)).collect();
        assert!(silent.iter().all(is_served));
        let refused = house.ssh().run("echo in").expect_failure();
        assert!(
            refused.err().contains("have not logged in"),
            "{}",
            refused.err()
        );
        for ssh in &mut inside {
            ssh.say("still here\n");
            ssh.hear("still here");
        }
        drop(silent);
        wait_until("a free place", LIMIT, || {
            house.ssh().run("echo in").out() == "in\n"
        });
        for ssh in &mut inside {
            ssh.end_input();
            ssh.end(LIMIT);
        }
    });
}

#[test]
fn behind_a_balancer_one_flooding_address_shuts_out_no_other() {
    need!("ssh", "sshd");
    let plan = |plan: &mut Plan| {
        plan.proxy
            .limits
            .push("source = { connections = 2 }".to_owned());
        let behind = Listener::plain("ada").behind("127.0.0.1");
        plan.proxy.listeners.push(behind);
    };
    through_the_proxy_with(plan, |house| {
        let from = |client| behind(house.proxy().ports[1], client);
        let flood: Vec<_> = (0..2).map(|_| from([192, 0, 2, 7])).collect();
        assert!(flood.iter().all(is_served));
        for _ in 0..5 {
            let said = heard(from([192, 0, 2, 7]));
            assert!(
                said.contains("too many connections are open from your address"),
                "{said}"
            );
        }
        assert!(is_served(&from([192, 0, 2, 8])));
        let told = house.proxy().wait_for("connection.refused");
        let client = told.json()["client_addr"].to_string();
        assert!(client.contains("192.0.2.7"), "{client}");
    });
}

#[test]
fn refused_clients_that_stay_hold_no_place_behind_a_balancer() {
    need!("ssh", "sshd");
    let plan = |plan: &mut Plan| {
        plan.proxy.limits.extend([
            "max_connections = 4".to_owned(),
            "max_unauthenticated = 3".to_owned(),
            "source = { connections = 2 }".to_owned(),
        ]);
        let behind = Listener::plain("ada").behind("127.0.0.1");
        plan.proxy.listeners.push(behind);
    };
    through_the_proxy_with(plan, |house| {
        let port = house.proxy().ports[1];
        let served: Vec<_> = (0..2).map(|_| behind(port, [192, 0, 2, 7])).collect();
        assert!(served.iter().all(is_served));
        // More than there are places, each told and none of them gone.
        let refused: Vec<_> = (0..20).map(|_| refused_and_here(port)).collect();
        assert!(is_served(&behind(port, [198, 51, 100, 8])));
        drop(refused);
    });
}

/// A client of an address with too many connections, which has read so and does not close its own.
fn refused_and_here(port: u16) -> TcpStream {
    let stream = behind(port, [192, 0, 2, 7]);
    let said = heard(stream.try_clone().expect("a second handle"));
    assert!(
        said.contains("too many connections are open from your address"),
        "{said}"
    );
    stream
}

#[test]
fn connections_refused_for_who_they_are_hold_no_place_while_they_stay() {
    need!("ssh", "sshd");
    let plan = |plan: &mut Plan| {
        plan.proxy.limits.extend([
            "max_connections = 3".to_owned(),
            "identity = { connections = 1 }".to_owned(),
        ]);
        plan.proxy.listeners.push(Listener::connect());
    };
    through_the_proxy_with(plan, |house| {
        let mut inside = house.ssh().live("echo up; cat");
        inside.hear("up");
        let refused: Vec<_> = (0..10)
            .map(|_| {
                let stream = asking_as(house, ADA_TOKEN);
                let said = heard(stream.try_clone().expect("a second handle"));
                assert!(said.contains("you have too many connections"), "{said}");
                stream
            })
            .collect();
        // Whoever else comes is served.
        let mut stream = asking_as(house, MALLORY_TOKEN);
        let mut answer = [0; 39];
        stream.read_exact(&mut answer).expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 200 Connection established\r\n\r\n");
        assert!(is_served(&stream));
        drop(refused);
        inside.end_input();
        inside.end(LIMIT);
    });
}

#[test]
fn a_network_that_fills_the_door_without_logging_in_keeps_nobody_else_out() {
    need!("ssh", "sshd");
    let plan = |plan: &mut Plan| {
        plan.proxy.limits.push("max_unauthenticated = 4".to_owned());
        let behind = Listener::plain("ada").behind("127.0.0.1");
        plan.proxy.listeners.push(behind);
    };
    through_the_proxy_with(plan, |house| {
        let port = house.proxy().ports[1];
        let flood: Vec<_> = (1..=4)
            .map(|host| behind(port, [192, 0, 2, host]))
            .collect();
        assert!(flood.iter().all(is_served));
        let said = heard(behind(port, [192, 0, 2, 5]));
        assert!(
            said.contains("this proxy has too many connections at once"),
            "{said}"
        );
        assert_eq!(house.ssh().run("echo in").expect_code(0).out(), "in\n");
        // One of the flood has gone for it, and one more goes for the next.
        let other = behind(port, [198, 51, 100, 8]);
        assert!(is_served(&other));
        let is_closed = |mut stream: &TcpStream| {
            let short = Some(Duration::from_millis(1));
            stream.set_read_timeout(short).expect("a timeout");
            let read = std::io::copy(&mut stream, &mut std::io::sink());
            !read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
        };
        wait_until("a place given up", LIMIT, || flood.iter().any(is_closed));
        assert!(!is_closed(&other));
        house.proxy().wait_for_event("a displaced client", |event| {
            event.name() == "connection.refused" && event.text("reason") == "unauthenticated"
        });
    });
}

#[test]
fn an_identity_with_too_many_connections_is_told_by_ssh_itself() {
    need!("ssh", "sshd");
    let plan = |plan: &mut Plan| {
        plan.proxy
            .limits
            .push("identity = { connections = 1 }".to_owned());
        plan.proxy.listeners.push(Listener::connect());
    };
    through_the_proxy_with(plan, |house| {
        let mut inside = house.ssh().live("echo up; cat");
        inside.hear("up");
        // The same person by the other listener.
        let stream = asking_as(house, ADA_TOKEN);
        stream.shutdown(Shutdown::Write).expect("an end");
        let said = heard(stream);
        assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
        assert!(said.contains("you have too many connections"), "{said}");
        let refused = house.ssh().run("echo in").expect_failure();
        assert!(
            refused.err().contains("you have too many connections"),
            "{}",
            refused.err()
        );
        inside.end_input();
        inside.end(LIMIT);
    });
}

#[test]
fn a_flood_of_connections_costs_no_memory_and_no_session() {
    need!("ssh", "sshd");
    const FLOOD: usize = 3000;
    through_the_proxy_with(
        |plan| {
            limits(&["source = { per_minute = 2, unauthenticated = 1 }"])(plan);
            plan.proxy.timeouts.push("login_grace = \"1h\"".to_owned());
        },
        |house| {
            let mut inside = house.ssh().live("echo up; cat");
            inside.hear("up");
            let waiting = dial(house.proxy().port);
            assert!(is_served(&waiting));
            let before = house.proxy().resident_bytes();
            let mut most = 0;
            for number in 0..FLOOD {
                // Whoever is refused says nothing and goes at once, or stays as long as it is let.
                let refused = dial(house.proxy().port);
                if number % 100 == 0 {
                    most = most.max(house.proxy().resident_bytes());
                    inside.say(&format!("echo {number}\n"));
                    inside.hear(&format!("echo {number}"));
                    heard(refused);
                }
            }
            let growth = most.saturating_sub(before);
            eprintln!("{FLOOD} refused connections: {growth} bytes");
            assert!(growth < 4 << 20, "grew by {growth} bytes");
            // The disk is not filled either.
            let told = house.proxy().wait_for_all("connection.refused", 1).len();
            assert!((1..60).contains(&told), "{told} events");
            assert!(house.proxy().said().len() < 64 << 10);
            inside.end_input();
            inside.end(LIMIT);
        },
    );
}

#[test]
fn hostile_sessions_stay_under_so_many_times_the_ceiling_of_one() {
    need!("ssh", "sshd");
    const SESSIONS: u64 = 8;
    through_the_proxy_with(
        |_| (),
        |house| {
            house.ssh().run("true").expect_code(0);
            let before = house.proxy().resident_bytes();
            let flood = "cat /dev/zero & cat /dev/zero >&2";
            let stuck: Vec<_> = (0..SESSIONS).map(|_| house.ssh().stalled(flood)).collect();
            let starts = || house.proxy().events_named("session.start").len() as u64;
            wait_until("all sessions", LIMIT, || starts() == SESSIONS + 1);
            for ssh in &stuck {
                ssh.signal(rustix::process::Signal::STOP);
            }
            let most = house
                .proxy()
                .most_resident_bytes_during(Duration::from_secs(4));
            let growth = most.saturating_sub(before);
            eprintln!(
                "{SESSIONS} stuck sessions: {} KiB each",
                growth / SESSIONS / 1024
            );
            assert!(
                growth < SESSIONS * SESSION_CEILING,
                "grew by {growth} bytes"
            );
            for ssh in &stuck {
                ssh.signal(rustix::process::Signal::CONT);
            }
        },
    );
}

/// What a client may say, a byte at a time, without ever being done.
const SLOW: [(&str, &[u8]); 4] = [
    ("nothing", b""),
    ("half a line", b"SSH-2.0-slow"),
    ("a line and no packet", b"SSH-2.0-slow\r\n"),
    (
        "a line and the beginning of a packet",
        b"SSH-2.0-slow\r\n\0\0\x05\xdc\x08\x14abcdefghijklmnop",
    ),
];

#[test]
fn who_says_a_byte_at_a_time_is_let_go_at_every_stage_before_the_login() {
    need!("ssh", "sshd");
    let plan = |plan: &mut Plan| {
        plan.proxy.timeouts.push("login_grace = \"10s\"".to_owned());
        plan.proxy.timeouts.push("farewell = \"1s\"".to_owned());
    };
    through_the_proxy_with(plan, |house: &House| {
        thread::scope(|scope| {
            for (what, bytes) in SLOW {
                scope.spawn(move || {
                    let mut stream = dial(house.proxy().port);
                    for byte in bytes {
                        thread::sleep(Duration::from_millis(30));
                        if stream.write_all(&[*byte]).is_err() {
                            break;
                        }
                    }
                    let said = heard(stream);
                    assert!(said.starts_with("SSH-2.0-"), "{what}: {said}");
                });
            }
        });
        assert_eq!(house.ssh().run("echo in").expect_code(0).out(), "in\n");
        let denied = house.proxy().wait_for_all("access.denied", SLOW.len());
        assert_eq!(denied.len(), SLOW.len());
        for event in denied {
            assert_eq!(event.json()["reason"], "login_timeout");
        }
    });
}
