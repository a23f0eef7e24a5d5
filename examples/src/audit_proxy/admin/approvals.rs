//! Requests about people who wait for an approval, and their answers.

use std::io;

use policy::OperatorAction;
use proxy_core::{Approval, ApprovalRequest, Verdict};
use tokio::time::timeout_at;

use super::access::Operator;
use super::answer::answers_are_due;
use super::protocol::{ApprovalLine, MAX_LISTED_APPROVERS, Reply};
use super::{Admin, Client};
use crate::approvals::Answered;

impl Admin {
    /// Those that the policy lets this operator answer, the oldest first.
    pub(super) async fn approvals(
        &self,
        operator: &Operator<'_>,
        client: &mut Client,
    ) -> io::Result<()> {
        let mut open = self.approvals.open();
        open.sort_by_key(|request| (request.asked_unix_ms, request.subject.session));
        let mut targets = self.targets.iter();
        let rule = targets.find_map(|it| self.rule(operator, OperatorAction::Approve, it));
        self.tell(operator, "operator.approvals", rule.as_deref(), None, None);
        if rule.is_none() {
            let reply = refused(operator, "answer anybody");
            return client.say(&reply).await;
        }
        let mut count = 0;
        for request in open {
            if self.approve_rule(operator, &request).is_none() {
                continue;
            }
            let line = Box::new(ApprovalLine::of(&request));
            client.say(&Reply::Approval(line)).await?;
            count += 1;
        }
        client.say(&Reply::Done { count, refused: 0 }).await
    }

    /// Brings an answer to the one question whose session's id begins so.
    pub(super) async fn answer_approval(
        &self,
        operator: &Operator<'_>,
        id: &str,
        verdict: Verdict,
        note: &str,
        client: &mut Client,
    ) -> io::Result<()> {
        let event = match verdict {
            Verdict::Approve => "operator.approve",
            Verdict::Refuse => "operator.refuse",
        };
        let request = match self.question(id) {
            Ok(request) => request,
            Err(why) => {
                self.tell(operator, event, None, None, None);
                let why = why.to_owned();
                return client.say(&Reply::Failed { why }).await;
            }
        };
        let session = request.subject.session;
        let rule = self.approve_rule(operator, &request);
        let said = Some(note).filter(|note| !note.is_empty());
        let tell = |rule| self.tell(operator, event, rule, Some(session), said);
        if rule.is_none() {
            tell(None);
            let reply = refused(operator, "answer this");
            return client.say(&reply).await;
        }
        let approval = Approval {
            session,
            by: operator.email().unwrap_or_default().to_owned(),
            verdict,
            note: note.to_owned(),
        };
        let answer = self.approvals.answer(approval);
        let Ok(answered) = timeout_at(answers_are_due(), answer).await else {
            tell(rule.as_deref());
            let why = "the session does not answer; look later whether it still asks".to_owned();
            return client.say(&Reply::Failed { why }).await;
        };
        // The policy may let them answer, and the question be for others.
        let counts = !matches!(answered, Answered::NotAsked);
        tell(rule.as_deref().filter(|_| counts));
        let last = match answered {
            Answered::Counted => {
                let session = session.to_string();
                client.say(&Reply::Answered { session }).await?;
                Reply::Done {
                    count: 1,
                    refused: 0,
                }
            }
            Answered::NotOpen => Reply::Failed {
                why: "it is answered already, or nobody waits for it any more".to_owned(),
            },
            Answered::NotAsked => Reply::Refused {
                why: format!(
                    "{} is not one of those who were asked: {}",
                    operator.name(),
                    names(&request.approvers)
                ),
            },
        };
        client.say(&last).await
    }

    fn question(&self, id: &str) -> Result<ApprovalRequest, &'static str> {
        let mut found = self.approvals.open().into_iter().filter(|request| {
            !id.is_empty() && request.subject.session.to_string().starts_with(id)
        });
        let request = found.next().ok_or("nobody waits whose request begins so")?;
        match found.next() {
            None => Ok(request),
            Some(_) => Err("several requests begin so; write more of it"),
        }
    }

    /// The entry of the policy that lets them answer about this target.
    fn approve_rule(
        &self,
        operator: &Operator<'_>,
        request: &ApprovalRequest,
    ) -> Option<std::sync::Arc<str>> {
        let mut targets = self.targets.iter();
        let target = targets.find(|target| target.id == request.subject.target)?;
        self.rule(operator, OperatorAction::Approve, target)
    }
}

/// The names, as many as a line has room for.
fn names(approvers: &[Box<str>]) -> String {
    let listed: Vec<&str> = approvers
        .iter()
        .take(MAX_LISTED_APPROVERS)
        .map(|name| &**name)
        .collect();
    let names = listed.join(", ");
    match approvers.len() - listed.len() {
        0 => names,
        more => format!("{names} and {more} more"),
    }
}

fn refused(operator: &Operator<'_>, what: &str) -> Reply {
    Reply::Refused {
        why: format!(
            "the policy does not let {} {what}; see `approve` of `[[operator]]` in it",
            operator.name()
        ),
    }
}
