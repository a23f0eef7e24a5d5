//! Our client and our server on a network that delays, cuts into pieces and breaks, under a virtual clock, with key exchanges of
//! either side by bytes, packets and time, and packets both ways. Each run is decided by its seed.
//!
//! - What arrives is a beginning of what was sent, in order; whatever was whole on the wire before it broke has arrived.
//! - When nothing breaks, all of it arrives.
//! - After a machine is closed it tells nothing, takes whatever it is given, and has no timer.
//! - What waits in a machine is bounded by what its caller lets in.
//! - Equal seeds give equal bytes on the wire.
//! - Every run ends.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail"
)]

mod common;
#[path = "simulation/network.rs"]
mod network;

use std::time::Duration;

use common::wire::Message;
use common::{ClientEnd, Login, START, ServerEnd, TestKey};
use network::{Link, Random};
use ssh_transport::{
    CipherAlgorithm, ClientConfig, DisconnectReason, Error, KexAlgorithm, RekeyPolicy, ServerConfig,
};

/// Runs of the test. `SIMULATION_SEED=n` makes it the one run of that seed.
const RUNS: u64 = 500;
/// Above this a side reads nothing more to send.
const HIGH_WATER_BYTES: usize = 64 * 1024;
/// Longest packet sent here, in bytes.
const MAX_SENT_BYTES: usize = 20_000;
/// What a machine may add by itself to what it was given: an exchange of keys, lengths, padding and tags.
const OWN_BYTES: usize = 8 * 1024;
/// More than any run needs.
const MAX_STEPS: usize = 200_000;

/// What the simulation does alike with a client and a server.
trait End {
    fn is_ready(&self) -> bool;
    fn send(&mut self, payload: &[u8], now: Duration) -> Result<(), Error>;
    fn start_rekey(&mut self, now: Duration);
    fn let_time_pass(&mut self, now: Duration);
    fn next_timeout(&self) -> Option<Duration>;
    fn queued_bytes(&self) -> usize;
    fn output(&mut self) -> Option<Vec<u8>>;
    fn is_exchanging(&self) -> bool;
    fn hear(&mut self, bytes: &[u8]) -> Result<(), Error>;
    fn hang_up(&mut self);
    /// How much it has told: packets, exchanges, goodbyes.
    fn told(&self) -> (usize, usize, bool);
}

macro_rules! end {
    ($type:ty) => {
        impl End for $type {
            fn is_ready(&self) -> bool {
                self.authenticated
            }
            fn send(&mut self, payload: &[u8], now: Duration) -> Result<(), Error> {
                self.machine.send_packet(payload, now)
            }
            fn start_rekey(&mut self, now: Duration) {
                self.machine.start_rekey(now);
            }
            fn let_time_pass(&mut self, now: Duration) {
                self.now = now;
                self.machine.handle_timeout(now).unwrap();
            }
            fn next_timeout(&self) -> Option<Duration> {
                self.machine.poll_timeout()
            }
            fn queued_bytes(&self) -> usize {
                self.machine.queued_bytes()
            }
            fn output(&mut self) -> Option<Vec<u8>> {
                self.machine.poll_output().map(|bytes| bytes.to_vec())
            }
            fn is_exchanging(&self) -> bool {
                self.machine.is_exchanging()
            }
            fn hear(&mut self, bytes: &[u8]) -> Result<(), Error> {
                self.feed(bytes)
            }
            fn hang_up(&mut self) {
                self.machine
                    .disconnect(DisconnectReason::ByApplication, "over");
            }
            fn told(&self) -> (usize, usize, bool) {
                (
                    self.received.len(),
                    self.exchanges.len(),
                    self.goodbye.is_some(),
                )
            }
        }
    };
}
end!(ClientEnd);
end!(ServerEnd);

/// What one side wants to send and has sent.
struct Sender {
    left: u64,
    next: Duration,
    sent: Vec<Vec<u8>>,
    /// How many packets are whole on the wire once so many bytes are.
    marks: Vec<(u64, usize)>,
}

impl Sender {
    fn new(left: u64) -> Self {
        Self {
            left,
            next: START,
            sent: Vec::new(),
            marks: Vec::new(),
        }
    }

    /// Packets that were whole within the first bytes of the wire.
    fn whole_within(&self, bytes: u64) -> usize {
        let marks = self.marks.iter().take_while(|(end, _)| *end <= bytes);
        marks.last().map_or(0, |(_, count)| *count)
    }

    fn act(&mut self, end: &mut impl End, link: &mut Link, random: &mut Random, now: Duration) {
        while end.is_ready()
            && self.left > 0
            && self.next <= now
            && end.queued_bytes() < HIGH_WATER_BYTES
        {
            let payload = packet(
                self.sent.len(),
                random.below(MAX_SENT_BYTES as u64) as usize,
            );
            end.send(&payload, now).unwrap();
            self.sent.push(payload);
            self.left -= 1;
            if random.one_in(3) {
                self.next = now + Duration::from_millis(random.below(5_000));
            }
        }
        if random.one_in(50) {
            end.start_rekey(now);
        }
        end.let_time_pass(now);
        let queued = end.queued_bytes();
        assert!(
            queued <= HIGH_WATER_BYTES + MAX_SENT_BYTES + OWN_BYTES,
            "{queued} bytes wait"
        );
        // Now and then a driver is slow to take what is ready.
        if random.one_in(4) {
            return;
        }
        if let Some(bytes) = end.output() {
            link.put(&bytes, now, random);
        }
        if end.queued_bytes() == 0 {
            self.marks.push((link.sent_bytes(), self.sent.len()));
        }
    }

    fn check(&self, received: &[Vec<u8>], link: &Link) {
        assert!(
            self.sent.starts_with(received),
            "what arrived is not what was sent"
        );
        let whole = self.whole_within(link.delivered_bytes());
        assert!(
            received.len() >= whole,
            "{} of {whole} packets arrived",
            received.len()
        );
    }
}

fn packet(number: usize, len: usize) -> Vec<u8> {
    let tag = u32::try_from(number).unwrap();
    let mut payload = Message::new(94).word(tag).done();
    payload.resize(5 + len, (number % 256) as u8);
    payload
}

fn rekey(random: &mut Random) -> RekeyPolicy {
    RekeyPolicy {
        max_bytes: 1 << (12 + random.below(12)),
        max_packets: 5 + random.below(60),
        max_age: Duration::from_secs(1 + random.below(100)),
    }
}

/// What a run came to.
#[derive(Debug, PartialEq)]
struct Summary {
    wire: [Vec<u8>; 2],
    exchanges: usize,
    received: usize,
    is_broken: bool,
    simulated: Duration,
}

fn run(seed: u64) -> Summary {
    let mut random = Random::new(seed);
    let ciphers = CipherAlgorithm::ALL;
    let mut config = ClientConfig::default();
    config.algorithms.kex = vec![KexAlgorithm::Curve25519Sha256];
    config.algorithms.ciphers = vec![ciphers[random.below(ciphers.len() as u64) as usize]];
    config.rekey = rekey(&mut random);
    let mut client = ClientEnd::new(config, seed as u8, Login::None);
    let mut config = ServerConfig::default();
    config.algorithms.ciphers = ciphers.to_vec();
    config.rekey = rekey(&mut random);
    let mut server = ServerEnd::new(config, !seed as u8, vec![TestKey::ed25519(7)]);
    let (mut up, mut down) = (Link::new(&mut random), Link::new(&mut random));
    let mut from_client = Sender::new(random.below(60));
    let mut from_server = Sender::new(random.below(60));
    let mut now = START;
    for step in 0.. {
        assert!(step < MAX_STEPS, "it goes on for ever");
        from_client.act(&mut client, &mut up, &mut random, now);
        from_server.act(&mut server, &mut down, &mut random, now);
        server.feed(&up.take(now)).unwrap();
        client.feed(&down.take(now)).unwrap();
        let is_idle =
            |end: &dyn End| end.is_ready() && end.queued_bytes() == 0 && !end.is_exchanging();
        let is_done = from_client.left + from_server.left == 0
            && is_idle(&client)
            && is_idle(&server)
            && up.is_empty()
            && down.is_empty();
        if is_done || up.is_broken() || down.is_broken() {
            break;
        }
        let soon = now + Duration::from_millis(1 + random.below(400));
        let events = [
            up.next(),
            down.next(),
            client.next_timeout(),
            server.next_timeout(),
        ];
        let next = events.into_iter().flatten().filter(|at| *at > now).min();
        now = next.map_or(soon, |at| at.min(soon));
    }
    from_client.check(&server.received, &up);
    from_server.check(&client.received, &down);
    let is_broken = up.is_broken() || down.is_broken();
    let received = server.received.len() + client.received.len();
    if !is_broken {
        assert_eq!(received, from_client.sent.len() + from_server.sent.len());
    }
    let exchanges = client.exchanges.len();
    say_goodbye(&mut client, &mut server, &mut random);
    Summary {
        wire: [up.into_sent(), down.into_sent()],
        exchanges,
        received,
        is_broken,
        simulated: now - START,
    }
}

/// One hangs up, and both are closed for good.
fn say_goodbye(client: &mut ClientEnd, server: &mut ServerEnd, random: &mut Random) {
    let ends: [&mut dyn End; 2] = [client, server];
    for end in ends {
        end.hang_up();
        let told = end.told();
        let noise: Vec<u8> = (0..random.below(400))
            .map(|_| random.below(256) as u8)
            .collect();
        assert_eq!(end.hear(&noise), Ok(()));
        assert_eq!(end.told(), told, "it still tells");
        assert_eq!(end.next_timeout(), None);
        assert_eq!(end.send(&packet(0, 1), START), Err(Error::Disconnected));
        end.start_rekey(START);
        while end.output().is_some() {}
        assert_eq!(end.queued_bytes(), 0);
    }
}

#[test]
fn whatever_the_network_does_order_is_kept_and_nothing_is_lost_before_it_breaks() {
    let seeds = match std::env::var("SIMULATION_SEED") {
        Ok(seed) => {
            let seed = seed.parse().unwrap();
            seed..seed + 1
        }
        Err(_) => 0..RUNS,
    };
    let is_all = seeds.end - seeds.start == RUNS;
    let (mut broken, mut exchanges, mut received) = (0, 0, 0);
    for seed in seeds {
        // Shown only when the run fails.
        println!("SIMULATION_SEED={seed}");
        let summary = run(seed);
        println!(
            "{} exchanges, {} packets in {:?}",
            summary.exchanges, summary.received, summary.simulated
        );
        broken += usize::from(summary.is_broken);
        exchanges += summary.exchanges;
        received += summary.received;
    }
    // The seeds do lead to all of it.
    assert!(
        !is_all || broken > 50 && exchanges > 2_000 && received > 10_000,
        "{broken} broken, {exchanges} exchanges, {received} packets"
    );
}

#[test]
fn equal_seeds_give_equal_bytes_on_the_wire() {
    for seed in 0..10 {
        assert!(run(seed) == run(seed), "seed {seed}");
    }
    assert!(run(1).wire != run(2).wire);
}
