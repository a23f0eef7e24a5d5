//! How a session inside another one begins, and what the relay tells of it.

use alloc::string::{String, ToString};
use alloc::sync::Arc;

use super::super::batch::Batch;
use super::super::stage::{Denied, Stage};
use super::{Closing, Inner, Inners, Lineage, Parent, Place, Session};
use crate::relay::InnerSessions;
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
    /// Room for one more; `None` when there are enough, or when they are too deep inside each other.
    fn place(&self) -> Option<Place> {
        let lineage = &self.inners.lineage;
        let is_too_deep = lineage.depth >= self.limits.inner_depth;
        let limit = self.limits.inner_sessions;
        (!is_too_deep).then(|| lineage.places.take(limit)).flatten()
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
    fn asked(&mut self, channel: u32, host: &str, port: u16) -> Result<String, String> {
        let nursery = &mut self.nursery;
        let place = nursery.place().ok_or(NO_PLACE)?;
        let target = nursery.find(host, port).map_err(|denied| denied.advice)?;
        let session = nursery.begin(channel, target, None);
        if let Some(message) = session.refused_with() {
            // There is no channel on which it could say anything.
            let said = session.outputs.into_iter();
            self.outputs
                .extend(said.filter(|it| matches!(it, Output::Event(_))));
            return Err(message);
        }
        let name = session.id().to_string();
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
    ) -> Option<String> {
        let nursery = &mut self.nursery;
        let place = nursery.place()?;
        let session = match nursery.find(host, port) {
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
        let name = session.id().to_string();
        let mut inner = Inner::new(session, place);
        inner.is_connected = true;
        for leg in [Leg::Client, Leg::Target] {
            inner.to[leg].skip_bytes = passed[leg.other()];
        }
        nursery.inners.open.insert(channel, inner);
        Some(name)
    }

    fn connected(&mut self, channel: u32) {
        if let Some(inner) = self.nursery.inners.open.get_mut(&channel) {
            inner.is_connected = true;
        }
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
        for leg in [Leg::Client, Leg::Target] {
            inner.to[leg].closing = Closing::Closed;
        }
    }

    fn received(&mut self, channel: u32, from: Leg, bytes: &[u8]) {
        if let Some(inner) = self.nursery.inners.open.get_mut(&channel) {
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

const NO_PLACE: &str = "too many sessions are open inside this one";

impl Session {
    /// What the person is told when it was refused at once.
    fn refused_with(&self) -> Option<String> {
        match &self.stage {
            Stage::ClientIdentification {
                refused: Some(denied),
            } => Some(self.message(denied)),
            _ => None,
        }
    }
}
