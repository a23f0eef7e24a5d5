//! What goes wrong: each failure has its own clear message, its own event, and lets nothing through.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::Duration;

use e2e::detour::Detour;
use e2e::house::{House, Plan, through_the_proxy, through_the_proxy_with};
use e2e::need;
use e2e::process::{Input, run, wait_until};
use e2e::room::free_port;
use e2e::tools;
use rustix::process::Signal;

/// The login failed with words for the person and an event for the operator.
#[track_caller]
fn expect_refusal(house: &House, reason: &str, words: &str) {
    let refused = house
        .ssh()
        .within(Duration::from_secs(20))
        .run("echo never")
        .expect_code(255);
    let denied = house.proxy().wait_for_event(reason, |event| {
        event.name() == "access.denied" && refused.err().contains(event.session())
    });
    assert_eq!(denied.text("reason"), reason, "{denied:?}");
    assert!(!denied.text("detail").is_empty(), "{denied:?}");
    assert!(
        refused.err().to_lowercase().contains(words),
        "`{words}` was not said: {refused:?}"
    );
    assert_eq!(refused.out(), "");
    expect_nobody_logged_in(house);
}

#[track_caller]
fn expect_nobody_logged_in(house: &House) {
    let log = house.sshd.log();
    assert!(!log.contains("Accepted publickey"), "{log}");
    assert!(!log.contains("Starting session"), "{log}");
}

#[test]
fn a_target_that_cannot_be_reached_is_named_as_such() {
    need!("ssh", "sshd");
    through_the_proxy_with(
        |plan| plan.proxy.target_port = Some(free_port()),
        |house| {
            expect_refusal(house, "target_unreachable", "access denied: ");
            assert_eq!(house.sshd.connections(), 0);
        },
    );
}

#[test]
fn a_target_that_says_nothing_is_given_up() {
    need!("ssh", "sshd");
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
    let port = silent.local_addr().expect("an address").port();
    through_the_proxy_with(
        |plan| {
            plan.proxy.target_port = Some(port);
            plan.proxy.timeouts.push("target_login = \"2s\"".to_owned());
        },
        |house| {
            expect_refusal(house, "target_timeout", "access denied: ");
        },
    );
}

#[test]
fn a_target_that_takes_its_time_is_waited_for() {
    need!("ssh", "sshd");
    let detour = Detour::open();
    through_the_proxy_with(
        |plan| plan.proxy.target_port = Some(detour.port),
        |house| {
            detour.lead(house.sshd.port, Duration::from_secs(3));
            let ended = house.ssh().run("echo at last").expect_code(0);
            assert_eq!(ended.out(), "at last\n");
            assert!(ended.took > Duration::from_secs(3));
        },
    );
}

#[test]
fn a_target_that_does_not_speak_ssh_is_named_as_such() {
    need!("ssh", "sshd");
    let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
    let port = other.local_addr().expect("an address").port();
    thread::spawn(move || {
        for stream in other.incoming().flatten() {
            let mut stream = stream;
            // What the peer makes of it is what the test is about.
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
            thread::sleep(Duration::from_secs(1));
        }
    });
    through_the_proxy_with(
        |plan| plan.proxy.target_port = Some(port),
        |house| {
            expect_refusal(house, "target_protocol", "access denied: ");
        },
    );
}

#[test]
fn a_target_with_another_key_than_the_pinned_one_is_refused_before_it_learns_anything() {
    need!("ssh", "sshd");
    through_the_proxy_with(
        |plan| {
            plan.room.key("other_host", "ed25519");
            let other = plan.room.public_key("other_host");
            plan.proxy
                .target_lines
                .push(format!("host_keys = [\"{other}\"]"));
        },
        |house| {
            expect_refusal(house, "host_key_mismatch", "access denied: ");
            assert!(
                !house.sshd.log().contains("userauth-request"),
                "{}",
                house.sshd.log()
            );
        },
    );
}

#[test]
fn a_target_with_the_pinned_key_is_let_through() {
    need!("ssh", "sshd");
    through_the_proxy_with(
        |plan| {
            // The host key is made when the server starts: pinned here by the file that it will be in.
            plan.sshd.host_keys = vec!["ed25519"];
            plan.proxy
                .target_lines
                .push("host_keys = [\"../target/host_ed25519.pub\"]".to_owned());
        },
        |house| {
            assert_eq!(
                house.ssh().run("echo pinned").expect_code(0).out(),
                "pinned\n"
            )
        },
    );
}

#[test]
fn one_of_several_pinned_keys_is_asked_for_when_the_target_has_others_too() {
    need!("ssh", "sshd");
    through_the_proxy_with(
        |plan| {
            plan.sshd.host_keys = vec!["ed25519", "ecdsa"];
            plan.proxy
                .target_lines
                .push("host_keys = [\"../target/host_ecdsa.pub\"]".to_owned());
        },
        |house| {
            assert_eq!(
                house.ssh().run("echo pinned").expect_code(0).out(),
                "pinned\n"
            )
        },
    );
}

fn certified_hosts(plan: &mut Plan) {
    plan.sshd.host_ca = Some(plan.room.key("host_ca", "ed25519"));
}

#[test]
fn a_target_certified_by_the_trusted_host_authority_is_let_through() {
    need!("ssh", "sshd");
    through_the_proxy_with(
        |plan| {
            certified_hosts(plan);
            let authority = plan.room.public_key("host_ca");
            plan.proxy
                .target_lines
                .push(format!("host_ca = [\"{authority}\"]"));
        },
        |house| {
            assert_eq!(
                house.ssh().run("echo certified").expect_code(0).out(),
                "certified\n"
            )
        },
    );
}

#[test]
fn a_target_certified_by_another_host_authority_is_refused() {
    need!("ssh", "sshd");
    through_the_proxy_with(
        |plan| {
            certified_hosts(plan);
            plan.room.key("other_ca", "ed25519");
            let authority = plan.room.public_key("other_ca");
            plan.proxy
                .target_lines
                .push(format!("host_ca = [\"{authority}\"]"));
        },
        |house| {
            expect_refusal(house, "host_key_mismatch", "access denied: ");
        },
    );
}

#[test]
fn a_target_without_a_certificate_is_refused_where_an_authority_is_required() {
    need!("ssh", "sshd");
    through_the_proxy_with(
        |plan| {
            plan.room.key("host_ca", "ed25519");
            let authority = plan.room.public_key("host_ca");
            plan.proxy
                .target_lines
                .push(format!("host_ca = [\"{authority}\"]"));
        },
        |house| {
            let refused = house.ssh().run("echo never").expect_code(255);
            assert!(refused.err().contains("access denied: "), "{refused:?}");
            house.proxy().wait_for("access.denied");
            expect_nobody_logged_in(house);
        },
    );
}

#[test]
fn a_target_that_does_not_trust_the_authority_is_named_as_such() {
    need!("ssh", "sshd");
    through_the_proxy_with(
        |plan| {
            plan.sshd.trusts = Some(plan.room.key("foreign_ca", "ed25519").with_extension("pub"))
        },
        |house| {
            expect_refusal(house, "certificate_rejected", "certificate");
        },
    );
}

#[test]
fn a_user_whom_the_target_does_not_know_is_refused_with_words() {
    need!("ssh", "sshd");
    through_the_proxy_with(
        |plan| plan.user = "nobody-of-that-name".to_owned(),
        |house| {
            expect_refusal(house, "certificate_rejected", "access denied: ");
        },
    );
}

#[test]
fn without_a_place_for_logs_nobody_gets_in_until_there_is_one_again() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        let logs = house.proxy().folder().join("logs");
        fs::remove_dir(&logs).expect("an empty folder");
        fs::write(&logs, "in the way").expect("a file in the place of the folder");
        expect_refusal(house, "recorder_failed", "record");

        fs::remove_file(&logs).expect("the file in the way");
        fs::create_dir(&logs).expect("a folder again");
        assert_eq!(house.ssh().run("echo back").expect_code(0).out(), "back\n");
    });
}

#[test]
fn when_the_log_cannot_grow_the_session_stops_and_nothing_more_passes() {
    need!("ssh", "sshd", "prlimit");
    through_the_proxy_with(
        // Writes past a limit fail, as on a full disk, instead of ending the process.
        |plan| plan.proxy.before = "trap '' XFSZ;".to_owned(),
        |house| {
            let seen = house.path("seen");
            // A log larger than the events and the operator's log, so that only it meets the limit.
            let mut ssh = house.ssh().live(&format!(
                "head -c 300000 /dev/zero; echo ready; tee {}",
                seen.display()
            ));
            ssh.hear("ready");
            ssh.say("before\n");
            ssh.hear("before");
            let log = house.proxy().logs().remove(0);
            let size = fs::metadata(&log).expect("the log").len();
            limit_files(house, &size.to_string());

            ssh.say("after\n");
            assert_eq!(ssh.end(Duration::from_secs(10)).code(), Some(255));
            assert!(
                ssh.heard().contains("can no longer be recorded"),
                "{}",
                &ssh.heard()[300_000..]
            );
            assert!(!ssh.heard().contains("after"));
            assert_eq!(
                fs::read_to_string(&seen).expect("what the target got"),
                "before\n"
            );
            let end = house.proxy().wait_for("session.end");
            assert_eq!(
                (end.text("reason"), end.json()["log_complete"].as_bool()),
                ("recorder_failed", Some(false))
            );

            // Nor does a new session begin on a disk that is full, until it is no longer.
            limit_files(house, "100");
            let refused = house.ssh().run("echo never").expect_code(255);
            assert!(refused.err().contains("record"), "{refused:?}");
            assert_eq!(refused.out(), "");
            limit_files(house, "unlimited");
            assert_eq!(
                house.ssh().run("echo again").expect_code(0).out(),
                "again\n"
            );

            // What was written is sound up to where it ends.
            let verdict = house.proxy().verify(&log).expect_failure();
            assert!(verdict.out().contains("TRUNCATED"), "{verdict:?}");
            let records = house.proxy().records_so_far(&log);
            assert!(
                records
                    .iter()
                    .any(|record| record.kind() == "input" && record.data() == b"before\n")
            );
            house.proxy().forget_unsound();
        },
    );
}

/// No file of the proxy may grow beyond this many bytes, as on a disk that is full.
fn limit_files(house: &House, bytes: &str) {
    let mut limit = Command::new(tools::path("prlimit"));
    limit
        .arg(format!("--fsize={bytes}:unlimited"))
        .args(["--pid", &house.proxy().id().to_string()]);
    run(&mut limit, Input::Nothing, Duration::from_secs(10)).expect_code(0);
}

#[test]
fn when_the_target_dies_the_client_is_told_and_the_log_is_complete() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        let mut ssh = house.ssh().live("echo up; sleep 300");
        ssh.hear("up");
        house.sshd.die();
        assert_eq!(ssh.end(Duration::from_secs(10)).code(), Some(255));
        assert!(
            ssh.heard().contains("the target closed the connection"),
            "{}",
            ssh.heard()
        );
        assert_eq!(
            house.proxy().wait_for("session.end").text("reason"),
            "target_disconnected"
        );
    });
}

#[test]
fn when_the_client_vanishes_its_program_on_the_target_loses_its_connection() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        let mut ssh = house.ssh().live("echo up; cat; echo gone > gone-marker");
        ssh.hear("up");
        ssh.signal(Signal::KILL);
        ssh.end(Duration::from_secs(5));
        assert_eq!(
            house.proxy().wait_for("session.end").text("reason"),
            "client_disconnected"
        );
        wait_until("the target's farewell", Duration::from_secs(10), || {
            let log = house.sshd.log();
            log.contains("Disconnected from user") || log.contains("Connection closed by")
        });
    });
}

#[test]
fn a_client_that_says_nothing_costs_the_target_no_connection_and_is_let_go() {
    need!("ssh", "sshd");
    through_the_proxy_with(
        |plan| plan.proxy.timeouts.push("login_grace = \"2s\"".to_owned()),
        |house| {
            let mut silent = connect(house.proxy().port);
            let mut slow = connect(house.proxy().port);
            slow.write_all(b"SSH-2.0-Slow").expect("an open connection");
            // Both are closed by the proxy: the end of the stream comes.
            for stream in [&mut silent, &mut slow] {
                stream
                    .read_to_end(&mut Vec::new())
                    .expect("an end within the limit");
            }
            wait_until("two denials", Duration::from_secs(10), || {
                house.proxy().events_named("access.denied").len() == 2
            });
            assert_eq!(house.sshd.connections(), 0);
            assert!(
                house
                    .proxy()
                    .events()
                    .iter()
                    .all(|event| event.text("reason") == "login_timeout")
            );
        },
    );
}

#[test]
fn a_client_that_stops_in_the_middle_of_the_login_is_let_go() {
    need!("ssh", "sshd");
    through_the_proxy_with(
        |plan| plan.proxy.timeouts.push("login_grace = \"3s\"".to_owned()),
        |house| {
            let mut stuck = connect(house.proxy().port);
            stuck
                .write_all(b"SSH-2.0-OpenSSH_9.2\r\n")
                .expect("an open connection");
            stuck
                .read_to_end(&mut Vec::new())
                .expect("an end within the limit");
            let denied = house.proxy().wait_for("access.denied");
            assert_eq!(denied.text("reason"), "login_timeout");
        },
    );
}

#[test]
fn a_client_that_does_not_speak_ssh_is_let_go() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        for garbage in [
            &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
            &[0xff; 4000],
            b"SSH-1.5-old\r\n",
            b"\r\n\r\n\r\n",
        ] {
            let mut other = connect(house.proxy().port);
            other.write_all(garbage).expect("an open connection");
            other
                .shutdown(std::net::Shutdown::Write)
                .expect("an open connection");
            // Closed, or reset because it had more to say.
            let _ = other.read_to_end(&mut Vec::new());
        }
        wait_until("four denials", Duration::from_secs(15), || {
            house.proxy().events_named("access.denied").len() == 4
        });
        assert_eq!(
            house.ssh().run("echo others go on").expect_code(0).out(),
            "others go on\n"
        );
    });
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the proxy's listener");
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a socket");
    stream
}
