//! Every way a connection ends: one `access.denied`, or one `session.end` after its start.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::Display;
use core::time::Duration;

use session_log::Record;
use ssh_transport::{AuthId, DisconnectReason};

use super::stage::{Denied, Ending, Stage};
use super::{LAST_PAGES, LOGIN_METHOD, Session};
use crate::event::{EventKind, millis};
use crate::{EndReason, Leg, Now, Refusal};

impl Session {
    /// Ends a connection that has no session yet; the person is told as well as the client's state allows.
    pub(super) fn refuse(&mut self, denied: Denied, now: Now) {
        match core::mem::replace(&mut self.stage, Stage::Over) {
            Stage::TargetAgain { login, .. }
            | Stage::LogOpened(login)
            | Stage::Certificate { login, .. }
            | Stage::TargetLogin { login, .. } => {
                self.refuse_login(login.attempt, denied, now);
            }
            Stage::StepUp(stepping) => match stepping.waiting {
                Some(waiting) => {
                    self.tell_withdrawn(now);
                    self.refuse_login(waiting.attempt, denied, now);
                }
                None => {
                    self.tell_denied(&denied, now);
                    self.turn_away(&denied);
                }
            },
            Stage::ClientIdentification { refused: None }
            | Stage::TargetConnection { .. }
            | Stage::TargetHostKey { .. }
            | Stage::HostCertificates { .. }
            | Stage::ClientLogin => {
                self.tell_denied(&denied, now);
                self.turn_away(&denied);
            }
            // The event of this refusal is out already.
            Stage::ClientIdentification {
                refused: Some(earlier),
            } => self.turn_away(&earlier),
            Stage::Farewell { .. } => self.say_goodbye(),
            other @ (Stage::End(_) | Stage::LogClosed(_) | Stage::Over) => self.stage = other,
        }
    }

    /// Answers a login with the reason, as text that every client shows.
    pub(super) fn refuse_login(&mut self, attempt: AuthId, denied: Denied, now: Now) {
        self.close_log("refused", &denied.detail, now);
        self.tell_denied(&denied, now);
        self.client
            .banner(&format!("{}\r\n", self.message(&denied)));
        self.client.reject(attempt, &[LOGIN_METHOD], now.mono);
        self.disconnect_target("access denied");
        if self.client.is_closed() || self.io[Leg::Client].closed {
            // Nobody is left to read it.
            self.stage = Stage::Over;
            return;
        }
        let deadline = now.mono.saturating_add(self.gateway.timeouts.farewell);
        self.stage = Stage::Farewell { deadline };
    }

    pub(super) fn tell_denied(&mut self, denied: &Denied, now: Now) {
        self.event(
            EventKind::AccessDenied {
                reason: denied.reason,
                detail: denied.detail.clone(),
            },
            now,
        );
    }

    pub(super) fn message(&self, denied: &Denied) -> String {
        denied.message(self.id)
    }

    /// Tells the reason in a disconnect message, which OpenSSH and PuTTY show even before key exchange.
    pub(super) fn turn_away(&mut self, denied: &Denied) {
        let text = self.message(denied);
        self.disconnect_target("access denied");
        self.client
            .disconnect(DisconnectReason::ByApplication, &text);
        self.stage = Stage::Over;
    }

    pub(super) fn say_goodbye(&mut self) {
        self.client
            .disconnect(DisconnectReason::ByApplication, "access denied");
        self.stage = Stage::Over;
    }

    /// Ends a session: the log's last page first.
    pub(super) fn end(&mut self, reason: EndReason, detail: &str, now: Now) {
        self.end_saying(reason, detail, reason.farewell().to_owned(), now);
    }

    /// As [`Self::end`], with words of its own for the person.
    pub(super) fn end_saying(
        &mut self,
        reason: EndReason,
        detail: &str,
        farewell: String,
        now: Now,
    ) {
        if !matches!(self.stage, Stage::End(_)) {
            return;
        }
        if reason.is_loss_of_access() {
            self.withhold_from_target();
        }
        self.end_inner(reason, now);
        if let Some((relaying, mut outlet, _)) = self.split(Leg::Target, &(0..0), now) {
            if reason.is_loss_of_access()
                || matches!(
                    reason,
                    EndReason::IdleTimeout | EndReason::MaxSession | EndReason::Shutdown
                )
            {
                relaying
                    .relay
                    .notify_all(&format!("\r\n{farewell}\r\n"), &mut outlet);
            }
            // Nothing will follow that anything could wait for. Clients forget what comes after a refusal or an EOF.
            relaying.relay.handle_timeout(Duration::MAX, &mut outlet);
            relaying.relay.end(&mut outlet);
        }
        match core::mem::replace(&mut self.stage, Stage::Over) {
            Stage::End(relaying) => {
                self.close_log(reason.name(), detail, now);
                let ending = Ending {
                    relaying: *relaying,
                    reason,
                    detail: detail.to_owned(),
                    farewell,
                    log_complete: true,
                    is_hurried: false,
                };
                self.stage = Stage::LogClosed(Box::new(ending));
                if reason.is_loss_of_access() {
                    self.hurry_last_pages(now);
                }
            }
            other => self.stage = other,
        }
    }

    /// Whoever lost access reaches no target any more, of this session or of one inside it: what waits for the log stays here, and the
    /// log says so.
    fn withhold_from_target(&mut self) {
        let before = self.held.len();
        self.held.retain(|held| !held.is_for_target());
        let withheld = before.saturating_sub(self.held.len());
        if withheld > 0
            && let Some(recorder) = &mut self.recorder
        {
            let text = format!(
                "packets recorded and not passed to the target, as access was lost: {withheld}"
            );
            recorder.record(0, &Record::Annotation { text: &text });
        }
        for session in self.inner.sessions_mut() {
            session.withhold_from_target();
        }
    }

    /// Has its last pages written soon, or given up.
    pub(super) fn hurry_last_pages(&mut self, now: Now) {
        let at = now.mono.saturating_add(LAST_PAGES);
        self.log_deadline = self.log_deadline.map(|other| other.min(at));
        if let Stage::LogClosed(ending) = &mut self.stage {
            ending.is_hurried = true;
        }
        for session in self.inner.sessions_mut() {
            session.hurry_last_pages(now);
        }
    }

    fn close_log(&mut self, reason: &str, detail: &str, now: Now) {
        self.record_last_watchers();
        if let Some(mut recorder) = self.recorder.take() {
            recorder.record(
                0,
                &Record::End {
                    reason: &format!("{reason}: {detail}"),
                },
            );
            let sealed = recorder.finish();
            self.watching.hold(&mut recorder.tap);
            if let Some(sealed) = sealed {
                self.hand_out_log(sealed, now);
            }
            // One that failed at its last words answers like a store that failed.
            if recorder.has_failed() {
                self.recorder = Some(recorder);
            }
        }
    }

    /// The driver's word on the oldest page that it was given.
    pub(super) fn log_answered(&mut self, written: bool, now: Now) {
        self.unanswered_logs = self.unanswered_logs.saturating_sub(1);
        let is_hurried = matches!(&self.stage, Stage::LogClosed(ending) if ending.is_hurried);
        if self.unanswered_logs == 0 {
            self.log_deadline = None;
        } else if !is_hurried {
            self.log_deadline = Some(now.mono.saturating_add(self.gateway.timeouts.log));
        }
        if !written {
            self.recorder_failed(now);
        } else if self.unanswered_logs == 0 {
            self.show_watchers();
            match core::mem::replace(&mut self.stage, Stage::Over) {
                Stage::LogOpened(login) => self.log_opened(login, now),
                other => self.stage = other,
            }
        }
    }

    /// Nothing more can be recorded, so nothing more passes; true when that changed anything.
    pub(super) fn recorder_failed(&mut self, now: Now) -> bool {
        self.recorder = None;
        self.unanswered_logs = 0;
        self.log_deadline = None;
        // What was not written never happened for the other side.
        self.held.clear();
        self.watching.forget_unwritten();
        match core::mem::replace(&mut self.stage, Stage::Over) {
            Stage::LogOpened(login)
            | Stage::Certificate { login, .. }
            | Stage::TargetLogin { login, .. } => {
                let denied = Denied::by_recorder("the log cannot be written".into());
                self.refuse_login(login.attempt, denied, now);
            }
            Stage::End(relaying) => {
                let ending = Ending {
                    relaying: *relaying,
                    reason: EndReason::RecorderFailed,
                    detail: "the log cannot be written".into(),
                    farewell: EndReason::RecorderFailed.farewell().into(),
                    log_complete: false,
                    is_hurried: false,
                };
                self.stage = Stage::LogClosed(Box::new(ending));
                self.end_inner(EndReason::RecorderFailed, now);
            }
            Stage::LogClosed(mut ending) => {
                ending.log_complete = false;
                self.stage = Stage::LogClosed(ending);
            }
            other => {
                self.stage = other;
                return false;
            }
        }
        true
    }

    /// Ends for good a session whose last words are written, and those of all inside it; true if that is so.
    pub(super) fn finish_ending(&mut self, now: Now) -> bool {
        if !self.inner.are_over() {
            return false;
        }
        let Stage::LogClosed(ending) = self.take_stage_if(|it| matches!(it, Stage::LogClosed(_)))
        else {
            return false;
        };
        self.over(*ending, now);
        true
    }

    fn over(&mut self, ending: Ending, now: Now) {
        let Ending {
            relaying,
            reason,
            detail,
            farewell,
            log_complete,
            is_hurried: _,
        } = ending;
        let bytes = relaying.relay.bytes_from();
        let kind = EventKind::SessionEnd {
            reason,
            detail,
            duration_ms: millis(now.mono.saturating_sub(relaying.started.mono)),
            bytes_from_client: bytes.client,
            bytes_from_target: bytes.target,
            exit: relaying.relay.last_exit().cloned(),
            log_complete,
        };
        self.event(kind, now);
        self.dismiss_watchers();
        let text = format!("{farewell} (session {})", self.id);
        self.client
            .disconnect(DisconnectReason::ByApplication, &text);
        self.disconnect_target(reason.farewell());
        self.stage = Stage::Over;
    }

    pub(super) fn disconnect_target(&mut self, text: &str) {
        if let Some(target) = &mut self.target {
            target.disconnect(DisconnectReason::ByApplication, text);
        }
    }

    /// A leg's transport gave up on its peer.
    pub(super) fn leg_failed(&mut self, leg: Leg, error: &ssh_transport::Error, now: Now) {
        use ssh_transport::{Error, Negotiated};
        let gone = matches!(error, Error::Disconnected);
        let late = matches!(error, Error::TimedOut(_));
        let no_host_key = matches!(
            error,
            Error::PeerIncompatible {
                what: Negotiated::HostKey
            }
        );
        match leg {
            // The types offered to it were those of the pinned keys and authorities.
            Leg::Target if no_host_key && self.expects_host_key() => {
                let denied = self.host_key_mismatch(error.to_string());
                self.refuse(denied, now);
            }
            _ if gone => self.leg_gone(leg, &error.to_string(), now),
            _ if late && matches!(self.stage, Stage::End(_)) => self.leg_late(leg, error, now),
            Leg::Client if late => self.leg_broke(leg, Refusal::LoginTimeout, error, now),
            Leg::Target if late => self.leg_broke(leg, Refusal::TargetTimeout, error, now),
            Leg::Client | Leg::Target => self.leg_misbehaved(leg, error, now),
        }
    }

    /// A leg's peer is in the middle of a key exchange for too long.
    fn leg_late(&mut self, leg: Leg, error: &ssh_transport::Error, now: Now) {
        let who = match leg {
            Leg::Client => "the client",
            Leg::Target => "the target",
        };
        let farewell = format!("this session ends: {who} did not finish a key exchange in time");
        self.end_saying(misbehaved(leg), &error.to_string(), farewell, now);
    }

    /// A leg broke the protocol, of whichever layer.
    pub(super) fn leg_misbehaved(&mut self, leg: Leg, error: &dyn Display, now: Now) {
        let refusal = match leg {
            Leg::Client => Refusal::ClientProtocol,
            Leg::Target => Refusal::TargetProtocol,
        };
        self.leg_broke(leg, refusal, error, now);
    }

    fn leg_broke(&mut self, leg: Leg, refusal: Refusal, error: &dyn Display, now: Now) {
        let detail = error.to_string();
        if matches!(self.stage, Stage::End(_)) {
            self.end(misbehaved(leg), &detail, now);
        } else {
            let advice = match refusal {
                Refusal::LoginTimeout => "the login took too long; connect again".into(),
                Refusal::TargetTimeout => {
                    "the target did not answer in time; try again later or ask who runs it".into()
                }
                Refusal::ClientProtocol => {
                    format!("your SSH client and this proxy do not understand each other: {detail}")
                }
                _ => format!(
                    "the target and this proxy do not understand each other: {detail}; ask who runs it"
                ),
            };
            self.refuse(
                Denied {
                    reason: refusal,
                    detail,
                    advice,
                },
                now,
            );
        }
    }

    /// A leg's peer said goodbye, or its connection is closed.
    pub(super) fn leg_gone(&mut self, leg: Leg, detail: &str, now: Now) {
        let in_session = matches!(self.stage, Stage::End(_));
        match leg {
            Leg::Client if in_session => self.end(EndReason::ClientDisconnected, detail, now),
            Leg::Target if in_session => self.end(EndReason::TargetDisconnected, detail, now),
            Leg::Client => {
                let denied = self.undone().unwrap_or_else(|| Denied {
                    reason: if self.tried_other_methods {
                        Refusal::NoLogin
                    } else {
                        Refusal::ClientLeft
                    },
                    detail: detail.to_owned(),
                    advice: "goodbye".into(),
                });
                self.refuse(denied, now);
            }
            Leg::Target => {
                // Only a session inside another keeps its target meanwhile.
                let advice = if matches!(self.stage, Stage::StepUp(_)) {
                    "the target did not wait until all that is asked of you was done; connect again, and have it at hand"
                } else {
                    "the target closed the connection; try again later or ask who runs it"
                };
                self.refuse(
                    Denied {
                        reason: Refusal::TargetProtocol,
                        detail: format!("the target went away: {detail}"),
                        advice: advice.into(),
                    },
                    now,
                );
            }
        }
    }

    /// A peer that closed its connection is gone once everything it sent was handled.
    pub(super) fn notice_closed_peers(&mut self, now: Now) -> bool {
        for leg in [Leg::Target, Leg::Client] {
            let io = &mut self.io[leg];
            if io.peer_closed
                && !io.closed
                && !matches!(self.stage, Stage::Over | Stage::LogClosed(_))
            {
                // Once is enough: the end that follows closes the leg.
                io.peer_closed = false;
                io.closed = true;
                self.outputs.push_back(crate::Output::Close(leg));
                self.leg_gone(leg, "the connection was closed", now);
                return true;
            }
        }
        false
    }

    pub(super) fn shut_down(&mut self, now: Now) {
        if matches!(self.stage, Stage::End(_)) {
            self.end(EndReason::Shutdown, "the proxy is shutting down", now);
        } else {
            let denied = Denied {
                reason: Refusal::Shutdown,
                detail: "the proxy is shutting down".into(),
                advice: "this proxy is shutting down; connect again in a moment".into(),
            };
            self.refuse(denied, now);
        }
    }

    /// Takes the stage when it is the one asked for; otherwise leaves it and gives `Over`.
    pub(super) fn take_stage_if(&mut self, is: impl FnOnce(&Stage) -> bool) -> Stage {
        if is(&self.stage) {
            core::mem::replace(&mut self.stage, Stage::Over)
        } else {
            Stage::Over
        }
    }
}

/// The session's end for what a leg's peer did.
const fn misbehaved(leg: Leg) -> EndReason {
    match leg {
        Leg::Client => EndReason::ClientMisbehaved,
        Leg::Target => EndReason::TargetMisbehaved,
    }
}

impl EndReason {
    /// What the person reads when it ends.
    pub(super) const fn farewell(self) -> &'static str {
        match self {
            Self::ClientDisconnected => "goodbye",
            Self::TargetDisconnected => "the target closed the connection",
            Self::ClientMisbehaved => "the client broke the SSH protocol",
            Self::TargetMisbehaved => "the target broke the SSH protocol",
            Self::HostKeyChanged => {
                "the target showed another host key in the middle of the session"
            }
            Self::RecorderFailed => "this session can no longer be recorded, so it ends",
            Self::IdleTimeout => "this session ends: nothing happened for too long",
            Self::MaxSession => "this session ends: it reached its maximum length",
            Self::AccessLost => "this session ends: it is not allowed any more",
            Self::Revoked => "this session ends: its access was withdrawn",
            Self::GrantChanged => {
                "this session ends: what you may do on this machine has changed; connect again"
            }
            Self::OuterEnded => "this session ends: the session around it ended",
            Self::Operator => "this session ends: an operator has ended it",
            Self::Shutdown => "this session ends: the proxy is shutting down",
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::ClientDisconnected => "client_disconnected",
            Self::TargetDisconnected => "target_disconnected",
            Self::ClientMisbehaved => "client_misbehaved",
            Self::TargetMisbehaved => "target_misbehaved",
            Self::HostKeyChanged => "host_key_changed",
            Self::RecorderFailed => "recorder_failed",
            Self::IdleTimeout => "idle_timeout",
            Self::MaxSession => "max_session",
            Self::AccessLost => "access_lost",
            Self::Revoked => "revoked",
            Self::GrantChanged => "grant_changed",
            Self::OuterEnded => "outer_ended",
            Self::Operator => "operator",
            Self::Shutdown => "shutdown",
        }
    }
}
