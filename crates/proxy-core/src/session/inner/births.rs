//! How a session inside another one begins, and what the relay tells of it.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use policy::Request;

use super::super::batch::Batch;
use super::super::login::check_way_to;
use super::super::stage::{Denied, Stage};
use super::super::standing::judge;
use super::{Inner, Inners, Lineage, Parent, Place, Session};
use crate::relay::{InnerSessions, NoSession};
use crate::{
    ConnectFailure, ConnectionInfo, Gateway, Leg, Limits, Now, Output, PerLeg, Refusal, Rules,
    SessionId, Target,
};

/// What a session makes others of, while its relay is at work.
pub(in crate::session) struct Nursery<'a> {
    pub(in crate::session) inners: &'a mut Inners,
    pub(in crate::session) gateway: &'a Arc<Gateway>,
    pub(in crate::session) rules: &'a Arc<Rules>,
    pub(in crate::session) info: &'a ConnectionInfo,
    pub(in crate::session) limits: &'a Limits,
    /// The session that they are inside of.
    pub(in crate::session) id: SessionId,
    pub(in crate::session) now: Now,
}

impl Nursery<'_> {
    /// Room for one more.
    fn place(&self) -> Result<Place, &'static str> {
        let lineage = &self.inners.lineage;
        if lineage.depth >= self.limits.inner_depth {
            return Err("too many sessions are around this one");
        }
        let (most, per_minute) = (self.limits.inner_sessions, self.limits.inner_per_minute);
        lineage.places.take(most, per_minute, self.now.mono)
    }

    fn find(&self, host: &str, port: u16) -> Result<Target, Denied> {
        let directory = self.gateway.directory.as_ref();
        let target = directory.and_then(|directory| directory.find(host, port));
        target.ok_or_else(|| Denied {
            reason: Refusal::UnknownTarget,
            detail: "the directory has no such target".into(),
            advice: "this proxy knows no machine of this name and port; ask who runs it".into(),
        })
    }

    /// What the session that would begin there decides first, without one.
    fn decide(&self, target: &Target) -> Result<(), Denied> {
        let request = Request {
            identity: &self.info.identity,
            device: &self.info.device,
            network: &self.info.network,
            target: &target.facts,
            user: None,
            now: self.now.unix,
        };
        // No revocation names a session that has not begun.
        judge(self.rules, &request, "")?;
        check_way_to(target)
    }

    /// The same person comes from the same place; where they go, what is decided, and all keys are its own.
    fn begin(&mut self, channel: u32, target: Target, refused: Option<Denied>) -> Session {
        let info = ConnectionInfo {
            target,
            ..self.info.clone()
        };
        let lineage = Lineage {
            parent: Some(Parent {
                session: self.id,
                channel,
            }),
            depth: self.inners.lineage.depth.saturating_add(1),
            places: self.inners.lineage.places.clone(),
        };
        let seed = self.inners.seeds.next();
        let (gateway, rules) = (Arc::clone(self.gateway), Arc::clone(self.rules));
        Session::begin((gateway, rules), info, &seed, lineage, refused, self.now)
    }
}

impl InnerSessions for Batch<'_> {
    fn other_names(&self, host: &str, port: u16) -> Vec<String> {
        let Ok(target) = self.nursery.find(host, port) else {
            return Vec::new();
        };
        let address = target.facts.address.map(|it| it.to_string());
        let names = [Some(target.facts.hostname), address];
        names.into_iter().flatten().collect()
    }

    fn asked(&mut self, channel: u32, host: &str, port: u16) -> Result<String, NoSession> {
        let are_muted = self.are_refusals_muted();
        let nursery = &mut self.nursery;
        let place = nursery.place()?;
        let target = nursery.find(host, port).map_err(|denied| NoSession {
            why: denied.reason.why_no_session(),
            message: denied.advice,
            session: None,
        })?;
        if are_muted && let Err(denied) = nursery.decide(&target) {
            return Err(NoSession {
                why: denied.reason.why_no_session(),
                message: denied.message(nursery.id),
                session: None,
            });
        }
        let session = nursery.begin(channel, target, None);
        let name = session.id().to_string();
        if let Some(denied) = session.denied() {
            let no_session = NoSession {
                why: denied.reason.why_no_session(),
                message: session.message(denied),
                session: Some(name),
            };
            // There is no channel on which it could say anything.
            let said = session.outputs.into_iter();
            self.outputs
                .extend(said.filter(|it| matches!(it, Output::Event(_))));
            self.count_refusal();
            return Err(no_session);
        }
        let inner = Inner::new(session, place);
        nursery.inners.open.insert(channel, inner);
        Ok(name)
    }

    fn found(
        &mut self,
        channel: u32,
        host: &str,
        port: u16,
        passed: PerLeg<usize>,
    ) -> Result<String, &'static str> {
        let are_muted = self.are_refusals_muted();
        let nursery = &mut self.nursery;
        let place = nursery.place()?;
        let target = nursery.find(host, port);
        if are_muted {
            let decided = match &target {
                Ok(target) => nursery.decide(target),
                Err(denied) => return Err(denied.reason.why_no_session()),
            };
            decided.map_err(|denied| denied.reason.why_no_session())?;
        }
        let session = match target {
            Ok(target) => nursery.begin(channel, target, None),
            Err(denied) => {
                let facts = policy::Target {
                    hostname: host.into(),
                    port,
                    ..Default::default()
                };
                nursery.begin(channel, Target::new(facts), Some(denied))
            }
        };
        let is_denied = session.denied().is_some();
        let name = session.id().to_string();
        let mut inner = Inner::new(session, place);
        inner.is_connected = true;
        for leg in [Leg::Client, Leg::Target] {
            inner.to[leg].skip_bytes = passed[leg.other()];
        }
        nursery.inners.open.insert(channel, inner);
        if is_denied {
            self.count_refusal();
        }
        Ok(name)
    }

    fn connected(&mut self, channel: u32) -> bool {
        let inner = self.nursery.inners.open.get_mut(&channel);
        inner.is_some_and(|inner| {
            inner.is_connected = true;
            true
        })
    }

    fn unreachable(&mut self, channel: u32) {
        let now = self.nursery.now;
        let Some(inner) = self.nursery.inners.open.get_mut(&channel) else {
            return;
        };
        let failure = ConnectFailure::Other;
        let denied = Denied {
            reason: Refusal::TargetUnreachable,
            detail: "the outer target did not open the connection".into(),
            advice: failure.to_string(),
        };
        inner.session.refuse(denied, now);
    }

    fn received(&mut self, channel: u32, from: Leg, bytes: &[u8]) {
        let inner = self.nursery.inners.open.get_mut(&channel);
        let is_admitting = |it: &&mut Inner| it.session.is_admitting_itself();
        self.is_for_admitted = !inner.as_ref().is_some_and(is_admitting);
        if let Some(inner) = inner {
            inner.received(from, bytes);
        }
    }

    fn ended(&mut self, channel: u32, from: Leg) {
        if let Some(inner) = self.nursery.inners.open.get_mut(&channel) {
            inner.from[from].has_ended = true;
        }
    }

    fn closed(&mut self, channel: u32, from: Leg) {
        self.ended(channel, from);
        let by = self.nursery.now.mono + self.nursery.gateway.timeouts.farewell;
        if let Some(inner) = self.nursery.inners.open.get_mut(&channel) {
            inner.from[from].take_by = Some(by);
        }
    }
}

impl Session {
    /// Why it was refused at once.
    fn denied(&self) -> Option<&Denied> {
        match &self.stage {
            Stage::ClientIdentification { refused } => refused.as_ref(),
            _ => None,
        }
    }
}

impl Refusal {
    /// Why a session inside another does not begin at all.
    const fn why_no_session(self) -> &'static str {
        match self {
            Self::UnknownTarget => "the directory has no such target",
            Self::NoKnownHostKey => "no host key of the target is known",
            Self::Revoked => "the person, the device or the target is revoked",
            Self::Policy => "the policy does not let the person reach the target",
            _ => "no session can begin there",
        }
    }
}
