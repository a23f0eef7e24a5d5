//! Ranges of addresses, of which a few are looked at however many there are.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::IpAddr;

use ipnet::IpNet;

use crate::index::place;
use crate::steps::step;

/// A list of at most this many is looked at whole.
const FEW: usize = 8;

/// Of a range that lies in no other one.
const OUTERMOST: u32 = u32::MAX;

/// Ranges in the order of their first addresses, of two that begin alike the wider one first.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ranges {
    sorted: Box<[IpNet]>,
    /// For each the narrowest other one that it lies in; empty if there are few. Ranges overlap only if one lies in the other.
    around: Box<[u32]>,
}

impl Ranges {
    /// `sorted` as [`IpNet`] orders them.
    pub(crate) fn new(sorted: Box<[IpNet]>) -> Self {
        let around = if sorted.len() > FEW {
            around(&sorted)
        } else {
            Box::default()
        };
        Self { sorted, around }
    }

    pub(crate) fn as_slice(&self) -> &[IpNet] {
        &self.sorted
    }

    /// Whether the address lies in one of them: in the last that begins before it, or in one around that.
    pub(crate) fn contain(&self, address: IpAddr) -> bool {
        let holds = |range: &&IpNet| {
            step();
            range.contains(&address)
        };
        if self.around.is_empty() {
            return self.sorted.iter().any(|range| holds(&range));
        }
        let begun = self.sorted.partition_point(|range| range.addr() <= address);
        let last = begun.checked_sub(1);
        let outwards = core::iter::successors(last, |at| {
            let outer = self.around.get(*at).copied();
            outer.filter(|outer| *outer != OUTERMOST).map(place)
        });
        let mut ranges = outwards.filter_map(|at| self.sorted.get(at));
        ranges.any(|range| holds(&range))
    }
}

fn around(sorted: &[IpNet]) -> Box<[u32]> {
    let mut open: Vec<(u32, &IpNet)> = Vec::new();
    let mut around = Vec::with_capacity(sorted.len());
    for (range, number) in sorted.iter().zip(0..) {
        while open.pop_if(|(_, outer)| !outer.contains(range)).is_some() {}
        around.push(open.last().map_or(OUTERMOST, |(outer, _)| *outer));
        open.push((number, range));
    }
    around.into()
}
