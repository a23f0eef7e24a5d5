//! Every deadline of a session, and what passing it means.

use core::time::Duration;

use ssh_transport::Client;

use super::Session;
use super::recorder::Recorder;
use super::stage::{Denied, Stage};
use crate::{Leg, Now, Refusal};

impl Session {
    /// When to call [`Self::handle_timeout`]; on the monotonic clock.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        let own = match &self.stage {
            Stage::TargetConnection { deadline }
            | Stage::TargetHostKey { deadline }
            | Stage::HostCertificates { deadline, .. }
            | Stage::Certificate { deadline, .. }
            | Stage::TargetLogin { deadline, .. }
            | Stage::TargetAgain { deadline, .. }
            | Stage::Farewell { deadline } => Some(*deadline),
            Stage::StepUp(stepping) => stepping.deadline(),
            Stage::End(relaying) => relaying.poll_timeout(),
            Stage::Over => return None,
            _ => None,
        };
        let inner = self.poll_inner_timeout();
        if self.awaits_log() {
            // Nothing passes before the driver's answer; but what is allowed may change meanwhile.
            return [self.log_deadline, self.recheck_at(), inner]
                .into_iter()
                .flatten()
                .min();
        }
        let target = self.target.as_ref().and_then(Client::poll_timeout);
        let recorder = self.recorder.as_ref().and_then(Recorder::poll_timeout);
        let recheck = self.recheck_at();
        let client = self.client.poll_timeout();
        let closing = self.poll_closing();
        [own, client, target, recorder, recheck, inner, closing]
            .into_iter()
            .flatten()
            .min()
    }

    /// Acts on every deadline that has passed; early calls do nothing.
    pub fn handle_timeout(&mut self, now: Now) {
        if let Some(recorder) = &mut self.recorder {
            recorder.set_now(now);
        }
        if self.unanswered_logs > 0 && self.log_deadline.is_some_and(|at| at <= now.mono) {
            // What waited for the answer, deadlines included, waits no longer.
            self.recorder_failed(now);
        }
        self.wait_on_for_who_does_not_read(now);
        self.inner_timeout(now);
        if self.awaits_log() {
            self.recheck_timeout(now);
            self.advance(now);
            return;
        }
        if let Some(recorder) = &mut self.recorder
            && recorder.poll_timeout().is_some_and(|at| at <= now.mono)
        {
            recorder.handle_timeout();
        }
        if let Err(error) = self.client.handle_timeout(now.mono) {
            self.leg_failed(Leg::Client, &error, now);
        }
        if let Some(Err(error)) = self
            .target
            .as_mut()
            .map(|target| target.handle_timeout(now.mono))
        {
            self.leg_failed(Leg::Target, &error, now);
        }
        self.own_timeout(now);
        self.recheck_timeout(now);
        self.advance(now);
    }

    /// A peer in a key exchange that has not taken the proxy's part of it is one that does not read.
    fn wait_on_for_who_does_not_read(&mut self, now: Now) {
        for leg in [Leg::Client, Leg::Target] {
            if self.io[leg].unwritten_bytes > 0 {
                self.wait_on_for_exchange(leg, now);
            }
        }
    }

    /// Whoever is inside hears nothing before this leg's peer takes it.
    fn wait_on_for_exchange(&mut self, leg: Leg, now: Now) {
        match (leg, &mut self.target) {
            (Leg::Client, _) => self.client.wait_on_for_exchange(now.mono),
            (Leg::Target, Some(target)) => target.wait_on_for_exchange(now.mono),
            (Leg::Target, None) => {}
        }
        for session in self.inner.sessions_mut() {
            session.wait_on_for_exchange(leg, now);
        }
    }

    fn own_timeout(&mut self, now: Now) {
        match &self.stage {
            Stage::TargetConnection { deadline } if *deadline <= now.mono => {
                self.target_unreachable(crate::ConnectFailure::TimedOut, now);
            }
            Stage::StepUp(stepping) if stepping.deadline().is_some_and(|at| at <= now.mono) => {
                self.approval_timed_out(now);
            }
            Stage::TargetHostKey { deadline }
            | Stage::TargetAgain { deadline, .. }
            | Stage::TargetLogin { deadline, .. }
                if *deadline <= now.mono =>
            {
                self.refuse(
                    Denied {
                        reason: Refusal::TargetTimeout,
                        detail: "the target did not answer in time".into(),
                        advice: "the target does not answer; try again later or ask who runs it"
                            .into(),
                    },
                    now,
                );
            }
            Stage::Certificate { deadline, .. } | Stage::HostCertificates { deadline, .. }
                if *deadline <= now.mono =>
            {
                self.signing_failed(now);
            }
            Stage::Farewell { deadline } if *deadline <= now.mono => self.say_goodbye(),
            Stage::End(_) => self.relay_timeout(now),
            _ => {}
        }
    }
}
