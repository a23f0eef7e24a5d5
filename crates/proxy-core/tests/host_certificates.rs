//! Host certificates: those that the proxy has signed for the client, and those that a target shows.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod sim;

use std::time::Duration;

use hostkey_derive::{AccountSecret, Algorithm, Pin, Pins, derive};
use proxy_core::{EventKind, Input, Leg, Refusal};
use sim::packets as p;
use sim::{Setup, Step, World, ed25519};
use ssh_transport::hostkeys;
use sshcert::CheckContext;

const SECRET: [u8; 32] = [2; 32];
/// The key that the target shows in its key exchange, and another one that it has.
const SHOWN: [u8; 32] = [3; 32];
const OTHER: [u8; 32] = [33; 32];
const HOUR: Duration = Duration::from_secs(3600);

fn blob(seed: [u8; 32]) -> Vec<u8> {
    ed25519(seed).public_key_blob()
}

/// The keys that stand for the target's, by the specification.
fn derived() -> Vec<Vec<u8>> {
    let secret = AccountSecret::from_bytes(&SECRET).unwrap();
    [Algorithm::Ed25519, Algorithm::EcdsaP256]
        .map(|algorithm| derive(&secret, &blob(SHOWN), algorithm).unwrap())
        .map(|key| key.public_key_blob().to_vec())
        .to_vec()
}

fn pins_of_shown() -> Pins {
    Pins::new([Pin::from_blob(&blob(SHOWN)).unwrap()]).unwrap()
}

#[test]
fn a_key_that_nothing_vouches_for_is_not_certified() {
    let world = World::logged_in(Setup {
        host_ca: true,
        ..Setup::default()
    });
    assert_eq!(world.person.host_keys, [derived()[0].clone()]);
}

#[test]
fn host_certificates_name_the_target_and_certify_the_derived_key() {
    for remote_ca in [false, true] {
        let world = World::logged_in(Setup {
            host_ca: true,
            remote_ca,
            host_keys: Some(pins_of_shown()),
            ..Setup::default()
        });
        let asked = world
            .steps
            .iter()
            .filter(|step| matches!(step, Step::SignCertificate))
            .count();
        assert_eq!(asked, if remote_ca { 3 } else { 0 });
        let shown = &world.person.host_keys[0];
        let ca = ssh_key::PublicKey::from_bytes(&blob(sim::HOST_CA_SEED)).unwrap();
        let ca = sshcert::CaPublicKey::from_public_key(&ca).unwrap();
        for (name, after, is_good) in [
            ("web-1", Duration::ZERO, true),
            ("t1", Duration::ZERO, true),
            ("web-2", Duration::ZERO, false),
            ("web-1", HOUR - Duration::from_secs(1), true),
            ("web-1", HOUR, false),
        ] {
            let context = CheckContext::new(name, world.now.unix + after);
            let checked =
                sshcert::check_host_certificate(shown, std::slice::from_ref(&ca), &context);
            assert_eq!(checked.is_ok(), is_good, "{name} after {after:?}");
        }
        let certified = hostkey_derive::TargetKey::from_blob(shown).unwrap();
        assert_eq!(certified.blob(), derived()[0]);
    }
}

#[test]
fn without_the_host_authority_nobody_gets_in() {
    let mut world = World::new(Setup {
        host_ca: true,
        remote_ca: true,
        signer_fails: true,
        host_keys: Some(pins_of_shown()),
        ..Setup::default()
    });
    world.run();
    assert_eq!(denial(&world), Some(Refusal::SigningFailed));
    assert!(world.person.host_keys.is_empty(), "a bare key was shown");
    assert!(world.closed.contains(&Leg::Client) && world.closed.contains(&Leg::Target));
    assert!(world.session.is_over());
}

fn denial(world: &World) -> Option<Refusal> {
    world.events().into_iter().find_map(|event| match event {
        EventKind::AccessDenied { reason, .. } => Some(*reason),
        _ => None,
    })
}

/// One whose host authority is elsewhere, and was asked.
fn waiting_for_the_authority() -> World {
    let mut world = World::new(Setup {
        host_ca: true,
        remote_ca: true,
        signer_is_silent: true,
        host_keys: Some(pins_of_shown()),
        ..Setup::default()
    });
    world.run();
    let asked = |step: &&Step| matches!(step, Step::SignCertificate);
    assert_eq!(world.steps.iter().filter(asked).count(), 1);
    assert!(world.person.host_keys.is_empty());
    world
}

#[test]
fn a_host_authority_that_says_nothing_is_waited_for_until_its_deadline() {
    let mut world = waiting_for_the_authority();
    world.pass(Duration::from_secs(29));
    assert_eq!(denial(&world), None);
    world.pass(Duration::from_secs(1));
    assert_eq!(denial(&world), Some(Refusal::SigningFailed));
    assert!(world.person.host_keys.is_empty(), "a bare key was shown");
    world.pass(Duration::from_secs(60));
    assert!(world.closed.contains(&Leg::Client) && world.closed.contains(&Leg::Target));
    assert!(world.session.is_over());
}

#[test]
fn who_leaves_while_the_host_authority_is_asked_is_not_waited_for() {
    for leg in [Leg::Client, Leg::Target] {
        let mut world = waiting_for_the_authority();
        world.peer_closes(leg);
        // The answer comes too late for anybody.
        world
            .session
            .handle(Input::Signed(world.session.id(), &[7; 83]), world.now);
        world.pass(Duration::from_secs(60));
        assert!(world.person.host_keys.is_empty(), "a bare key was shown");
        assert!(world.session.is_over(), "{leg:?} left");
    }
}

#[test]
fn a_target_that_only_an_authority_vouches_for_has_the_key_of_its_certificate_only() {
    let authority = ssh_key::private::Ed25519Keypair::from_seed(&[55; 32]);
    let authority = sshcert::CaKey::from_private_key(authority.into()).unwrap();
    let validity = sshcert::HostValidity::starting(
        World::new(Setup::default()).now.unix,
        HOUR,
        Duration::ZERO,
    )
    .unwrap();
    let prepared = sshcert::HostCertificate::new(
        ssh_key::PublicKey::from_bytes(&blob(SHOWN)).unwrap(),
        sshcert::Principals::one("web-1").unwrap(),
        validity,
    )
    .prepare(authority.public(), [6; 32])
    .unwrap();
    let mut world = World::logged_in(Setup {
        target_certificate: Some(authority.mint(prepared).unwrap().blob().to_vec()),
        host_authorities: vec![authority.public().clone()],
        ..Setup::default()
    });
    let announced = [blob(SHOWN), blob(OTHER)];
    let announced: Vec<&[u8]> = announced.iter().map(Vec::as_slice).collect();
    world.target_sends(&hostkeys::announcement(&announced));
    assert!(world.target_got().is_empty(), "proof was asked for");
    let told = derived();
    let told: Vec<&[u8]> = told.iter().map(Vec::as_slice).collect();
    assert_eq!(world.person.announcements, [hostkeys::announcement(&told)]);
    world.person_sends(&p::global_request("keepalive@openssh.com", true, b""));
    assert_eq!(world.target_got().len(), 1);
}
