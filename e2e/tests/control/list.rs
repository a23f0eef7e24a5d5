//! What operators are shown of sessions: `list` and `show`.

use e2e::chain::{self, ChainPlan};

use super::*;

/// The cells of the table's first line, and of each session.
fn table(house: &House) -> Vec<Vec<String>> {
    let said = sessionctl(house, &["list"]).expect_code(0).out();
    let cells = |line: &str| {
        let cells = line
            .split("  ")
            .map(str::trim)
            .filter(|cell| !cell.is_empty());
        cells.map(str::to_owned).collect()
    };
    said.lines().map(cells).collect()
}

/// The value behind a name in what `show` says.
fn fact<'s>(said: &'s str, name: &str) -> &'s str {
    let mut lines = said.lines().map(|line| line.split_at(12));
    let found = lines.find(|(known, _)| known.trim_end() == name);
    found.unwrap_or_else(|| panic!("no {name} in {said}")).1
}

#[test]
fn an_operator_sees_who_is_where_since_when_how_much_passed_and_what_runs() {
    need!("ssh", "sshd");
    let named = |plan: &mut Plan| {
        operated_by_nia(ALL)(plan);
        plan.proxy.ada = "device = \"ada-laptop\"".to_owned();
    };
    through_the_proxy_with(named, |house| {
        assert_eq!(listed(house), [] as [Value; 0]);
        let before_ms = now_ms();
        let mut first = program(house, "cat");
        first.say("12345");
        first.hear("12345");
        let second = house.ssh().live("echo secret-command up; sleep 300");
        second.hear("up");
        let sessions = listed(house);
        assert_eq!(sessions.len(), 2, "{sessions:#?}");
        for session in &sessions {
            assert_eq!(session["identity"], "ada@example.com");
            assert_eq!(session["device"], "ada-laptop");
            assert_eq!(session["user"], current_user());
            assert_eq!(session["target"], "target-1");
            assert_eq!(session["progress"], "open");
            assert_eq!(session["channels"], 1);
            let from = session["client_addr"].as_str().expect("an address");
            assert!(from.starts_with("127.0.0.1:"), "{from}");
            let since_ms = session["since_unix_ms"].as_u64().expect("a time");
            assert!((before_ms..=now_ms()).contains(&since_ms), "{since_ms}");
        }
        let bytes = (
            &sessions[0]["bytes_from_client"],
            &sessions[0]["bytes_from_target"],
        );
        assert_eq!(bytes, (&5.into(), &8.into()));
        let last = &sessions[1]["last_command"];
        assert_eq!(
            (&last["kind"], &last["channel"]),
            (&"exec".into(), &1.into())
        );
        assert_eq!(last["text"], "echo secret-command up; sleep 300");

        let [headings, one, other] = &table(house)[..] else {
            panic!("{:#?}", table(house))
        };
        let of = |row: &[String], heading: &str| {
            let at = headings.iter().position(|it| it == heading);
            row[at.unwrap_or_else(|| panic!("no {heading} in {headings:?}"))].clone()
        };
        let id = sessions[0]["session"].as_str().expect("an id");
        for (heading, shown) in [
            ("SESSION", &id[..12]),
            ("IDENTITY", "ada@example.com"),
            ("USER", &current_user()),
            ("TARGET", "target-1"),
            ("IN/OUT", "5B/8B"),
            ("STATE", "open"),
            ("LAST", "echo up; cat"),
        ] {
            assert_eq!(of(one, heading), shown, "{heading}");
        }
        assert!(of(one, "FROM").starts_with("127.0.0.1:"));
        assert!(of(one, "FOR").ends_with('s') && of(one, "IDLE").ends_with('s'));
        assert_eq!(of(other, "LAST"), "echo secret-command up; sleep 300");
        assert!(!format!("{:?}", house.proxy().events()).contains("secret-command"));
        first.end_input();
    });
}

#[test]
fn an_operator_is_shown_all_about_one_session_and_the_event_names_it_without_what_it_runs() {
    need!("ssh", "sshd");
    through_the_proxy_with(operated_by_nia(ALL), |house| {
        let _ssh = program(house, "sleep 300 # secret-command");
        let session = session_of(&house.proxy().wait_for("session.start"));
        let said = sessionctl(house, &["show", &session[..8]])
            .expect_code(0)
            .out();
        for (name, value) in [
            ("session", &*session),
            ("identity", "ada@example.com"),
            ("user", &current_user()),
            ("bytes", "0B from the client, 3B from the target"),
            ("channels", "1"),
            (
                "last",
                "exec on channel 1: echo up; sleep 300 # secret-command",
            ),
            ("state", "open"),
        ] {
            assert_eq!(fact(&said, name), value, "{name}");
        }
        assert!(fact(&said, "target").starts_with("target-1 (target-1:"));
        assert!(fact(&said, "from").starts_with("127.0.0.1:"));
        assert!(fact(&said, "since").ends_with('Z'), "{said}");
        let told = house.proxy().wait_for("operator.show");
        assert_eq!(told.session(), session);
        assert_eq!(
            (told.text("operator"), told.text("rule")),
            ("nia@example.com", "on call")
        );
        assert!(!format!("{:?}", house.proxy().events()).contains("secret-command"));

        sessionctl(house, &["show", "ffffffffffffffff"]).expect_code(1);
        let said = sessionctl(house, &["show", ""]).expect_code(1).err();
        assert!(said.contains("no session"), "{said}");
    });
}

#[test]
fn a_session_inside_another_is_listed_after_it_and_ended_without_it() {
    need!("ssh", "sshd");
    let plan = ChainPlan {
        more_tables: nia(),
        more_policies: operator(ALL),
        ..ChainPlan::default()
    };
    chain::through_the_proxy(&plan, |chain| {
        let house = &chain.house;
        let mut within = chain.ssh("target", "inner").live("echo up; cat");
        within.hear("up");
        let _beside = program(house, "sleep 300");
        let sessions = listed(house);
        let targets: Vec<_> = sessions.iter().map(|it| it["target"].clone()).collect();
        assert_eq!(targets, ["target-1", "inner-1", "target-1"]);
        assert_eq!(sessions[1]["parent"], sessions[0]["session"]);
        assert_eq!(sessions[1]["last_command"]["text"], "echo up; cat");
        for outermost in [&sessions[0], &sessions[2]] {
            assert!(outermost.get("parent").is_none(), "{outermost}");
        }
        let (outer, inner) = (&sessions[0]["session"], &sessions[1]["session"]);
        let (outer, inner) = (
            outer.as_str().expect("an id"),
            inner.as_str().expect("an id"),
        );
        let state = format!("open, inside {}", &outer[..12]);
        assert!(table(house)[2].contains(&state), "{:#?}", table(house));
        let said = sessionctl(house, &["show", inner]).expect_code(0).out();
        assert_eq!(fact(&said, "inside"), outer);

        let arguments = ["end", "--target", "inner-1", "--reason", "maintenance"];
        let said = sessionctl(house, &arguments).expect_code(0).out();
        assert_eq!(said, format!("ended {inner}\n"));
        expect_ended(&mut within, "maintenance");
        let end = chain.wait_for("session.end", "inner-1");
        assert_eq!((end.session(), end.text("reason")), (inner, "operator"));
    });
}

/// Clears a screen in both ways, sets a title, goes back, and turns text around in both ways.
const HOSTILE: &str = "\u{1b}[2J\u{9b}2J\u{1b}]0;x\u{7}\r\u{202e}\u{2066}\u{feff}";

#[test]
fn what_would_steer_a_terminal_is_shown_to_nobody_and_stands_in_no_event() {
    need!("ssh", "sshd");
    through_the_proxy_with(operated_by_nia(ALL), |house| {
        let mut ssh = program(house, &format!("sleep 300 # {HOSTILE}"));
        let session = session_of(&house.proxy().wait_for("session.start"));
        let is_harmless = |text: &str| text.chars().all(|c| c == '\n' || is_printable(c));
        for arguments in [
            &["list"][..],
            &["--json", "list"],
            &["show", &session],
            &["--json", "show", &session],
            &["show", HOSTILE],
            &["end", "--identity", HOSTILE, "--reason", "x"],
        ] {
            let said = sessionctl(house, arguments);
            assert!(
                is_harmless(&said.out()) && is_harmless(&said.err()),
                "{said:?}"
            );
        }
        let text = &listed(house)[0]["last_command"]["text"];
        assert_eq!(*text, format!("echo up; sleep 300 # {HOSTILE}"));

        let nothing = [
            "end",
            &session,
            "--reason",
            HOSTILE.trim_matches(is_printable),
        ];
        sessionctl(house, &nothing).expect_code(0);
        ssh.end(LIMIT);
        let told = house.proxy().wait_for("operator.end");
        assert!(is_harmless(told.text("reason")), "{told:?}");
        let end = house.proxy().wait_for("session.end");
        assert!(is_harmless(end.text("detail")), "{end:?}");
        let events = house.proxy().folder().join("events.jsonl");
        assert!(is_harmless(
            &std::fs::read_to_string(events).expect("the events")
        ));
    });
}
