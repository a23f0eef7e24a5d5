//! The relay on a bench: packets in, packets and records out.

use std::time::Duration;

use policy::{Decision, Device, Grant, Identity, Network, PolicySet, Request, Target, decide};
use proxy_core::relay::{Outlet, Relay};
use proxy_core::{ChannelEvent, Leg, Limits, RelayError};
use session_log::Record;

use crate::p;

/// What came out, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Out {
    Record(String),
    Pass(Leg, Vec<u8>),
    Send(Leg, Vec<u8>),
}

pub struct Bench {
    pub relay: Relay,
    pub out: Vec<Out>,
    pub events: Vec<ChannelEvent>,
    pub now: Duration,
}

struct Sink<'a> {
    bench: (&'a mut Vec<Out>, &'a mut Vec<ChannelEvent>),
    from: Leg,
    packet: &'a [u8],
}

impl Outlet for Sink<'_> {
    fn record(&mut self, channel: u32, record: &Record<'_>) {
        self.bench
            .0
            .push(Out::Record(format!("{channel} {record:?}")));
    }
    fn pass(&mut self) {
        self.bench
            .0
            .push(Out::Pass(self.from.other(), self.packet.to_vec()));
    }
    fn send(&mut self, to: Leg, payload: Vec<u8>) {
        self.bench.0.push(Out::Send(to, payload));
    }
    fn event(&mut self, event: ChannelEvent) {
        self.bench.1.push(event);
    }
}

/// What a policy grants with this body.
pub fn grant(body: &str) -> Grant {
    let text = format!(
        "[[application]]\nname = \"a\"\ntarget = {{ include = [{{ hostname = \"h\" }}] }}\n\
         [[application.policy]]\nname = \"p\"\naction = \"allow\"\ninclude = [{{ everyone = true }}]\nusernames = [\"u\"]\n{body}"
    );
    let set = PolicySet::from_toml(&text).unwrap();
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
    let Decision::Allow(grant) = decide(&set, &request) else {
        panic!("not allowed")
    };
    grant
}

impl Bench {
    pub fn new(policy_body: &str) -> Self {
        Self::within(policy_body, &Limits::default())
    }

    pub fn within(policy_body: &str, limits: &Limits) -> Self {
        let relay = Relay::with_limits(&grant(policy_body), limits);
        Self {
            relay,
            out: Vec::new(),
            events: Vec::new(),
            now: Duration::ZERO,
        }
    }

    /// With session channel 0 of the client, number 7 at the target, open.
    pub fn with_channel(policy_body: &str) -> Self {
        Self::new(policy_body).and_channel()
    }

    pub fn and_channel(mut self) -> Self {
        self.ok(Leg::Client, &p::open("session", 0, 100_000, &[]));
        self.ok(Leg::Target, &p::confirm(0, 7));
        self
    }

    pub fn hand(&mut self, from: Leg, packet: &[u8]) -> (Result<(), RelayError>, Vec<Out>) {
        self.out.clear();
        let mut sink = Sink {
            bench: (&mut self.out, &mut self.events),
            from,
            packet,
        };
        let result = self.relay.handle_packet(from, packet, self.now, &mut sink);
        (result, self.out.clone())
    }

    pub fn ok(&mut self, from: Leg, packet: &[u8]) -> Vec<Out> {
        let (result, out) = self.hand(from, packet);
        assert_eq!(result, Ok(()), "{packet:?}");
        out
    }

    pub fn timeout(&mut self, now: Duration) -> Vec<Out> {
        self.out.clear();
        let mut sink = Sink {
            bench: (&mut self.out, &mut self.events),
            from: Leg::Target,
            packet: &[],
        };
        self.relay.handle_timeout(now, &mut sink);
        self.out.clone()
    }

    pub fn notify_all(&mut self, text: &str) -> Vec<Out> {
        self.out.clear();
        let mut sink = Sink {
            bench: (&mut self.out, &mut self.events),
            from: Leg::Target,
            packet: &[],
        };
        self.relay.notify_all(text, &mut sink);
        self.out.clone()
    }

    /// The session ends.
    pub fn end(&mut self) -> Vec<Out> {
        self.out.clear();
        let mut sink = Sink {
            bench: (&mut self.out, &mut self.events),
            from: Leg::Target,
            packet: &[],
        };
        self.relay.end(&mut sink);
        self.out.clone()
    }

    pub fn packets(&mut self, from: Leg, packet: &[u8]) -> Vec<Out> {
        self.ok(from, packet)
            .into_iter()
            .filter(|out| !matches!(out, Out::Record(_)))
            .collect()
    }
}

pub fn is_refusal(out: &[Out]) -> bool {
    out.iter()
        .any(|out| matches!(out, Out::Record(text) if text.contains("Refused")))
        && !out.iter().any(|out| matches!(out, Out::Pass(..)))
}

/// What the person reads on the channel's stderr.
pub fn told(out: &[Out]) -> String {
    let texts = out.iter().filter_map(|out| match out {
        Out::Send(Leg::Client, packet) if packet[0] == 95 => Some(&packet[13..]),
        _ => None,
    });
    texts.map(String::from_utf8_lossy).collect()
}

/// What was written down, a record a line.
pub fn records(out: &[Out]) -> String {
    let texts = out.iter().filter_map(|out| match out {
        Out::Record(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("\n")
}
