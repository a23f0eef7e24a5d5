//! Ending sessions: one, or all of an identity, a device or a target.

use std::io;

use policy::OperatorAction;
use proxy_core::{Operation, Overview, plain_text};

use super::access::Operator;
use super::answer::{answers_are_due, done, refused};
use super::protocol::{Reply, Which};
use super::{Admin, Client};
use crate::live::{Asked, Entry, Outcome};

impl Admin {
    pub(super) async fn end(
        &self,
        operator: &Operator<'_>,
        which: &Which,
        reason: &str,
        client: &mut Client,
    ) -> io::Result<()> {
        if plain_text(reason).trim().is_empty() {
            self.tell(operator, "operator.end", None, None, None);
            let why = "say why: the person reads it".to_owned();
            return client.say(&Reply::Failed { why }).await;
        }
        let (entries, denied) = match self.to_end(operator, which, reason).await {
            Ok(found) => found,
            Err(reply) => return client.say(&reply).await,
        };
        // All are told before anybody is waited for: neither a session that does not answer nor an operator who does not listen keeps
        // others from ending.
        let asked: Vec<_> = entries
            .iter()
            .map(|entry| end_one(operator, entry, reason))
            .collect();
        let due = answers_are_due();
        let mut untold = 0;
        for (entry, asked) in entries.iter().zip(asked) {
            let outcome = asked.outcome(due).await;
            if outcome == Outcome::Untold {
                untold += 1;
                continue;
            }
            let ended = Reply::Ended {
                session: entry.overview.session().to_string(),
                late: outcome == Outcome::Late,
            };
            client.say(&ended).await?;
        }
        if untold > 0 {
            let why = format!(
                "of the sessions meant {untold} do not answer, and so much waits for them that they could not be told"
            );
            return client.say(&Reply::Failed { why }).await;
        }
        client.say(&done(entries.len(), denied)).await
    }

    /// The sessions that are meant and may be ended, and how many may not; told either way.
    async fn to_end(
        &self,
        operator: &Operator<'_>,
        which: &Which,
        reason: &str,
    ) -> Result<(Vec<Entry>, usize), Reply> {
        let action = OperatorAction::End;
        if let Which::Session(id) = which {
            let entry = self.one(operator, action, id, Some(reason)).await?;
            return Ok((vec![entry], 0));
        }
        let (mut entries, mut denied) = (Vec::new(), 0);
        for (entry, rule) in self.all(operator, action).await {
            if !is_meant(which, &entry.overview) {
                continue;
            }
            let (rule, session) = (rule.as_deref(), Some(entry.overview.session()));
            self.tell(operator, "operator.end", rule, session, Some(reason));
            match rule {
                Some(_) => entries.push(entry),
                None => denied += 1,
            }
        }
        if entries.is_empty() && denied > 0 {
            return Err(refused(operator, action));
        }
        if entries.is_empty() && *which != Which::All {
            let why = "no session is one of those".to_owned();
            return Err(Reply::Failed { why });
        }
        Ok((entries, denied))
    }
}

fn end_one(operator: &Operator<'_>, entry: &Entry, reason: &str) -> Asked {
    let operation = Operation::End {
        who: operator.name().to_owned(),
        reason: reason.to_owned(),
    };
    entry.way.operate(entry.overview.session(), operation)
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
