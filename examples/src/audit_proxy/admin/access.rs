//! Who an operator is, what the policy allows them, and what is told of it.

use std::sync::Arc;
use std::time::Duration;

use policy::{OperatorAction, OperatorDecision, OperatorRequest, Request};
use proxy_core::{SessionId, plain_text};
use serde::Serialize;

use super::Admin;
use super::noise::Turned;
use crate::config::Who;
use crate::tool::time::unix_now;

/// Somebody who asks.
pub(super) struct Operator<'a> {
    pub(super) uid: u32,
    who: &'a Who,
}

/// What is told of a request, allowed or not.
#[derive(Serialize)]
pub(super) struct Told<'a> {
    time_unix_ms: u64,
    /// `operator.list`, `operator.show`, …
    event: &'a str,
    uid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    operator: Option<String>,
    allowed: bool,
    /// The entry of the policy that allows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<SessionId>,
    /// Why, in the operator's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// So many since the last of these events, of which this is the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
}

impl<'a> Operator<'a> {
    pub(super) fn new(uid: u32, who: &'a Who) -> Self {
        Self { uid, who }
    }

    /// As approvers are named.
    pub(super) fn email(&self) -> Option<&'a str> {
        self.who.identity.email.as_deref()
    }

    /// What they are called in logs and events.
    pub(super) fn name(&self) -> &'a str {
        let identity = &self.who.identity;
        identity.email.as_deref().unwrap_or(&identity.subject)
    }
}

impl Admin {
    /// The entry of the policy in force that lets them do this about sessions on a target.
    pub(super) fn rule(
        &self,
        operator: &Operator<'_>,
        action: OperatorAction,
        target: &policy::Target,
    ) -> Option<Arc<str>> {
        let rules = self.in_force.now();
        let now = unix_now();
        let (identity, device) = (&operator.who.identity, &operator.who.device_at(now));
        let network = &policy::Network::default();
        let as_person = Request {
            identity,
            device,
            network,
            target,
            user: None,
            now,
        };
        // An operator has no session of their own here.
        if rules.revocations.find(&as_person, "").is_some() {
            return None;
        }
        let request = OperatorRequest {
            identity,
            device,
            network,
            target,
            action,
            now,
        };
        match policy::decide_operator(&rules.policy, &request) {
            OperatorDecision::Allow { operator } => Some(operator),
            OperatorDecision::Deny => None,
        }
    }

    /// Tells of a request that was decided about. Texts of operators stand in events as a terminal may show them.
    pub(super) fn tell(
        &self,
        operator: &Operator<'_>,
        event: &str,
        rule: Option<&str>,
        session: Option<SessionId>,
        reason: Option<&str>,
    ) {
        self.events.write(&Told {
            time_unix_ms: millis(unix_now()),
            event,
            uid: operator.uid,
            operator: Some(plain_text(operator.name())),
            allowed: rule.is_some(),
            rule,
            session,
            reason: reason.map(plain_text),
            count: None,
        });
    }

    /// Tells of somebody whom the configuration does not know, or of many at once.
    pub(super) fn tell_stranger(&self, uid: u32) {
        let Some(count) = self.noise.count(Turned::Stranger) else {
            return;
        };
        tracing::warn!(
            uid,
            count,
            "a user of this machine who is no operator asked"
        );
        self.events.write(&Told {
            time_unix_ms: millis(unix_now()),
            event: "operator.unknown",
            uid,
            operator: None,
            allowed: false,
            rule: None,
            session: None,
            reason: None,
            count: Some(count),
        });
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
