//! The law of this house, one test or more for each of I1 to I10. I2 is checked besides in every simulated world, at
//! every output (`sim::World`).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

#[path = "sim/bench.rs"]
#[allow(dead_code, unreachable_pub, reason = "each test file uses its part")]
mod bench;
mod sim;

use std::fmt::Debug;
use std::time::Duration;

use proptest::prelude::*;
use proxy_core::{EventKind, Input, Leg};
use sim::packets as p;
use sim::{Setup, Step, World};

/// Logged in, with channel 0 of the person, number 7 at the target.
fn with_channel(setup: Setup) -> World {
    let mut world = World::logged_in(setup);
    world.person_sends(&p::open("session", 0, 1 << 30, &[]));
    world.target_sends(&p::confirm(0, 7));
    world
}

fn count(world: &World, wanted: fn(&EventKind) -> bool) -> usize {
    world
        .events()
        .into_iter()
        .filter(|event| wanted(event))
        .count()
}

#[test]
fn i1_nothing_reaches_the_target_before_the_decision() {
    let mut denied = World::new(Setup {
        email: "eve@example.com",
        ..Setup::default()
    });
    denied.run();
    assert!(
        !denied
            .steps
            .iter()
            .any(|step| matches!(step, Step::Connect | Step::Send(Leg::Target, _)))
    );

    let allowed = World::logged_in(Setup::default());
    let connect = allowed
        .steps
        .iter()
        .position(|step| *step == Step::Connect)
        .unwrap();
    let first = allowed
        .steps
        .iter()
        .position(|step| matches!(step, Step::Send(Leg::Target, _)))
        .unwrap();
    assert!(connect < first);
}

#[test]
fn i1_no_channel_opens_before_the_user_was_allowed() {
    let mut world = World::new(Setup {
        user: "root",
        ..Setup::default()
    });
    world.run();
    world.person_sends(&p::open("session", 0, 1000, &[]));
    assert!(world.target.as_ref().unwrap().packets.is_empty());
    assert!(world.target.as_ref().unwrap().attempts.is_empty());
}

#[test]
fn i2_every_packet_that_passed_is_in_the_log_that_was_written() {
    let mut world = with_channel(Setup {
        read_at_most: 700,
        ..Setup::default()
    });
    for round in 0..50_u8 {
        world.person_sends(&p::data(7, &[round; 333]));
        world.target_sends(&p::data(0, &[!round; 4444]));
    }
    assert_eq!(world.passed.client.len(), 50 * 333);
    assert_eq!(world.passed.target.len(), 50 * 4444);
}

#[test]
fn i3_a_log_that_fails_at_any_page_lets_nothing_more_pass_and_says_so() {
    for page in 0..16 {
        let mut world = World::new(Setup {
            log_fails_at: Some(page),
            ..Setup::default()
        });
        world.run();
        world.person_sends(&p::open("session", 0, 1 << 20, &[]));
        world.target_sends(&p::confirm(0, 7));
        for round in 0..20_u8 {
            world.person_sends(&p::data(7, &[round; 10]));
            world.target_sends(&p::data(0, &[round; 10]));
        }
        world.finish();
        let failed = world
            .steps
            .iter()
            .filter(|step| matches!(step, Step::Log(_)))
            .count()
            - 1;
        assert_eq!(failed, page, "nothing is logged after a failure");
        // Whatever passed was recorded; what was recorded last never passed.
        assert_eq!(world.recorded.client, world.passed.client);
        assert_eq!(world.recorded.target, world.passed.target);
        let told =
            world.person.goodbye.clone().unwrap_or_default() + &world.person.banners.concat();
        assert!(told.contains("record"), "page {page}: {told:?}");
        assert!(world.session.is_over());
    }
}

#[test]
fn i4_a_certificate_is_narrow() {
    let certificates: Vec<_> = [[1; 32], [2; 32]]
        .into_iter()
        .map(|seed| {
            World::logged_in(Setup {
                seed,
                ..Setup::default()
            })
        })
        .map(|world| {
            (
                world.certificate_seen_by_target().unwrap(),
                world.ca_public(),
            )
        })
        .collect();
    for (blob, authority) in &certificates {
        let unverified = sshcert::Unverified::parse(blob).unwrap();
        assert_eq!(unverified.principals(), ["deploy"]);
        let now = sim::START_UNIX.as_secs();
        assert_eq!(
            (unverified.valid_after(), unverified.valid_before()),
            (now - 60, now + 180)
        );
        assert!(
            unverified.key_id().contains("ada@example.com"),
            "{}",
            unverified.key_id()
        );
        let extensions: Vec<&str> = unverified
            .extensions()
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(extensions, ["permit-pty"]);
        let context = sshcert::CheckContext::new("deploy", sim::START_UNIX);
        sshcert::check_user_certificate(blob, std::slice::from_ref(authority), &context).unwrap();
        let other = sshcert::CheckContext::new("root", sim::START_UNIX);
        assert!(
            sshcert::check_user_certificate(blob, std::slice::from_ref(authority), &other).is_err()
        );
    }
    let keys: Vec<_> = certificates
        .iter()
        .map(|(blob, _)| sshcert::Unverified::parse(blob).unwrap().subject().clone())
        .collect();
    assert_ne!(keys[0], keys[1], "each session has a key of its own");
}

#[test]
fn i4_the_client_never_sees_the_certificate_or_its_key() {
    let world = with_channel(Setup::default());
    let certificate = world.certificate_seen_by_target().unwrap();
    let subject = sshcert::Unverified::parse(&certificate)
        .unwrap()
        .subject()
        .to_bytes()
        .unwrap();
    let key = &subject[subject.len() - 32..];
    // What the client decrypted, what it was shown, and what went over its wire.
    let mut shown: Vec<Vec<u8>> = world.person.packets.clone();
    shown.extend(world.person.host_keys.clone());
    shown.extend(
        world
            .person
            .banners
            .iter()
            .map(|text| text.clone().into_bytes()),
    );
    shown.extend(world.steps.iter().filter_map(|step| match step {
        Step::Send(Leg::Client, bytes) => Some(bytes.clone()),
        _ => None,
    }));
    assert!(shown.len() > 5);
    for bytes in shown {
        assert!(!bytes.windows(key.len()).any(|window| window == key));
    }
}

#[test]
fn i5_the_clients_host_key_is_a_function_of_account_secret_and_target_key() {
    let shown = |setup: Setup| World::logged_in(setup).person.host_keys[0].clone();
    let first = shown(Setup::default());
    let another_day = Setup {
        seed: [42; 32],
        read_at_most: 17,
        ..Setup::default()
    };
    assert_eq!(shown(another_day), first);
    assert_ne!(
        shown(Setup {
            target_key: [4; 32],
            ..Setup::default()
        }),
        first
    );
    assert_ne!(
        shown(Setup {
            account_secret: [4; 32],
            ..Setup::default()
        }),
        first
    );
    assert_ne!(
        sim::ed25519([3; 32]).public_key_blob(),
        first,
        "never the target's own key"
    );
}

#[test]
fn i7_a_client_that_does_not_read_stops_the_target_being_read() {
    let mut world = with_channel(Setup::default());
    world.stuck = Some(Leg::Client);
    let chunk = p::data(0, &[7; 30_000]);
    for _ in 0..200 {
        world.target_sends(&chunk);
    }
    assert!(world.session.read_buffer(Leg::Target).is_none());
    let ceiling = proxy_core::limits::MAX_BACKLOG_BYTES + 2 * ssh_transport::RECEIVE_BUFFER_BYTES;
    assert!(
        world.unwritten_bytes <= ceiling,
        "{} of {ceiling}",
        world.unwritten_bytes
    );
    // The other direction still flows.
    world.person_sends(&p::data(7, b"\x03"));
    assert_eq!(world.passed.client, b"\x03");
    // When the client reads again, so does the proxy.
    world.stuck = None;
    let unwritten = std::mem::take(&mut world.unwritten_bytes);
    world
        .session
        .handle(Input::Written(Leg::Client, unwritten), world.now);
    world.run();
    assert_eq!(world.passed.target.len(), 200 * 30_000);
}

#[test]
fn i7_a_client_that_asks_and_never_reads_the_answers_is_not_read_without_end() {
    let mut world = with_channel(Setup::default());
    world.stuck = Some(Leg::Client);
    let refused = p::open("direct-tcpip", 9, 1000, b"");
    for _ in 0..200_000 {
        world
            .person
            .ssh
            .send_packet(&refused, world.now.mono)
            .unwrap();
        if world.person.ssh.queued_bytes() > 100_000 {
            world.run();
            if world.session.read_buffer(Leg::Client).is_none() {
                break;
            }
        }
    }
    assert!(world.session.read_buffer(Leg::Client).is_none());
    let ceiling =
        proxy_core::limits::MAX_OWN_BACKLOG_BYTES + 3 * ssh_transport::RECEIVE_BUFFER_BYTES;
    assert!(
        world.unwritten_bytes <= ceiling,
        "{} of {ceiling}",
        world.unwritten_bytes
    );
    let told = world
        .steps
        .iter()
        .filter(|step| matches!(step, Step::Event(EventKind::Channel(_))))
        .count();
    assert!(told < 100, "{told} events");
}

#[test]
fn i8_equal_seeds_and_inputs_give_equal_outputs() {
    let run = || {
        let mut world = with_channel(Setup {
            read_at_most: 999,
            ..Setup::default()
        });
        world.person_sends(&p::request(7, "exec", true, &p::string(b"id")));
        world.target_sends(&p::data(0, &[1; 100_000]));
        world.pass(Duration::from_secs(40));
        world.finish();
        world.steps
    };
    assert_eq!(run(), run());
}

#[test]
fn i9_what_nobody_decided_about_is_refused_and_in_the_log() {
    let mut world = with_channel(Setup::default());
    world.target_got();
    world.person_got();
    world.person_sends(&p::open("direct-tcpip", 1, 1000, b"x"));
    world.person_sends(&p::request(7, "auth-agent-req@openssh.com", false, b""));
    world.person_sends(&p::global_request("tcpip-forward", true, b"x"));
    world.person_sends(&p::request(7, "made-up@example.com", true, b""));
    world.target_sends(&p::global_request("hostkeys-00@openssh.com", false, b"x"));
    assert!(world.target_got().is_empty());
    assert_eq!(
        world.person_got(),
        [
            p::open_failure(1, 1, "port forwarding is not granted"),
            p::extended_data(
                0,
                1,
                b"portreeve: this policy does not allow agent forwarding\r\n"
            ),
            p::request_failure(),
            p::failure(0),
        ]
    );
    for what in [
        "direct-tcpip",
        "auth-agent-req",
        "tcpip-forward",
        "made-up@example.com",
        "hostkeys-00",
    ] {
        assert!(
            world
                .records
                .iter()
                .any(|record| record.contains("Refused") && record.contains(what)),
            "{what} is not in the log: {:?}",
            world.records
        );
    }
}

/// Whether a type can be printed at all, told at compile time.
trait CannotBePrinted {
    const PRINTABLE: bool = false;
}
impl<T: ?Sized> CannotBePrinted for T {}
struct Type<T: ?Sized>(std::marker::PhantomData<T>);
impl<T: ?Sized + Debug> Type<T> {
    const PRINTABLE: bool = true;
}

#[test]
fn i10_what_holds_secrets_has_no_textual_form() {
    const { assert!(!Type::<proxy_core::Session>::PRINTABLE) };
    const { assert!(!Type::<proxy_core::Gateway>::PRINTABLE) };
    const { assert!(!Type::<proxy_core::Ca>::PRINTABLE) };
    const { assert!(Type::<proxy_core::Leg>::PRINTABLE, "the check can tell") };
}

#[test]
fn i10_what_can_be_printed_of_a_key_is_not_the_secret() {
    let seed = *b"a seed whose bytes are ASCII 012";
    let private = ssh_key::PrivateKey::from(ssh_key::private::Ed25519Keypair::from_seed(&seed));
    let account_secret = hostkey_derive::AccountSecret::from_bytes(&seed).unwrap();
    let target_key = sim::ed25519([3; 32]).public_key_blob();
    let texts = [
        format!("{:?}", sshcert::CaKey::from_private_key(private).unwrap()),
        format!("{:?}", session_log::SigningIdentity::from_seed(seed)),
        format!("{:?}", sim::ed25519(seed)),
        format!("{:?}", sim::recipient()),
        format!(
            "{:?}",
            hostkey_derive::derive(
                &account_secret,
                &target_key,
                hostkey_derive::Algorithm::Ed25519
            )
            .unwrap()
        ),
        format!("{account_secret:?}"),
    ];
    let hex: String = seed.iter().map(|byte| format!("{byte:02x}")).collect();
    let decimal = format!("{:?}", &seed[..4]);
    for text in texts {
        assert!(!text.contains("a seed whose"), "{text}");
        assert!(!text.to_lowercase().contains(&hex[..16]), "{text}");
        assert!(!text.contains(decimal.trim_matches(['[', ']'])), "{text}");
    }
}

#[test]
fn i10_a_relay_prints_nothing_of_what_passes() {
    let secret = b"typed by the person";
    let mut bench = bench::Bench::with_channel("permit = [\"exec\", \"agent_forwarding\"]");
    let lend = p::request(7, "auth-agent-req@openssh.com", false, b"");
    bench.ok(Leg::Client, &lend);
    let exec = p::request(7, "exec", true, &p::string(secret));
    bench.ok(Leg::Client, &exec);
    bench.ok(Leg::Client, &p::data(7, secret));
    // A question to the agent waits for its window, and the beginning of another for the rest.
    bench.ok(
        Leg::Target,
        &p::open("auth-agent@openssh.com", 3, 100_000, b""),
    );
    bench.ok(Leg::Client, &p::confirm_sized(3, 5, (0, 32_768)));
    let body = [&[13][..], &p::string(secret), &p::string(secret), &[0; 4]].concat();
    let question = p::string(&body);
    bench.ok(Leg::Target, &p::data(5, &question));
    bench.ok(Leg::Target, &p::data(5, &question[..50]));
    assert_eq!(
        bench.relay.last_command().map(|it| &it.text[..]),
        Some(&secret[..])
    );
    let text = format!("{:?}", bench.relay);
    assert!(text.contains("channels: 2"), "{text}");
    let numbers = format!("{:?}", &secret[..4]);
    assert!(!text.contains("typed"), "{text}");
    assert!(!text.contains(numbers.trim_matches(['[', ']'])), "{text}");
}

#[derive(Debug, Clone)]
enum Op {
    PersonData(Vec<u8>),
    TargetData(Vec<u8>),
    PersonOpens(u32),
    TargetConfirms(u32),
    PersonRekeys,
    TargetRekeys,
    Closed(Leg),
    Garbage(Leg, Vec<u8>),
    Shutdown,
    Pass(u16),
    StrayAnswers,
}

fn any_op() -> impl Strategy<Value = Op> {
    let bytes = proptest::collection::vec(any::<u8>(), 1..200);
    let leg = prop_oneof![Just(Leg::Client), Just(Leg::Target)];
    prop_oneof![
        8 => bytes.clone().prop_map(Op::PersonData),
        8 => bytes.clone().prop_map(Op::TargetData),
        2 => (0..3_u32).prop_map(Op::PersonOpens),
        2 => (0..3_u32).prop_map(Op::TargetConfirms),
        1 => Just(Op::PersonRekeys),
        1 => Just(Op::TargetRekeys),
        1 => leg.clone().prop_map(Op::Closed),
        1 => (leg, bytes).prop_map(|(leg, bytes)| Op::Garbage(leg, bytes)),
        1 => Just(Op::Shutdown),
        2 => any::<u16>().prop_map(Op::Pass),
        1 => Just(Op::StrayAnswers),
    ]
}

fn act(world: &mut World, op: Op) {
    match op {
        Op::PersonData(bytes) => world.person_sends(&p::data(7, &bytes)),
        Op::TargetData(bytes) => world.target_sends(&p::data(0, &bytes)),
        Op::PersonOpens(id) => world.person_sends(&p::open("session", id, 1 << 20, &[])),
        Op::TargetConfirms(id) => world.target_sends(&p::confirm(id, id + 7)),
        Op::PersonRekeys => {
            world.person.ssh.start_rekey(world.now.mono);
            world.run();
        }
        Op::TargetRekeys => {
            if let Some(target) = &mut world.target {
                target.ssh.start_rekey(world.now.mono);
            }
            world.run();
        }
        Op::Closed(leg) => world.peer_closes(leg),
        Op::Garbage(leg, bytes) => world.garbage(leg, &bytes),
        Op::Shutdown => {
            world.session.handle(Input::Shutdown, world.now);
            world.run();
        }
        Op::Pass(millis) => world.pass(Duration::from_millis(u64::from(millis) * 10)),
        Op::StrayAnswers => {
            world.session.handle(Input::TargetConnected, world.now);
            world.session.handle(
                Input::Signed(world.session.id(), b"nobody asked"),
                world.now,
            );
            world
                .session
                .handle(Input::SigningFailed(world.session.id()), world.now);
            world.run();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens, in whatever order: one start or one denial, one end for each start, no panic, an end at last,
    /// and (in `sim`) nothing passed that was not recorded.
    #[test]
    fn i6_one_start_one_end(
        ops in proptest::collection::vec(any_op(), 0..40),
        log_fails_at in proptest::option::weighted(0.3, 0..20_usize),
        trusted in proptest::bool::weighted(0.9),
        user in prop_oneof![9 => Just("deploy"), 1 => Just("root")],
        read_at_most in prop_oneof![Just(usize::MAX), 1..2000_usize],
        start_early in any::<bool>(),
    ) {
        let setup = Setup { log_fails_at, target_trusts_ca: trusted, user, read_at_most, ..Setup::default() };
        let mut world = World::new(setup);
        if !start_early {
            world.run();
        }
        for op in ops {
            act(&mut world, op);
        }
        world.finish();
        prop_assert!(world.session.is_over());
        let denied = count(&world, |event| matches!(event, EventKind::AccessDenied { .. }));
        let started = count(&world, |event| matches!(event, EventKind::SessionStart { .. }));
        let ended = count(&world, |event| matches!(event, EventKind::SessionEnd { .. }));
        prop_assert_eq!(denied + started, 1, "{:?}", world.events());
        prop_assert_eq!(started, ended, "{:?}", world.events());
    }
}
