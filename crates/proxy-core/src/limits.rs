//! What the peers of one session may make it hold: every ceiling a setting, with a named constant as its default.

use core::ops::RangeInclusive;

use crate::MAX_WATCHERS;
use crate::relay::{AGENT_WINDOW_BYTES, TERMINATED_WINDOW_BYTES};

/// While more than this waits to be written to one leg, the other leg is not read, 1 MiB: what a fast link has in flight.
pub const MAX_BACKLOG_BYTES: usize = 1024 * 1024;
/// The same for what a leg's own requests made: at so many times the other, that leg itself is not read either.
pub const OWN_BACKLOG_FACTOR: usize = 4;
/// While more than this waits to be written to a leg, that leg itself is not read either: its own requests made the rest.
pub const MAX_OWN_BACKLOG_BYTES: usize = OWN_BACKLOG_FACTOR * MAX_BACKLOG_BYTES;
/// Channels of one session whatever its policy grants, as many as a policy can grant.
pub const MAX_CHANNELS: usize = 1024;
/// Requests of one direction, of one channel or of none, that may wait for their reply. No client sends more than a handful ahead.
pub const MAX_PENDING_REPLIES: usize = 256;
/// Listeners of the target for one session: far more than a person names on a command line.
pub const MAX_LISTENERS: usize = 64;
/// Questions of the proxy that a client may leave without an answer. Many more than the channels on which it is refused something
/// at a time; beyond it, a refusal waits for its time alone.
pub const MAX_UNHEARD: usize = 64;
/// Requests for proofs of host keys that a client may make: OpenSSH makes one. Each costs up to
/// [`ssh_transport::hostkeys::MAX_HOST_KEYS`] signatures.
pub const MAX_PROOF_REQUESTS: usize = 4;
/// Sessions inside others that one connection may have at a time, at all depths: a few jumps, or a few connections behind one jump. Each
/// may hold 8 MiB, so with these one connection may hold 72 MiB where it would hold 8.
pub const MAX_INNER_SESSIONS: usize = 8;
/// Sessions inside others that may begin over one connection in a minute, at all depths: one after the other, each costs what a connection
/// costs. A program that goes from machine to machine through one connection begins fewer.
pub const MAX_INNER_PER_MINUTE: usize = 300;
/// How many sessions a session may be inside of. Each one seals all bytes once more.
pub const MAX_INNER_DEPTH: usize = 8;
/// Connections to the client's agent that programs of the target may have at a time: as many as run `ssh` from there at once.
pub const MAX_AGENTS: usize = 32;
/// While these connections hold more than this together, 512 KiB, one of them is read on at a time, besides those that hold nothing.
/// Two of the longest messages, when most have less than a KiB.
pub const MAX_AGENT_BYTES: usize = 512 * 1024;
/// Questions to the agent without an answer, of one connection. Programs ask one at a time.
pub const MAX_AGENT_QUESTIONS: usize = 64;
/// [`MAX_BACKLOG_BYTES`] of a session inside another, 256 KiB: what it says goes on into the outer one's, which is as long as a link needs.
pub const MAX_INNER_BACKLOG_BYTES: usize = 256 * 1024;
/// Refusals told as events one by one; the log has them all.
pub const MAX_REFUSAL_EVENTS: usize = 64;
/// Events about channels told one by one, but for refusals; the log has them all. A thousand commands or connections, some 1.4 MiB
/// of events: enough for long work over one connection, and too little to push what others did out of where events are kept.
pub const MAX_CHANNEL_EVENTS: usize = 4096;

/// The ceilings of a session. [`crate::Gateway::limits`] has them for all.
///
/// A session takes each value [within its bounds](Self::within_bounds); whoever sets them asks [`Self::check`] first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// [`MAX_BACKLOG_BYTES`], and [`OWN_BACKLOG_FACTOR`] times as much for what a leg's own requests make.
    pub backlog_bytes: usize,
    /// [`MAX_CHANNELS`].
    pub channels: usize,
    /// [`MAX_PENDING_REPLIES`].
    pub pending_replies: usize,
    /// [`MAX_LISTENERS`].
    pub listeners: usize,
    /// [`MAX_UNHEARD`].
    pub unheard: usize,
    /// [`MAX_PROOF_REQUESTS`].
    pub proof_requests: usize,
    /// [`MAX_INNER_SESSIONS`].
    pub inner_sessions: usize,
    /// [`MAX_INNER_PER_MINUTE`].
    pub inner_per_minute: usize,
    /// [`MAX_INNER_DEPTH`].
    pub inner_depth: usize,
    /// [`MAX_AGENTS`].
    pub agents: usize,
    /// [`MAX_AGENT_BYTES`].
    pub agent_bytes: usize,
    /// [`MAX_AGENT_QUESTIONS`].
    pub agent_questions: usize,
    /// [`TERMINATED_WINDOW_BYTES`].
    pub inner_window_bytes: usize,
    /// [`AGENT_WINDOW_BYTES`].
    pub agent_window_bytes: usize,
    /// [`MAX_WATCHERS`].
    pub watchers: usize,
    /// [`MAX_REFUSAL_EVENTS`].
    pub refusal_events: usize,
    /// [`MAX_CHANNEL_EVENTS`].
    pub channel_events: usize,
    /// [`ssh_transport::Limits::max_auth_attempts`] of a client: 20.
    pub auth_attempts: usize,
    /// [`ssh_transport::Limits::max_packets_before_auth`], of either peer: 512.
    pub packets_before_auth: usize,
    /// [`ssh_transport::Limits::peer_exchanges`], of either peer: 32.
    pub peer_exchanges: usize,
}

/// A value that no session can work with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is {got}, and must be from {least} to {most}")]
pub struct LimitError {
    /// The field of [`Limits`].
    pub name: &'static str,
    /// Its value.
    pub got: usize,
    /// The least that works.
    pub least: usize,
    /// The most that is bounded in earnest.
    pub most: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let transport = ssh_transport::Limits::default();
        Self {
            backlog_bytes: MAX_BACKLOG_BYTES,
            channels: MAX_CHANNELS,
            pending_replies: MAX_PENDING_REPLIES,
            listeners: MAX_LISTENERS,
            unheard: MAX_UNHEARD,
            proof_requests: MAX_PROOF_REQUESTS,
            inner_sessions: MAX_INNER_SESSIONS,
            inner_per_minute: MAX_INNER_PER_MINUTE,
            inner_depth: MAX_INNER_DEPTH,
            agents: MAX_AGENTS,
            agent_bytes: MAX_AGENT_BYTES,
            agent_questions: MAX_AGENT_QUESTIONS,
            inner_window_bytes: TERMINATED_WINDOW_BYTES as usize,
            agent_window_bytes: AGENT_WINDOW_BYTES as usize,
            watchers: MAX_WATCHERS,
            refusal_events: MAX_REFUSAL_EVENTS,
            channel_events: MAX_CHANNEL_EVENTS,
            auth_attempts: transport.max_auth_attempts as usize,
            packets_before_auth: transport.max_packets_before_auth as usize,
            peer_exchanges: transport.peer_exchanges as usize,
        }
    }
}

impl Limits {
    /// Every setting by its name, with the values that work: for who reads them from a file.
    pub fn settings(&mut self) -> [(&'static str, &mut usize, RangeInclusive<usize>); 20] {
        const KIB: usize = 1024;
        [
            // Less than a few packets would make every peer wait for every packet.
            (
                "backlog_bytes",
                &mut self.backlog_bytes,
                64 * KIB..=64 * KIB * KIB,
            ),
            ("channels", &mut self.channels, 1..=MAX_CHANNELS),
            // OpenSSH asks for agent, terminal, environment and program without waiting.
            ("pending_replies", &mut self.pending_replies, 8..=4096),
            ("listeners", &mut self.listeners, 0..=1024),
            ("unheard", &mut self.unheard, 0..=1024),
            ("proof_requests", &mut self.proof_requests, 0..=64),
            ("inner_sessions", &mut self.inner_sessions, 0..=1024),
            ("inner_per_minute", &mut self.inner_per_minute, 1..=65_536),
            // Sessions are moved on one from within another.
            ("inner_depth", &mut self.inner_depth, 0..=16),
            ("agents", &mut self.agents, 0..=1024),
            (
                "agent_bytes",
                &mut self.agent_bytes,
                64 * KIB..=64 * KIB * KIB,
            ),
            ("agent_questions", &mut self.agent_questions, 1..=4096),
            // Two packets as long as most peers send them, so that one can be on its way while the other is consumed.
            (
                "inner_window_bytes",
                &mut self.inner_window_bytes,
                64 * KIB..=64 * KIB * KIB,
            ),
            (
                "agent_window_bytes",
                &mut self.agent_window_bytes,
                4 * KIB..=KIB * KIB,
            ),
            ("watchers", &mut self.watchers, 0..=64),
            ("refusal_events", &mut self.refusal_events, 0..=65_536),
            ("channel_events", &mut self.channel_events, 0..=1 << 20),
            // `none` is one.
            ("auth_attempts", &mut self.auth_attempts, 1..=1000),
            // A login of OpenSSH with an agent takes up to 50.
            (
                "packets_before_auth",
                &mut self.packets_before_auth,
                64..=65_536,
            ),
            // Every peer begins one for each GiB or hour.
            ("peer_exchanges", &mut self.peer_exchanges, 1..=65_536),
        ]
    }

    /// Whether every value is within its bounds.
    ///
    /// # Errors
    /// With the first that is not.
    pub fn check(&self) -> Result<(), LimitError> {
        for (name, value, bounds) in { *self }.settings() {
            if !bounds.contains(value) {
                return Err(LimitError {
                    name,
                    got: *value,
                    least: *bounds.start(),
                    most: *bounds.end(),
                });
            }
        }
        Ok(())
    }

    /// The same with every value at the nearest that works.
    #[must_use]
    pub fn within_bounds(mut self) -> Self {
        for (_, value, bounds) in self.settings() {
            *value = (*value).clamp(*bounds.start(), *bounds.end());
        }
        self
    }

    /// The same for a session inside another.
    pub(crate) fn inside(mut self) -> Self {
        self.backlog_bytes = self.backlog_bytes.min(MAX_INNER_BACKLOG_BYTES);
        self
    }

    pub(crate) const fn own_backlog_bytes(&self) -> usize {
        OWN_BACKLOG_FACTOR.saturating_mul(self.backlog_bytes)
    }

    /// The window of each side of a channel that ends here with SSH on it.
    pub(crate) fn inner_window(&self) -> u32 {
        u32::try_from(self.inner_window_bytes).unwrap_or(u32::MAX)
    }

    /// The same with an agent's protocol on it.
    pub(crate) fn agent_window(&self) -> u32 {
        u32::try_from(self.agent_window_bytes).unwrap_or(u32::MAX)
    }

    /// What of them each leg's transport keeps.
    pub(crate) fn transport(&self) -> ssh_transport::Limits {
        let number = |value| u32::try_from(value).unwrap_or(u32::MAX);
        ssh_transport::Limits {
            max_auth_attempts: number(self.auth_attempts),
            max_packets_before_auth: number(self.packets_before_auth),
            peer_exchanges: number(self.peer_exchanges),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_within_their_bounds_and_every_field_has_a_setting() {
        let defaults = Limits::default();
        assert_eq!(defaults.check(), Ok(()));
        assert_eq!(defaults.within_bounds(), defaults);
        let fields = alloc::format!("{defaults:?}");
        for (name, value, _) in { defaults }.settings() {
            assert!(fields.contains(&alloc::format!("{name}: {value}")));
        }
        assert_eq!(fields.matches(':').count(), { defaults }.settings().len());
    }

    #[test]
    fn a_value_out_of_bounds_is_named_and_taken_as_the_nearest_that_works() {
        for extreme in [0, usize::MAX] {
            let mut limits = Limits::default();
            for at in 0..limits.settings().len() {
                limits = Limits::default();
                let Some((name, value, bounds)) = limits.settings().into_iter().nth(at) else {
                    continue;
                };
                *value = extreme;
                if bounds.contains(&extreme) {
                    assert_eq!(limits.check(), Ok(()));
                    continue;
                }
                let error = limits.check().err();
                assert_eq!(error.map(|it| (it.name, it.got)), Some((name, extreme)));
                assert_eq!(limits.within_bounds().check(), Ok(()));
            }
        }
    }
}
