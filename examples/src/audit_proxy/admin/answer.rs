//! Requests and their answers.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use policy::OperatorAction;
use proxy_core::{Operation, Overview, Verdict};
use tokio::time::interval;

use super::access::Operator;
use super::protocol::{Reply, Request, SessionLine, Which};
use super::{Admin, Client};
use crate::live::{Shown, View, Way, feed};

/// How often it is decided again whether a watcher may watch: as often as a session is decided about again.
const DECIDE_AGAIN: Duration = Duration::from_secs(5);

/// A session, and the entry of the policy that allows what is asked about it.
type Found = (Way, Overview, Option<Arc<str>>);

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
        // With no session in sight it is the targets that tell whether they might see any.
        let targets = self.targets.iter();
        let mut rules = targets.filter_map(|it| self.rule(operator, OperatorAction::List, it));
        let rule = all.iter().find_map(|(.., rule)| rule.clone());
        let Some(rule) = rule.or_else(|| rules.next()) else {
            self.tell(operator, "operator.list", None, None, None);
            return client.say(&refused(operator, OperatorAction::List)).await;
        };
        self.tell(operator, "operator.list", Some(&rule), None, None);
        let mut count = 0;
        for (_, overview, _) in all.iter().filter(|(.., rule)| rule.is_some()) {
            let line = Box::new(SessionLine::listed(overview));
            client.say(&Reply::Session(line)).await?;
            count += 1;
        }
        client.say(&done(count, 0)).await
    }

    async fn show(&self, operator: &Operator<'_>, id: &str, client: &mut Client) -> io::Result<()> {
        let (_, overview) = match self.one(operator, OperatorAction::Show, id, None).await {
            Ok(found) => found,
            Err(reply) => return client.say(&reply).await,
        };
        let line = Box::new(SessionLine::shown(&overview));
        client.say(&Reply::Session(line)).await?;
        client.say(&done(1, 0)).await
    }

    async fn end(
        &self,
        operator: &Operator<'_>,
        which: &Which,
        reason: &str,
        client: &mut Client,
    ) -> io::Result<()> {
        if reason.trim().is_empty() {
            self.tell(operator, "operator.end", None, None, None);
            let why = "say why: the person reads it".to_owned();
            return client.say(&Reply::Failed { why }).await;
        }
        if let Which::Session(id) = which {
            let found = self.one(operator, OperatorAction::End, id, Some(reason));
            let (way, overview) = match found.await {
                Ok(found) => found,
                Err(reply) => return client.say(&reply).await,
            };
            self.end_one(operator, &way, &overview, reason).await;
            client.say(&ended(&overview)).await?;
            return client.say(&done(1, 0)).await;
        }
        let (mut told, mut denied) = (Vec::new(), 0);
        for (way, overview, rule) in self.all(operator, OperatorAction::End).await {
            if !is_meant(which, &overview) {
                continue;
            }
            let session = Some(overview.session());
            self.tell(
                operator,
                "operator.end",
                rule.as_deref(),
                session,
                Some(reason),
            );
            if rule.is_none() {
                denied += 1;
                continue;
            }
            self.end_one(operator, &way, &overview, reason).await;
            told.push(ended(&overview));
        }
        if told.is_empty() && denied > 0 {
            return client.say(&refused(operator, OperatorAction::End)).await;
        }
        if told.is_empty() && *which != Which::All {
            let why = "no session is one of those".to_owned();
            return client.say(&Reply::Failed { why }).await;
        }
        // An operator who does not listen must not keep sessions from ending.
        for reply in &told {
            client.say(reply).await?;
        }
        client.say(&done(told.len(), denied)).await
    }

    /// One that has ended by itself meanwhile is ended, too.
    async fn end_one(&self, operator: &Operator<'_>, way: &Way, overview: &Overview, reason: &str) {
        let operation = Operation::End {
            who: operator.name().to_owned(),
            reason: reason.to_owned(),
        };
        way.operate(overview.session(), operation).await;
    }

    async fn watch(
        &self,
        operator: &Operator<'_>,
        id: &str,
        client: &mut Client,
    ) -> io::Result<()> {
        let (way, overview) = match self.one(operator, OperatorAction::Watch, id, None).await {
            Ok(found) => found,
            Err(reply) => return client.say(&reply).await,
        };
        let session = overview.session();
        let watch = self.live.next_watch();
        let (feed, view) = feed(watch);
        let who = operator.name().to_owned();
        if !way.watch(session, who, feed).await {
            let why = "the session is over".to_owned();
            return client.say(&Reply::WatchOver { why }).await;
        }
        let watched = tokio::select! {
            watched = show_all(view, client) => Some(watched),
            () = self.no_longer_allowed(operator, OperatorAction::Watch, &overview.target) => None,
        };
        let why = match &watched {
            Some(_) => "the watcher left",
            None => "no longer allowed",
        };
        // Where it is over already, nobody is there to hear this.
        let why = why.to_owned();
        let unwatch = Operation::Unwatch {
            watch,
            why: why.clone(),
        };
        way.operate(session, unwatch).await;
        if let Some(watched) = watched {
            return watched;
        }
        self.tell(
            operator,
            "operator.unwatch",
            None,
            Some(session),
            Some(&why),
        );
        client.say(&Reply::WatchOver { why }).await
    }

    /// Waits until the policy, a revocation or the time of day takes back what was allowed.
    async fn no_longer_allowed(
        &self,
        operator: &Operator<'_>,
        action: OperatorAction,
        target: &policy::Target,
    ) {
        let mut changes = self.in_force.changes();
        let mut times = interval(DECIDE_AGAIN);
        while self.rule(operator, action, target).is_some() {
            tokio::select! {
                _ = changes.changed() => {}
                _ = times.tick() => {}
            }
        }
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

    /// All sessions, each with whether this is allowed about it, the oldest first.
    async fn all(&self, operator: &Operator<'_>, action: OperatorAction) -> Vec<Found> {
        let all = self.live.overviews().await.into_iter();
        let mut all: Vec<Found> = all
            .map(|(way, overview)| {
                let rule = self.rule(operator, action, &overview.target);
                (way, overview, rule)
            })
            .collect();
        all.sort_by_key(|(_, overview, _)| (overview.connected, overview.session()));
        all
    }

    /// The one session whose id begins so, if this is allowed about it; told either way.
    async fn one(
        &self,
        operator: &Operator<'_>,
        action: OperatorAction,
        id: &str,
        reason: Option<&str>,
    ) -> Result<(Way, Overview), Reply> {
        let all = self.all(operator, action).await.into_iter();
        let mut found = all.filter(|(_, overview, _)| {
            !id.is_empty() && overview.session().to_string().starts_with(id)
        });
        let event = format!("operator.{action}");
        let failed = |why| {
            self.tell(operator, &event, None, None, reason);
            Reply::Failed { why }
        };
        let Some((way, overview, rule)) = found.next() else {
            return Err(failed("no session has an id that begins so".to_owned()));
        };
        if found.next().is_some() {
            let why = "several sessions have ids that begin so; write more of it".to_owned();
            return Err(failed(why));
        }
        let session = Some(overview.session());
        self.tell(operator, &event, rule.as_deref(), session, reason);
        match rule {
            Some(_) => Ok((way, overview)),
            None => Err(refused(operator, action)),
        }
    }
}

/// Shows a session until it is over, or the operator has left.
async fn show_all(mut view: View, client: &mut Client) -> io::Result<()> {
    loop {
        let shown = tokio::select! {
            shown = view.next() => shown,
            () = client.left() => return Ok(()),
        };
        let over = |why| Reply::WatchOver { why };
        let reply = match shown {
            Some(Shown::Seen(channel, seen)) => Reply::Seen {
                channel,
                what: (&seen).into(),
            },
            Some(Shown::Over(why)) => over(why),
            None => over("the session is over".to_owned()),
        };
        client.say(&reply).await?;
        if matches!(reply, Reply::WatchOver { .. }) {
            return Ok(());
        }
    }
}

fn is_meant(which: &Which, overview: &Overview) -> bool {
    let subject = &overview.subject;
    match which {
        Which::Session(id) => overview.session().to_string().starts_with(id.as_str()),
        Which::Identity(name) => subject.identity.eq_ignore_ascii_case(name),
        Which::Device(name) => overview.device.as_ref() == Some(name),
        Which::Target(name) => [&subject.target, &subject.hostname]
            .iter()
            .any(|it| it.eq_ignore_ascii_case(name)),
        Which::All => true,
    }
}

fn done(count: usize, refused: usize) -> Reply {
    Reply::Done { count, refused }
}

fn ended(overview: &Overview) -> Reply {
    Reply::Ended {
        session: overview.session().to_string(),
    }
}

fn refused(operator: &Operator<'_>, action: OperatorAction) -> Reply {
    Reply::Refused {
        why: format!(
            "the policy does not let {} `{action}` this; see `[[operator]]` in it",
            operator.name()
        ),
    }
}
