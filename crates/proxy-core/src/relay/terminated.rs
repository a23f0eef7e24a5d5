//! The windows of a channel that ends at the proxy (RFC 4254 section 5.2), each side's apart from the other's.
//!
//! ```text
//!   client                         proxy                        target
//!     │ ── received ──> waits ── consumed ──> …                    │
//!     │ <── WINDOW_ADJUST ─────────┘                               │
//!     │ ── adjusted ──> writable ── packet ──>                     │   and the same there
//! ```
//!
//! A side is granted so much at a time, and gets back what was consumed. So no more than that waits here for each side of a
//! channel, whatever the peers grant each other. Until it is known that a channel ends here, a side is granted no more than the other
//! takes, because from then on the windows may be the peers' own.

use alloc::vec::Vec;

use super::RelayError;
use super::wire::own;
use crate::{Leg, PerLeg};

/// What each side of a channel that ends here may send before it was consumed, 2 MiB ([`Limits::inner_window_bytes`](crate::Limits)): OpenSSH's own window,
/// which so passes unchanged. Over a round trip of 100 ms it carries 20 MB/s.
pub const TERMINATED_WINDOW_BYTES: u32 = 2 * 1024 * 1024;

/// What was consumed is granted again in pieces of this many bytes, 128 KiB: four of OpenSSH's packets. Seldom enough to cost nothing, and
/// early enough that a sender far away is not kept waiting.
const ADJUST_BYTES: u32 = 128 * 1024;

/// Least that a peer must take in one packet for a channel to end here, 1 KiB: what is sent must not cost many times what it carries.
/// RFC 4254 section 5.1 names no least; OpenSSH says 16 or 32 KiB, dropbear and paramiko say 32 KiB.
pub(super) const MIN_PACKET_BYTES: u32 = 1024;

/// Longest data in one packet of the proxy's own, 32 KiB: what every implementation takes (RFC 4253 section 6.1), where a peer
/// allows more.
const MAX_DATA_BYTES: u32 = 32 * 1024;

/// The windows of both sides.
#[derive(Debug, Default)]
pub(crate) struct Terminated {
    sides: PerLeg<Side>,
    /// What each side is granted at most.
    most: u32,
    /// Whether it is that much, whatever the other takes.
    is_own: bool,
}

/// One leg's peer at its end of the channel.
#[derive(Debug, Default)]
struct Side {
    /// What it may still send.
    granted: u32,
    /// What was consumed and is not granted again yet.
    consumed: u32,
    /// What it still takes.
    writable: u32,
    /// What it takes in one packet.
    max_packet: u32,
}

impl Terminated {
    /// Of a channel that `opener` asks for, saying how much it takes. It may not end here, and if it does, each side is granted
    /// `most` bytes.
    pub(crate) fn opened(most: u32, opener: (Leg, u32, u32)) -> Self {
        Self::new(most, false, opener)
    }

    /// The same for one that ends here for certain.
    pub(crate) fn of_own(most: u32, opener: (Leg, u32, u32)) -> Self {
        Self::new(most, true, opener)
    }

    fn new(most: u32, is_own: bool, (opener, window, max_packet): (Leg, u32, u32)) -> Self {
        let mut windows = Self {
            most,
            is_own,
            ..Self::default()
        };
        windows.says(opener, window, max_packet);
        windows
    }

    /// The other side says how much it takes.
    pub(crate) fn confirmed(&mut self, by: Leg, window: u32, max_packet: u32) {
        self.says(by, window, max_packet);
    }

    fn says(&mut self, leg: Leg, window: u32, max_packet: u32) {
        self.sides[leg].writable = window;
        self.sides[leg].max_packet = max_packet;
        self.sides[leg.other()].granted = self.window_for(leg.other());
    }

    /// The window that the peer of `to` is told of when the channel opens.
    pub(crate) fn window_for(&self, to: Leg) -> u32 {
        if self.is_own {
            return self.most;
        }
        self.sides[to.other()].writable.min(self.most)
    }

    /// The channel ends here from now on, where `in_hand` bytes of a side are not consumed yet: the packets that grant each side
    /// the most it may have.
    pub(crate) fn end_here(
        &mut self,
        in_hand: PerLeg<usize>,
        ids: PerLeg<Option<u32>>,
    ) -> PerLeg<Option<Vec<u8>>> {
        self.is_own = true;
        PerLeg {
            client: self.raise(Leg::Client, in_hand.client, ids.client),
            target: self.raise(Leg::Target, in_hand.target, ids.target),
        }
    }

    /// The packet that grants a side what its window lacks, where that is worth one.
    fn raise(&mut self, leg: Leg, in_hand: usize, id: Option<u32>) -> Option<Vec<u8>> {
        let (id, window) = (id?, self.window_for(leg));
        let in_hand = u32::try_from(in_hand).unwrap_or(u32::MAX);
        let side = &mut self.sides[leg];
        let lacking = window.saturating_sub(side.granted.saturating_add(in_hand));
        if lacking < ADJUST_BYTES && side.granted > ADJUST_BYTES || lacking == 0 {
            return None;
        }
        side.granted = side.granted.saturating_add(lacking);
        Some(own::window_adjust(id, lacking))
    }

    /// Data came from `from`.
    ///
    /// # Errors
    /// [`RelayError::BeyondWindow`] when it is more than was granted.
    pub(crate) fn received(&mut self, from: Leg, len: usize) -> Result<(), RelayError> {
        let side = &mut self.sides[from];
        let left = u32::try_from(len)
            .ok()
            .and_then(|len| side.granted.checked_sub(len));
        side.granted = left.ok_or(RelayError::BeyondWindow {
            window_bytes: side.granted,
            got_bytes: len,
        })?;
        Ok(())
    }

    /// Data from `from` waits no longer: the packet that grants it again, once there is enough of it. `id` is the channel's
    /// number at `from`.
    pub(crate) fn consumed(&mut self, from: Leg, len: usize, id: u32) -> Option<Vec<u8>> {
        let side = &mut self.sides[from];
        // No more can be consumed than was granted.
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        side.consumed = side.consumed.saturating_add(len);
        let is_worth_it = side.consumed >= ADJUST_BYTES || side.granted < side.consumed;
        if !is_worth_it {
            return None;
        }
        let bytes = core::mem::take(&mut side.consumed);
        side.granted = side.granted.saturating_add(bytes);
        Some(own::window_adjust(id, bytes))
    }

    /// The peer of `by` takes so much more: the packet that grants the other side more, where that follows. `id` is the channel's
    /// number there. A window cannot grow beyond 2^32 - 1 bytes (RFC 4254 section 5.2); one that would stays there.
    pub(crate) fn adjusted(&mut self, by: Leg, len: u32, id: Option<u32>) -> Option<Vec<u8>> {
        let side = &mut self.sides[by];
        side.writable = side.writable.saturating_add(len);
        if self.is_own {
            return None;
        }
        self.raise(by.other(), 0, id)
    }

    /// How much data one packet to the peer of `to` may have now: none where that must be too little.
    pub(crate) fn writable(&self, to: Leg) -> usize {
        let side = &self.sides[to];
        if side.max_packet < MIN_PACKET_BYTES {
            return 0;
        }
        let len = side.writable.min(side.max_packet).min(MAX_DATA_BYTES);
        usize::try_from(len).unwrap_or(0)
    }

    /// A packet with as much of `bytes` as may go now, and how much that is. `id` is the channel's number at `to`.
    pub(crate) fn packet(&mut self, to: Leg, id: u32, bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
        let len = self.writable(to).min(bytes.len());
        let data = bytes.get(..len).filter(|data| !data.is_empty())?;
        self.sent(to, len);
        Some((own::data(id, data), len))
    }

    /// Data that the proxy did not make went to the peer of `to`.
    pub(crate) fn sent(&mut self, to: Leg, len: usize) {
        let side = &mut self.sides[to];
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        side.writable = side.writable.saturating_sub(len);
    }

    /// What the peer of `to` is still to be granted if the windows are the peers' own from here on.
    pub(crate) fn kept_from(&self, to: Leg) -> u32 {
        let granted = self.sides[to].granted;
        self.sides[to.other()].writable.saturating_sub(granted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    fn open(window_of_client: u32, window_of_target: u32) -> Terminated {
        let mut windows = Terminated::opened(
            TERMINATED_WINDOW_BYTES,
            (Leg::Client, window_of_client, 32_768),
        );
        windows.confirmed(Leg::Target, window_of_target, 32_768);
        windows
    }

    #[test]
    fn windows_up_to_the_limit_pass_unchanged_and_larger_ones_are_cut() {
        let windows = open(2_097_152, 100);
        assert_eq!(windows.window_for(Leg::Target), 2_097_152);
        assert_eq!(windows.window_for(Leg::Client), 100);
        let windows = open(u32::MAX, 0);
        assert_eq!(windows.window_for(Leg::Target), TERMINATED_WINDOW_BYTES);
        assert_eq!(windows.kept_from(Leg::Target), u32::MAX - (2 << 20));
        assert_eq!(windows.window_for(Leg::Client), 0);
    }

    #[test]
    fn more_than_was_granted_is_an_error_at_every_size() {
        for window in [0, 1, 100, 2_097_152, u32::MAX] {
            let granted = window.min(TERMINATED_WINDOW_BYTES) as usize;
            assert!(open(5, window).received(Leg::Client, granted).is_ok());
            let error = open(5, window).received(Leg::Client, granted + 1);
            assert!(
                matches!(error, Err(RelayError::BeyondWindow { .. })),
                "{error:?}"
            );
        }
    }

    #[test]
    fn what_was_consumed_is_granted_again_and_nothing_else() {
        let mut windows = open(2_097_152, 2_097_152);
        let mut granted = 2 * MIB;
        for round in 0..1000 {
            let len = (round * 7919) % 32_768;
            if len > granted {
                continue;
            }
            windows.received(Leg::Client, len).unwrap();
            granted -= len;
            if let Some(packet) = windows.consumed(Leg::Client, len, 7) {
                assert_eq!(packet[..5], [93, 0, 0, 0, 7]);
                granted += u32::from_be_bytes(packet[5..9].try_into().unwrap()) as usize;
            }
            assert!(granted <= 2 * MIB && granted > MIB, "{granted}");
        }
        // Nothing was consumed for the other side.
        assert!(windows.received(Leg::Target, 2 * MIB).is_ok());
        assert!(windows.received(Leg::Target, 1).is_err());
    }

    #[test]
    fn a_small_window_is_granted_again_before_it_is_used_up() {
        let mut windows = open(2_097_152, 1000);
        for _ in 0..100 {
            windows.received(Leg::Client, 600).unwrap();
            assert!(windows.consumed(Leg::Client, 600, 0).is_some());
        }
    }

    #[test]
    fn packets_keep_to_the_window_and_to_the_size_that_the_peer_takes() {
        let mut windows = Terminated::opened(TERMINATED_WINDOW_BYTES, (Leg::Client, 2500, 1024));
        let bytes = [b'x'; 10_000];
        let sizes: Vec<usize> = core::iter::from_fn(|| windows.packet(Leg::Client, 3, &bytes))
            .map(|(packet, len)| {
                assert_eq!(packet.len(), len + 9);
                len
            })
            .collect();
        assert_eq!(sizes, [1024, 1024, 452]);
        windows.adjusted(Leg::Client, 5, None);
        assert_eq!(windows.writable(Leg::Client), 5);
        windows.adjusted(Leg::Client, u32::MAX, None);
        assert_eq!(windows.writable(Leg::Client), 1024);
        // Who takes too little at a time gets nothing.
        for max_packet in [0, 1, MIN_PACKET_BYTES - 1] {
            let mut windows =
                Terminated::opened(TERMINATED_WINDOW_BYTES, (Leg::Client, 100_000, max_packet));
            assert!(windows.packet(Leg::Client, 3, &bytes).is_none());
        }
        let windows =
            Terminated::opened(TERMINATED_WINDOW_BYTES, (Leg::Client, u32::MAX, u32::MAX));
        assert_eq!(windows.writable(Leg::Client), 32_768);
    }

    /// What a packet grants.
    fn granted(packet: Option<&Vec<u8>>) -> Option<u32> {
        let bytes = packet?.get(5..9)?.try_into().unwrap();
        Some(u32::from_be_bytes(bytes))
    }

    #[test]
    fn a_window_follows_the_other_until_it_ends_here() {
        let mut windows = open(0, 2_097_152);
        assert!(windows.received(Leg::Target, 1).is_err());
        let raised = windows.adjusted(Leg::Client, 100, Some(9));
        assert_eq!(granted(raised.as_ref()), Some(100));
        assert!(windows.received(Leg::Target, 4).is_ok());
        windows.sent(Leg::Client, 4);
        let ids = PerLeg {
            client: Some(8),
            target: Some(9),
        };
        let in_hand = PerLeg {
            client: 0,
            target: 10,
        };
        assert!(windows.received(Leg::Target, 10).is_ok());
        let raised = windows.end_here(in_hand, ids);
        assert_eq!(granted(raised.client.as_ref()), None);
        assert_eq!(granted(raised.target.as_ref()), Some((2 << 20) - 96));
        assert!(windows.adjusted(Leg::Client, 1 << 20, Some(9)).is_none());
        assert!(windows.received(Leg::Target, (2 << 20) - 10).is_ok());
        assert!(windows.received(Leg::Target, 1).is_err());
    }

    #[test]
    fn a_window_of_its_own_is_the_same_whatever_the_other_takes() {
        for taken in [0, 100, u32::MAX] {
            let mut windows = Terminated::of_own(5000, (Leg::Target, taken, 32_768));
            windows.confirmed(Leg::Client, taken, 32_768);
            for leg in [Leg::Client, Leg::Target] {
                assert_eq!(windows.window_for(leg), 5000);
                assert!(windows.received(leg, 5001).is_err());
                assert!(windows.received(leg, 5000).is_ok());
                let packet = windows.consumed(leg, 5000, 1);
                assert_eq!(granted(packet.as_ref()), Some(5000));
            }
        }
    }

    #[test]
    fn nothing_is_sent_of_nothing() {
        assert!(open(100, 100).packet(Leg::Client, 3, &[]).is_none());
    }
}
