//! How many may come, how fast, and how long they may take: what the others notice of it, and what it costs.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use e2e::foreign;
use e2e::house::{House, Plan, through_the_proxy_with};
use e2e::need;
use e2e::process::wait_until;
use e2e::proxy::{ADA_TOKEN, Listener, SESSION_CEILING, TARGET};

const LIMIT: Duration = Duration::from_secs(30);

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

/// What the proxy says until it closes.
fn heard(mut stream: TcpStream) -> String {
    let mut said = Vec::new();
    match stream.read_to_end(&mut said) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("not closed: {error}"),
    }
    String::from_utf8_lossy(&said).into_owned()
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

#[test]
fn who_comes_too_fast_reads_so_in_ssh_and_plink_and_is_told_once() {
    need!("ssh", "sshd", "plink");
    through_the_proxy_with(limits(&["source = { per_minute = 1 }"]), |house| {
        let words = "your address makes new connections too fast; wait a minute and try again";
        // Its first connection is the one of this minute.
        let plink = foreign::plink(house);
        for client in [house.ssh(), plink] {
            let refused = client.run("echo in").expect_failure();
            assert!(refused.err().contains(words), "{}", refused.err());
            assert_eq!(refused.out(), "");
        }
        let told = house.proxy().events_named("connection.refused");
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].json()["reason"], "source_rate");
        assert_eq!(house.sshd.connections(), 1);
    });
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
        let from = |client| {
            let mut stream = dial(house.proxy().ports[1]);
            stream.write_all(&header(client)).expect("a taken header");
            stream
        };
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
        let mut stream = dial(house.proxy().ports[1]);
        let request = format!(
            "CONNECT {TARGET}:{} HTTP/1.1\r\nProxy-Authorization: Bearer {ADA_TOKEN}\r\n\r\n",
            house.sshd.port
        );
        stream.write_all(request.as_bytes()).expect("a request");
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
        limits(&["source = { per_minute = 2, unauthenticated = 1 }"]),
        |house| {
            let mut inside = house.ssh().live("echo up; cat");
            inside.hear("up");
            let _waiting = dial(house.proxy().port);
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
            let told = house.proxy().events_named("connection.refused").len();
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
        plan.proxy.timeouts.push("login_grace = \"2s\"".to_owned());
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
        let denied = house.proxy().events_named("access.denied");
        assert_eq!(denied.len(), SLOW.len());
        for event in denied {
            assert_eq!(event.json()["reason"], "login_timeout");
        }
    });
}
