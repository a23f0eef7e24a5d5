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

mod drain;
mod watch;

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

/// What an operator may do but to answer who waits for an approval.
const ALL: &str = "\"list\", \"show\", \"end\", \"watch\"";

/// The house's socket for operators.
fn socket(house: &House) -> PathBuf {
    house.proxy().folder().join("admin.sock")
}

fn command(house: &House, arguments: &[&str]) -> Command {
    command_at(&socket(house), arguments)
}

fn command_at(socket: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(tools::own("sessionctl"));
    isolate(&mut command);
    command.arg("--socket").arg(socket).args(arguments);
    command
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

/// The sessions that `list` shows.
#[track_caller]
fn listed(house: &House) -> Vec<Value> {
    of_kind(&asked(house, &["list"]), "session")
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

/// A session whose program has begun: it says `up`, and goes on with the rest.
#[track_caller]
fn program(house: &House, rest: &str) -> Live {
    let ssh = house.ssh().live(&format!("echo up; {rest}"));
    ssh.hear("up");
    ssh
}

/// Another proxy of this configuration.
fn other_proxy(config: &Path) -> Command {
    let mut command = Command::new(tools::own("audit_proxy"));
    isolate(&mut command);
    command.arg("--config").arg(config);
    command
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
        assert_eq!(listed(house), [] as [Value; 0]);
        let mut first = program(house, "cat");
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
        let mut ssh = program(house, "sleep 300");
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
        let mut sessions: Vec<_> = (0..3).map(|_| program(house, "sleep 300")).collect();
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
        let mut last = program(house, "sleep 300");
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
        let mut ssh = program(house, "cat");
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
            let mut ssh = program(house, "cat");
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
        let socket = socket(house);
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
        let said = run(&mut other_proxy(&second), Input::Nothing, LIMIT).expect_failure();
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
        assert!(socket(house).exists());
        let config = house.proxy().folder().join("proxy.toml");
        let again = Live::piped(&mut other_proxy(&config));
        wait_until("an answer", LIMIT, || {
            let list = run(&mut command(house, &["list"]), Input::Nothing, LIMIT);
            list.code == Some(0)
        });
        drop(again);
    });
}

#[test]
fn who_keeps_many_connections_open_is_told_and_ending_all_waits_for_no_operator() {
    need!("ssh", "sshd");
    through_the_proxy_with(operated_by_nia(ALL), |house| {
        let socket = socket(house);
        let open = || std::os::unix::net::UnixStream::connect(&socket).expect("a socket");
        let held: Vec<_> = (0..8).map(|_| open()).collect();
        let said = sessionctl(house, &["list"]).expect_code(1).err();
        assert!(said.contains("too many operators"), "{said}");
        drop(held);
        wait_until("a place", LIMIT, || {
            sessionctl(house, &["list"]).code == Some(0)
        });

        let mut sessions: Vec<_> = (0..3).map(|_| program(house, "sleep 300")).collect();
        let request = b"{\"request\":\"end\",\"which\":\"all\",\"reason\":\"incident\"}\n";
        std::io::Write::write_all(&mut open(), request).expect("a request");
        for ssh in &mut sessions {
            assert_eq!(ssh.end(LIMIT).code(), Some(255));
            assert!(ssh.heard().contains("incident"), "{}", ssh.heard());
        }
    });
}
