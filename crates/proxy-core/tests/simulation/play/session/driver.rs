//! What the driver says: of pages, connections and signatures, of rules, and what operators want.

use proxy_core::{Approval, ConnectFailure, Input, Operation, Verdict, WatchId};

use super::super::ends::End;
use super::{Answer, Fault, Law, Question, World, setup};

impl World {
    pub(super) fn answer_page(&mut self, is_good: bool) -> bool {
        let Some((id, page)) = self.page.take() else {
            return false;
        };
        if is_good && !self.is_disk_broken {
            self.watch.written(id, &page);
            self.session.handle(Input::LogWritten(id), self.now);
        } else {
            self.is_disk_broken = true;
            self.watch.failed(self.sent);
            self.session.handle(Input::LogFailed(id), self.now);
        }
        self.perform();
        true
    }

    pub(super) fn answer_connect(&mut self, is_good: bool) -> bool {
        if self.page.is_some() || !std::mem::take(&mut self.is_connecting) {
            return false;
        }
        if is_good {
            let mut host = End::host(self.config.target_lets_in, self.now.mono);
            host.collect();
            self.host = Some(host);
            self.sockets.target.clear();
            self.sent.target = 0;
            self.session.handle(Input::TargetConnected, self.now);
        } else {
            let failure = Input::TargetUnreachable(ConnectFailure::Refused);
            self.session.handle(failure, self.now);
        }
        self.perform();
        true
    }

    pub(super) fn answer_signing(&mut self, answer: Answer) -> bool {
        if self.page.is_some() {
            return false;
        }
        let Some(request) = self.unsigned.take() else {
            return false;
        };
        if answer != Answer::No {
            let signature = setup::sign(&request, answer == Answer::Yes);
            let input = Input::Signed(request.session, &signature);
            self.session.handle(input, self.now);
        } else {
            let input = Input::SigningFailed(request.session);
            self.session.handle(input, self.now);
        }
        self.perform();
        true
    }

    pub(super) fn change_rules(&mut self, law: Law) {
        self.current.rules = setup::rules(&self.config, law);
        self.wants_rules = false;
        let is_within = self.watch.has_begun() && !self.watch.has_ended();
        self.is_withdrawn = !law.allows_all();
        self.must_end |= is_within && self.is_withdrawn;
        self.watch.set_withdrawn(self.is_withdrawn);
        let current = Box::new(self.current.clone());
        self.session.handle(Input::Reevaluate(current), self.now);
    }

    pub(super) fn answer_approval(&mut self, answer: Answer) -> bool {
        // Who asks cannot say yes.
        let by = if answer == Answer::Wrong {
            "ada@example.com"
        } else {
            "ann@example.com"
        };
        let verdict = if answer == Answer::No {
            Verdict::Refuse
        } else {
            Verdict::Approve
        };
        let was_asked = self.is_asked;
        self.is_asked &= answer == Answer::Wrong;
        if was_asked && answer == Answer::Yes {
            self.watch.approves();
        }
        let approval = Approval {
            session: self.session.id(),
            by: by.into(),
            verdict,
            note: String::new(),
        };
        // To what nobody asked as well.
        self.session.handle(Input::Approval(approval), self.now);
        self.perform();
        was_asked && answer != Answer::Wrong
    }

    /// Somebody watches from now on.
    pub(super) fn begin_to_watch(&mut self) {
        let (watch, who) = (WatchId(self.watchers), "ann@example.com".into());
        self.watchers += 1;
        let operation = Operation::Watch { watch, who };
        let input = Input::Operator(self.session.id(), operation);
        self.session.handle(input, self.now);
    }

    /// Whoever runs the proxy may do so at any moment, and then it is on its way out.
    pub(super) fn dismiss(&mut self) {
        let (who, reason) = ("ann@example.com".into(), "maintenance".into());
        let operation = Operation::End { who, reason };
        let input = Input::Operator(self.session.id(), operation);
        self.session.handle(input, self.now);
        self.is_dismissed = true;
    }

    /// The session does not wait for the disk any more.
    pub(super) fn page_given_up(&mut self) {
        self.page = None;
        self.watch.failed(self.sent);
    }

    /// Answers each question with yes, but for the one that the fault is about.
    pub(super) fn answer_as_planned(&mut self) -> bool {
        let mut moved = false;
        for question in Question::ALL {
            let count = self.asked.get(&question).copied().unwrap_or(0);
            let is_it = |fault: &Fault| fault.question == question && fault.at == count;
            let answer = self
                .fault
                .filter(is_it)
                .map_or(Answer::Yes, |fault| fault.answer);
            if answer == Answer::Nothing {
                continue;
            }
            let is_good = answer == Answer::Yes;
            let has_answered = match question {
                Question::Page => self.answer_page(is_good),
                Question::Connect => self.answer_connect(is_good),
                Question::Sign => self.answer_signing(answer),
                Question::Approve => self.answer_approval(answer),
            };
            if has_answered {
                *self.asked.entry(question).or_default() += 1;
            }
            moved |= has_answered;
        }
        moved
    }
}
