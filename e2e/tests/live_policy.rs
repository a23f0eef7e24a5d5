//! Policies and revocations that change while sessions run.

use std::fs;
use std::net::TcpListener;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use e2e::client::Door;
use e2e::house::{House, Plan, through_the_proxy_with};
use e2e::live::Live;
use e2e::need;
use e2e::process::{shell, wait_until};
use e2e::proxy::{Listener, TARGET};
use rustix::process::{Pid, Signal, kill_process};

/// Far more than the five seconds that are promised: a loaded machine is no fault.
const PATIENCE: Duration = Duration::from_secs(30);

/// A policy that lets these people in as the user of the test.
fn policy_for(people: &[&str], user: &str) -> String {
    let mut text = format!(
        "[[application]]\nname = \"servers\"\ntarget = [{{ port = \"any\", include = [{{ hostname = \"{TARGET}\" }}] }}]\n"
    );
    for name in people {
        text += &format!(
            "[[application.policy]]\nname = \"{name}\"\naction = \"allow\"\ninclude = [{{ email = \"{name}@example.com\" }}]\nusernames = [\"{user}\"]\n"
        );
    }
    text
}

/// Ada and Mallory both may come, each to a port of their own; nothing is revoked.
fn two_people(plan: &mut Plan) {
    plan.proxy.listeners = vec![Listener::plain("ada"), Listener::plain("mallory")];
    plan.proxy.policy = policy_for(&["ada", "mallory"], "{user}");
    plan.proxy.revocations = Some(String::new());
    plan.proxy.ada = "device = \"laptop-1\"".to_owned();
}

/// As an editor or a deployment does: a new file in the place of the old.
fn replace(house: &House, name: &str, text: &str) {
    let folder = house.proxy().folder();
    fs::write(folder.join("new"), text).expect("a file");
    fs::rename(folder.join("new"), folder.join(name)).expect("it in its place");
}

fn hang_up(house: &House) {
    let id = i32::try_from(house.proxy().id()).expect("a process id");
    kill_process(Pid::from_raw(id).expect("it runs"), Signal::HUP).expect("it runs");
}

fn session_of(house: &House, listener: usize) -> Live {
    let ssh = door_of(house, listener).ssh().live("echo up; cat");
    ssh.hear("up");
    ssh
}

fn door_of(house: &House, listener: usize) -> Door {
    let port = house.proxy().ports[listener];
    let name = format!("listener{listener}");
    Door::new(&house.room, &name, port, &house.door.user, &[])
}

fn unix_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(now.expect("a clock").as_millis()).expect("not that late")
}

/// The other session still carries bytes both ways.
fn expect_alive(ssh: &mut Live) {
    ssh.say("still here\n");
    ssh.hear("still here");
}

fn expect_ended(house: &House, ssh: &mut Live, words: &str, reason: &str) {
    assert_eq!(ssh.end(PATIENCE).code(), Some(255));
    assert!(ssh.heard().contains(words), "{}", ssh.heard());
    let end = house
        .proxy()
        .wait_for_event("an end for this reason", |event| {
            event.name() == "session.end" && event.text("reason") == reason
        });
    assert_eq!(end.json()["log_complete"], true);
    let again = house.proxy().wait_for_event("the decision", |event| {
        event.name() == "session.reevaluated"
            && event.session() == end.session()
            && event.json()["allowed"] == false
    });
    let records = house.proxy().records_of(end.session());
    let decided = records
        .iter()
        .find(|record| record.kind() == "policy_decision" && record.json()["allowed"] == false);
    let decided = decided.unwrap_or_else(|| panic!("no decision in {records:#?}"));
    let version = again.text("rules");
    assert!(!version.is_empty());
    let text = decided.text("text");
    assert!(
        text.contains(version) && text.contains(again.text("detail")),
        "{text}"
    );
    let last = records.last().expect("records");
    assert!(format!("{last:?}").contains(reason), "{last:?}");
}

#[test]
fn a_session_that_a_new_policy_does_not_allow_ends_with_words_and_others_go_on() {
    need!("ssh", "sshd");
    through_the_proxy_with(two_people, |house| {
        let mut ada = session_of(house, 0);
        let mut mallory = session_of(house, 1);
        replace(
            house,
            "policy.toml",
            &policy_for(&["mallory"], &house.door.user),
        );
        expect_ended(house, &mut ada, "no access to this machine", "access_lost");
        expect_alive(&mut mallory);
        let told = house.proxy().wait_for("rules.in_force");
        assert_eq!(
            (told.number("policies"), told.number("revocations")),
            (1, 0)
        );
        let refused = house.ssh().run("echo in").expect_code(255);
        assert!(refused.err().contains("access denied: "), "{refused:?}");
        mallory.end_input();
        assert_eq!(mallory.end(PATIENCE).code(), Some(0));
    });
}

#[test]
fn a_bad_file_leaves_everything_as_it_was_and_the_operator_reads_where_and_why() {
    need!("ssh", "sshd");
    through_the_proxy_with(two_people, |house| {
        let mut ada = session_of(house, 0);
        let good = policy_for(&["mallory"], &house.door.user);
        let bad = good.replace("usernames", "user_names");
        replace(house, "policy.toml", &bad);
        let told = house.proxy().wait_for("rules.rejected");
        let problems = told.json()["problems"].to_string();
        assert!(
            problems.contains("policy.toml: line 8: ") && problems.contains("user_names"),
            "{problems}"
        );
        wait_until("the operator's log", PATIENCE, || {
            let said = house.proxy().said();
            said.contains("the rules stay as they were") && said.contains("write `usernames`")
        });
        expect_alive(&mut ada);
        assert_eq!(house.ssh().run("echo in").out(), "in\n");
        // Asked for, it is no better; and then it is mended.
        hang_up(house);
        wait_until("another rejection", PATIENCE, || {
            house.proxy().events_named("rules.rejected").len() == 2
        });
        expect_alive(&mut ada);
        fs::remove_file(house.proxy().folder().join("policy.toml")).expect("a file");
        wait_until("a third rejection", PATIENCE, || {
            house.proxy().events_named("rules.rejected").len() == 3
        });
        expect_alive(&mut ada);
        replace(house, "policy.toml", &good);
        hang_up(house);
        expect_ended(house, &mut ada, "no access to this machine", "access_lost");
    });
}

#[test]
fn a_hang_up_loads_what_was_written_and_ends_nobody_who_is_still_allowed() {
    need!("ssh", "sshd");
    through_the_proxy_with(two_people, |house| {
        let mut ada = session_of(house, 0);
        let longer = policy_for(&["ada", "mallory"], &house.door.user) + "max_session = \"8h\"\n";
        replace(house, "policy.toml", &longer);
        hang_up(house);
        let again = house.proxy().wait_for("session.reevaluated");
        assert_eq!(again.json()["allowed"], true);
        assert_eq!(
            again.text("rules"),
            house.proxy().wait_for("rules.in_force").text("rules")
        );
        expect_alive(&mut ada);
        ada.end_input();
        assert_eq!(ada.end(PATIENCE).code(), Some(0));
    });
}

#[test]
fn an_identity_a_device_and_a_session_are_revoked_one_by_one_and_a_target_for_all() {
    need!("ssh", "sshd");
    through_the_proxy_with(two_people, |house| {
        let mut mallory = session_of(house, 1);
        let count = |name| house.proxy().events_named(name).len();
        for kind in ["identity", "device", "session"] {
            replace(house, "revocations.toml", "");
            hang_up(house);
            wait_until("a way in", PATIENCE, || {
                house.ssh().run("echo in").out() == "in\n"
            });
            wait_until("nobody but one person", PATIENCE, || {
                count("session.start") == count("session.end") + 1
            });
            let before = count("session.start");
            let mut ada = session_of(house, 0);
            let whose = match kind {
                "identity" => "ada@example.com".to_owned(),
                "device" => "laptop-1".to_owned(),
                _ => {
                    let starts = house.proxy().wait_for_all("session.start", before + 1);
                    starts[before].session().to_owned()
                }
            };
            replace(
                house,
                "revocations.toml",
                &format!("[[revocation]]\n{kind} = \"{whose}\"\nreason = \"lost its {kind}\"\n"),
            );
            expect_ended(house, &mut ada, "withdrawn", "revoked");
            assert!(!ada.heard().contains("lost its"), "{}", ada.heard());
            let again = house.proxy().wait_for_event("why", |event| {
                event.name() == "session.reevaluated"
                    && event.text("detail").contains(&format!("lost its {kind}"))
            });
            assert!(again.text("detail").contains("line 1"));
            expect_alive(&mut mallory);
            if kind != "session" {
                let refused = house.ssh().run("echo in").expect_code(255);
                assert!(refused.err().contains("withdrawn"), "{refused:?}");
            }
        }
        replace(
            house,
            "revocations.toml",
            &format!("[[revocation]]\ntarget = \"{TARGET}\"\nreason = \"under attack\"\n"),
        );
        assert_eq!(mallory.end(PATIENCE).code(), Some(255));
        assert!(mallory.heard().contains("withdrawn"), "{}", mallory.heard());
    });
}

#[test]
fn whoever_loses_access_while_connecting_does_not_get_in() {
    need!("ssh", "sshd");
    // A target that takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("its address").port();
    through_the_proxy_with(
        |plan| {
            two_people(plan);
            plan.proxy.target_port = Some(port);
            plan.proxy
                .timeouts
                .push("target_login = \"10m\"".to_owned());
        },
        |house| {
            let mut ssh = house.ssh().live("echo in");
            let (_target, _) = silent.accept().expect("the proxy's connection");
            replace(
                house,
                "policy.toml",
                &policy_for(&["mallory"], &house.door.user),
            );
            assert_eq!(ssh.end(PATIENCE).code(), Some(255));
            assert!(ssh.heard().contains("access denied: "), "{}", ssh.heard());
            let denied = house.proxy().wait_for("access.denied");
            assert_eq!(denied.text("reason"), "policy");
            assert!(house.proxy().events_named("session.start").is_empty());
        },
    );
}

#[test]
fn a_window_that_closes_ends_the_session_though_no_file_changes() {
    need!("ssh", "sshd");
    through_the_proxy_with(two_people, |house| {
        let mut ada = session_of(house, 0);
        let mut mallory = session_of(house, 1);
        let until = unix_ms() / 1000 + 8;
        let time = shell(&format!("date -u -d @{until} +%FT%TZ"), PATIENCE);
        let window = format!(
            "require = [{{ date = {{ until = \"{}\" }} }}]\n",
            time.out().trim()
        );
        let people = policy_for(&["mallory", "ada"], &house.door.user);
        replace(house, "policy.toml", &(people + &window));
        let told = house.proxy().wait_for("rules.in_force");
        expect_ended(house, &mut ada, "this session ends: ", "access_lost");
        let end = house.proxy().wait_for("session.end");
        assert!(end.number("time_unix_ms") >= until * 1000);
        if told.number("time_unix_ms") < until * 1000 {
            let again = house.proxy().events_named("session.reevaluated");
            let of_ada = again.iter().filter(|it| it.session() == end.session());
            let allowed: Vec<_> = of_ada.map(|it| it.json()["allowed"].clone()).collect();
            assert_eq!(allowed, [true, false]);
        }
        assert_eq!(house.proxy().events_named("rules.in_force").len(), 1);
        expect_alive(&mut mallory);
    });
}

#[test]
fn whoever_does_not_read_loses_the_connection_too() {
    need!("ssh", "sshd");
    through_the_proxy_with(two_people, |house| {
        let sockets = || {
            let files = fs::read_dir(format!("/proc/{}/fd", house.proxy().id()));
            let links = files.expect("it runs").flatten().map(|it| it.path());
            let names = links.filter_map(|link| fs::read_link(link).ok());
            names
                .filter(|name| name.to_string_lossy().starts_with("socket:"))
                .count()
        };
        let before = sockets();
        let id = house.path("id");
        let stuck = door_of(house, 0)
            .ssh()
            .stalled(&format!("echo $$ > {}; exec yes", id.display()));
        wait_until("the flood", PATIENCE, || {
            fs::read_to_string(&id).is_ok_and(|id| id.ends_with('\n'))
        });
        stuck.signal(Signal::STOP);
        assert_eq!(sockets(), before + 2);
        let gone = "[[revocation]]\nidentity = \"ada@example.com\"\nreason = \"left\"\n";
        replace(house, "revocations.toml", gone);
        let end = house.proxy().wait_for("session.end");
        assert_eq!(end.text("reason"), "revoked");
        assert_eq!(end.json()["log_complete"], true);
        wait_until("both connections to close", PATIENCE, || {
            sockets() == before
        });
        let id = fs::read_to_string(&id).expect("its id");
        wait_until("the flood to end", PATIENCE, || {
            !std::path::Path::new(&format!("/proc/{}", id.trim())).exists()
        });
    });
}
