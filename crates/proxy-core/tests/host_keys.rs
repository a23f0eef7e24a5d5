//! The target's whole identity through the proxy: announcements, proofs, rotation.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod sim;

use std::time::Duration;

use hostkey_derive::{AccountSecret, Algorithm, Pin, Pins, derive};
use proxy_core::{ChannelEvent, EndReason, EventKind, Leg};
use sim::packets as p;
use sim::{Setup, World, ed25519};
use ssh_transport::hostkeys;

const SECRET: [u8; 32] = [2; 32];
const OLDER_SECRET: [u8; 32] = [22; 32];
/// The key that the target shows in its key exchange, and another one that it has.
const SHOWN: [u8; 32] = [3; 32];
const OTHER: [u8; 32] = [33; 32];
const HOUR: Duration = Duration::from_secs(3600);

fn blob(seed: [u8; 32]) -> Vec<u8> {
    ed25519(seed).public_key_blob()
}

fn announcement(blobs: &[Vec<u8>]) -> Vec<u8> {
    let blobs: Vec<&[u8]> = blobs.iter().map(Vec::as_slice).collect();
    hostkeys::announcement(&blobs)
}

fn prove_request(blobs: &[Vec<u8>]) -> Vec<u8> {
    let blobs: Vec<&[u8]> = blobs.iter().map(Vec::as_slice).collect();
    hostkeys::prove_request(&blobs)
}

/// What the target answers when it has these keys, or says that it has.
fn proofs_of(world: &World, claimed: &[[u8; 32]], signers: &[[u8; 32]]) -> Vec<u8> {
    let session_id = &world.target.as_ref().unwrap().session_id;
    let signatures: Vec<Vec<u8>> = claimed
        .iter()
        .zip(signers)
        .map(|(key, signer)| ed25519(*signer).sign(&hostkeys::prove_data(session_id, &blob(*key))))
        .collect();
    let blobs: Vec<&[u8]> = signatures.iter().map(Vec::as_slice).collect();
    hostkeys::proofs(&blobs)
}

/// The keys that stand for these target keys, by the specification.
fn derived(target_keys: &[[u8; 32]], secrets: &[[u8; 32]]) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    for target_key in target_keys {
        for secret in secrets {
            let secret = AccountSecret::from_bytes(secret).unwrap();
            for algorithm in [Algorithm::Ed25519, Algorithm::EcdsaP256] {
                let key = derive(&secret, &blob(*target_key), algorithm).unwrap();
                keys.push(key.public_key_blob().to_vec());
            }
        }
    }
    keys
}

/// A session whose target has announced and proven a second key.
fn with_two_keys(setup: Setup) -> World {
    let mut world = World::logged_in(setup);
    world.target_sends(&announcement(&[blob(SHOWN), blob(OTHER)]));
    assert_eq!(world.target_got(), [prove_request(&[blob(OTHER)])]);
    let proofs = proofs_of(&world, &[OTHER], &[OTHER]);
    world.target_sends(&proofs);
    world
}

fn refused(world: &World, wanted: &str) -> Vec<&'static str> {
    world
        .events()
        .into_iter()
        .filter_map(|event| match event {
            EventKind::Channel(ChannelEvent::Refused { what, why, .. }) if what == wanted => {
                Some(*why)
            }
            _ => None,
        })
        .collect()
}

fn goes_on(world: &mut World) {
    world.target_got();
    let keepalive = p::global_request("keepalive@openssh.com", true, b"");
    world.person_sends(&keepalive);
    assert_eq!(world.target_got(), [keepalive]);
    world.target_sends(&p::request_failure());
    assert_eq!(world.person_got(), [p::request_failure()]);
}

#[test]
fn every_key_that_the_target_proves_to_have_is_told_derived_and_proven_by_the_proxy() {
    let mut world = with_two_keys(Setup::default());
    let told = derived(&[SHOWN, OTHER], &[SECRET]);
    assert_eq!(world.person.announcements, [announcement(&told)]);
    assert!(told.contains(&world.person.host_keys[0]));

    world.person_sends(&prove_request(&told));
    let answer = world.person_got();
    let blobs: Vec<&[u8]> = told.iter().map(Vec::as_slice).collect();
    hostkeys::verify_proofs(&answer[0], &world.person.session_id, &blobs).unwrap();
    assert_eq!(answer.len(), 1);
    assert!(world.target_got().is_empty(), "the target was asked");
    assert!(
        world
            .events()
            .contains(&&EventKind::Channel(ChannelEvent::HostKeysProven {
                keys: 4
            }))
    );
    for what in [
        "hostkeys-00@openssh.com",
        "hostkeys-prove-00@openssh.com",
        "told to the client: SHA256:",
    ] {
        assert!(
            world.records.iter().any(|record| record.contains(what)),
            "{what} is not in the log: {:?}",
            world.records
        );
    }
    goes_on(&mut world);
}

#[test]
fn an_announcement_that_comes_with_the_login_waits_until_the_client_is_in() {
    for read_at_most in [1, 17, usize::MAX] {
        let mut world = World::logged_in(Setup {
            sent_at_login: vec![announcement(&[blob(SHOWN), blob(OTHER)])],
            read_at_most,
            ..Setup::default()
        });
        assert_eq!(world.target_got(), [prove_request(&[blob(OTHER)])]);
        assert!(world.person.announcements.is_empty(), "told before proof");
        let proofs = proofs_of(&world, &[OTHER], &[OTHER]);
        world.target_sends(&proofs);
        let told = derived(&[SHOWN, OTHER], &[SECRET]);
        assert_eq!(world.person.announcements, [announcement(&told)]);
        goes_on(&mut world);
    }
}

#[test]
fn a_target_with_one_key_or_without_announcements_has_nothing_to_prove() {
    let mut announcing = World::logged_in(Setup::default());
    announcing.target_sends(&announcement(&[blob(SHOWN), blob(SHOWN)]));
    let mut silent = World::logged_in(Setup::default());
    silent.person_sends(&p::open("session", 0, 100_000, b""));
    silent.target_got();
    assert!(silent.person.announcements.is_empty());
    silent.target_sends(&p::confirm(0, 7));
    for world in [&mut announcing, &mut silent] {
        assert!(world.target_got().is_empty());
        let told = derived(&[SHOWN], &[SECRET]);
        assert_eq!(world.person.announcements, [announcement(&told)]);
    }
    // It is too late to announce any.
    silent.target_sends(&announcement(&[blob(SHOWN), blob(OTHER)]));
    assert!(silent.target_got().is_empty());
    assert_eq!(silent.person.announcements.len(), 1);
    assert_eq!(refused(&silent, "hostkeys-00@openssh.com").len(), 1);
}

#[test]
fn proofs_are_bound_to_the_first_exchange_on_both_legs_after_a_rekey() {
    let mut world = World::logged_in(Setup::default());
    world.target_sends(&announcement(&[blob(SHOWN), blob(OTHER)]));
    let before = world.exchanges;
    world.person.ssh.start_rekey(world.now.mono);
    world
        .target
        .as_mut()
        .unwrap()
        .ssh
        .start_rekey(world.now.mono);
    world.run();
    assert_eq!(world.exchanges, before + 2);
    let proofs = proofs_of(&world, &[OTHER], &[OTHER]);
    world.target_sends(&proofs);
    let told = derived(&[SHOWN, OTHER], &[SECRET]);
    assert_eq!(world.person.announcements, [announcement(&told)]);
    world.person_sends(&prove_request(&told));
    let answer = world.person_got();
    let blobs: Vec<&[u8]> = told.iter().map(Vec::as_slice).collect();
    hostkeys::verify_proofs(&answer[0], &world.person.session_id, &blobs).unwrap();
}

#[test]
fn another_host_key_on_rekey_ends_the_session_and_nothing_passes_after() {
    let mut world = World::logged_in(Setup::default());
    world.person_sends(&p::open("session", 0, 1 << 20, &[]));
    world.target_sends(&p::confirm(0, 7));
    world.person_sends(&p::request(7, "shell", false, b""));
    world.target_got();
    world.person_got();
    let target = world.target.as_mut().unwrap();
    target.rekey_with(OTHER, world.now.mono);
    world.run();
    world.person_sends(&p::data(7, b"after"));
    world.target_sends(&p::data(0, b"after"));
    let ends = world.events().into_iter().filter_map(|it| match it {
        EventKind::SessionEnd {
            reason,
            log_complete,
            ..
        } => Some((*reason, *log_complete)),
        _ => None,
    });
    let ends: Vec<_> = ends.collect();
    assert_eq!(ends, [(EndReason::HostKeyChanged, true)]);
    let end = "0 End { reason: \"host_key_changed: the target showed another host key\" }";
    assert_eq!(world.records.last().map(String::as_str), Some(end));
    assert_eq!(world.target_got(), Vec::<Vec<u8>>::new());
    assert_eq!(world.person_got(), Vec::<Vec<u8>>::new());
    let goodbye = world.person.goodbye.as_deref().unwrap();
    assert!(goodbye.contains("another host key"), "{goodbye}");
    assert!(world.closed.contains(&Leg::Client) && world.closed.contains(&Leg::Target));
}

#[test]
fn a_rekey_with_the_same_host_key_is_no_change() {
    let mut world = World::logged_in(Setup::default());
    let target = world.target.as_mut().unwrap();
    target.rekey_with(SHOWN, world.now.mono);
    world.run();
    goes_on(&mut world);
}

#[test]
fn a_key_that_the_target_does_not_have_is_told_to_nobody() {
    let another_session = {
        let mut other = World::logged_in(Setup {
            seed: [77; 32],
            ..Setup::default()
        });
        other.target.as_mut().unwrap().session_id[0] ^= 1;
        proofs_of(&other, &[OTHER], &[OTHER])
    };
    let mine = World::logged_in(Setup::default());
    for forged in [
        proofs_of(&mine, &[OTHER], &[SHOWN]),
        another_session,
        p::request_failure(),
        p::request_success(),
        proofs_of(&mine, &[], &[]),
        proofs_of(&mine, &[OTHER, SHOWN], &[OTHER, SHOWN]),
    ] {
        let mut world = World::logged_in(Setup::default());
        world.target_sends(&announcement(&[blob(SHOWN), blob(OTHER)]));
        world.target_got();
        world.target_sends(&forged);
        // The key of the key exchange was proven there.
        let told = derived(&[SHOWN], &[SECRET]);
        assert_eq!(world.person.announcements, [announcement(&told)]);
        assert!(world.person_got().is_empty(), "the answer was passed on");
        assert_eq!(
            refused(&world, "hostkeys-00@openssh.com"),
            ["the target did not prove that it has all of them"]
        );
        world.person_sends(&prove_request(&derived(&[OTHER], &[SECRET])));
        assert_eq!(world.person_got(), [p::request_failure()]);
        world.person_sends(&prove_request(&told));
        assert_eq!(world.person_got()[0][0], 81);
        goes_on(&mut world);
    }
}

#[test]
fn a_key_that_cannot_be_proven_keeps_no_other_one_back() {
    // RSA of 1024 bits, which nobody takes a signature of any more.
    let mut modulus = vec![0xc1; 128];
    modulus[127] |= 1;
    modulus.insert(0, 0);
    let short_rsa = [
        p::string(b"ssh-rsa"),
        p::string(&[1, 0, 1]),
        p::string(&modulus),
    ]
    .concat();
    let mut world = World::logged_in(Setup::default());
    let announced = [short_rsa.clone(), blob(SHOWN), blob(OTHER)];
    world.target_sends(&announcement(&announced));
    assert_eq!(
        world.target_got(),
        [prove_request(&[short_rsa.clone(), blob(OTHER)])]
    );
    let session_id = world.target.as_ref().unwrap().session_id.clone();
    let by_sha_1 = [p::string(b"ssh-rsa"), p::string(&[7; 128])].concat();
    let by_other = ed25519(OTHER).sign(&hostkeys::prove_data(&session_id, &blob(OTHER)));
    world.target_sends(&hostkeys::proofs(&[&by_sha_1, &by_other]));
    let told = derived(&[SHOWN, OTHER], &[SECRET]);
    assert_eq!(world.person.announcements, [announcement(&told)]);
    assert_eq!(refused(&world, "hostkeys-00@openssh.com").len(), 1);
    goes_on(&mut world);
}

#[test]
fn the_proxy_answers_the_client_while_the_target_owes_it_proofs() {
    let mut world = World::logged_in(Setup::default());
    world.target_sends(&announcement(&[blob(SHOWN), blob(OTHER)]));
    let forward = p::global_request("tcpip-forward", true, &p::string(b"x"));
    world.person_sends(&forward);
    assert_eq!(world.person_got(), [p::request_failure()]);
    // Behind a question to the target, it waits for that one's answer, and for nothing else.
    let keepalive = p::global_request("keepalive@openssh.com", true, b"");
    world.person_sends(&keepalive);
    world.person_sends(&forward);
    assert!(world.person_got().is_empty());
    let proofs = proofs_of(&world, &[OTHER], &[OTHER]);
    world.target_sends(&proofs);
    assert_eq!(world.person.announcements.len(), 1);
    assert!(world.person_got().is_empty());
    world.target_sends(&p::request_success());
    assert_eq!(
        world.person_got(),
        [p::request_success(), p::request_failure()]
    );
}

#[test]
fn an_announcement_that_no_host_makes_is_ignored_and_recorded() {
    let many = |count: u8| -> Vec<Vec<u8>> { (100..100 + count).map(|n| blob([n; 32])).collect() };
    let cut = announcement(&[blob(SHOWN)]);
    for bad in [
        announcement(&many(65)),
        // Each of them becomes two.
        announcement(&many(40)),
        announcement(&[vec![0; ssh_transport::MAX_PUBLIC_KEY_BYTES + 1]]),
        cut[..cut.len() - 1].to_vec(),
    ] {
        let mut world = World::logged_in(Setup::default());
        world.target_sends(&bad);
        assert!(world.target_got().is_empty());
        assert!(world.person.announcements.is_empty());
        assert_eq!(refused(&world, "hostkeys-00@openssh.com").len(), 1);
        goes_on(&mut world);
        assert!(world.person.announcements.is_empty());
    }
}

#[test]
fn keys_of_which_nothing_can_be_proven_are_left_out() {
    let mut world = World::logged_in(Setup::default());
    let security_key = [
        p::string(b"sk-ssh-ed25519@openssh.com"),
        p::string(&[4; 32]),
        p::string(b"ssh:"),
    ]
    .concat();
    let unknown = [p::string(b"made-up@example.com"), p::string(b"x")].concat();
    world.target_sends(&announcement(&[
        blob(SHOWN),
        security_key,
        unknown,
        b"no key".to_vec(),
    ]));
    let told = derived(&[SHOWN], &[SECRET]);
    assert_eq!(world.person.announcements, [announcement(&told)]);
}

#[test]
fn a_pinned_target_has_the_pinned_keys_only() {
    let pins = Pins::new([
        Pin::from_blob(&blob(SHOWN)).unwrap(),
        Pin::from_blob(&blob(OTHER)).unwrap(),
    ]);
    let mut world = World::logged_in(Setup {
        host_keys: Some(pins.unwrap()),
        ..Setup::default()
    });
    world.target_sends(&announcement(&[blob([34; 32]), blob(OTHER), blob(SHOWN)]));
    assert_eq!(world.target_got(), [prove_request(&[blob(OTHER)])]);
}

#[test]
fn only_what_was_announced_is_proven_and_not_for_ever() {
    let mut world = with_two_keys(Setup::default());
    let told = derived(&[SHOWN, OTHER], &[SECRET]);
    for (asked, wants_reply) in [
        (Vec::new(), true),
        (vec![blob(SHOWN)], true),
        (vec![told[0].clone(), blob(OTHER)], true),
        (derived(&[SHOWN], &[OLDER_SECRET]), true),
        (vec![vec![0; ssh_transport::MAX_PUBLIC_KEY_BYTES + 1]], true),
        (told.clone(), false),
    ] {
        let mut request = prove_request(&asked);
        // number, length and name, then the wish for a reply
        request[1 + 4 + 29] = u8::from(wants_reply);
        world.person_sends(&request);
        let expected: &[Vec<u8>] = if wants_reply {
            &[p::request_failure()]
        } else {
            &[]
        };
        assert_eq!(world.person_got(), expected);
    }
    assert_eq!(refused(&world, "hostkeys-prove-00@openssh.com").len(), 6);
    for time in 0..6 {
        world.person_sends(&prove_request(&told));
        let is_refused = world.person_got() == [p::request_failure()];
        assert_eq!(is_refused, time >= 4, "request {time}");
    }
    assert!(world.target_got().is_empty());
    goes_on(&mut world);
}

#[test]
fn answers_come_in_the_order_of_the_questions_whoever_asked() {
    let mut world = World::logged_in(Setup::default());
    let keepalive = p::global_request("keepalive@openssh.com", true, b"");
    world.person_sends(&keepalive);
    world.target_sends(&announcement(&[blob(SHOWN), blob(OTHER)]));
    world.person_sends(&keepalive);
    let request = prove_request(&[blob(OTHER)]);
    assert_eq!(
        world.target_got(),
        [keepalive.clone(), request, keepalive.clone()]
    );
    world.target_sends(&p::request_success());
    assert_eq!(world.person_got(), [p::request_success()]);
    let proofs = proofs_of(&world, &[OTHER], &[OTHER]);
    world.target_sends(&proofs);
    assert!(world.person_got().is_empty());
    assert_eq!(world.person.announcements.len(), 1);
    // The client's own question stands behind its second sign of life.
    world.person_sends(&prove_request(&derived(&[OTHER], &[SECRET])));
    assert!(world.person_got().is_empty());
    world.target_sends(&p::request_failure());
    let got = world.person_got();
    assert_eq!(got.len(), 2);
    assert_eq!(got[0], p::request_failure());
    assert_eq!(got[1][0], 81);
}

#[test]
fn while_secrets_overlap_the_older_serves_and_the_keys_of_both_are_told() {
    let setup = || Setup {
        previous_secret: Some((OLDER_SECRET, HOUR)),
        ..Setup::default()
    };
    let world = with_two_keys(setup());
    let older = derived(&[SHOWN], &[OLDER_SECRET]);
    assert_eq!(world.person.host_keys[0], older[0]);
    let both = derived(&[SHOWN, OTHER], &[SECRET, OLDER_SECRET]);
    assert_eq!(world.person.announcements, [announcement(&both)]);

    let mut late = World::new(setup());
    late.now.unix += HOUR;
    late.run();
    assert_eq!(late.person.host_keys[0], derived(&[SHOWN], &[SECRET])[0]);
}

#[test]
fn i5_an_announced_key_is_a_function_of_account_secret_and_target_key() {
    let one = with_two_keys(Setup::default()).person.announcements;
    let other = with_two_keys(Setup {
        seed: [42; 32],
        email: "ada@example.com",
        read_at_most: 13,
        ..Setup::default()
    });
    assert_eq!(one, other.person.announcements);
}
