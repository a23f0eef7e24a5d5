//! One connection to the client's agent: what the target may ask, and what the agent may answer.
//!
//! ```text
//!   target                          proxy                         agent
//!   list, sign ───────────────────> │ ────────────────────────────> │
//!   anything else ────────────────> │                               │
//!     │ <── failure, in its turn ── │ <──────────────────── answers │
//! ```

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use super::Breach;
use super::message::{Assembly, FAILURE_MESSAGE, Question};
use crate::{Leg, PerLeg};

/// What comes of what a side said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// The target asked this; its whole message goes on to the agent.
    Asked {
        question: Question,
        message: Vec<u8>,
    },
    /// The target asked something of this number that no agent here is asked, about the key of this fingerprint if about one.
    Refused { number: u8, key: String },
    /// This goes to the target: the agent's answer, or the proxy's.
    Answered(Vec<u8>),
}

/// The questions and answers of one connection.
#[derive(Debug)]
pub(super) struct Dialogue {
    /// Most questions without an answer.
    max_questions: usize,
    said_by: PerLeg<Assembly>,
    /// Oldest first; those refused stand among the others until it is their turn.
    unanswered: VecDeque<Question>,
}

impl Dialogue {
    /// In which so many questions may be without an answer.
    pub(super) fn new(max_questions: usize) -> Self {
        Self {
            max_questions,
            said_by: PerLeg::default(),
            unanswered: VecDeque::new(),
        }
    }

    /// What `from` said next, in pieces of any size; `act` is given what comes of it, in order.
    ///
    /// # Errors
    /// [`Breach`] when this is not how agents talk: the connection is over.
    pub(super) fn said(
        &mut self,
        from: Leg,
        mut data: &[u8],
        mut act: impl FnMut(Step),
    ) -> Result<(), Breach> {
        while let Some(message) = self.said_by[from].next(&mut data)? {
            match from {
                Leg::Target => self.asked(message, &mut act)?,
                Leg::Client => self.answered(message, &mut act)?,
            }
            self.refuse_in_turn(&mut act);
        }
        Ok(())
    }

    fn asked(&mut self, message: Vec<u8>, act: &mut impl FnMut(Step)) -> Result<(), Breach> {
        if self.unanswered.len() >= self.max_questions {
            return Err(Breach::TooManyQuestions);
        }
        let body = message.get(4..).unwrap_or_default();
        let question = Question::read(body);
        act(match &question {
            Question::Other { number, key } => Step::Refused {
                number: *number,
                key: key.clone(),
            },
            question => Step::Asked {
                question: question.clone(),
                message,
            },
        });
        self.unanswered.push_back(question);
        Ok(())
    }

    fn answered(&mut self, message: Vec<u8>, act: &mut impl FnMut(Step)) -> Result<(), Breach> {
        let question = self.unanswered.pop_front().ok_or(Breach::NothingAsked)?;
        if !question.is_answered_by(message.get(4..).unwrap_or_default()) {
            return Err(Breach::NoAnswer);
        }
        act(Step::Answered(message));
        Ok(())
    }

    fn refuse_in_turn(&mut self, act: &mut impl FnMut(Step)) {
        while let Some(Question::Other { .. }) = self.unanswered.front() {
            self.unanswered.pop_front();
            act(Step::Answered(FAILURE_MESSAGE.to_vec()));
        }
    }

    /// Bytes set aside for messages that are not whole.
    pub(super) const fn held_bytes(&self) -> usize {
        let PerLeg { client, target } = &self.said_by;
        client.held_bytes().saturating_add(target.held_bytes())
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec;

    use super::super::message::MAX_MESSAGE_BYTES;
    use super::*;

    const MAX_QUESTIONS: usize = 9;

    fn string(bytes: &[u8]) -> Vec<u8> {
        let mut out = u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
        out.extend_from_slice(bytes);
        out
    }

    fn message(parts: &[&[u8]]) -> Vec<u8> {
        string(&parts.concat())
    }

    fn list() -> Vec<u8> {
        message(&[&[11]])
    }

    fn sign(key: &[u8]) -> Vec<u8> {
        message(&[&[13], &string(key), &string(b"challenge"), &[0; 4]])
    }

    fn keys() -> Vec<u8> {
        message(&[&[12, 0, 0, 0, 1], &string(b"key"), &string(b"comment")])
    }

    fn signature() -> Vec<u8> {
        message(&[&[14], &string(b"signed")])
    }

    fn failure() -> Vec<u8> {
        FAILURE_MESSAGE.to_vec()
    }

    /// What is asked of the agent and what the target is told, as bytes, and the numbers refused.
    #[derive(Debug, Default, PartialEq)]
    struct Heard {
        agent: Vec<u8>,
        target: Vec<u8>,
        refused: Vec<u8>,
        keys: Vec<alloc::string::String>,
    }

    fn hear(
        dialogue: &mut Dialogue,
        from: Leg,
        data: &[u8],
        heard: &mut Heard,
    ) -> Result<(), Breach> {
        dialogue.said(from, data, |step| match step {
            Step::Asked { question, message } => {
                heard.agent.extend(message);
                if let Question::Sign { key } = question {
                    heard.keys.push(key);
                }
            }
            Step::Refused { number, .. } => heard.refused.push(number),
            Step::Answered(message) => heard.target.extend(message),
        })
    }

    fn talk(lines: &[(Leg, Vec<u8>)]) -> (Result<(), Breach>, Heard) {
        let (mut dialogue, mut heard) = (Dialogue::new(MAX_QUESTIONS), Heard::default());
        let mut result = Ok(());
        for (from, data) in lines {
            result = result.and_then(|()| hear(&mut dialogue, *from, data, &mut heard));
        }
        (result, heard)
    }

    #[test]
    fn listing_and_signing_go_through_and_so_do_their_answers() {
        let (result, heard) = talk(&[
            (Leg::Target, list()),
            (Leg::Client, keys()),
            (Leg::Target, sign(b"key")),
            (Leg::Client, signature()),
            (Leg::Target, sign(b"other")),
            (Leg::Client, failure()),
        ]);
        assert_eq!(result, Ok(()));
        assert_eq!(heard.agent, [list(), sign(b"key"), sign(b"other")].concat());
        assert_eq!(heard.target, [keys(), signature(), failure()].concat());
        // printf key | sha256sum | xxd -r -p | base64
        assert_eq!(
            heard.keys[0],
            "SHA256:LHDhK3oGRvkiefQnx7OOczTY5Tic/xZ6HcMOc/gmtoM".to_string()
        );
    }

    #[test]
    fn whatever_else_the_target_asks_fails_without_reaching_the_agent() {
        for number in 0..=u8::MAX {
            let bare = message(&[&[number]]);
            let long = message(&[&[number], &string(b"session-bind@openssh.com"), &[7; 90]]);
            for asked in [bare, long] {
                if asked == list() {
                    continue;
                }
                let (result, heard) = talk(&[(Leg::Target, asked)]);
                assert_eq!(result, Ok(()));
                assert_eq!(heard.refused, [number]);
                assert_eq!((heard.agent, heard.target), (vec![], failure()));
            }
        }
        for broken in [
            message(&[&[13], &string(b"key"), &string(b"data")]),
            message(&[&[13], &string(b"key"), &string(b"data"), &[0; 5]]),
            message(&[&[13, 0, 0, 0, 9, 0]]),
            message(&[&[11, 0]]),
        ] {
            let (result, heard) = talk(&[(Leg::Target, broken)]);
            assert_eq!(
                (result, heard.agent, heard.target),
                (Ok(()), vec![], failure())
            );
        }
    }

    #[test]
    fn a_refusal_comes_after_the_answers_to_everything_asked_before_it() {
        let remove_all = message(&[&[19]]);
        let asked = [
            sign(b"key"),
            remove_all.clone(),
            list(),
            remove_all.clone(),
            remove_all,
        ]
        .concat();
        let (mut dialogue, mut heard) = (Dialogue::new(MAX_QUESTIONS), Heard::default());
        hear(&mut dialogue, Leg::Target, &asked, &mut heard).unwrap();
        assert_eq!(
            (heard.agent.clone(), heard.target.clone()),
            ([sign(b"key"), list()].concat(), vec![])
        );
        hear(&mut dialogue, Leg::Client, &signature(), &mut heard).unwrap();
        assert_eq!(heard.target, [signature(), failure()].concat());
        hear(&mut dialogue, Leg::Client, &keys(), &mut heard).unwrap();
        assert_eq!(
            heard.target,
            [signature(), failure(), keys(), failure(), failure()].concat()
        );
    }

    #[test]
    fn any_split_of_what_is_said_comes_to_the_same() {
        let asked = [list(), message(&[&[17, 1, 2]]), sign(b"key")].concat();
        let said = [keys(), signature()].concat();
        let whole = talk(&[(Leg::Target, asked.clone()), (Leg::Client, said.clone())]);
        for at in 0..=asked.len() {
            let (first, second) = asked.split_at(at);
            let bytewise = said.iter().map(|byte| (Leg::Client, vec![*byte]));
            let mut lines = vec![
                (Leg::Target, first.to_vec()),
                (Leg::Target, second.to_vec()),
            ];
            lines.extend(bytewise);
            assert_eq!(talk(&lines), whole, "{at}");
        }
    }

    #[test]
    fn an_agent_says_nothing_but_answers() {
        for (asked, said, breach) in [
            (vec![], keys(), Breach::NothingAsked),
            (vec![], failure(), Breach::NothingAsked),
            (list(), signature(), Breach::NoAnswer),
            (sign(b"k"), keys(), Breach::NoAnswer),
            (list(), message(&[&[6]]), Breach::NoAnswer),
            (list(), message(&[&[28]]), Breach::NoAnswer),
            (list(), message(&[&[5, 0]]), Breach::NoAnswer),
            (
                list(),
                message(&[&[12, 0, 0, 0, 2], &string(b"key"), &string(b"")]),
                Breach::NoAnswer,
            ),
            (
                list(),
                message(&[&[12, 255, 255, 255, 255]]),
                Breach::NoAnswer,
            ),
            (
                sign(b"k"),
                message(&[&[14], &string(b"s"), b"behind it"]),
                Breach::NoAnswer,
            ),
            (list(), [keys(), keys()].concat(), Breach::NothingAsked),
        ] {
            let (result, heard) = talk(&[(Leg::Target, asked), (Leg::Client, said)]);
            assert_eq!(result, Err(breach));
            assert!(heard.target.is_empty() || heard.target == keys());
        }
    }

    #[test]
    fn nobody_says_too_much() {
        let (result, _) = talk(&[(Leg::Target, list().repeat(MAX_QUESTIONS))]);
        assert_eq!(result, Ok(()));
        let (result, heard) = talk(&[(Leg::Target, list().repeat(MAX_QUESTIONS + 1))]);
        assert_eq!(result, Err(Breach::TooManyQuestions));
        assert_eq!(heard.agent, list().repeat(MAX_QUESTIONS));

        for from in [Leg::Client, Leg::Target] {
            assert_eq!(talk(&[(from, vec![0; 4])]).0, Err(Breach::Empty));
            assert_eq!(talk(&[(from, vec![255; 4])]).0, Err(Breach::TooLong));
            let most = u32::try_from(MAX_MESSAGE_BYTES).unwrap();
            let begun = |length: u32| talk(&[(from, length.to_be_bytes().to_vec())]).0;
            assert_eq!(
                (begun(most), begun(most + 1)),
                (Ok(()), Err(Breach::TooLong))
            );
        }
    }

    #[test]
    fn what_is_held_is_what_came() {
        let mut dialogue = Dialogue::new(MAX_QUESTIONS);
        let said = [&[0, 4, 0, 0][..], &[13; 1000]].concat();
        dialogue.said(Leg::Target, &said, |_| {}).unwrap();
        assert_eq!(dialogue.held_bytes(), 1004);
    }
}
