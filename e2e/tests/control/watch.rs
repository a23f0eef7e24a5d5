//! Operators who watch a session while it runs.

use super::*;

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

/// A session that repeats what it is told, its id, and somebody who watches it.
#[track_caller]
fn watched(house: &House) -> (Live, String, Live) {
    let ssh = program(house, "cat");
    let session = session_of(&house.proxy().wait_for("session.start"));
    let watcher = Live::piped(&mut command(house, &["--json", "watch", &session]));
    watcher.hear("\"began\"");
    (ssh, session, watcher)
}

/// Puts another policy in force, in which something is replaced.
#[track_caller]
fn change_policy(house: &House, old: &str, new: &str) -> Event {
    let policy = house.proxy().folder().join("policy.toml");
    let text = std::fs::read_to_string(&policy).expect("the policy");
    assert!(text.contains(old), "{text}");
    std::fs::write(&policy, text.replace(old, new)).expect("a policy");
    house.proxy().wait_for("rules.in_force")
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
        assert!(listed(house)[0]["watchers"] == 1);

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
        let (mut ssh, session, mut watcher) = watched(house);
        ssh.say("before");
        wait_until("what is typed", LIMIT, || {
            contains(&bytes_seen(&seen(&watcher), "input").0, "before")
        });
        let told = change_policy(house, ", \"watch\"", "");
        assert_eq!(told.number("sessions"), 1);
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
        wait_until("two watchers", LIMIT, || listed(house)[0]["watchers"] == 2);
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
        let mut ssh = program(house, "read x; head -c 20000000 /dev/zero; echo done >&2");
        let session = session_of(&house.proxy().wait_for("session.start"));
        let mut watcher = std::os::unix::net::UnixStream::connect(socket(house)).expect("a socket");
        let request = format!("{{\"request\":\"watch\",\"session\":\"{session}\"}}\n");
        std::io::Write::write_all(&mut watcher, request.as_bytes()).expect("a request");
        house
            .proxy()
            .wait_for_record("operator", |record| record.text("action") == "watch");
        let before = house.proxy().resident_bytes();
        ssh.say("go\n");
        wait_until("nobody watching", LIMIT, || {
            listed(house)[0]["watchers"] == 0
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
fn who_comes_fifth_to_watch_is_told_so_and_that_it_is_not_done() {
    need!("ssh", "sshd");
    through_the_proxy_with(operated_by_nia(ALL), |house| {
        let ssh = program(house, "sleep 300");
        let session = session_of(&house.proxy().wait_for("session.start"));
        let mut watchers =
            [(); 4].map(|()| Live::piped(&mut command(house, &["--json", "watch", &session])));
        watchers
            .iter()
            .for_each(|watcher| watcher.hear("\"began\""));
        let said = sessionctl(house, &["watch", &session]).expect_code(1).err();
        assert!(said.contains("has 4 watchers already"), "{said}");
        let said = sessionctl(house, &["--json", "watch", &session])
            .expect_code(1)
            .out();
        let last: Value = serde_json::from_str(said.trim_end()).expect("one line of JSON");
        assert_eq!(last["reply"], "failed", "{said}");
        drop(ssh);
        for watcher in &mut watchers {
            assert_eq!(watcher.end(LIMIT).code(), Some(0));
        }
    });
}

#[test]
fn a_watcher_is_sent_away_when_the_time_is_over_for_which_the_policy_allows_it() {
    need!("ssh", "sshd");
    through_the_proxy_with(operated_by_nia(ALL), |house| {
        let (mut ssh, session, mut watcher) = watched(house);
        let in_a_moment = now_ms() / 1000 + 5;
        let until = examples::tool::time::format_time(in_a_moment);
        let entry = "include = [{ email = \"nia@example.com\" }]\n";
        let for_a_while = format!("{entry}require = [{{ date = {{ until = \"{until}\" }} }}]\n");
        change_policy(house, entry, &for_a_while);
        watcher.hear("no longer allowed");
        watcher.end(LIMIT);
        assert!(now_ms() / 1000 >= in_a_moment);
        let told = house.proxy().wait_for("operator.unwatch");
        assert_eq!(told.session(), session);
        ssh.say("goes on");
        ssh.hear("goes on");
        ssh.end_input();
        ssh.end(LIMIT);
    });
}
