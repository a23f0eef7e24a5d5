//! Sessions inside sessions with OpenSSH's own `-J`, `-W` and `-L`: each decided about, recorded and linked by itself.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use e2e::chain::{
    Chain, ChainPlan, InnerKey, TARGETS, by_both_ways, by_both_ways_with, through_the_proxy,
};
use e2e::live::Live;
use e2e::need;
use e2e::process::{Input, PATIENCE, run};
use e2e::records::Record;
use e2e::room::free_port;
use e2e::sshd::{Sshd, SshdPlan};
use e2e::tools;

/// Each way through three levels with the host it leads to.
const WAYS: [(&str, &str); 3] = [
    ("", "target"),
    ("target", "inner"),
    ("target,inner", "innermost"),
];

/// Bulk through three levels of encryption, on a machine that does much else.
const BULK_PATIENCE: Duration = Duration::from_secs(300);
const BULK_BYTES: usize = 50 << 20;

fn port_of(chain: &Chain, level: usize) -> u16 {
    [
        chain.house.sshd.port,
        chain.inner.port,
        chain.innermost.port,
    ][level]
}

fn one<'r>(records: &'r [Record], kind: &str) -> &'r Record {
    let mut all = records.iter().filter(|record| record.kind() == kind);
    let first = all.next();
    assert!(all.next().is_none(), "two of {kind} in {records:#?}");
    first.unwrap_or_else(|| panic!("no {kind} in {records:#?}"))
}

/// The log of the session `outer` names `inner` on one of its channels, and that one names it back. Nothing of what passed inside
/// stands in the outer log.
#[track_caller]
fn expect_linked(chain: &Chain, outer: &str, inner: &str, port: u16) {
    let (outside, inside) = (
        chain.proxy().records_of(outer),
        chain.proxy().records_of(inner),
    );
    let link = one(&outside, "inner_session");
    assert_eq!(link.text("session"), inner);
    assert_eq!(link.text("host"), "127.0.0.1");
    assert_eq!(link.number("port"), u64::from(port));
    let back = one(&inside, "parent_session");
    assert_eq!(back.text("session"), outer);
    assert_eq!(back.number("channel"), link.channel());
    let kinds: Vec<&str> = inside.iter().map(Record::kind).collect();
    let meta = kinds.iter().position(|kind| *kind == "session_meta");
    let meta = meta.expect("the facts of the session");
    assert_eq!(kinds[meta + 1], "parent_session");
    let opened = outside
        .iter()
        .find(|record| record.kind() == "forward_open" && record.channel() == link.channel());
    assert_eq!(opened.expect("the channel").number("port"), u64::from(port));
    assert!(
        !outside.iter().any(|record| record.kind() == "forward_data"),
        "what is encrypted once more is not worth keeping"
    );
}

#[test]
fn ssh_jumps_one_two_and_three_levels_deep_and_leaves_linked_logs_of_every_level() {
    need!("ssh", "sshd");
    by_both_ways(|chain| {
        for (level, (jumps, host)) in WAYS.into_iter().enumerate() {
            let said = chain
                .ssh(jumps, host)
                .run(&format!(
                    "echo level {level} at $SSH_CONNECTION; exit {level}"
                ))
                .expect_code(i32::try_from(level).expect("a small number"))
                .out();
            assert!(said.starts_with(&format!("level {level} at ")), "{said}");
            assert!(
                said.ends_with(&format!(" {}\n", port_of(chain, level))),
                "{said}"
            );
        }
        if chain.house.proxy.is_some() {
            expect_three_levels(chain);
        }
    });
}

/// The session at the end of the third command, and the two around it.
fn expect_three_levels(chain: &Chain) {
    let innermost = chain.wait_for("session.end", TARGETS[2]);
    let inner = innermost.text("parent").to_owned();
    let events = chain.events_about("session.start", TARGETS[1]);
    let around = events.iter().find(|event| event.session() == inner);
    let around = around.expect("the session around it");
    let outer = around.text("parent").to_owned();
    let outermost = chain.events_about("session.start", TARGETS[0]);
    let outermost = outermost.iter().find(|event| event.session() == outer);
    assert_eq!(
        outermost.expect("the session around that").text("parent"),
        ""
    );
    for event in [&innermost, around] {
        assert_eq!(event.text("identity"), "ada@example.com");
        assert!(event.text("client_addr").starts_with("127.0.0.1:"));
    }
    assert_eq!(innermost.json()["exit"]["status"], 2, "{innermost:?}");
    // Those around it end after it.
    for session in [&inner, &outer] {
        let what = format!("the end of {session}");
        chain.proxy().wait_for_event(&what, |event| {
            event.name() == "session.end" && event.session() == session
        });
    }
    expect_linked(chain, &outer, &inner, chain.inner.port);
    expect_linked(chain, &inner, innermost.session(), chain.innermost.port);
    let records = chain.proxy().records_of(innermost.session());
    assert!(
        one(&records, "exec")
            .text("command")
            .starts_with("echo level 2")
    );
    let output = Record::data_of(&records, "output");
    assert!(output.starts_with(b"level 2 at "));
    let meta = one(&records, "session_meta");
    assert_eq!(meta.text("target_id"), TARGETS[2]);
    assert_eq!(meta.text("policy"), "ada on innermost-1");
    // The outer ones know that somebody went on, not what was done there.
    for session in [&inner, &outer] {
        let records = chain.proxy().records_of(session);
        assert!(!records.iter().any(|record| record.kind() == "exec"));
    }
    // Each target was reached with a certificate of its own.
    let serials: Vec<u64> = TARGETS
        .iter()
        .flat_map(|target| chain.events_about("session.start", target))
        .map(|event| event.number("certificate_serial"))
        .collect();
    let mut distinct = serials.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!((serials.len(), distinct.len()), (6, 6));
}

fn sha256(path: &Path) -> String {
    let mut sum = Command::new(tools::path("sha256sum"));
    let said = run(sum.arg(path), Input::Nothing, PATIENCE)
        .expect_code(0)
        .out();
    said.split_whitespace().next().expect("a sum").to_owned()
}

/// Bytes that nobody can make shorter.
fn bulk(chain: &Chain) -> std::path::PathBuf {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let bytes: Vec<u8> = (0..BULK_BYTES / 8)
        .flat_map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        })
        .collect();
    chain.house.room.write("bulk", bytes)
}

#[test]
fn fifty_megabytes_go_up_and_down_through_three_levels() {
    need!("ssh", "sshd", "scp");
    by_both_ways(|chain| {
        let file = bulk(chain);
        let sum = sha256(&file);
        let (jumps, host) = WAYS[2];
        let up = chain.house.path("up");
        chain
            .client("scp", jumps)
            .arg(&file)
            .within(BULK_PATIENCE)
            .to(format!("{host}:{}", up.display()))
            .run("")
            .expect_code(0);
        assert_eq!(sha256(&up), sum);
        let down = chain
            .ssh(jumps, host)
            .within(BULK_PATIENCE)
            .run(&format!("cat {}", up.display()))
            .expect_code(0);
        let down = chain.house.room.write("down", down.stdout);
        assert_eq!(sha256(&down), sum);
        let Some(proxy) = &chain.house.proxy else {
            return;
        };
        let end = proxy.wait_for_event("the end of the second session there", |event| {
            event.name() == "session.end"
                && event.text("target") == TARGETS[2]
                && event.number("bytes_from_target") >= BULK_BYTES as u64
        });
        assert_eq!(end.number("bytes_from_target"), BULK_BYTES as u64);
    });
}

#[test]
fn a_connection_to_standard_input_that_carries_ssh_is_a_session_of_its_own() {
    need!("ssh", "sshd");
    by_both_ways(|chain| {
        let way = chain.ssh("", "target").args(&["-W", "%h:%p"]).line("");
        let said = chain
            .ssh("", "inner")
            .option(format!("ProxyCommand={way}"))
            .run("echo inside")
            .expect_code(0);
        assert_eq!(said.out(), "inside\n");
        if chain.house.proxy.is_some() {
            let inner = chain.wait_for("session.end", TARGETS[1]);
            let outer = inner.text("parent").to_owned();
            chain
                .proxy()
                .wait_for_event("the end of the outer", |event| {
                    event.name() == "session.end" && event.session() == outer
                });
            expect_linked(chain, &outer, inner.session(), chain.inner.port);
        }
    });
}

/// A client at the first target that forwards a port of this machine to the second, and that port.
fn forwarding_to_inner(chain: &Chain) -> (Live, u16) {
    for _ in 0..5 {
        let here = free_port();
        let forward = format!("{here}:127.0.0.1:{}", chain.inner.port);
        let ssh = chain
            .ssh("", "target")
            .args(&["-L", &forward])
            .live("echo up; cat");
        ssh.hear("up");
        if !ssh.heard().contains("cannot listen to port") {
            return (ssh, here);
        }
    }
    panic!("every port is taken")
}

#[test]
fn a_forwarded_port_of_an_ssh_server_leads_to_a_session_of_its_own_with_the_same_host_key() {
    need!("ssh", "sshd");
    for lines in [
        "jump = [{ ip = \"127.0.0.1\", port = {inner} }]",
        // What begins as SSH is a session where forwarding anything is granted too, if the proxy knows the target.
        "local_forward = [{ ip = \"127.0.0.1\", port = {inner} }]",
    ] {
        through_the_proxy(&ChainPlan::granting(lines), |chain| {
            let (mut ssh, here) = forwarding_to_inner(chain);
            let through = |remote: &str| {
                chain
                    .ssh("", "inner")
                    .option("HostName=127.0.0.1")
                    .option(format!("Port={here}"))
                    .run(remote)
            };
            assert_eq!(through("echo one").expect_code(0).out(), "one\n");
            // Known now, and the same by the other way.
            let jumped = chain
                .ssh("target", "inner")
                .option("StrictHostKeyChecking=yes")
                .run("echo two");
            assert_eq!(jumped.expect_code(0).out(), "two\n");
            assert_eq!(through("echo three").expect_code(0).out(), "three\n");
            ssh.say("still here\n");
            ssh.hear("still here");
            ssh.end_input();
            assert_eq!(ssh.end(PATIENCE).code(), Some(0));
            let starts = chain.events_about("session.start", TARGETS[1]);
            assert_eq!(starts.len(), 3);
            assert_eq!(starts[0].text("parent"), starts[2].text("parent"));
            assert_ne!(starts[0].text("parent"), starts[1].text("parent"));
            let outer = starts[0].text("parent");
            chain
                .proxy()
                .wait_for_event("the end of the outer", |event| {
                    event.name() == "session.end" && event.session() == outer
                });
            let records = chain.proxy().records_of(outer);
            let links = records
                .iter()
                .filter(|record| record.kind() == "inner_session");
            assert_eq!(links.count(), 2);
        });
    }
}

#[test]
fn what_is_not_ssh_is_cut_where_only_a_jump_is_granted() {
    need!("ssh", "sshd");
    through_the_proxy(&ChainPlan::default(), |chain| {
        let (mut ssh, here) = forwarding_to_inner(chain);
        let mut web = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, here)).expect("the port");
        web.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        web.write_all(b"GET /secret HTTP/1.0\r\n\r\n")
            .expect("a connection");
        let mut got = Vec::new();
        let _ = std::io::Read::read_to_end(&mut web, &mut got);
        let got = String::from_utf8_lossy(&got).into_owned();
        assert!(
            !got.contains("Invalid SSH identification string"),
            "the target's own words: {got}"
        );
        let denied = chain.wait_for("access.denied", TARGETS[1]);
        assert_ne!(denied.text("parent"), "");
        assert!(
            !chain.inner.log().contains("GET /secret"),
            "{}",
            chain.inner.log()
        );
        ssh.say("still here\n");
        ssh.hear("still here");
    });
}

#[test]
fn a_server_that_does_not_speak_ssh_is_cut_where_only_a_jump_is_granted() {
    need!("ssh", "sshd");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(b"220 mail.example.com ESMTP\r\n250 secret\r\n");
            thread::spawn(move || std::io::copy(&mut &stream, &mut std::io::sink()));
        }
    });
    let mut plan =
        ChainPlan::granting(&format!("jump = [{{ ip = \"127.0.0.1\", port = {port} }}]"));
    plan.more_tables = format!(
        "[[target]]\nid = \"mail\"\nhostname = \"mail\"\naddress = \"127.0.0.1\"\nport = {port}\n"
    );
    plan.more_policies = "[[application]]\nname = \"mail\"\ntarget = { port = \"any\", include = [{ id = \"mail\" }] }\n\
         [[application.policy]]\nname = \"mail\"\naction = \"allow\"\ninclude = [{ email = \"ada@example.com\" }]\nusernames = [\"{user}\"]\n".to_owned();
    through_the_proxy(&plan, |chain| {
        let cut = chain
            .ssh("target", "inner")
            .option(format!("Port={port}"))
            .run("echo never")
            .expect_code(255);
        assert_eq!(cut.out(), "");
        assert!(!cut.err().contains("secret"), "{}", cut.err());
        let denied = chain.wait_for("access.denied", "mail");
        assert!(cut.err().contains(denied.session()), "{cut:?}\n{denied:?}");
    });
}

#[test]
fn a_server_that_the_proxy_does_not_know_is_refused_in_words() {
    need!("ssh", "sshd");
    let anywhere = "jump = [{ ip = \"127.0.0.0/8\", port = \"any\" }]";
    through_the_proxy(&ChainPlan::granting(anywhere), |chain| {
        let stranger = Sshd::start(&chain.house.room, "stranger", &SshdPlan::default());
        let refused = chain
            .ssh("target", "inner")
            .option(format!("Port={}", stranger.port))
            .run("echo never")
            .expect_code(255);
        assert_eq!(refused.out(), "");
        assert!(
            refused.err().contains("administratively prohibited"),
            "{refused:?}"
        );
        chain
            .proxy()
            .expect_refusal(&format!("direct-tcpip to 127.0.0.1 {}", stranger.port));
        assert_eq!(stranger.connections(), 0);
        // Beside it, one that is known.
        let known = chain.ssh("target", "inner").run("echo known");
        assert_eq!(known.expect_code(0).out(), "known\n");
    });
}

#[test]
fn who_is_not_allowed_at_the_second_level_reads_why_there_and_stays_at_the_first() {
    need!("ssh", "sshd");
    through_the_proxy(&ChainPlan::default(), |chain| {
        let refused = chain
            .ssh("target", "inner")
            .option("User=intruder")
            .run("echo never")
            .expect_code(255);
        assert_eq!(refused.out(), "");
        let denied = chain.wait_for("access.denied", TARGETS[1]);
        assert_eq!(
            (denied.text("reason"), denied.text("user")),
            ("policy", "intruder")
        );
        let told = refused.err();
        assert!(
            told.contains("access denied: ") && told.contains(denied.session()),
            "{told}"
        );
        assert!(
            !chain.inner.log().contains("userauth-request"),
            "nobody tried to log in there"
        );
        let outer = denied.text("parent");
        assert_eq!(chain.wait_for("session.start", TARGETS[0]).session(), outer);
        assert!(chain.events_about("session.start", TARGETS[1]).is_empty());
        assert!(!chain.proxy().log_of(denied.session()).exists());
    });
}

#[test]
fn a_target_that_no_policy_is_about_is_refused_at_the_second_level() {
    need!("ssh", "sshd");
    let plan = ChainPlan {
        without: Some(1),
        ..ChainPlan::default()
    };
    through_the_proxy(&plan, |chain| {
        let refused = chain
            .ssh("target", "inner")
            .run("echo never")
            .expect_code(255);
        let denied = chain.wait_for("access.denied", TARGETS[1]);
        assert_eq!(denied.text("reason"), "policy");
        assert!(refused.err().contains(denied.session()), "{refused:?}");
        assert!(chain.ssh("", "target").run("echo up").expect_code(0).out() == "up\n");
    });
}

/// Another server in the place of the second one, with keys of its own.
fn replace_inner(chain: &Chain) -> Sshd {
    chain.inner.die();
    let plan = SshdPlan {
        trusts: Some(chain.house.path("ca.pub")),
        lines: vec![format!("ListenAddress 127.0.0.1:{}", chain.inner.port)],
        ..SshdPlan::default()
    };
    Sshd::start(&chain.house.room, "another", &plan)
}

#[test]
fn another_host_key_at_the_second_level_makes_the_client_warn_where_any_is_taken() {
    need!("ssh", "sshd");
    let plan = ChainPlan {
        inner_key: InnerKey::Any,
        ..ChainPlan::default()
    };
    by_both_ways_with(&plan, |chain| {
        chain.ssh("target", "inner").run("true").expect_code(0);
        let _another = replace_inner(chain);
        let warned = chain
            .ssh("target", "inner")
            .run("echo never")
            .expect_code(255);
        assert_eq!(warned.out(), "");
        assert!(
            warned
                .err()
                .contains("REMOTE HOST IDENTIFICATION HAS CHANGED"),
            "{warned:?}"
        );
        // The first level is who it was.
        chain
            .ssh("", "target")
            .option("StrictHostKeyChecking=yes")
            .run("true")
            .expect_code(0);
    });
}

#[test]
fn a_server_at_the_second_level_without_its_pinned_key_is_refused_in_words() {
    need!("ssh", "sshd");
    through_the_proxy(&ChainPlan::default(), |chain| {
        chain.ssh("target", "inner").run("true").expect_code(0);
        let _another = replace_inner(chain);
        let refused = chain
            .ssh("target", "inner")
            .run("echo never")
            .expect_code(255);
        let denied = chain.wait_for("access.denied", TARGETS[1]);
        assert_eq!(denied.text("reason"), "host_key_mismatch", "{denied:?}");
        assert!(refused.err().contains(denied.session()), "{refused:?}");
    });
}

/// The machine on the way answers in the place of the second one, with the host key that is its own and known.
fn outer_answers_for_inner(chain: &Chain) -> Sshd {
    chain.inner.die();
    let key = chain.house.path("target").join("host_ed25519");
    let plan = SshdPlan {
        trusts: Some(chain.house.path("ca.pub")),
        lines: vec![
            format!("ListenAddress 127.0.0.1:{}", chain.inner.port),
            format!("HostKey {}", key.display()),
        ],
        host_keys: Vec::new(),
        ..SshdPlan::default()
    };
    Sshd::start(&chain.house.room, "impostor", &plan)
}

#[test]
fn an_outer_target_that_answers_for_the_inner_one_gets_no_login_whether_the_key_is_known_or_not() {
    need!("ssh", "sshd");
    for (inner_key, reason) in [
        (InnerKey::Known, "host_key_mismatch"),
        (InnerKey::Unknown, "no_known_host_key"),
    ] {
        let plan = ChainPlan {
            inner_key,
            ..ChainPlan::default()
        };
        through_the_proxy(&plan, |chain| {
            let impostor = outer_answers_for_inner(chain);
            let refused = chain
                .ssh("target", "inner")
                .run("echo never")
                .expect_code(255);
            assert_eq!(refused.out(), "");
            let denied = chain.wait_for("access.denied", TARGETS[1]);
            assert_eq!(denied.text("reason"), reason, "{denied:?}");
            assert!(refused.err().contains(denied.session()), "{refused:?}");
            assert!(!impostor.log().contains("userauth-request"));
            assert!(chain.events_about("session.start", TARGETS[1]).is_empty());
        });
    }
}

#[test]
fn a_session_inside_that_is_no_longer_allowed_ends_with_words_and_the_one_around_it_goes_on() {
    need!("ssh", "sshd");
    through_the_proxy(&ChainPlan::default(), |chain| {
        let (mut outer, here) = forwarding_to_inner(chain);
        let mut inner = chain
            .ssh("", "inner")
            .option(format!("Port={here}"))
            .live("echo inside; cat");
        inner.hear("inside");
        let folder = chain.proxy().folder();
        let policy = fs::read_to_string(folder.join("policy.toml")).expect("a policy");
        let nobody = policy.replace("name = \"ada on inner-1\"\naction = \"allow\"", "name = \"ada on inner-1\"\naction = \"allow\"\nexclude = [{ email = \"ada@example.com\" }]");
        assert_ne!(nobody, policy);
        fs::write(folder.join("new"), nobody).expect("a file");
        fs::rename(folder.join("new"), folder.join("policy.toml")).expect("it in its place");
        assert_eq!(inner.end(PATIENCE).code(), Some(255));
        let end = chain.wait_for("session.end", TARGETS[1]);
        assert_eq!(end.text("reason"), "access_lost", "{end:?}");
        outer.say("still here\n");
        outer.hear("still here");
    });
}

#[test]
fn a_client_that_is_gone_takes_the_sessions_inside_with_it() {
    need!("ssh", "sshd");
    through_the_proxy(&ChainPlan::default(), |chain| {
        let (outer, here) = forwarding_to_inner(chain);
        let mut inner = chain
            .ssh("", "inner")
            .option(format!("Port={here}"))
            .live("echo inside; cat");
        inner.hear("inside");
        outer.signal(rustix::process::Signal::KILL);
        let end = chain.wait_for("session.end", TARGETS[1]);
        assert_eq!(end.json()["log_complete"], true, "{end:?}");
        let around = chain.wait_for("session.end", TARGETS[0]);
        assert_eq!(around.session(), end.text("parent"));
        let events = chain.proxy().events_named("session.end");
        assert_eq!(events[0].session(), end.session(), "the inner one first");
        inner.end(PATIENCE);
    });
}
