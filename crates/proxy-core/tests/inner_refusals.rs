//! Sessions inside sessions that do not begin: what that costs, what is told of it, and that no other name of a machine leads around it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod sim;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use proxy_core::{ChannelEvent, Directory, EventKind, Leg, Refusal, Target};
use sim::packets as p;
use sim::tree::{
    FORWARDS, JUMP, JUMPS, Tree, end_of, open_failure, policy, refusal_of, target, unknown,
};

/// Nobody may go to `inner-1`.
fn without_the_first(more: &str) -> String {
    policy(more).replace("{ hostname = \"inner-1\" }, ", "")
}

fn count(tree: &Tree, is_it: impl Fn(&EventKind) -> bool) -> usize {
    tree.events.iter().filter(|it| is_it(&it.kind)).count()
}

fn is_denied(kind: &EventKind) -> bool {
    matches!(kind, EventKind::AccessDenied { .. })
}

fn is_muted(kind: &EventKind) -> bool {
    let EventKind::Channel(event) = kind else {
        return false;
    };
    matches!(event, ChannelEvent::RefusalsMuted { .. })
}

/// What the log and the operator were told last of something refused.
fn last_refusal(tree: &Tree) -> (String, String, &'static str) {
    let record = tree.records(0).iter().rev();
    let record = record.into_iter().find(|it| it.contains("Refused"));
    let events = tree.events.iter().rev();
    let (what, why) = events
        .filter_map(|event| match &event.kind {
            EventKind::Channel(ChannelEvent::Refused { what, why, .. }) => Some((what, why)),
            _ => None,
        })
        .next()
        .unwrap();
    (record.unwrap().clone(), what.clone(), why)
}

/// Both ends of a channel that carries nothing any more close it, and it is as though it had not been.
fn forget_channel(tree: &mut Tree) {
    if !tree.levels[0].pipe.client.is_closed {
        tree.levels[0].pipe.client.closes_too = false;
        tree.send(0, Leg::Client, &p::close(JUMP.target));
    }
    tree.run();
    assert!(tree.levels[0].pipe.client.is_closed && tree.levels[0].pipe.target.is_closed);
    tree.levels[0].pipe = Default::default();
    tree.levels.truncate(1);
}

#[test]
fn whoever_asks_without_end_for_what_is_denied_makes_a_few_events_and_no_session_for_each() {
    let mut tree = Tree::with(&without_the_first(JUMPS), |gateway| {
        gateway.limits.inner_per_minute = 1000;
    });
    tree.run();
    for _ in 0..500 {
        tree.open(0, "inner-1", 22);
        let text = open_failure(&tree, 0);
        assert!(text.starts_with("access denied: "), "{text:?}");
    }
    // Each that was told of was told of twice: as a session that was refused, and as a channel.
    assert_eq!(count(&tree, is_denied), 32);
    assert_eq!(tree.ids.len(), 1 + 32);
    assert_eq!(count(&tree, is_muted), 1);
    assert!(tree.events.len() < 80, "{}", tree.events.len());
    let records = tree.records(0).iter();
    assert_eq!(records.filter(|it| it.contains("Refused")).count(), 500);
    // Where they may go, they still do.
    tree.open(0, "inner-2", 22);
    tree.assert_in(2);
    assert_eq!(end_of(&tree.kinds(0)), None);
    tree.finish();
}

#[test]
fn sessions_begin_one_after_the_other_no_faster_than_they_may() {
    let why = "too many sessions were begun inside this connection in a minute";
    let mut tree = Tree::with(&without_the_first(JUMPS), |gateway| {
        gateway.limits.inner_per_minute = 4;
    });
    tree.run();
    for _ in 0..4 {
        tree.open(0, "inner-1", 22);
        assert!(open_failure(&tree, 0).starts_with("access denied: "));
    }
    for _ in 0..2 {
        tree.open(0, "inner-2", 22);
        assert_eq!(open_failure(&tree, 0), why);
        assert_eq!(last_refusal(&tree).2, why);
    }
    tree.pass(Duration::from_secs(15));
    tree.open(0, "inner-2", 22);
    tree.assert_in(2);
    tree.finish();
}

#[test]
fn beyond_the_ceiling_ssh_that_is_refused_on_a_forwarded_connection_is_cut_without_a_session() {
    for (host, why) in [
        ("elsewhere", "the directory has no such target"),
        (
            "inner-1",
            "the policy does not let the person reach the target",
        ),
    ] {
        let mut tree = Tree::with(&without_the_first(FORWARDS), |gateway| {
            gateway.limits.refusal_events = 2;
        });
        tree.run();
        for round in 0..4 {
            tree.open(0, host, 22);
            let person = tree.levels[1].person.as_ref().unwrap();
            assert_eq!(person.goodbye.is_some(), round < 2, "{round}");
            forget_channel(&mut tree);
        }
        assert_eq!(count(&tree, is_denied), 2);
        assert_eq!(count(&tree, is_muted), 1);
        assert_eq!(tree.ids.len(), 3);
        let records = tree.records(0).join("\n");
        let cut = format!("what: \"SSH in a forwarded connection\", why: \"{why}\"");
        assert_eq!(records.matches(&cut).count(), 2, "{records}");
        tree.finish();
    }
}

#[test]
fn why_no_session_begins_stands_in_the_log_and_in_an_event_with_its_name_if_it_has_one() {
    type Change = fn(&mut proxy_core::Gateway);
    let deny = without_the_first(JUMPS);
    let all = policy(JUMPS);
    let cases: [(&str, Change, &str, &str, bool); 6] = [
        (
            &deny,
            |_| {},
            "inner-1",
            "the policy does not let the person reach the target",
            true,
        ),
        (
            &all,
            |_| {},
            "elsewhere",
            "the directory has no such target",
            false,
        ),
        (
            &all,
            |it| it.directory = Some(Arc::new(Keyless)),
            "inner-1",
            "no host key of the target is known",
            true,
        ),
        (
            &all,
            |it| it.limits.inner_sessions = 0,
            "inner-1",
            "too many sessions are open inside this connection",
            false,
        ),
        (
            &all,
            |it| it.limits.inner_depth = 0,
            "inner-1",
            "too many sessions are around this one",
            false,
        ),
        (
            &all,
            |it| it.directory = None,
            "inner-1",
            "no session can begin here",
            false,
        ),
    ];
    for (policy, change, host, why, has_name) in cases {
        let mut tree = Tree::with(policy, change);
        tree.run();
        tree.open(0, host, 22);
        let (record, what, told) = last_refusal(&tree);
        assert_eq!(told, why);
        assert!(record.contains(why) && record.contains(&what), "{record}");
        let asked = format!("channel direct-tcpip to {host} 22");
        let expected = match tree.ids.get(1) {
            Some(id) if has_name => format!("{asked}, session {id}"),
            _ => asked,
        };
        assert_eq!(what, expected);
        assert_eq!(tree.ids.len(), 1 + usize::from(has_name), "{why}");
        tree.finish();
    }
}

/// Knows no host key.
struct Keyless;

impl Directory for Keyless {
    fn find(&self, host: &str, _: u16) -> Option<Target> {
        Some(unknown(host))
    }
}

/// Knows `inner-1` by its name, however it is written, and by its address.
struct ManyNames;

const ADDRESS: &str = "10.0.0.7";

impl Directory for ManyNames {
    fn find(&self, host: &str, port: u16) -> Option<Target> {
        let host = host.strip_suffix('.').unwrap_or(host);
        let address: IpAddr = ADDRESS.parse().unwrap();
        let named = host.parse().map(|it: IpAddr| it.to_canonical());
        let is_it = host.eq_ignore_ascii_case("inner-1") || named == Ok(address);
        (is_it && port == 22).then(|| {
            let mut found = target("inner-1");
            found.facts.address = Some(address);
            found
        })
    }
}

fn with_many_names(policy: &str) -> Tree {
    let mut tree = Tree::with(policy, |it| it.directory = Some(Arc::new(ManyNames)));
    tree.run();
    tree
}

/// For SSH alone by one name, for anything by another.
const BY_NAME_AND_RANGE: &str = "jump = [{ host = \"inner-1\", port = 22 }]\n\
     local_forward = [{ ip = \"10.0.0.0/24\", port = \"any\" }]\n";
const BY_RANGE_AND_NAME: &str = "jump = [{ ip = \"10.0.0.0/24\", port = 22 }]\n\
     local_forward = [{ host = \"inner-1\", port = \"any\" }, { host = \"inner-1.\", port = \"any\" }]\n";

const OTHER_SPELLINGS: [(&str, &str); 7] = [
    (BY_NAME_AND_RANGE, ADDRESS),
    (BY_NAME_AND_RANGE, "::ffff:10.0.0.7"),
    (BY_NAME_AND_RANGE, "INNER-1"),
    (BY_RANGE_AND_NAME, "inner-1"),
    (BY_RANGE_AND_NAME, "Inner-1"),
    (BY_RANGE_AND_NAME, "inner-1."),
    (BY_RANGE_AND_NAME, "::ffff:a00:7"),
];

#[test]
fn nothing_but_ssh_passes_to_a_machine_that_is_for_ssh_alone_by_another_of_its_names() {
    for (grants, spelled) in OTHER_SPELLINGS {
        let mut tree = with_many_names(&policy(grants));
        tree.silent_level = Some(1);
        tree.open(0, spelled, 22);
        tree.pipe(0, Leg::Client, b"GET / HTTP/1.1\r\n\r\n");
        tree.pipe(0, Leg::Target, b"HTTP/1.1 200 OK\r\n\r\n");
        tree.pass(Duration::from_secs(2));
        assert_eq!(refusal_of(&tree.kinds(1)), Some(Refusal::ClientProtocol));
        assert_eq!(tree.levels[0].pipe.target.got, b"", "{spelled}");
        let got = String::from_utf8_lossy(&tree.levels[0].pipe.client.got).into_owned();
        assert!(!got.contains("HTTP"), "{spelled}: {got}");
        tree.finish();

        let mut tree = with_many_names(&policy(grants));
        tree.open(0, spelled, 22);
        tree.assert_in(2);
        let inside = tree.events.iter().find(|it| it.subject.parent.is_some());
        assert_eq!(inside.unwrap().subject.hostname, "inner-1", "{spelled}");
        tree.finish();
    }
}

#[test]
fn a_machine_that_is_denied_is_denied_by_every_name_before_anything_is_opened() {
    for (grants, spelled) in OTHER_SPELLINGS {
        let mut tree = with_many_names(&without_the_first(grants));
        tree.open(0, spelled, 22);
        let text = open_failure(&tree, 0);
        assert!(text.starts_with("access denied: "), "{spelled}: {text:?}");
        assert_eq!(refusal_of(&tree.kinds(1)), Some(Refusal::Policy));
        assert!(tree.levels[0].target.as_ref().unwrap().packets.is_empty());
        tree.finish();
    }
}

#[test]
fn names_that_only_a_resolver_takes_for_an_address_are_not_granted_with_it() {
    for spelled in [
        "167772167",
        "0x0a000007",
        "012.0.0.7",
        "10.7",
        "inner-1.",
        " inner-1",
        "inner-1\0",
        "10.0.0.7%lo",
    ] {
        let mut tree = with_many_names(&policy(BY_NAME_AND_RANGE));
        tree.open(0, spelled, 22);
        let text = open_failure(&tree, 0);
        assert!(!text.is_empty(), "{spelled:?}");
        assert_eq!((tree.levels.len(), tree.ids.len()), (1, 1), "{spelled:?}");
        tree.finish();
    }
}

#[test]
fn a_machine_of_the_same_range_that_nobody_knows_takes_anything_but_ssh() {
    let mut tree = with_many_names(&policy(BY_NAME_AND_RANGE));
    tree.silent_level = Some(1);
    for (word, passes) in [(&b"GET /"[..], true), (b"SSH-2.0-test\r\n", false)] {
        tree.open(0, "10.0.0.8", 22);
        tree.pipe(0, Leg::Client, word);
        tree.run();
        assert_eq!(tree.levels[0].pipe.target.got == word, passes);
        if passes {
            forget_channel(&mut tree);
        }
    }
    assert_eq!(refusal_of(&tree.kinds(1)), Some(Refusal::UnknownTarget));
    tree.finish();
}

#[test]
fn a_server_that_says_lines_before_its_name_is_reached_by_a_jump_and_cut_on_a_forwarded_connection()
{
    for (grants, is_jump) in [(JUMPS, true), (FORWARDS, false)] {
        let mut tree = Tree::new(&policy(grants));
        tree.silent_level = Some(1);
        tree.run();
        tree.jump(0);
        tree.pipe(0, Leg::Target, b"welcome\r\nSSH-2.0-test\r\n");
        tree.run();
        tree.pipe(0, Leg::Client, b"SSH-2.0-test\r\n");
        tree.run();
        let got = String::from_utf8_lossy(&tree.levels[0].pipe.target.got).into_owned();
        assert_eq!(got.contains("Portreeve"), is_jump, "{got}");
        assert_eq!(tree.levels[0].pipe.client.has_eof, !is_jump);
        tree.finish();
        let refusals = tree.records(0).join("\n").matches("Refused").count();
        assert_eq!(refusals, usize::from(!is_jump));
    }
}
