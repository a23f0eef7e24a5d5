//! Who has not logged in yet, and who of them goes when all places are taken.
//!
//! The places are shared out between networks, and those of a network between its sources. When all are taken, whoever comes from
//! a network that has less than its share displaces the oldest connection of the source with most in the network with most; else,
//! whoever has less than their share in their own network displaces one there. Less than a share means two fewer than the most, so
//! that nobody is displaced for one who has as many. Hence the only connection of its network is never displaced, and keeping it
//! out takes as many networks as there are places.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use tokio::sync::watch;

/// Where somebody comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Origin {
    /// What may belong to one owner, who has many sources in it.
    pub(super) network: IpNet,
    pub(super) source: IpNet,
}

/// One who waits; of one origin the oldest is the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket {
    origin: Origin,
    number: u64,
}

#[derive(Debug)]
pub(super) struct Waiting {
    at_most: usize,
    next_number: u64,
    /// With what tells each to go.
    places: BTreeMap<Ticket, watch::Sender<bool>>,
    networks: Ranked,
    /// Of each network.
    sources: BTreeMap<IpNet, Ranked>,
}

impl Waiting {
    pub(super) const fn new(at_most: usize) -> Self {
        Self {
            at_most,
            next_number: 0,
            places: BTreeMap::new(),
            networks: Ranked::new(),
            sources: BTreeMap::new(),
        }
    }

    /// Whether one more from there has to be refused.
    pub(super) fn is_full_for(&self, origin: Origin) -> bool {
        self.places.len() >= self.at_most && self.who_goes_for(origin).is_none()
    }

    /// One more, who is to be told through `displaced`; tells whoever goes for them. For those for whom it is not full.
    pub(super) fn enter(&mut self, origin: Origin, displaced: watch::Sender<bool>) -> Ticket {
        if self.places.len() >= self.at_most
            && let Some(goes) = self.who_goes_for(origin)
            && let Some(displaced) = self.leave(goes)
        {
            displaced.send_replace(true);
        }
        let number = self.next_number;
        self.next_number += 1;
        let ticket = Ticket { origin, number };
        self.places.insert(ticket, displaced);
        self.networks.add(origin.network);
        let sources = self.sources.entry(origin.network);
        sources.or_insert_with(Ranked::new).add(origin.source);
        ticket
    }

    /// One waits no more, if they still did.
    pub(super) fn leave(&mut self, ticket: Ticket) -> Option<watch::Sender<bool>> {
        let displaced = self.places.remove(&ticket)?;
        let Origin { network, source } = ticket.origin;
        self.networks.remove(network);
        if let Some(sources) = self.sources.get_mut(&network) {
            sources.remove(source);
            if sources.most().is_none() {
                self.sources.remove(&network);
            }
        }
        Some(displaced)
    }

    fn who_goes_for(&self, newcomer: Origin) -> Option<Ticket> {
        let (most, crowded) = self.networks.most()?;
        let is_short = self.networks.of(newcomer.network) + 1 < most;
        let network = if is_short { crowded } else { newcomer.network };
        let sources = self.sources.get(&network)?;
        let (most, source) = sources.most()?;
        if !is_short && sources.of(newcomer.source) + 1 >= most {
            return None;
        }
        let oldest = Ticket {
            origin: Origin { network, source },
            number: 0,
        };
        self.places.range(oldest..).next().map(|(goes, _)| *goes)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }
}

/// How many each has, and who has most.
#[derive(Debug)]
struct Ranked {
    counts: BTreeMap<IpNet, usize>,
    ranks: BTreeSet<(usize, IpNet)>,
}

impl Ranked {
    const fn new() -> Self {
        Self {
            counts: BTreeMap::new(),
            ranks: BTreeSet::new(),
        }
    }

    fn of(&self, key: IpNet) -> usize {
        self.counts.get(&key).copied().unwrap_or_default()
    }

    fn most(&self) -> Option<(usize, IpNet)> {
        self.ranks.last().copied()
    }

    fn add(&mut self, key: IpNet) {
        self.change(key, self.of(key) + 1);
    }

    fn remove(&mut self, key: IpNet) {
        self.change(key, self.of(key).saturating_sub(1));
    }

    fn change(&mut self, key: IpNet, count: usize) {
        self.ranks.remove(&(self.of(key), key));
        if count == 0 {
            self.counts.remove(&key);
            return;
        }
        self.counts.insert(key, count);
        self.ranks.insert((count, key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The `source`th source of the `network`th network.
    fn origin(network: u8, source: u8) -> Origin {
        let net = |text: String| text.parse().unwrap();
        Origin {
            network: net(format!("10.0.{network}.0/24")),
            source: net(format!("10.0.{network}.{source}/32")),
        }
    }

    type Came = (Ticket, watch::Receiver<bool>);

    fn come(waiting: &mut Waiting, origin: Origin) -> Option<Came> {
        if waiting.is_full_for(origin) {
            return None;
        }
        let (displaced, told) = watch::channel(false);
        Some((waiting.enter(origin, displaced), told))
    }

    fn is_displaced((_, told): &Came) -> bool {
        *told.borrow()
    }

    #[test]
    fn many_addresses_of_one_network_keep_nobody_else_out() {
        let mut waiting = Waiting::new(50);
        let flood: Vec<_> = (0..50)
            .map(|source| come(&mut waiting, origin(0, source)).unwrap())
            .collect();
        assert!(come(&mut waiting, origin(0, 60)).is_none());
        let others: Vec<_> = (1..50)
            .map(|network| come(&mut waiting, origin(network, 1)).unwrap())
            .collect();
        assert_eq!(flood.iter().filter(|it| is_displaced(it)).count(), 49);
        // As many networks as places: nobody is displaced for one who has as many.
        assert!(come(&mut waiting, origin(50, 1)).is_none());
        assert!(!others.iter().any(is_displaced));
        assert_eq!(waiting.len(), 50);
    }

    #[test]
    fn a_neighbour_of_a_flooder_displaces_the_flooder() {
        let mut waiting = Waiting::new(6);
        let mut flood: Vec<_> = [0, 1]
            .into_iter()
            .cycle()
            .take(6)
            .map(|network| come(&mut waiting, origin(network, 1)).unwrap())
            .collect();
        let neighbour = come(&mut waiting, origin(0, 7)).unwrap();
        let displaced: Vec<_> = flood.iter().map(is_displaced).collect();
        assert_eq!(displaced, [true, false, false, false, false, false]);
        assert!(come(&mut waiting, origin(0, 1)).is_none());
        assert!(!is_displaced(&neighbour));
        // Who has logged in waits no more and makes room for anybody.
        let (ticket, _) = flood.remove(1);
        assert!(waiting.leave(ticket).is_some());
        assert!(waiting.leave(ticket).is_none());
        assert!(come(&mut waiting, origin(0, 1)).is_some());
    }

    #[test]
    fn in_any_order_the_counts_hold_and_the_only_one_of_a_network_stays() {
        let mut waiting = Waiting::new(12);
        let mut all: Vec<(Origin, Came)> = Vec::new();
        let mut seed = 1_u32;
        let mut displacements = 0;
        for _ in 0..5000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let [network, source, what, which] = seed.rotate_left(8).to_be_bytes();
            if what < 60 && !all.is_empty() {
                let (_, (ticket, _)) = all.remove(usize::from(which) % all.len());
                assert!(waiting.leave(ticket).is_some());
                continue;
            }
            let from = origin(network % 9, source % 3);
            let before = all.clone();
            match come(&mut waiting, from) {
                Some(came) => all.push((from, came)),
                None => assert_eq!(waiting.len(), 12),
            }
            let of_network = |it: &Origin| {
                let same = |(other, _): &&(Origin, Came)| other.network == it.network;
                before.iter().filter(same).count()
            };
            for (other, _) in all.iter().filter(|(_, came)| is_displaced(came)) {
                displacements += 1;
                assert!(of_network(other) > 1);
                assert!(of_network(other) > of_network(&from) || other.network == from.network);
            }
            all.retain(|(_, came)| !is_displaced(came));
            assert_eq!(waiting.len(), all.len());
            assert!(waiting.len() <= 12);
            let mut counts: BTreeMap<IpNet, usize> = BTreeMap::new();
            for (origin, _) in &all {
                *counts.entry(origin.network).or_default() += 1;
            }
            assert_eq!(waiting.networks.counts, counts);
            assert!(waiting.sources.keys().eq(counts.keys()));
        }
        assert!(displacements > 100, "{displacements}");
        for (_, (ticket, _)) in all {
            waiting.leave(ticket);
        }
        assert!(waiting.networks.ranks.is_empty() && waiting.sources.is_empty());
    }
}
