//! Operators: looking at sessions, ending and watching them, draining the proxy.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use e2e::events::Event;
use e2e::house::{House, Plan, through_the_proxy_with};
use e2e::live::Live;
use e2e::need;
use e2e::process::{Finished, Input, isolate, run, wait_until};
use e2e::records::Record;
use e2e::tools;
use serde_json::Value;

/// Decides nothing but how long a broken program is waited for.
const LIMIT: Duration = Duration::from_secs(60);

/// A house in which whoever runs the tests is the operator `nia`, who may do this on every target.
fn operated_by_nia(may: &str) -> impl Fn(&mut Plan) {
    let operator = format!(
        "\n[[operator]]\nname = \"on call\"\nmay = [{may}]\ninclude = [{{ email = \"nia@example.com\" }}]\n\
         target = [{{ port = \"any\", include = [{{ hostname = \"target-1\" }}] }}]\n"
    );
    move |plan| {
        plan.proxy.policy.push_str(&operator);
        plan.proxy.more_tables = format!(
            "[[identity]]\nname = \"nia\"\nemail = \"nia@example.com\"\n\n[admin]\nsocket = \"admin.sock\"\n\n\
             [[admin.operator]]\nuid = {}\nidentity = \"nia\"\n",
            rustix::process::geteuid().as_raw()
        );
    }
}

const ALL: &str = "\"list\", \"show\", \"end\", \"watch\"";

fn command(house: &House, arguments: &[&str]) -> Command {
    command_at(&house.proxy().folder().join("admin.sock"), arguments)
}

fn command_at(socket: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(tools::own("sessionctl"));
    isolate(&mut command);
    command.arg("--socket").arg(socket).args(arguments);
    command
}

/// Where the house's proxy is asked while it drains.
fn socket_aside(house: &House) -> PathBuf {
    let name = format!("admin.sock.{}", house.proxy().id());
    house.proxy().folder().join(name)
}

#[track_caller]
fn sessionctl(house: &House, arguments: &[&str]) -> Finished {
    run(&mut command(house, arguments), Input::Nothing, LIMIT)
}

/// The lines of an answer with `--json`.
#[track_caller]
fn asked(house: &House, arguments: &[&str]) -> Vec<Value> {
    let arguments = [&["--json"], arguments].concat();
    let said = sessionctl(house, &arguments).expect_code(0).out();
    said.lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect()
}

fn of_kind(lines: &[Value], kind: &str) -> Vec<Value> {
    let lines = lines.iter().filter(|line| line["reply"] == kind);
    lines.cloned().collect()
}

fn session_of(start: &Event) -> String {
    start.session().to_owned()
}

/// What a log that is complete says of operators.
fn operator_records(house: &House, session: &str) -> Vec<Record> {
    house.proxy().wait_for_event("the end", |event| {
        event.name() == "session.end" && event.session() == session
    });
    let records = house.proxy().records_of(session);
    let records = records.into_iter();
    records.filter(|it| it.kind() == "operator").collect()
}

/// A shell on a terminal that takes commands.
fn shell(house: &House) -> Live {
    let mut ssh = house.ssh().arg("-tt").terminal("");
    ssh.expect_shell();
    ssh
}

#[test]
fn an_operator_sees_who_is_where_and_what_they_run_only_where_they_ask_for_it() {
    need!("ssh", "sshd");
    through_the_proxy_with(operated_by_nia(ALL), |house| {
        assert_eq!(
            of_kind(&asked(house, &["list"]), "session"),
            [] as [Value; 0]
        );
        let mut first = house.ssh().live("echo up; cat");
        first.hear("up");
        let second = house.ssh().live("echo secret-command up; sleep 300");
        second.hear("up");
        first.say("12345");
        first.hear("12345");
        let listed = asked(house, &["list"]);
        let sessions = of_kind(&listed, "session");
        assert_eq!(sessions.len(), 2, "{listed:#?}");
        for session in &sessions {
            assert_eq!(session["identity"], "ada@example.com");
            assert_eq!(session["target"], "target-1");
            assert_eq!(session["progress"], "open");
            assert_eq!(session["channels"], 1);
        }
        assert_eq!(sessions[0]["bytes_from_client"], 5);
        let text = sessionctl(house, &["list"]).expect_code(0).out();
        assert!(
            text.contains("ada@example.com") && text.contains("SESSION"),
            "{text}"
        );
        assert!(
            !text.contains("secret-command") && !format!("{listed:?}").contains("secret-command")
        );

        let id = sessions[1]["session"].as_str().expect("an id");
        let shown = of_kind(&asked(house, &["show", &id[..8]]), "session");
        let last = &shown[0]["last_command"];
        assert_eq!(
            (&last["kind"], &last["channel"]),
            (&"exec".into(), &1.into())
        );
        assert!(
            last["text"]
                .as_str()
                .is_some_and(|text| text.contains("secret-command"))
        );
        let events = format!("{:?}", house.proxy().events());
        assert!(events.contains("operator.show") && !events.contains("secret-command"));
        let told = house.proxy().wait_for("operator.show");
        assert_eq!(told.session(), id);
        assert_eq!(
            (told.text("operator"), told.text("rule")),
            ("nia@example.com", "on call")
        );

        sessionctl(house, &["show", "ffffffffffffffff"]).expect_code(1);
        let said = sessionctl(house, &["show", ""]).expect_code(1).err();
        assert!(said.contains("no session"), "{said}");
        first.end_input();
    });
}

#[test]
fn an_operator_ends_a_session_and_the_person_reads_why() {
    need!("ssh", "sshd");
    through_the_proxy_with(operated_by_nia(ALL), |house| {
        let mut ssh = house.ssh().live("echo up; sleep 300");
        ssh.hear("up");
        let session = session_of(&house.proxy().wait_for("session.start"));
        let said = sessionctl(
            house,
            &["end", &session[..6], "--reason", "kernel update at ten"],
        );
        assert!(said.expect_code(0).out().contains(&session));
        assert_eq!(ssh.end(LIMIT).code(), Some(255));
        assert!(
            ssh.heard().contains("kernel update at ten"),
            "{}",
            ssh.heard()
        );
        assert!(!ssh.heard().contains("nia"), "{}", ssh.heard());
        let end = house.proxy().wait_for("session.end");
        assert_eq!(
            (end.text("reason"), end.json()["log_complete"].as_bool()),
            ("operator", Some(true))
        );
        assert!(end.text("detail").contains("nia@example.com"));
        let told = house.proxy().wait_for("operator.end");
        assert_eq!(
            (told.session(), told.text("reason")),
            (session.as_str(), "kernel update at ten")
        );
        let records = operator_records(house, &session);
        let [record] = &records[..] else {
            panic!("{records:?}")
        };
        assert_eq!(
            (record.text("who"), record.text("action")),
            ("nia@example.com", "terminate")
        );
        assert_eq!(record.json()["text"], "kernel update at ten");
    });
}

#[test]
fn all_sessions_of_an_identity_end_and_nobody_elses() {
    need!("ssh", "sshd");
    through_the_proxy_with(operated_by_nia(ALL), |house| {
        let mut sessions: Vec<_> = (0..3)
            .map(|_| house.ssh().live("echo up; sleep 300"))
            .collect();
        sessions.iter().for_each(|ssh| ssh.hear("up"));
        let nobody = ["end", "--identity", "eve@example.com", "--reason", "x"];
        let said = sessionctl(house, &nobody).expect_code(1).err();
        assert!(said.contains("no session"), "{said}");
        let ended = asked(
            house,
            &["end", "--identity", "Ada@example.com", "--reason", "left"],
        );
        assert_eq!(of_kind(&ended, "ended").len(), 3);
        for ssh in &mut sessions {
            assert_eq!(ssh.end(LIMIT).code(), Some(255));
            assert!(ssh.heard().contains("left"), "{}", ssh.heard());
        }
        let mut last = house.ssh().live("echo up; sleep 300");
        last.hear("up");
        asked(
            house,
            &["end", "--target", "target-1", "--reason", "incident"],
        );
        assert_eq!(last.end(LIMIT).code(), Some(255));
    });
}

#[test]
fn who_may_only_list_is_refused_the_rest_and_told() {
    need!("ssh", "sshd");
    through_the_proxy_with(operated_by_nia("\"list\""), |house| {
        let mut ssh = house.ssh().live("echo up; cat");
        ssh.hear("up");
        let session = session_of(&house.proxy().wait_for("session.start"));
        asked(house, &["list"]);
        for arguments in [
            &["show", &session][..],
            &["end", &session, "--reason", "x"],
            &["end", "--all", "--reason", "x"],
            &["watch", &session],
            &["drain", "--wait", "1s"],
        ] {
            let said = sessionctl(house, arguments).expect_code(1).err();
            assert!(
                said.contains("the policy does not let nia@example.com"),
                "{arguments:?}: {said}"
            );
            let event = format!("operator.{}", arguments[0]);
            let told = house.proxy().wait_for(&event);
            assert_eq!(told.json()["allowed"], false, "{told:?}");
        }
        ssh.say("still here");
        ssh.hear("still here");
        ssh.end_input();
        ssh.end(LIMIT);
        assert!(operator_records(house, &session).is_empty());
    });
}

#[test]
fn without_an_operator_in_the_policy_nobody_sees_anything() {
    need!("ssh", "sshd");
    through_the_proxy_with(
        |plan| {
            operated_by_nia("\"list\"")(plan);
            plan.proxy.policy = e2e::proxy::ProxyPlan::policy_granting("");
        },
        |house| {
            let mut ssh = house.ssh().live("echo up; cat");
            ssh.hear("up");
            let said = sessionctl(house, &["list"]).expect_code(1);
            assert!(said.err().contains("does not let") && said.out().is_empty());
            ssh.end_input();
        },
    );
}

#[test]
fn a_user_of_the_machine_who_is_no_identity_is_refused() {
    need!("ssh", "sshd");
    through_the_proxy_with(
        |plan| {
            operated_by_nia(ALL)(plan);
            let uid = format!("uid = {}", rustix::process::geteuid().as_raw());
            let tables = &plan.proxy.more_tables;
            assert!(tables.contains(&uid));
            plan.proxy.more_tables = tables.replace(&uid, "uid = 4000000");
        },
        |house| {
            let said = sessionctl(house, &["list"]).expect_code(1).err();
            assert!(said.contains("nobody's identity"), "{said}");
            let told = house.proxy().wait_for("operator.unknown");
            assert_eq!(
                told.number("uid"),
                u64::from(rustix::process::geteuid().as_raw())
            );
        },
    );
}

#[test]
fn a_socket_is_its_owners_and_belongs_to_one_living_proxy() {
    need!("ssh", "sshd");
    through_the_proxy_with(operated_by_nia(ALL), |house| {
        use std::os::unix::fs::PermissionsExt as _;
        let socket: PathBuf = house.proxy().folder().join("admin.sock");
        let mode = std::fs::metadata(&socket)
            .expect("a socket")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);

        let config = house.proxy().folder().join("proxy.toml");
        let text = std::fs::read_to_string(&config).expect("the configuration");
        let second = house.proxy().folder().join("second.toml");
        let taken = format!("127.0.0.1:{}", house.proxy().port);
        std::fs::write(&second, text.replace(&taken, "127.0.0.1:0"))
            .expect("a second configuration");
        let mut other = Command::new(tools::own("audit_proxy"));
        isolate(&mut other);
        other.arg("--config").arg(&second);
        let said = run(&mut other, Input::Nothing, LIMIT).expect_failure();
        assert!(
            said.err().contains("another proxy listens there"),
            "{}",
            said.err()
        );
        asked(house, &["list"]);

        house.proxy().terminate();
        house.proxy().end(LIMIT);
        assert!(!socket.exists());
        let said = sessionctl(house, &["list"]).expect_code(2).err();
        assert!(said.contains("admin.sock"), "{said}");
    });
}

#[test]
fn a_proxy_that_was_killed_leaves_a_socket_that_the_next_takes_over() {
    need!("ssh", "sshd");
    through_the_proxy_with(operated_by_nia(ALL), |house| {
        house.proxy().kill();
        assert!(house.proxy().folder().join("admin.sock").exists());
        let config = house.proxy().folder().join("proxy.toml");
        let mut again = Command::new(tools::own("audit_proxy"));
        isolate(&mut again);
        again.arg("--config").arg(&config);
        let again = Live::piped(&mut again);
        wait_until("an answer", LIMIT, || {
            let list = run(&mut command(house, &["list"]), Input::Nothing, LIMIT);
            list.code == Some(0)
        });
        drop(again);
    });
}

/// What a watcher with `--json` was told so far.
fn seen(watcher: &Live) -> Vec<Value> {
    let heard = watcher.heard();
    let whole = heard.rfind('\n').map_or("", |end| &heard[..end]);
    let lines = whole.lines();
    lines
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// The bytes of one kind, and where in the answer the last of them stand.
fn bytes_seen(lines: &[Value], what: &str) -> (Vec<u8>, Option<usize>) {
    let of_it = |line: &&Value| line["what"] == what;
    let texts = lines
        .iter()
        .filter(of_it)
        .filter_map(|line| line["base64"].as_str());
    let bytes = texts.flat_map(e2e::records::base64).collect();
    (bytes, lines.iter().rposition(|line| of_it(&line)))
}

fn contains(bytes: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(bytes).contains(text)
}

#[test]
fn a_watcher_sees_what_is_typed_and_shown_in_its_order_and_the_log_says_so_first() {
    need!("ssh", "sshd");
    through_the_proxy_with(operated_by_nia(ALL), |house| {
        let mut ssh = shell(house);
        ssh.say("echo be''fore\n");
        ssh.hear("before\r\n");
        let session = session_of(&house.proxy().wait_for("session.start"));
        let watcher = Live::piped(&mut command(house, &["--json", "watch", &session[..10]]));
        watcher.hear("\"began\"");
        let so_far = house
            .proxy()
            .records_so_far(&house.proxy().log_of(&session));
        // The shell's prompt may come behind it.
        let mut kinds = so_far.iter().map(Record::kind);
        assert!(kinds.any(|kind| kind == "operator"), "{so_far:#?}");
        assert!(of_kind(&asked(house, &["list"]), "session")[0]["watchers"] == 1);

        ssh.say("echo wat''ched\n");
        wait_until("the answer at the watcher's", LIMIT, || {
            contains(&bytes_seen(&seen(&watcher), "output").0, "watched\r\n")
        });
        let lines = seen(&watcher);
        let (typed, last_typed) = bytes_seen(&lines, "input");
        assert!(contains(&typed, "echo wat''ched"), "{typed:?}");
        let (shown, last_shown) = bytes_seen(&lines, "output");
        assert!(last_typed < last_shown);
        assert!(!contains(&shown, "before"), "{shown:?}");
        let terminal = lines.iter().find(|line| line["what"] == "terminal");
        let terminal = terminal.expect("the terminal's size");
        assert_eq!(
            (&terminal["columns"], &terminal["rows"]),
            (&90.into(), &30.into())
        );

        ssh.say("exit\n");
        ssh.end(LIMIT);
        watcher.hear("watch_over");
        let records = operator_records(house, &session);
        let actions: Vec<_> = records.iter().map(|record| record.text("action")).collect();
        assert_eq!(actions, ["watch", "unwatch"]);
        assert!(
            records
                .iter()
                .all(|record| record.text("who") == "nia@example.com")
        );
        assert_eq!(house.proxy().wait_for("operator.watch").session(), session);
    });
}

#[test]
fn a_watcher_sees_nothing_more_once_the_policy_takes_the_right_back() {
    need!("ssh", "sshd");
    through_the_proxy_with(operated_by_nia(ALL), |house| {
        let mut ssh = house.ssh().live("echo up; cat");
        ssh.hear("up");
        let session = session_of(&house.proxy().wait_for("session.start"));
        let mut watcher = Live::piped(&mut command(house, &["--json", "watch", &session]));
        watcher.hear("\"began\"");
        ssh.say("before");
        wait_until("what is typed", LIMIT, || {
            contains(&bytes_seen(&seen(&watcher), "input").0, "before")
        });
        let policy = house.proxy().folder().join("policy.toml");
        let text = std::fs::read_to_string(&policy).expect("the policy");
        let without = text.replace(", \"watch\"", "");
        assert_ne!(text, without);
        std::fs::write(&policy, without).expect("a policy");
        watcher.hear("no longer allowed");
        watcher.end(LIMIT);
        let told = house.proxy().wait_for("operator.unwatch");
        assert_eq!(
            (told.session(), told.json()["allowed"].as_bool()),
            (session.as_str(), Some(false))
        );
        ssh.say("after");
        ssh.hear("after");
        assert!(!contains(&bytes_seen(&seen(&watcher), "input").0, "after"));
        ssh.end_input();
        ssh.end(LIMIT);
        let records = operator_records(house, &session);
        assert_eq!(records[1].json()["text"], "no longer allowed");
    });
}

#[test]
fn who_keeps_many_connections_open_is_told_and_ending_all_waits_for_no_operator() {
    need!("ssh", "sshd");
    through_the_proxy_with(operated_by_nia(ALL), |house| {
        let socket = house.proxy().folder().join("admin.sock");
        let open = || std::os::unix::net::UnixStream::connect(&socket).expect("a socket");
        let held: Vec<_> = (0..8).map(|_| open()).collect();
        let said = sessionctl(house, &["list"]).expect_code(1).err();
        assert!(said.contains("too many operators"), "{said}");
        drop(held);
        wait_until("a place", LIMIT, || {
            sessionctl(house, &["list"]).code == Some(0)
        });

        let mut sessions: Vec<_> = (0..3)
            .map(|_| house.ssh().live("echo up; sleep 300"))
            .collect();
        sessions.iter().for_each(|ssh| ssh.hear("up"));
        let request = b"{\"request\":\"end\",\"which\":\"all\",\"reason\":\"incident\"}\n";
        std::io::Write::write_all(&mut open(), request).expect("a request");
        for ssh in &mut sessions {
            assert_eq!(ssh.end(LIMIT).code(), Some(255));
            assert!(ssh.heard().contains("incident"), "{}", ssh.heard());
        }
    });
}

#[test]
fn what_steers_a_terminal_does_not_reach_the_watchers_and_leaving_leaves_the_session_alone() {
    need!("ssh", "sshd");
    through_the_proxy_with(operated_by_nia(ALL), |house| {
        let mut ssh = shell(house);
        let session = session_of(&house.proxy().wait_for("session.start"));
        let mut stream = Live::piped(&mut command(
            house,
            &["watch", "--stream", "--input", &session],
        ));
        let size = e2e::client::TERMINAL;
        let mut screen = Live::on_terminal(&command(house, &["watch", &session]), size);
        wait_until("two watchers", LIMIT, || {
            of_kind(&asked(house, &["list"]), "session")[0]["watchers"] == 2
        });
        // What is typed holds the escapes in letters only.
        ssh.say("printf '\\033]52;c;ZXZpbA==\\007\\033]0;evil\\007\\033[6nvis''ible\\n'\n");
        for watcher in [&stream, &screen] {
            watcher.hear("visible");
            let heard = watcher.heard_bytes();
            let heard = String::from_utf8_lossy(&heard);
            assert!(
                !heard.contains("\x1b]") && !heard.contains("\x1b[6n"),
                "{heard:?}"
            );
        }
        assert!(stream.heard().contains("[typed p"), "{}", stream.heard());
        for watcher in [&mut stream, &mut screen] {
            watcher.signal(rustix::process::Signal::INT);
            assert_eq!(watcher.end(LIMIT).code(), Some(0));
        }
        house.proxy().wait_for_record("operator", |record| {
            record.text("action") == "unwatch" && record.json()["text"] == "the watcher left"
        });
        ssh.say("echo still he''re\n");
        ssh.hear("still here");
        ssh.say("exit\n");
        ssh.end(LIMIT);
    });
}

#[test]
fn a_watcher_who_does_not_read_is_sent_away_and_the_session_goes_on_without_growing() {
    need!("ssh", "sshd");
    through_the_proxy_with(operated_by_nia(ALL), |house| {
        let mut ssh = house
            .ssh()
            .live("echo up; read x; head -c 20000000 /dev/zero; echo done >&2");
        ssh.hear("up");
        let session = session_of(&house.proxy().wait_for("session.start"));
        let socket = house.proxy().folder().join("admin.sock");
        let mut watcher = std::os::unix::net::UnixStream::connect(socket).expect("a socket");
        let request = format!("{{\"request\":\"watch\",\"session\":\"{session}\"}}\n");
        std::io::Write::write_all(&mut watcher, request.as_bytes()).expect("a request");
        house
            .proxy()
            .wait_for_record("operator", |record| record.text("action") == "watch");
        let before = house.proxy().resident_bytes();
        ssh.say("go\n");
        wait_until("nobody watching", LIMIT, || {
            of_kind(&asked(house, &["list"]), "session")[0]["watchers"] == 0
        });
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut watcher, &mut answer).expect("the rest of the answer");
        let last = answer.lines().last().expect("a last line");
        assert!(
            last.contains("watch_over") && last.contains("keep up"),
            "{}",
            last.len()
        );
        let most = house
            .proxy()
            .most_resident_bytes_during(Duration::from_millis(500));
        ssh.hear_within("done", Duration::from_secs(120));
        let most = most.max(house.proxy().resident_bytes());
        ssh.end_input();
        assert_eq!(ssh.end(LIMIT).code(), Some(0));
        let grown = most.saturating_sub(before);
        assert!(
            grown < e2e::proxy::SESSION_CEILING + (4 << 20),
            "grown by {grown} bytes"
        );

        let actions = operator_records(house, &session);
        assert_eq!(actions.len(), 2);
        assert_eq!(actions[1].json()["text"], "the watcher did not keep up");
    });
}

#[test]
fn a_proxy_that_drains_lets_what_runs_finish_and_nobody_in() {
    need!("ssh", "sshd");
    through_the_proxy_with(operated_by_nia(ALL), |house| {
        let mut ssh = house.ssh().live("echo up; wc -c");
        ssh.hear("up");
        ssh.say("first half ");
        let said = asked(house, &["drain", "--wait", "10m"]);
        let draining = &of_kind(&said, "draining")[0];
        assert_eq!(
            (&draining["connections"], &draining["wait_ms"]),
            (&1.into(), &600_000.into())
        );
        assert_eq!(
            house.proxy().wait_for("operator.drain").json()["allowed"],
            true
        );
        wait_until("a closed door", LIMIT, || {
            let refused = house.ssh().run("echo in");
            refused.code == Some(255) && refused.err().contains("refused")
        });
        let listed = &mut command_at(&socket_aside(house), &["list"]);
        let listed = run(listed, Input::Nothing, LIMIT).expect_code(0).out();
        assert!(listed.contains("ada@example.com"), "{listed}");
        ssh.say("second half");
        ssh.end_input();
        assert_eq!(ssh.end(LIMIT).code(), Some(0));
        assert!(ssh.heard().contains("22"), "{}", ssh.heard());
        assert_eq!(house.proxy().end(LIMIT).code(), Some(0));
    });
}

#[test]
fn a_drain_without_a_time_waits_until_a_signal_ends_it() {
    need!("ssh", "sshd");
    through_the_proxy_with(operated_by_nia(ALL), |house| {
        let mut ssh = house.ssh().live("echo up; cat");
        ssh.hear("up");
        let said = asked(house, &["drain"]);
        assert!(of_kind(&said, "draining")[0].get("wait_ms").is_none());
        wait_until("a closed door", LIMIT, || {
            house.ssh().run("echo in").code == Some(255)
        });
        ssh.say("goes on");
        ssh.hear("goes on");
        house.proxy().terminate();
        assert_eq!(ssh.end(LIMIT).code(), Some(255));
        assert!(ssh.heard().contains("shutting down"), "{}", ssh.heard());
        assert_eq!(house.proxy().end(LIMIT).code(), Some(0));
    });
}

#[test]
fn a_drain_of_no_time_ends_what_runs_and_a_signal_does_not_prolong_a_drain() {
    need!("ssh", "sshd");
    through_the_proxy_with(
        |plan| {
            operated_by_nia(ALL)(plan);
            plan.proxy.timeouts.push("drain = \"10m\"".to_owned());
        },
        |house| {
            let mut ssh = house.ssh().live("echo up; sleep 300");
            ssh.hear("up");
            asked(house, &["drain", "--wait", "5m"]);
            house.proxy().terminate();
            assert_eq!(ssh.end(LIMIT).code(), Some(255));
            assert_eq!(house.proxy().end(LIMIT).code(), Some(0));
        },
    );
    through_the_proxy_with(operated_by_nia(ALL), |house| {
        let mut ssh = house.ssh().live("echo up; sleep 300");
        ssh.hear("up");
        asked(house, &["drain", "--wait", "0s"]);
        assert_eq!(ssh.end(LIMIT).code(), Some(255));
        assert_eq!(house.proxy().end(LIMIT).code(), Some(0));
    });
}

#[test]
fn a_successor_takes_the_addresses_and_the_socket_of_a_proxy_that_drains() {
    need!("ssh", "sshd");
    through_the_proxy_with(operated_by_nia(ALL), |house| {
        let mut ssh = house.ssh().live("echo up; cat");
        ssh.hear("up");
        asked(house, &["drain"]);
        let aside = socket_aside(house);
        wait_until("a socket that stepped aside", LIMIT, || aside.exists());
        let config = house.proxy().folder().join("proxy.toml");
        let mut successor = Command::new(tools::own("audit_proxy"));
        isolate(&mut successor);
        let mut successor = Live::piped(successor.arg("--config").arg(&config));
        wait_until("a successor that answers", LIMIT, || {
            sessionctl(house, &["list"]).code == Some(0)
        });
        assert!(of_kind(&asked(house, &["list"]), "session").is_empty());
        house.ssh().run("echo in").expect_code(0);
        ssh.say("goes on");
        ssh.hear("goes on");

        let all = ["--json", "end", "--all", "--reason", "moved"];
        let ended = run(&mut command_at(&aside, &all), Input::Nothing, LIMIT);
        assert!(ended.expect_code(0).out().contains("\"ended\""));
        assert_eq!(ssh.end(LIMIT).code(), Some(255));
        assert_eq!(house.proxy().end(LIMIT).code(), Some(0));
        assert!(!aside.exists());
        asked(house, &["list"]);
        successor.signal(rustix::process::Signal::TERM);
        assert_eq!(successor.end(LIMIT).code(), Some(0));
    });
}

#[test]
fn what_runs_longer_than_the_drain_is_ended_with_words() {
    need!("ssh", "sshd");
    through_the_proxy_with(operated_by_nia(ALL), |house| {
        let mut ssh = house.ssh().live("echo up; sleep 300");
        ssh.hear("up");
        asked(house, &["drain", "--wait", "1s"]);
        assert_eq!(ssh.end(LIMIT).code(), Some(255));
        assert!(ssh.heard().contains("shutting down"), "{}", ssh.heard());
        assert_eq!(house.proxy().end(LIMIT).code(), Some(0));
    });
}

#[test]
fn a_request_to_end_drains_first_where_that_is_configured_and_a_second_one_does_not_wait() {
    need!("ssh", "sshd");
    through_the_proxy_with(
        |plan| plan.proxy.timeouts.push("drain = \"10m\"".to_owned()),
        |house| {
            let mut ssh = house.ssh().live("echo up; cat");
            ssh.hear("up");
            house.proxy().terminate();
            wait_until("a closed door", LIMIT, || {
                house.ssh().run("echo in").code == Some(255)
            });
            ssh.say("goes on");
            ssh.hear("goes on");
            house.proxy().terminate();
            assert_eq!(ssh.end(LIMIT).code(), Some(255));
            assert!(ssh.heard().contains("shutting down"), "{}", ssh.heard());
            assert_eq!(house.proxy().end(LIMIT).code(), Some(0));
        },
    );
}
