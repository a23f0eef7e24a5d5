//! How clients arrive, and which host key they see: plain, by HTTP `CONNECT`, and behind a balancer.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::time::Duration;

use e2e::client::Door;
use e2e::house::{House, Plan, through_the_proxy, through_the_proxy_with};
use e2e::need;
use e2e::process::{PATIENCE, wait_until};
use e2e::proxy::{ADA_TOKEN, Listener, MALLORY_TOKEN, ProxyPlan, TARGET};
use e2e::sshd::{Sshd, SshdPlan};
use e2e::tools;

#[test]
fn the_host_key_is_the_same_on_every_connection_and_not_that_of_the_target() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        house.ssh().run("true").expect_code(0);
        let known = fs::read_to_string(house.path("known_hosts")).expect("a learnt key");
        for _ in 0..3 {
            house
                .ssh()
                .option("StrictHostKeyChecking=yes")
                .run("true")
                .expect_code(0);
        }
        assert_eq!(
            fs::read_to_string(house.path("known_hosts")).expect("a learnt key"),
            known
        );
        let targets = house.sshd.host_key("ed25519");
        assert!(!known.contains(targets.split_whitespace().nth(1).expect("a key")));
    });
}

#[test]
fn the_host_key_survives_a_restart_of_the_proxy() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        let alias = "HostKeyAlias=the-target";
        house.ssh().option(alias).run("true").expect_code(0);
        house.proxy().terminate();
        house.proxy().end(Duration::from_secs(15));
        let again = house.proxy().start_again(
            &house.room,
            &ProxyPlan::default(),
            &house.sshd,
            &house.door.user,
        );
        let door = Door::new(&house.room, "again", again.port, &house.door.user, &[]);
        door.ssh()
            .option(alias)
            .option("StrictHostKeyChecking=yes")
            .run("true")
            .expect_code(0);
        again.expect_sound_sessions();
    });
}

#[test]
fn another_key_of_the_target_makes_the_clients_own_warning_appear() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        let alias = "HostKeyAlias=the-target";
        house.ssh().option(alias).run("true").expect_code(0);
        let plan = SshdPlan {
            trusts: Some(house.path("ca.pub")),
            ..SshdPlan::default()
        };
        let swapped = Sshd::start(&house.room, "swapped", &plan);
        let proxy = house.proxy().start_again(
            &house.room,
            &ProxyPlan::default(),
            &swapped,
            &house.door.user,
        );
        let door = Door::new(
            &house.room,
            "swapped_config",
            proxy.port,
            &house.door.user,
            &[],
        );
        let warned = door.ssh().option(alias).run("echo never").expect_code(255);
        assert!(
            warned
                .err()
                .contains("REMOTE HOST IDENTIFICATION HAS CHANGED"),
            "{warned:?}"
        );
        assert_eq!(warned.out(), "");
        assert!(!swapped.log().contains("Accepted publickey"));
        proxy.expect_sound_sessions();
    });
}

fn connect_listeners(plan: &mut Plan) {
    plan.proxy.listeners.push(Listener::connect());
    plan.proxy.listeners.push(Listener::connect_as("ada"));
}

/// A door by `ProxyCommand`, to a target that is named as in the configuration of the proxy.
fn door_by_command(house: &House, name: &str, host: &str, command: &str) -> Door {
    let lines = [
        format!("ProxyCommand {command}"),
        format!("HostName {host}"),
        format!("Port {}", house.sshd.port),
    ];
    Door::new(&house.room, name, house.sshd.port, &house.door.user, &lines)
}

fn helper(house: &House, token_file: &Path) -> String {
    let (connect, port) = (tools::own("connect"), house.proxy().ports[1]);
    format!(
        "{} --proxy 127.0.0.1:{port} --token-file {} %h %p",
        connect.display(),
        token_file.display()
    )
}

#[test]
fn the_connect_helper_brings_a_token_and_with_it_the_identity() {
    need!("ssh", "sshd");
    through_the_proxy_with(connect_listeners, |house| {
        let token = house.room.write("token", format!("{ADA_TOKEN}\n"));
        for host in [TARGET, "127.0.0.1"] {
            let door = door_by_command(house, &format!("to {host}"), host, &helper(house, &token));
            let sent = e2e::samples::noise(3 << 20);
            assert!(door.ssh().feed("cat", &sent).expect_code(0).stdout == sent);
        }
        assert!(
            house
                .proxy()
                .events_named("session.start")
                .iter()
                .all(|event| event.text("identity") == "ada@example.com")
        );

        // The token may also come from the environment.
        let by_file = helper(house, &token);
        let (before, after) = by_file.split_once("--token-file").expect("the option");
        let rest = after.trim_start().split_once(' ').expect("more").1;
        let door = door_by_command(house, "by variable", TARGET, &format!("{before} {rest}"));
        let ended = door
            .ssh()
            .env("PORTREEVE_TOKEN", ADA_TOKEN)
            .run("echo by variable")
            .expect_code(0);
        assert_eq!(ended.out(), "by variable\n");
    });
}

#[test]
fn a_wrong_or_missing_token_gets_an_answer_that_says_what_to_do() {
    need!("ssh", "sshd");
    through_the_proxy_with(connect_listeners, |house| {
        let wrong = house
            .room
            .write("token", "wrong-0123456789abcdefghijklmnopqrstuvwxyz");
        let refused = door_by_command(house, "wrong", TARGET, &helper(house, &wrong))
            .ssh()
            .run("echo never");
        assert!(
            refused.expect_code(255).err().contains("40"),
            "an answer of the proxy is shown"
        );

        let target = format!("{TARGET}:{}", house.sshd.port);
        for (token, status) in [(None, "407"), (Some("wrong"), "403"), (Some(""), "40")] {
            let answer = request(house.proxy().ports[1], &target, token);
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}")),
                "{answer}"
            );
            let body = answer.split_once("\r\n\r\n").expect("a header").1;
            assert!(body.trim().len() > 10, "a body for a person: {answer}");
        }
        assert_eq!(house.sshd.connections(), 0);
        assert_eq!(house.proxy().logs().len(), 0);
    });
}

#[test]
fn the_token_of_somebody_else_gets_what_somebody_else_may() {
    need!("ssh", "sshd");
    through_the_proxy_with(connect_listeners, |house| {
        let token = house.room.write("token", MALLORY_TOKEN);
        let door = door_by_command(house, "mallory", TARGET, &helper(house, &token));
        let refused = door.ssh().run("echo never").expect_code(255);
        assert!(refused.err().contains("access denied: "), "{refused:?}");
        let denied = house.proxy().wait_for("access.denied");
        assert_eq!(
            (denied.text("identity"), denied.text("reason")),
            ("mallory@example.com", "policy")
        );
        assert_eq!(house.sshd.connections(), 0);
    });
}

#[test]
fn an_unknown_target_is_only_named_to_those_who_are_known() {
    need!("ssh", "sshd");
    through_the_proxy_with(connect_listeners, |house| {
        let port = house.proxy().ports[1];
        assert!(request(port, "elsewhere:22", None).starts_with("HTTP/1.1 407"));
        assert!(request(port, "elsewhere:22", Some(ADA_TOKEN)).starts_with("HTTP/1.1 404"));
        // The right host at another port is another target.
        assert!(request(port, &format!("{TARGET}:1"), Some(ADA_TOKEN)).starts_with("HTTP/1.1 404"));
    });
}

#[test]
fn nc_connects_where_a_listener_names_the_identity() {
    need!("ssh", "sshd", "nc");
    through_the_proxy_with(connect_listeners, |house| {
        let [_, with_token, without_token] = house.proxy().ports[..] else {
            panic!("three listeners")
        };
        let by_nc = |name: &str, port: u16| {
            door_by_command(
                house,
                name,
                TARGET,
                &format!("nc -X connect -x 127.0.0.1:{port} %h %p"),
            )
        };
        assert_eq!(
            by_nc("nc", without_token)
                .ssh()
                .run("echo by nc")
                .expect_code(0)
                .out(),
            "by nc\n"
        );
        by_nc("nc without token", with_token)
            .ssh()
            .run("echo never")
            .expect_code(255);
    });
}

#[test]
fn bytes_that_come_with_the_connect_request_belong_to_the_session() {
    need!("ssh", "sshd");
    through_the_proxy_with(connect_listeners, |house| {
        let target = format!("{TARGET}:{}", house.sshd.port);
        let request = format!(
            "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: Bearer {ADA_TOKEN}\r\n\r\nSSH-2.0-OpenSSH_9.2\r\n"
        );
        for split in [request.len(), 1, 17, request.len() - 3] {
            let mut stream = open(house.proxy().ports[1]);
            for piece in request.as_bytes().chunks(split) {
                stream.write_all(piece).expect("an open connection");
            }
            let mut answer = Vec::new();
            let mut byte = [0];
            // The established line, and then the identification that answers ours.
            while !String::from_utf8_lossy(&answer).contains("\r\n\r\nSSH-2.0-") {
                assert_eq!(
                    stream.read(&mut byte).expect("an answer"),
                    1,
                    "{}",
                    String::from_utf8_lossy(&answer)
                );
                answer.push(byte[0]);
            }
            assert!(
                answer.starts_with(b"HTTP/1.1 200"),
                "{}",
                String::from_utf8_lossy(&answer)
            );
        }
    });
}

#[test]
fn requests_that_are_not_a_small_connect_are_answered_and_closed() {
    need!("ssh", "sshd");
    through_the_proxy_with(connect_listeners, |house| {
        let long = format!(
            "CONNECT {TARGET}:22 HTTP/1.1\r\nX: {}\r\n\r\n",
            "x".repeat(20_000)
        );
        for (sent, status) in [
            ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "400"),
            ("CONNECT nonsense HTTP/1.1\r\n\r\n", "400"),
            ("CONNECT a:99999 HTTP/1.1\r\n\r\n", "400"),
            (&long, "431"),
        ] {
            let answer = exchange(house.proxy().ports[1], sent.as_bytes());
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}")),
                "{status} for {}: {answer}",
                &sent[..20]
            );
        }
    });
}

#[test]
fn each_of_two_targets_is_reached_by_its_name_and_has_a_host_key_of_its_own() {
    need!("ssh", "sshd");
    let second = std::cell::RefCell::new(None);
    through_the_proxy_with(
        |plan| {
            connect_listeners(plan);
            let other = SshdPlan {
                trusts: plan.sshd.trusts.clone(),
                ..SshdPlan::default()
            };
            let other = Sshd::start(&plan.room, "target-2", &other);
            plan.proxy.more_tables = format!(
                "[[target]]\nid = \"target-2\"\nhostname = \"{TARGET}\"\naddress = \"127.0.0.1\"\nport = {}\n",
                other.port
            );
            second.replace(Some(other));
        },
        |house| {
            let second = second.borrow();
            let second = second.as_ref().expect("a second target");
            let token = house.room.write("token", ADA_TOKEN);
            for (number, (id, target)) in [(TARGET, &house.sshd), ("target-2", second)]
                .into_iter()
                .enumerate()
            {
                let lines = [
                    format!("ProxyCommand {}", helper(house, &token)),
                    format!("HostName {id}"),
                    format!("Port {}", target.port),
                ];
                let door = Door::new(
                    &house.room,
                    &format!("to {id}"),
                    target.port,
                    &house.door.user,
                    &lines,
                );
                let before = target.connections();
                door.ssh().run("true").expect_code(0);
                assert_eq!(target.connections(), before + 1, "{number}");
            }
            let known = fs::read_to_string(house.path("known_hosts")).expect("learnt keys");
            let keys: std::collections::BTreeSet<_> = known
                .lines()
                .filter_map(|line| line.split_whitespace().nth(2))
                .collect();
            assert_eq!(keys.len(), 2, "{known}");
        },
    );
}

/// The PROXY protocol, version 2: a TCP connection over IPv4 from 203.0.113.7 port 4711.
fn proxy_header() -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c".to_vec();
    header.extend_from_slice(&[203, 0, 113, 7, 127, 0, 0, 1]);
    header.extend_from_slice(&4711_u16.to_be_bytes());
    header.extend_from_slice(&22_u16.to_be_bytes());
    header
}

/// A door that sends `first` before anything of the client.
fn door_with_header(house: &House, name: &str, port: u16, first: &[u8]) -> Door {
    let file = house.room.write(&format!("{name} header"), first);
    let script = house.room.write(
        &format!("{name}.sh"),
        format!(
            "(cat '{}'; exec cat) | nc -N 127.0.0.1 {port}\n",
            file.display()
        ),
    );
    door_by_command(house, name, TARGET, &format!("sh {}", script.display()))
}

#[test]
fn a_balancer_that_is_listed_says_where_the_client_comes_from() {
    need!("ssh", "sshd", "nc");
    through_the_proxy_with(
        |plan| {
            plan.proxy
                .listeners
                .push(Listener::plain("ada").behind("127.0.0.0/8"))
        },
        |house| {
            let door = door_with_header(house, "listed", house.proxy().ports[1], &proxy_header());
            assert_eq!(
                door.ssh().run("echo through").expect_code(0).out(),
                "through\n"
            );
            let start = house.proxy().wait_for("session.start");
            assert_eq!(start.text("client_addr"), "203.0.113.7:4711");
        },
    );
}

#[test]
fn headers_of_a_balancer_that_are_missing_old_twice_or_from_elsewhere_are_refused() {
    need!("ssh", "sshd", "nc");
    through_the_proxy_with(
        |plan| {
            plan.proxy
                .listeners
                .push(Listener::plain("ada").behind("127.0.0.0/8"));
            plan.proxy
                .listeners
                .push(Listener::plain("ada").behind("192.0.2.0/24"));
            plan.proxy
                .listeners
                .push(Listener::connect_as("ada").behind("192.0.2.0/24"));
        },
        |house| {
            let [unlisted, listed, elsewhere, connect_elsewhere] = house.proxy().ports[..] else {
                panic!("four listeners")
            };
            let header = proxy_header();
            let old = b"PROXY TCP4 203.0.113.7 127.0.0.1 4711 22\r\n";
            let twice = [&header[..], &header[..]].concat();
            for (name, port, first) in [
                ("unlisted", unlisted, &header[..]),
                ("elsewhere", elsewhere, &header[..]),
                ("connect-elsewhere", connect_elsewhere, &header[..]),
                ("old", listed, &old[..]),
                ("missing", listed, b""),
                ("twice", listed, &twice[..]),
            ] {
                let mut stream = open(port);
                stream
                    .write_all(&[first, b"SSH-2.0-OpenSSH_9.2\r\n"].concat())
                    .expect("an open connection");
                let mut answer = Vec::new();
                // Closed, or reset because more was sent than read; a login would wait for the client instead.
                if let Err(error) = stream.read_to_end(&mut answer) {
                    assert_eq!(
                        error.kind(),
                        std::io::ErrorKind::ConnectionReset,
                        "{name}: {error}"
                    );
                }
                assert!(
                    answer.len() < 400,
                    "{name}: {}",
                    String::from_utf8_lossy(&answer)
                );
            }
            assert_eq!(house.sshd.connections(), 0);
            assert_eq!(house.proxy().events_named("session.start").len(), 0);
            let forged = house
                .proxy()
                .events()
                .into_iter()
                .filter(|event| event.text("client_addr").contains("203.0.113.7"));
            // A second header is nonsense inside the connection that the first one has announced.
            assert!(
                forged
                    .into_iter()
                    .all(|event| event.text("reason") == "client_protocol")
            );
        },
    );
}

#[test]
fn a_header_of_a_balancer_behind_the_identification_ends_the_connection_and_changes_no_address() {
    need!("ssh", "sshd");
    through_the_proxy_with(
        |plan| {
            let behind = Listener::plain("ada").behind("127.0.0.0/8");
            plan.proxy.listeners.push(behind);
        },
        |house| {
            let [plain, behind] = house.proxy().ports[..] else {
                panic!("two listeners")
            };
            let header = proxy_header();
            let old = b"PROXY TCP4 203.0.113.7 127.0.0.1 4711 22\r\n".to_vec();
            let mut of_the_balancer = header.clone();
            // From 198.51.100.9.
            of_the_balancer[16..20].copy_from_slice(&[198, 51, 100, 9]);
            for (port, first) in [(plain, &[][..]), (behind, &of_the_balancer[..])] {
                for late in [&header, &old] {
                    let mut stream = open(port);
                    let line = b"SSH-2.0-OpenSSH_9.2\r\n";
                    let all = [first, line, late].concat();
                    stream.write_all(&all).expect("an open connection");
                    let mut answer = Vec::new();
                    // Closed, or reset because more was sent than read; a login would wait for the client instead.
                    if let Err(error) = stream.read_to_end(&mut answer) {
                        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
                    }
                }
            }
            let denied = || house.proxy().events_named("access.denied");
            wait_until("four refusals", PATIENCE, || denied().len() == 4);
            let from = |network: &str| {
                let denied = denied();
                let from = denied
                    .iter()
                    .filter(|event| event.text("client_addr").starts_with(network));
                from.count()
            };
            assert_eq!((from("127.0.0.1"), from("198.51.100.9")), (2, 2));
            assert!(
                denied()
                    .iter()
                    .all(|event| event.text("reason") == "client_protocol")
            );
            assert!(house.proxy().events_named("session.start").is_empty());
        },
    );
}

fn open(port: u16) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a listener");
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a socket");
    stream
}

/// Sends bytes and reads the whole answer.
fn exchange(port: u16, bytes: &[u8]) -> String {
    let mut stream = open(port);
    stream.write_all(bytes).expect("an open connection");
    let mut answer = Vec::new();
    stream
        .read_to_end(&mut answer)
        .expect("an answer and its end");
    String::from_utf8(answer).expect("a text answer")
}

fn request(port: u16, target: &str, token: Option<&str>) -> String {
    let authorization = token.map_or_else(String::new, |token| {
        format!("Proxy-Authorization: Bearer {token}\r\n")
    });
    exchange(
        port,
        format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{authorization}\r\n").as_bytes(),
    )
}
