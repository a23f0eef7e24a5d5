//! Operators who end sessions: one, or all of somebody.

use super::*;

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
        expect_ended(&mut ssh, "kernel update at ten");
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
fn all_sessions_of_an_identity_or_on_a_target_end_and_nobody_elses() {
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
            expect_ended(ssh, "left");
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
fn all_sessions_of_a_device_end_and_each_is_named() {
    need!("ssh", "sshd");
    let named = |plan: &mut Plan| {
        operated_by_nia(ALL)(plan);
        plan.proxy.ada = "device = \"ada-laptop\"".to_owned();
    };
    through_the_proxy_with(named, |house| {
        let mut sessions = [(); 2].map(|()| program(house, "sleep 300"));
        let ids: Vec<_> = listed(house)
            .iter()
            .map(|it| format!("ended {}", it["session"].as_str().expect("an id")))
            .collect();
        let of = |device| ["end", "--device", device, "--reason", "stolen"];
        let said = sessionctl(house, &of("bob-laptop")).expect_code(1).err();
        assert!(said.contains("no session"), "{said}");
        let said = sessionctl(house, &of("ada-laptop")).expect_code(0).out();
        assert_eq!(said.lines().collect::<Vec<_>>(), ids);
        for ssh in &mut sessions {
            expect_ended(ssh, "stolen");
        }
        let said = sessionctl(house, &["end", "--all", "--reason", "x"]).expect_code(0);
        assert_eq!(said.out(), "");
        let said = sessionctl(house, &["end", "--all", "--reason", "\u{1b}\u{202e}"]);
        assert!(said.expect_code(1).err().contains("say why"));
    });
}
