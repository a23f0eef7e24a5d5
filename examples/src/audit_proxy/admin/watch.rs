//! Watching a session, for as long as that is allowed.

use std::io;
use std::time::Duration;

use policy::OperatorAction;
use proxy_core::Operation;
use tokio::time::interval;

use super::access::Operator;
use super::answer::answers_are_due;
use super::protocol::Reply;
use super::{Admin, Client};
use crate::live::{Entry, Shown, View, feed};

/// How often it is decided again whether a watcher may watch: the policy may tie that to a time, which nobody announces when it is over.
const DECIDE_AGAIN: Duration = Duration::from_secs(1);

impl Admin {
    pub(super) async fn watch(
        &self,
        operator: &Operator<'_>,
        id: &str,
        client: &mut Client,
    ) -> io::Result<()> {
        let action = OperatorAction::Watch;
        let Entry { way, overview, .. } = match self.one(operator, action, id, None).await {
            Ok(entry) => entry,
            Err(reply) => return client.say(&reply).await,
        };
        let session = overview.session();
        let watch = self.live.next_watch();
        let (feed, view) = feed(watch, self.limits.feed_bytes);
        if !way.watch(session, operator.name().to_owned(), feed) {
            let why = "the session is over, or does not answer".to_owned();
            return client.say(&Reply::Failed { why }).await;
        }
        let watched = tokio::select! {
            watched = show_all(view, client) => Some(watched),
            () = self.no_longer_allowed(operator, action, &overview.target) => None,
        };
        let why = match &watched {
            Some(_) => "the watcher left",
            None => "no longer allowed",
        };
        let unwatch = Operation::Unwatch {
            watch,
            why: why.to_owned(),
        };
        // Where it is over already, or its task does not answer, nobody is there to hear this; the view is gone either way.
        let asked = way.operate(session, unwatch);
        asked.outcome(answers_are_due()).await;
        if let Some(watched) = watched {
            return watched;
        }
        self.tell(operator, "operator.unwatch", None, Some(session), Some(why));
        let why = why.to_owned();
        client.say(&Reply::WatchOver { why }).await
    }

    /// Waits until the policy, a revocation or the time of day takes back what was allowed.
    async fn no_longer_allowed(
        &self,
        operator: &Operator<'_>,
        action: OperatorAction,
        target: &policy::Target,
    ) {
        let mut changes = self.in_force.changes_for_operators();
        let mut times = interval(DECIDE_AGAIN);
        while self.rule(operator, action, target).is_some() {
            tokio::select! {
                _ = changes.changed() => {}
                _ = times.tick() => {}
            }
        }
    }
}

/// Shows a session until it is over, or the operator has left.
async fn show_all(mut view: View, client: &mut Client) -> io::Result<()> {
    let mut has_begun = false;
    loop {
        let shown = tokio::select! {
            shown = view.next() => shown,
            () = client.left() => return Ok(()),
        };
        let shown = shown.unwrap_or_else(|| Shown::Over("the session is over".to_owned()));
        let why = match shown {
            Shown::Seen(channel, seen) => {
                has_begun = true;
                let what = (&seen).into();
                client.say(&Reply::Seen { channel, what }).await?;
                continue;
            }
            Shown::Over(why) => why,
        };
        // Who was never let watch has not watched to the end.
        let last = match has_begun {
            true => Reply::WatchOver { why },
            false => Reply::Failed { why },
        };
        return client.say(&last).await;
    }
}
