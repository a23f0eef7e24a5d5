//! Requests and their answers: which sessions are meant, and what is told of them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use policy::OperatorAction;
use proxy_core::Verdict;
use tokio::time::Instant;

use super::access::Operator;
use super::protocol::{Reply, Request, SessionLine};
use super::{Admin, Client};
use crate::live::Entry;

/// How long sessions may take to answer. They do between two other things, and no peer keeps them from it; a disk that is stuck may.
const ANSWER_TIME: Duration = Duration::from_secs(2);

/// A session, and the entry of the policy that allows what is asked about it.
pub(super) type Found = (Entry, Option<Arc<str>>);

impl Admin {
    pub(super) async fn answer(
        &self,
        operator: &Operator<'_>,
        request: Request,
        client: &mut Client,
    ) -> io::Result<()> {
        match request {
            Request::List => self.list(operator, client).await,
            Request::Show { session } => self.show(operator, &session, client).await,
            Request::End { which, reason } => self.end(operator, &which, &reason, client).await,
            Request::Watch { session } => self.watch(operator, &session, client).await,
            Request::Approvals => self.approvals(operator, client).await,
            Request::Approve { session, note } => {
                let verdict = Verdict::Approve;
                self.answer_approval(operator, &session, verdict, &note, client)
                    .await
            }
            Request::Refuse { session, note } => {
                let verdict = Verdict::Refuse;
                self.answer_approval(operator, &session, verdict, &note, client)
                    .await
            }
            Request::Drain { wait_ms } => {
                let wait = wait_ms.map(Duration::from_millis);
                self.drain(operator, wait, client).await
            }
        }
    }

    async fn list(&self, operator: &Operator<'_>, client: &mut Client) -> io::Result<()> {
        let all = self.all(operator, OperatorAction::List).await;
        let Some(rule) = self.any_rule(operator, OperatorAction::List, &all) else {
            self.tell(operator, "operator.list", None, None, None);
            return client.say(&refused(operator, OperatorAction::List)).await;
        };
        self.tell(operator, "operator.list", Some(&rule), None, None);
        let mut count = 0;
        for (entry, _) in all.iter().filter(|(_, rule)| rule.is_some()) {
            let may_show = self.rule(operator, OperatorAction::Show, &entry.overview.target);
            let line = match may_show {
                Some(_) => SessionLine::shown(entry),
                None => SessionLine::listed(entry),
            };
            client.say(&Reply::Session(Box::new(line))).await?;
            count += 1;
        }
        client.say(&done(count, 0)).await
    }

    async fn show(&self, operator: &Operator<'_>, id: &str, client: &mut Client) -> io::Result<()> {
        let entry = match self.one(operator, OperatorAction::Show, id, None).await {
            Ok(entry) => entry,
            Err(reply) => return client.say(&reply).await,
        };
        let line = Box::new(SessionLine::shown(&entry));
        client.say(&Reply::Session(line)).await?;
        client.say(&done(1, 0)).await
    }

    async fn drain(
        &self,
        operator: &Operator<'_>,
        wait: Option<Duration>,
        client: &mut Client,
    ) -> io::Result<()> {
        // It ends the sessions of all targets, and lets nobody in any more.
        let action = OperatorAction::End;
        let rules: Option<Vec<_>> = self
            .targets
            .iter()
            .map(|target| self.rule(operator, action, target))
            .collect();
        let rule = rules.as_ref().and_then(|rules| rules.first());
        self.tell(
            operator,
            "operator.drain",
            rule.map(|rule| &**rule),
            None,
            None,
        );
        if rule.is_none() {
            let why = format!(
                "the policy does not let {} `end` sessions of every target",
                operator.name()
            );
            return client.say(&Reply::Refused { why }).await;
        }
        let wait = self.stopper.drain(wait.or(self.drain));
        tracing::info!(operator = operator.name(), ?wait, "asked to drain");
        let reply = Reply::Draining {
            connections: self.live.len(),
            wait_ms: wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        };
        client.say(&reply).await?;
        client.say(&done(0, 0)).await
    }

    /// All sessions, each with whether this is allowed about it.
    pub(super) async fn all(&self, operator: &Operator<'_>, action: OperatorAction) -> Vec<Found> {
        let entries = self.live.entries(answers_are_due()).await.into_iter();
        entries
            .map(|entry| {
                let rule = self.rule(operator, action, &entry.overview.target);
                (entry, rule)
            })
            .collect()
    }

    /// What lets them do this about any session, of these or of those that there might be on some target.
    pub(super) fn any_rule(
        &self,
        operator: &Operator<'_>,
        action: OperatorAction,
        all: &[Found],
    ) -> Option<Arc<str>> {
        let found = all.iter().find_map(|(_, rule)| rule.clone());
        found.or_else(|| {
            let mut targets = self.targets.iter();
            targets.find_map(|it| self.rule(operator, action, it))
        })
    }

    /// The one session whose id begins so, if this is allowed about it; told either way.
    pub(super) async fn one(
        &self,
        operator: &Operator<'_>,
        action: OperatorAction,
        id: &str,
        reason: Option<&str>,
    ) -> Result<Entry, Reply> {
        let (entry, rule) = self.found(operator, action, id, reason).await?;
        let event = format!("operator.{action}");
        let session = Some(entry.overview.session());
        self.tell(operator, &event, Some(&rule), session, reason);
        Ok(entry)
    }

    /// The one session whose id begins so, and what allows this about it; told only if there is none, or this is not allowed.
    pub(super) async fn found(
        &self,
        operator: &Operator<'_>,
        action: OperatorAction,
        id: &str,
        reason: Option<&str>,
    ) -> Result<(Entry, Arc<str>), Reply> {
        let all = self.all(operator, action).await;
        let event = format!("operator.{action}");
        let failed = |why| {
            self.tell(operator, &event, None, None, reason);
            // Who may see nothing is not told what there is.
            let may_see = [action, OperatorAction::List]
                .iter()
                .any(|it| self.any_rule(operator, *it, &[]).is_some());
            match may_see {
                true => Reply::Failed { why },
                false => refused(operator, action),
            }
        };
        let stuck = all.iter().filter(|(entry, _)| !entry.answers).count();
        let mut found = all.into_iter().filter(|(entry, _)| {
            !id.is_empty() && entry.overview.session().to_string().starts_with(id)
        });
        let Some((entry, rule)) = found.next() else {
            let none = "no session has an id that begins so".to_owned();
            let why = [Some(none), unseen(stuck)].into_iter().flatten();
            return Err(failed(why.collect::<Vec<_>>().join("; ")));
        };
        if found.next().is_some() {
            let why = "several sessions have ids that begin so; write more of it".to_owned();
            return Err(failed(why));
        }
        match rule {
            Some(rule) => Ok((entry, rule)),
            None => {
                let session = Some(entry.overview.session());
                self.tell(operator, &event, None, session, reason);
                Err(refused(operator, action))
            }
        }
    }
}

/// When sessions that are asked now must have answered.
pub(super) fn answers_are_due() -> Instant {
    Instant::now() + ANSWER_TIME
}

/// What is said where so many connections do not answer: only their own sessions are known.
pub(super) fn unseen(stuck: usize) -> Option<String> {
    (stuck > 0).then(|| {
        format!("{stuck} connections do not answer; sessions inside them were not looked at")
    })
}

pub(super) fn done(count: usize, refused: usize) -> Reply {
    Reply::Done { count, refused }
}

pub(super) fn refused(operator: &Operator<'_>, action: OperatorAction) -> Reply {
    Reply::Refused {
        why: format!(
            "the policy does not let {} `{action}` this; see `[[operator]]` in it",
            operator.name()
        ),
    }
}
