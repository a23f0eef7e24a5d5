//! The target, while a person is busy with steps: it is left, and connected to again.

use super::super::stage::{Login, Stage};
use super::super::{LegIo, Session};
use crate::{Leg, Now, Output};

impl Session {
    /// Its host key is known by now, which is all that it was needed for. The channel of a session inside another is the client's to
    /// open, so there the target is kept for as long as it waits.
    pub(super) fn leave_target(&mut self) {
        if self.inner.parent().is_some() {
            return;
        }
        self.disconnect_target("the client's login takes longer");
        self.collect_output();
        self.target = None;
        self.known.target_ready = false;
        self.known.target_ident = None;
        self.known.target_algorithms = None;
    }

    /// All steps are done.
    pub(in super::super) fn return_to_target(&mut self, login: Login, now: Now) {
        let deadline = now.mono.saturating_add(self.gateway.timeouts.connect);
        self.stage = Stage::TargetAgain { login, deadline };
        self.outputs.push_back(Output::ConnectTarget);
    }

    pub(in super::super) fn target_connected_again(&mut self, now: Now) {
        let Stage::TargetAgain { deadline, .. } = &mut self.stage else {
            return;
        };
        *deadline = now.mono.saturating_add(self.gateway.timeouts.target_login);
        // Taken once, as this stage is reached once.
        if let Some(seed) = self.seeds.target_leg_again.take() {
            self.io[Leg::Target] = LegIo::default();
            self.start_target_leg(*seed, now);
        }
    }

    /// Its key exchange is over, with the host key of the first time.
    pub(in super::super) fn target_is_back(&mut self, now: Now) {
        if let Stage::TargetAgain { login, .. } =
            self.take_stage_if(|s| matches!(s, Stage::TargetAgain { .. }))
        {
            self.open_log(login, now);
        }
    }
}
