//! A reason, typed by the person: one question of `keyboard-interactive` (RFC 4256).

use alloc::string::String;

use ssh_transport::{AuthId, AuthResponses, Challenge, Echo, MAX_RESPONSE_BYTES, Prompt};

use super::super::stage::Stage;
use super::super::{LOGIN_METHOD, Session};
use super::one_line;
use crate::event::EventKind;
use crate::{Leg, Now};

/// Longest reason, in bytes: a few sentences and the number of a ticket.
pub const MAX_REASON_BYTES: usize = 512;

pub(super) const ASK: &str = "This machine asks why you want to use it.\r\n";
const ASK_AGAIN: &str = "Write a reason of 1 to 512 bytes, on one line.";
const PROMPT: &str = "Reason for access: ";

impl Session {
    pub(super) fn ask_reason(&mut self, attempt: AuthId, now: Now) {
        self.prompt_for_reason(attempt, "", now);
    }

    fn prompt_for_reason(&mut self, attempt: AuthId, instruction: &str, now: Now) {
        let challenge = Challenge {
            name: String::new(),
            instruction: instruction.into(),
            prompts: alloc::vec![Prompt {
                text: PROMPT.into(),
                echo: Echo::Shown,
            }],
        };
        if let Err(error) = self.client.prompt(attempt, &challenge, now.mono) {
            self.leg_failed(Leg::Client, &error, now);
        }
    }

    /// What the person typed. How often they may is the transport's to say, which counts each answer as an attempt.
    pub(in super::super) fn reason_given(&mut self, answer: AuthResponses, now: Now) {
        let reason = answer
            .responses
            .first()
            .and_then(|response| reason(response.secret_text()));
        let Stage::StepUp(stepping) = &mut self.stage else {
            return self.client.reject(answer.id, &[LOGIN_METHOD], now.mono);
        };
        let Some(reason) = reason else {
            return self.prompt_for_reason(answer.id, ASK_AGAIN, now);
        };
        let kind = EventKind::ReasonGiven {
            bytes: reason.len(),
        };
        stepping.done.reason = Some(reason);
        self.event(kind, now);
        self.step_done(answer.id, now);
    }
}

/// One line without control characters, if there is anything in it and not too much.
fn reason(typed: &str) -> Option<String> {
    let clean = one_line(typed, MAX_RESPONSE_BYTES);
    let reason = clean.trim();
    (1..=MAX_REASON_BYTES)
        .contains(&reason.len())
        .then(|| reason.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_of_up_to_512_bytes() {
        let long = "x".repeat(MAX_REASON_BYTES);
        for (typed, kept) in [
            ("OPS-17: disk full", Some("OPS-17: disk full")),
            ("  x ", Some("x")),
            ("disk\nfull\tnow", Some("disk full now")),
            ("a\u{1b}[2Jb\u{202e}c", Some("a[2Jbc")),
            (long.as_str(), Some(long.as_str())),
            ("", None),
            (" \t\n", None),
            ("\u{1b}\u{7}", None),
            (&alloc::format!("{long}x"), None),
        ] {
            assert_eq!(reason(typed).as_deref(), kept, "{typed:?}");
        }
    }
}
