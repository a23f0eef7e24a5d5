//! Two hostile peers on either side of the relay.
//!
//! - A record stands before every packet that passes, but flow control.
//! - What passes is the packet in hand, to the other side, and never from a packet that broke the rules.
//! - Answers to one side's global requests come in the order of its requests, and none of them is the relay's in place of the other side's,
//!   but for a success that says what nobody asked for.
//! - The relay's own packets are answers, refusals and closings, no longer than what was asked.

use std::collections::VecDeque;
use std::time::Duration;

use policy::{Decision, Device, Grant, Identity, Network, PolicySet, Request, Target, decide};
use proxy_core::relay::{Outlet, Relay};
use proxy_core::{ChannelEvent, Leg, PerLeg};
use session_log::Record;

use crate::input::Input;
use crate::keyed::string;

/// Most packets of one run.
const MAX_PACKETS: usize = 256;
/// Longest packet of the relay's own: a refusal with its text.
const MAX_OWN_PACKET_BYTES: usize = 2_048;

const GLOBAL_REQUEST: u8 = 80;
const REQUEST_SUCCESS: u8 = 81;
const REQUEST_FAILURE: u8 = 82;
const WINDOW_ADJUST: u8 = 93;

enum Out {
    Record,
    Pass,
    Send(Leg, Vec<u8>),
}

#[derive(Default)]
struct Sink(Vec<Out>);

impl Outlet for Sink {
    fn record(&mut self, _channel: u32, _record: &Record<'_>) {
        self.0.push(Out::Record);
    }
    fn pass(&mut self) {
        self.0.push(Out::Pass);
    }
    fn send(&mut self, to: Leg, payload: Vec<u8>) {
        self.0.push(Out::Send(to, payload));
    }
    fn event(&mut self, _event: ChannelEvent) {}
}

/// Relays the packets that `data` makes.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut relay = Relay::new(&grant(input.byte()));
    let mut now = Duration::ZERO;
    // By who asked: whether the other side owes the answer, or the relay.
    let mut owed: PerLeg<VecDeque<bool>> = PerLeg::default();
    for _ in 0..MAX_PACKETS {
        if input.is_over() {
            break;
        }
        let choice = input.byte();
        let from = if choice & 1 == 0 {
            Leg::Client
        } else {
            Leg::Target
        };
        now += Duration::from_millis(u64::from(choice >> 6) * 30);
        let mut sink = Sink::default();
        if choice & 2 == 2 {
            relay.handle_timeout(now, &mut sink);
        }
        let packet = any_packet(&mut input);
        let result = relay.handle_packet(from, &packet, now, &mut sink);
        check(from, &packet, result.is_ok(), &sink.0, &mut owed);
        if result.is_err() {
            break;
        }
    }
    let mut sink = Sink::default();
    relay.notify_all("goodbye", &mut sink);
    relay.handle_timeout(Duration::MAX, &mut sink);
}

fn check(from: Leg, packet: &[u8], is_ok: bool, out: &[Out], owed: &mut PerLeg<VecDeque<bool>>) {
    let number = packet.first().copied().unwrap_or_default();
    let passed = out.iter().position(|out| matches!(out, Out::Pass));
    let recorded = out.iter().position(|out| matches!(out, Out::Record));
    assert!(
        out.iter().filter(|out| matches!(out, Out::Pass)).count() <= 1,
        "passed twice"
    );
    if let Some(passed) = passed {
        assert!(is_ok, "a broken packet passed");
        assert!(
            number == WINDOW_ADJUST || recorded.is_some_and(|at| at < passed),
            "passed before it was recorded"
        );
    }
    if number == GLOBAL_REQUEST && is_ok && wants_reply(packet) {
        owed[from].push_back(passed.is_some());
    }
    // A success that says what nobody asked for is a failure to who asked.
    let mut may_replace = number == REQUEST_SUCCESS && is_ok && passed.is_none();
    for out in out {
        match out {
            Out::Pass if matches!(number, REQUEST_SUCCESS | REQUEST_FAILURE) => {
                assert_eq!(
                    owed[from.other()].pop_front(),
                    Some(true),
                    "an answer out of turn"
                );
            }
            Out::Send(to, payload) => {
                assert!(
                    payload.len() <= MAX_OWN_PACKET_BYTES.max(packet.len()),
                    "a long packet of its own"
                );
                if payload[0] == REQUEST_FAILURE {
                    let owes_other = owed[*to].pop_front().expect("a refusal of nothing");
                    let replaces = *to != from && std::mem::take(&mut may_replace);
                    assert!(!owes_other || replaces, "a refusal out of turn");
                }
            }
            _ => {}
        }
    }
}

/// Of a global request that was taken: the flag behind its name.
fn wants_reply(packet: &[u8]) -> bool {
    let len = u32::from_be_bytes(packet[1..5].try_into().expect("4 bytes")) as usize;
    packet[5 + len] != 0
}

fn grant(choice: u8) -> Grant {
    let body = match choice % 6 {
        0 => "",
        1 => "permit = [\"exec\"]",
        2 => "max_channels = 1",
        4 => {
            "local_forward = [{ host = \"h\", port = \"any\" }]\nremote_forward = [{ host = \"h\", port = \"any\" }]"
        }
        3 => "commands = { allow = [\"*\"], deny = [\"a*\"] }\nsubsystems = []",
        _ => "permit = [\"shell\", \"pty\", \"exec\"]\nmax_channels = 3",
    };
    let text = format!(
        "[[application]]\nname = \"a\"\ntarget = {{ include = [{{ hostname = \"h\" }}] }}\n[[application.policy]]\n\
         name = \"p\"\naction = \"allow\"\ninclude = [{{ everyone = true }}]\nusernames = [\"u\"]\n{body}"
    );
    let set = PolicySet::from_toml(&text).expect("it is well-formed");
    let request = Request {
        identity: &Identity {
            email: Some("a@example.com".into()),
            ..Identity::default()
        },
        device: &Device::default(),
        network: &Network::default(),
        target: &Target {
            hostname: "h".into(),
            port: 22,
            ..Target::default()
        },
        user: Some("u"),
        now: Duration::ZERO,
    };
    match decide(&set, &request) {
        Decision::Allow(grant) => grant,
        Decision::Deny(_) => unreachable!("everyone may be `u` there"),
    }
}

/// Packets that are almost right, so that they reach deep, and some that are anything.
pub(crate) fn any_packet(input: &mut Input<'_>) -> Vec<u8> {
    const REQUESTS: [&str; 12] = [
        "shell",
        "exec",
        "pty-req",
        "env",
        "subsystem",
        "window-change",
        "signal",
        "exit-status",
        "exit-signal",
        "eow@openssh.com",
        "auth-agent-req@openssh.com",
        "x",
    ];
    const GLOBAL_REQUESTS: [&str; 5] = [
        "keepalive@openssh.com",
        "no-more-sessions@openssh.com",
        "hostkeys-00@openssh.com",
        "tcpip-forward",
        "x",
    ];
    let kind = input.byte();
    let id = u32::from(input.byte() % 4).to_be_bytes();
    let other = u32::from(input.word()).to_be_bytes();
    let window = [id, other, 32_768_u32.to_be_bytes()].concat();
    let flag = [input.byte() & 1];
    let len = usize::from(input.byte());
    let bytes = input.bytes(len);
    let parts: [&[u8]; 4] = match kind % 16 {
        0 => {
            let name = GLOBAL_REQUESTS[usize::from(id[3] ^ other[3]) % GLOBAL_REQUESTS.len()];
            let listen = [&string(b"h")[..], &[0, 0, 0, id[3] & 1]].concat();
            let data = if name == "tcpip-forward" {
                &listen
            } else {
                bytes
            };
            return [&[80], &string(name.as_bytes())[..], &flag, data].concat();
        }
        1 => [&[81], bytes, b"", b""],
        2 => [&[82], b"", b"", b""],
        3 => return [&[90], &string(b"session")[..], &window].concat(),
        4 => {
            let kind: &[u8] = if id[3] & 1 == 0 {
                b"direct-tcpip"
            } else {
                b"forwarded-tcpip"
            };
            let port = [0, 0, 0, id[3] & 1];
            let place = [&string(b"h")[..], &port, &string(bytes), &port].concat();
            return [&[90], &string(kind)[..], &window, &place].concat();
        }
        5 => [
            &[91],
            &id,
            &[0, 0, 0, other[3] % 4],
            &[0, 0, 9, 9, 0, 0, 128, 0],
        ],
        6 => return [&[92], &id[..], &other, &string(bytes), &string(b"")].concat(),
        7 => [&[93], &id, &other, b""],
        8 => return [&[94], &id[..], &string(bytes)].concat(),
        9 => return [&[95], &id[..], &[0, 0, 0, flag[0] + 1], &string(bytes)].concat(),
        10 => [&[96], &id, b"", b""],
        11 => [&[97], &id, b"", b""],
        12 => [&[99], &id, b"", b""],
        13 => [&[100], &id, b"", b""],
        14 => {
            let name = REQUESTS[usize::from(other[3]) % REQUESTS.len()];
            // Most requests begin with a string.
            let data = if other[2] & 1 == 0 {
                string(bytes)
            } else {
                bytes.to_vec()
            };
            return [&[98], &id[..], &string(name.as_bytes()), &flag, &data].concat();
        }
        _ => [bytes, b"", b"", b""],
    };
    parts.concat()
}
