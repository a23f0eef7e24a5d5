//! A link that delays and cuts into pieces, and may break at any byte; and the choices of a seed.

use std::collections::VecDeque;
use std::time::Duration;

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

/// One direction of a connection.
pub(crate) struct Link {
    /// Pieces with the time at which they arrive, in order.
    under_way: VecDeque<(Duration, Vec<u8>)>,
    /// All that was ever sent.
    sent: Vec<u8>,
    delivered_bytes: u64,
    /// Nothing beyond this byte arrives.
    breaks_at: Option<u64>,
    max_piece_bytes: u64,
    max_delay_millis: u64,
}

impl Link {
    pub(crate) fn new(random: &mut Random) -> Self {
        let breaks = random.one_in(3);
        let size = random.below(18);
        Self {
            under_way: VecDeque::new(),
            sent: Vec::new(),
            delivered_bytes: 0,
            breaks_at: breaks.then(|| random.below(2 << size)),
            max_piece_bytes: 1 << (2 + random.below(14)),
            max_delay_millis: 1 + random.below(1_000),
        }
    }

    pub(crate) fn put(&mut self, bytes: &[u8], now: Duration, random: &mut Random) {
        self.sent.extend_from_slice(bytes);
        let mut rest = bytes;
        while !rest.is_empty() {
            let len = 1 + random.below(self.max_piece_bytes) as usize;
            let (piece, behind) = rest.split_at(len.min(rest.len()));
            let earliest = now + Duration::from_millis(random.below(self.max_delay_millis));
            // What was sent later does not overtake.
            let last = self.under_way.back().map_or(earliest, |(at, _)| *at);
            self.under_way
                .push_back((earliest.max(last), piece.to_vec()));
            rest = behind;
        }
    }

    /// What arrives now.
    pub(crate) fn take(&mut self, now: Duration) -> Vec<u8> {
        let mut taken = Vec::new();
        while let Some((_, piece)) = self.under_way.pop_front_if(|(at, _)| *at <= now) {
            taken.extend_from_slice(&piece);
        }
        if let Some(end) = self.breaks_at {
            let left = end - self.delivered_bytes;
            taken.truncate(usize::try_from(left).unwrap());
        }
        self.delivered_bytes += taken.len() as u64;
        taken
    }

    pub(crate) fn next(&self) -> Option<Duration> {
        self.under_way.front().map(|(at, _)| *at)
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.breaks_at == Some(self.delivered_bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    pub(crate) fn sent_bytes(&self) -> u64 {
        self.sent.len() as u64
    }

    pub(crate) fn delivered_bytes(&self) -> u64 {
        self.delivered_bytes
    }

    pub(crate) fn into_sent(self) -> Vec<u8> {
        self.sent
    }
}
