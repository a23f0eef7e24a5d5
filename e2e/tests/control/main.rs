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
use e2e::room::current_user;
use e2e::tools;
use examples::tool::is_printable;
use serde_json::Value;

mod drain;
mod end;
mod list;
mod watch;

/// Decides nothing but how long a broken program is waited for.
const LIMIT: Duration = Duration::from_secs(60);

/// A house in which whoever runs the tests is the operator `nia`, who may do this on every target.
fn operated_by_nia(may: &str) -> impl Fn(&mut Plan) {
    let operator = operator(may);
    move |plan| {
        plan.proxy.policy.push_str(&operator);
        plan.proxy.more_tables = nia();
    }
}

/// The entry of the policy that lets `nia` do this on every target.
fn operator(may: &str) -> String {
    format!(
        "\n[[operator]]\nname = \"on call\"\nmay = [{may}]\ninclude = [{{ email = \"nia@example.com\" }}]\n\
         target = [{{ port = \"any\", include = [{{ hostname = [\"target-1\", \"inner-1\", \"innermost-1\"] }}] }}]\n\n"
    )
}

/// The tables of the configuration that say that whoever runs the tests is `nia`.
fn nia() -> String {
    format!(
        "[[identity]]\nname = \"nia\"\nemail = \"nia@example.com\"\n\n[admin]\nsocket = \"admin.sock\"\n\n\
         [[admin.operator]]\nuid = {}\nidentity = \"nia\"\n",
        rustix::process::geteuid().as_raw()
    )
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

/// The session has ended, and the person has read why.
#[track_caller]
fn expect_ended(ssh: &mut Live, why: &str) {
    assert_eq!(ssh.end(LIMIT).code(), Some(255));
    assert!(ssh.heard().contains(why), "{}", ssh.heard());
}

/// Now, in milliseconds since 1970.
fn now_ms() -> u64 {
    let now = examples::tool::time::unix_now();
    u64::try_from(now.as_millis()).expect("a time of this age")
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
fn who_may_only_list_is_refused_the_rest_and_told() {
    need!("ssh", "sshd");
    through_the_proxy_with(operated_by_nia("\"list\""), |house| {
        let mut ssh = program(house, "cat");
        let session = session_of(&house.proxy().wait_for("session.start"));
        assert!(listed(house)[0].get("last_command").is_none());
        let table = sessionctl(house, &["list"]).expect_code(0).out();
        assert!(
            table.contains("ada@example.com") && !table.contains("echo up"),
            "{table}"
        );
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
            expect_ended(ssh, "incident");
        }
    });
}
