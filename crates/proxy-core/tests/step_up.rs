//! What a policy asks for besides a name: nobody gets in without it, and nothing of theirs reaches the target before.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod sim;

use std::time::Duration;

use proxy_core::{ApprovalRefusal, ApprovalRequest, EventKind, Leg, Refusal, Verdict};
use sim::soft_key::{TOUCHED, VERIFIED};
use sim::{Setup, SoftKey, Step, World};

const ADA: u8 = 40;
const BOB: u8 = 41;

fn asking(steps: &str) -> Setup {
    Setup {
        policy: Setup::default().policy + &format!("\nstep_up = [{steps}]\n"),
        ..Setup::default()
    }
}

fn asking_for_a_key(keys: Vec<SoftKey>) -> Setup {
    Setup {
        enrolled: vec![SoftKey::touched(ADA).line()],
        keys,
        ..asking("\"security_key\"")
    }
}

fn asking_approval_of(approvers: &str) -> Setup {
    let setup = asking("\"approval\"");
    Setup {
        policy: setup.policy + &format!("approvers = [{approvers}]\n"),
        ..setup
    }
}

fn waiting() -> World {
    let mut world = World::new(asking_approval_of(
        "\"Ann@example.com\", \"ada@example.com\"",
    ));
    world.run();
    assert_eq!(questions(&world).len(), 1);
    world
}

fn questions(world: &World) -> Vec<&ApprovalRequest> {
    let steps = world.steps.iter();
    steps
        .filter_map(|step| match step {
            Step::AskApproval(request) => Some(request),
            _ => None,
        })
        .collect()
}

fn refusals(world: &World) -> Vec<Refusal> {
    let events = world.events().into_iter();
    events
        .filter_map(|event| match event {
            EventKind::AccessDenied { reason, .. } => Some(*reason),
            _ => None,
        })
        .collect()
}

fn said(world: &World) -> String {
    let goodbye = world.person.goodbye.clone().unwrap_or_default();
    world.person.banners.concat() + &goodbye
}

fn count(world: &World, is: impl Fn(&Step) -> bool) -> usize {
    world.steps.iter().filter(|step| is(step)).count()
}

/// One word for the person, one refusal, no log, no certificate, no login at the target.
fn assert_kept_out(world: &mut World, refusal: Refusal, words: &str) {
    world.pass(Duration::from_secs(300));
    assert!(!world.person.is_in);
    assert_eq!(refusals(world), [refusal], "{}", said(world));
    assert!(said(world).contains(words), "{}", said(world));
    assert_eq!(count(world, |step| matches!(step, Step::Log(_))), 0);
    let attempts: usize = world.targets().map(|target| target.attempts.len()).sum();
    assert_eq!(attempts, 0, "somebody logged in at the target");
    assert!(world.session.is_over());
}

/// The question ended so, and an answer that comes later changes nothing.
fn expect_refused(world: &mut World, why: ApprovalRefusal, by: Option<&str>) {
    let by = by.map(Into::into);
    let refused = EventKind::ApprovalRefused { why, by };
    position(world, |kind| *kind == refused);
    world.answer("ann@example.com", Verdict::Approve, "");
}

fn position(world: &World, is: impl Fn(&EventKind) -> bool) -> usize {
    world
        .steps
        .iter()
        .position(|step| matches!(step, Step::Event(kind) if is(kind)))
        .unwrap()
}

#[test]
fn a_touched_key_that_is_enrolled_lets_in_and_stands_in_the_log_before_the_certificate() {
    let key = SoftKey::touched(ADA);
    let world = World::logged_in(Setup {
        remote_ca: true,
        ..asking_for_a_key(vec![key])
    });
    let proven = position(&world, |kind| {
        matches!(
            kind,
            EventKind::SecurityKeyProven {
                counter: 7,
                user_verified: false,
                ..
            }
        )
    });
    let allowed = position(&world, |kind| {
        matches!(kind, EventKind::AccessAllowed { .. })
    });
    let is_page = |step: &Step| matches!(step, Step::Log(_));
    let page = world.steps.iter().position(is_page).unwrap();
    let signed = world
        .steps
        .iter()
        .position(|step| *step == Step::SignCertificate);
    assert!(proven < allowed && allowed < page && page < signed.unwrap());
    let record = "was touched, and did not verify its user; counter 7";
    assert!(world.records[3].contains(record), "{:?}", world.records);
    assert!(world.records[3].contains("SHA256:"));
    // Part of the login was enough for the client to go on; here the part was all.
    assert_eq!(
        world.person.failures,
        [(vec!["publickey".to_owned()], false)]
    );
}

#[test]
fn the_target_is_not_kept_waiting_and_hears_of_the_login_when_all_is_done() {
    let world = World::logged_in(asking_for_a_key(vec![SoftKey::touched(ADA)]));
    assert_eq!(count(&world, |step| *step == Step::Connect), 2);
    let [left, here] = world.targets().collect::<Vec<_>>()[..] else {
        panic!("one target that was left, and one");
    };
    assert!(left.attempts.is_empty() && left.goodbye.is_some());
    assert_eq!(here.attempts.len(), 1);
    assert_ne!(left.session_id, here.session_id);
    let connections = world
        .steps
        .iter()
        .filter(|step| matches!(step, Step::Connect | Step::Close(Leg::Target)))
        .collect::<Vec<_>>();
    let order = [&Step::Connect, &Step::Close(Leg::Target), &Step::Connect];
    assert_eq!(connections, order);
}

#[test]
fn a_client_that_begins_with_its_key_gets_in_too() {
    World::logged_in(Setup {
        begins_with_key: true,
        ..asking_for_a_key(vec![SoftKey::touched(ADA)])
    });
}

#[test]
fn a_key_that_is_not_enough_counts_for_nothing_and_the_next_may_still_do() {
    let verifying = |flags| SoftKey {
        flags,
        ..SoftKey::touched(ADA)
    };
    // A signature over another connection, that has the form of one over this.
    let replayed = |data: &[u8]| {
        let mut data = data.to_vec();
        data[4] ^= 1;
        data
    };
    // The same for another user: the name follows the session's 32 bytes and the message's number.
    let for_root = |data: &[u8]| {
        let user = data.windows(6).position(|six| six == b"deploy").unwrap();
        let mut data = data.to_vec();
        data[user] = b'D';
        data
    };
    let enrolled = SoftKey::touched(ADA).line();
    let rows = [
        ("", SoftKey::plain(ADA), "not in a security key"),
        ("", SoftKey::plain(BOB), "not in a security key"),
        ("", SoftKey::touched(BOB), "not enrolled for you"),
        ("", verifying(0), ""),
        ("", verifying(VERIFIED), ""),
        (
            "",
            SoftKey {
                signs: replayed,
                ..SoftKey::touched(ADA)
            },
            "",
        ),
        (
            "",
            SoftKey {
                signs: for_root,
                ..SoftKey::touched(ADA)
            },
            "",
        ),
        ("verify-required ", verifying(TOUCHED), "has to verify you"),
        ("verify-required ", verifying(VERIFIED), ""),
    ];
    for (option, bad, words) in rows {
        let setup = |keys| Setup {
            enrolled: vec![format!("{option}{enrolled}")],
            ..asking_for_a_key(keys)
        };
        let mut alone = World::new(setup(vec![bad.clone(), bad.clone()]));
        alone.run();
        if !words.is_empty() {
            assert_eq!(said(&alone).matches(words).count(), 1, "said once");
        }
        alone.finish();
        assert_kept_out(&mut alone, Refusal::StepUpMissing, "touch it");
        World::logged_in(setup(vec![bad, verifying(TOUCHED | VERIFIED)]));
    }
}

#[test]
fn who_has_no_key_enrolled_is_told_at_once() {
    let mut world = World::new(Setup {
        keys: vec![SoftKey::touched(ADA)],
        ..asking("\"security_key\"")
    });
    assert_kept_out(
        &mut world,
        Refusal::StepUpMissing,
        "none is enrolled for you",
    );
    assert_eq!(count(&world, |step| *step == Step::Connect), 1);
}

#[test]
fn attempts_are_bounded() {
    let mut world = World::new(asking_for_a_key(vec![SoftKey::touched(BOB); 100]));
    assert_kept_out(&mut world, Refusal::ClientProtocol, "");
    assert!(world.person.failures.len() < 30);
}

#[test]
fn another_user_name_on_the_way_ends_the_connection() {
    let mut world = World::new(Setup {
        then_user: Some("root"),
        ..asking_for_a_key(vec![SoftKey::touched(ADA)])
    });
    assert_kept_out(&mut world, Refusal::ClientProtocol, "");
}

#[test]
fn a_person_who_shows_no_key_is_turned_away_at_the_end_of_the_login_grace() {
    let mut world = World::new(asking_for_a_key(Vec::new()));
    assert_kept_out(&mut world, Refusal::LoginTimeout, "login grace time");
}

#[test]
fn a_target_with_another_key_at_the_second_connection_is_refused() {
    let mut world = World::new(Setup {
        later_target_key: Some([99; 32]),
        ..asking_for_a_key(vec![SoftKey::touched(ADA)])
    });
    assert_kept_out(&mut world, Refusal::HostKeyMismatch, "changed its host key");
}

#[test]
fn a_target_that_cannot_be_reached_again_is_said_to_be() {
    let mut world = World::new(Setup {
        connects_once: true,
        ..asking_for_a_key(vec![SoftKey::touched(ADA)])
    });
    assert_kept_out(&mut world, Refusal::TargetUnreachable, "cannot be reached");
}

#[test]
fn an_approval_by_somebody_who_was_asked_lets_in_and_is_recorded() {
    let mut world = waiting();
    let question = questions(&world)[0].clone();
    assert_eq!(question.approvers, ["ann@example.com".into()]);
    assert_eq!(&*question.user, "deploy");
    assert_eq!(question.subject.identity, "ada@example.com");
    assert_eq!(question.subject.session, world.session.id());
    let id = world.session.id().to_string();
    let words = format!("Waiting up to 120 s for approval by ann@example.com; request {id}.");
    assert!(said(&world).contains(&words), "{}", said(&world));
    world.answer("ANN@example.com", Verdict::Approve, "as\x1b[2J agreed");
    assert!(world.person.is_in);
    assert!(said(&world).contains("Approved by ann@example.com."));
    let record =
        "Operator { who: \"ann@example.com\", action: \"approve\", text: \"as[2J agreed\" }";
    assert!(world.records[3].contains(record), "{:?}", world.records);
    position(&world, |kind| {
        matches!(kind, EventKind::ApprovalAsked { .. })
    });
    let given = EventKind::ApprovalGiven {
        by: "ann@example.com".into(),
    };
    position(&world, |kind| *kind == given);
}

#[test]
fn a_refusal_reaches_the_person_with_its_note() {
    let mut world = waiting();
    world.answer("ann@example.com", Verdict::Refuse, "not today");
    expect_refused(
        &mut world,
        ApprovalRefusal::ByPerson,
        Some("ann@example.com"),
    );
    assert_kept_out(
        &mut world,
        Refusal::NotApproved,
        "did not approve: not today",
    );
}

#[test]
fn a_question_that_is_put_to_nobody_refuses_at_once() {
    let mut world = waiting();
    let session = world.session.id();
    let input = proxy_core::Input::ApprovalNotAsked(session);
    world.session.handle(input, world.now);
    world.run();
    expect_refused(&mut world, ApprovalRefusal::NotAsked, None);
    assert_kept_out(
        &mut world,
        Refusal::NotApproved,
        "too many of your connections wait for an approval",
    );
}

#[test]
fn silence_refuses_and_an_answer_after_it_changes_nothing() {
    for late in [Duration::ZERO, Duration::from_secs(1)] {
        let mut world = waiting();
        world.pass_without_peers(Duration::from_secs(120) + late);
        world.answer("ann@example.com", Verdict::Approve, "");
        let refused = EventKind::ApprovalRefused {
            why: ApprovalRefusal::BySilence,
            by: None,
        };
        position(&world, |kind| *kind == refused);
        assert_kept_out(&mut world, Refusal::NotApproved, "nobody approved in time");
    }
}

#[test]
fn answers_of_the_asker_of_strangers_and_about_other_sessions_change_nothing() {
    let mut world = waiting();
    let before = world.steps.len();
    for by in ["ada@example.com", "ADA@example.com", "eve@example.com", ""] {
        for verdict in [Verdict::Approve, Verdict::Refuse] {
            world.answer(by, verdict, "");
        }
    }
    let elsewhere = World::new(Setup {
        seed: [77; 32],
        ..Setup::default()
    })
    .session
    .id();
    let approval = proxy_core::Approval {
        session: elsewhere,
        by: "ann@example.com".into(),
        verdict: Verdict::Approve,
        note: String::new(),
    };
    world
        .session
        .handle(proxy_core::Input::Approval(approval), world.now);
    world.run();
    assert_eq!(world.steps.len(), before);
    // Nor does an answer where nobody asked.
    let mut other = World::logged_in(Setup::default());
    let before = other.steps.len();
    other.answer("ann@example.com", Verdict::Refuse, "");
    assert_eq!(other.steps.len(), before);
    assert!(other.person.is_in && !other.session.is_over());
}

#[test]
fn an_answer_counts_once() {
    let mut world = waiting();
    let approval = proxy_core::Approval {
        session: world.session.id(),
        by: "ann@example.com".into(),
        verdict: Verdict::Approve,
        note: String::new(),
    };
    // The second comes before the session has let anybody in.
    let refusal = proxy_core::Approval {
        verdict: Verdict::Refuse,
        ..approval.clone()
    };
    world
        .session
        .handle(proxy_core::Input::Approval(approval), world.now);
    world
        .session
        .handle(proxy_core::Input::Approval(refusal), world.now);
    world.run();
    assert!(world.person.is_in);
    assert!(refusals(&world).is_empty());
}

#[test]
fn nobody_approves_for_themselves() {
    let mut world = World::new(asking_approval_of(
        "\"ada@example.com\", \"ADA@example.com\"",
    ));
    assert_kept_out(
        &mut world,
        Refusal::StepUpMissing,
        "nobody else may give it",
    );
    assert!(questions(&world).is_empty());
}

#[test]
fn the_wait_for_another_person_is_not_taken_from_the_time_for_the_login() {
    let mut world = World::new(Setup {
        approval: Duration::from_secs(3600),
        ..asking_approval_of("\"ann@example.com\"")
    });
    world.pass(Duration::from_secs(3599));
    world.answer("ann@example.com", Verdict::Approve, "");
    assert!(world.person.is_in, "{}", said(&world));
}

#[test]
fn rules_that_change_while_somebody_waits_count() {
    let revoked = "[[revocation]]\nidentity = \"ada@example.com\"\nreason = \"left\"\n";
    let setup = asking_approval_of("\"ann@example.com\"");
    let other_grant = format!("{}max_session = \"1h\"\n", setup.policy);
    let rows = [
        ("", "", Refusal::Policy, "you have no access"),
        (&setup.policy, revoked, Refusal::Revoked, ""),
        (
            &other_grant,
            "",
            Refusal::Policy,
            "the rules for this machine changed",
        ),
    ];
    for (policy, revocations, refusal, words) in rows {
        let mut world = World::new(setup.clone());
        world.run();
        world.change_rules("next", policy, revocations);
        world.run();
        expect_refused(&mut world, ApprovalRefusal::Withdrawn, None);
        assert_kept_out(&mut world, refusal, words);
    }
    // The same rules under another name are no change.
    let mut world = World::new(setup.clone());
    world.run();
    world.change_rules("next", &setup.policy, "");
    world.answer("ann@example.com", Verdict::Approve, "");
    assert!(world.person.is_in);
}

#[test]
fn access_that_ends_while_somebody_waits_is_not_given_by_an_answer() {
    let setup = asking_approval_of("\"ann@example.com\"");
    let (head, policy) = setup.policy.split_once("usernames").unwrap();
    // Until 60 s after the start, 2027-01-15T08:00:00Z.
    let until = "require = [{ date = { until = \"2027-01-15T08:01:00Z\" } }]\nusernames";
    let mut world = World::new(Setup {
        policy: format!("{head}{until}{policy}"),
        ..setup.clone()
    });
    world.run();
    assert_eq!(questions(&world).len(), 1, "{}", said(&world));
    world.pass_without_peers(Duration::from_secs(61));
    world.answer("ann@example.com", Verdict::Approve, "");
    assert_kept_out(&mut world, Refusal::Policy, "you have no access");
}

#[test]
fn a_person_who_leaves_takes_the_question_with_them() {
    let mut world = waiting();
    world.peer_closes(Leg::Client);
    let withdrawn = EventKind::ApprovalRefused {
        why: ApprovalRefusal::Withdrawn,
        by: None,
    };
    position(&world, |kind| *kind == withdrawn);
    world.answer("ann@example.com", Verdict::Approve, "");
    assert_kept_out(&mut world, Refusal::ClientLeft, "");
}

#[test]
fn a_key_comes_before_the_approval_and_both_are_recorded_in_this_order() {
    let setup = asking("\"approval\", \"security_key\"");
    let mut world = World::new(Setup {
        policy: setup.policy.clone() + "approvers = [\"ann@example.com\"]\n",
        enrolled: vec![format!("verify-required {}", SoftKey::touched(ADA).line())],
        keys: vec![SoftKey {
            flags: TOUCHED | VERIFIED,
            ..SoftKey::touched(ADA)
        }],
        ..setup
    });
    world.run();
    assert!(!world.person.is_in);
    world.answer("ann@example.com", Verdict::Approve, "");
    assert!(world.person.is_in, "{}", said(&world));
    assert!(world.records[3].contains("and verified its user"));
    assert!(world.records[4].contains("approve"));
}

#[test]
fn equal_inputs_give_equal_outputs() {
    let run = || {
        let mut world = waiting();
        world.answer("ann@example.com", Verdict::Approve, "yes");
        assert!(world.person.is_in);
        world.finish();
        world.steps
    };
    assert_eq!(run(), run());
}

const INNER_APPROVAL: &str = "[[application]]\nname = \"outer\"\ntarget = { include = [{ hostname = \"web-1\" }] }\n\
         [[application.policy]]\nname = \"outer\"\naction = \"allow\"\ninclude = [{ everyone = true }]\n\
         usernames = [\"deploy\"]\njump = [{ host = \"inner-1\", port = 22 }]\n\
         [[application]]\nname = \"inner\"\ntarget = { include = [{ hostname = \"inner-1\" }] }\n\
         [[application.policy]]\nname = \"inner\"\naction = \"allow\"\ninclude = [{ everyone = true }]\n\
         usernames = [\"deploy\"]\nstep_up = [\"approval\"]\napprovers = [\"ann@example.com\"]\n";

#[test]
fn a_session_inside_another_waits_for_its_approval_as_long_as_it_says_and_no_clock_ends_it_before()
{
    for (wait, lets_in) in [(85, true), (91, false)] {
        // As short as is enough for a login that nobody has to approve.
        let mut tree = sim::tree::Tree::with(INNER_APPROVAL, |gateway| {
            gateway.timeouts.login_grace = Duration::from_secs(20);
            gateway.timeouts.target_login = Duration::from_secs(10);
        });
        tree.run();
        tree.jump(0);
        let told = tree.levels[1].person.as_ref().unwrap().banners.concat();
        assert!(told.contains("Waiting up to 90 s"), "{told}");
        let inner = tree.ids[1];
        tree.pass(Duration::from_secs(wait));
        let approval = proxy_core::Approval {
            session: inner,
            by: "ann@example.com".into(),
            verdict: Verdict::Approve,
            note: String::new(),
        };
        let answer = proxy_core::Input::Approval(approval);
        tree.session.handle(answer, tree.now);
        tree.run();
        let person = tree.levels[1].person.as_ref().unwrap();
        assert_eq!(person.is_in, lets_in);
        if !lets_in {
            let told = person.banners.concat();
            assert!(told.contains("nobody approved in time"), "{told}");
        }
        tree.finish();
    }
}

#[test]
fn a_session_inside_another_asks_by_itself_and_only_its_own_answer_counts() {
    let mut tree = sim::tree::Tree::new(INNER_APPROVAL);
    tree.run();
    tree.assert_in(1);
    tree.jump(0);
    let is_in = |tree: &sim::tree::Tree| tree.levels[1].person.as_ref().unwrap().is_in;
    assert!(!is_in(&tree));
    let asked = |kind: &EventKind| matches!(kind, EventKind::ApprovalAsked { .. });
    let asked = tree.events.iter().find(|event| asked(&event.kind)).unwrap();
    let (inner, outer) = (asked.subject.session, tree.session.id());
    assert_eq!(asked.subject.parent, Some(outer));
    for (session, lets_in) in [(outer, false), (inner, true)] {
        let approval = proxy_core::Approval {
            session,
            by: "ann@example.com".into(),
            verdict: Verdict::Approve,
            note: String::new(),
        };
        let answer = proxy_core::Input::Approval(approval);
        tree.session.handle(answer, tree.now);
        tree.run();
        assert_eq!(is_in(&tree), lets_in);
    }
    let noted = |records: &[String]| records.iter().any(|record| record.contains("Operator"));
    assert!(noted(&tree.logs[&inner].records) && !noted(&tree.logs[&outer].records));
    tree.finish();
}
