//! `keyboard-interactive` by hostile clients.

use super::auth::{FAILURE, none, query, request};
use super::*;
use crate::message::number;
use crate::wire::Put as _;

fn interactive(user: &str) -> Vec<u8> {
    let mut message = request(user, "ssh-connection", "keyboard-interactive");
    message.put_string(b"");
    message.put_string(b"pam,\x1b[2Jother");
    message
}

pub(super) fn responses(texts: &[&[u8]]) -> Vec<u8> {
    let mut message = Vec::from([number::USERAUTH_INFO_RESPONSE]);
    message.put_word(u32::try_from(texts.len()).unwrap());
    for text in texts {
        message.put_string(text);
    }
    message
}

fn prompts(count: usize) -> Challenge {
    Challenge {
        name: "login".to_string(),
        instruction: "two\nlines\x07".to_string(),
        prompts: (0..count)
            .map(|i| Prompt {
                text: alloc::format!("{i}: "),
                echo: if i == 0 { Echo::Hidden } else { Echo::Shown },
            })
            .collect(),
    }
}

/// A client that was asked this many questions.
pub(super) fn asked(count: usize) -> Pair {
    let mut pair = Pair::in_service();
    pair.judge = Judge::Wait;
    pair.server_gets(&interactive("alice")).unwrap();
    let attempt = pair.open.pop().unwrap();
    pair.server
        .prompt(attempt.id, &prompts(count), NOW)
        .unwrap();
    assert_eq!(pair.server_said().len(), 1);
    pair
}

#[test]
fn the_question_is_put_as_rfc_4256_has_it_and_the_answers_come_back() {
    let mut pair = Pair::in_service();
    pair.judge = Judge::Wait;
    pair.server_gets(&interactive("alice")).unwrap();
    let attempt = pair.open.pop().unwrap();
    assert_eq!(
        attempt.method,
        AuthMethod::KeyboardInteractive {
            submethods: "pam,[2Jother".to_string()
        }
    );
    pair.server.prompt(attempt.id, &prompts(2), NOW).unwrap();
    let mut expected = Vec::from([number::USERAUTH_INFO_REQUEST]);
    expected.put_string(b"login");
    expected.put_string(b"two\r\nlines");
    expected.put_string(b"");
    expected.put_word(2);
    expected.put_string(b"0: ");
    expected.put_byte(0);
    expected.put_string(b"1: ");
    expected.put_byte(1);
    assert_eq!(pair.server_said(), [expected]);

    pair.server_gets(&responses(&[b"secret", b""])).unwrap();
    let answers = pair.responses.pop().unwrap();
    assert_eq!(answers.user, "alice");
    assert!(answers.responses[0].is("secret") && !answers.responses[0].is("secre"));
    assert_eq!(answers.responses[1].secret_text(), "");
    assert!(!alloc::format!("{answers:?}").contains("secret"));
    assert_eq!(pair.authenticated, (false, false));

    // Once more, then in.
    pair.server.prompt(answers.id, &prompts(0), NOW).unwrap();
    pair.server_gets(&responses(&[])).unwrap();
    let answers = pair.responses.pop().unwrap();
    pair.server.accept(answers.id, NOW).unwrap();
    pair.run_server().unwrap();
    assert!(pair.authenticated.1);
}

#[test]
fn too_many_too_few_huge_and_unreadable_answers_fail_without_asking() {
    let huge = [b'x'; MAX_RESPONSE_BYTES + 1];
    let bad: [&[&[u8]]; 6] = [
        &[],
        &[b"one"],
        &[b"one", b"two", b"three"],
        &[b"one", &huge],
        &[&huge, b"two"],
        &[b"one", b"\xff"],
    ];
    for texts in bad {
        let mut pair = asked(2);
        pair.server_gets(&responses(texts)).unwrap();
        assert!(pair.responses.is_empty());
        assert_eq!(pair.server_said(), [FAILURE]);
        // That was the answer: another one has no question.
        assert_eq!(
            pair.server_gets(&responses(&[b"one", b"two"])),
            unexpected(61)
        );
    }
    let mut pair = asked(1);
    pair.server_gets(&responses(&[&huge[1..]])).unwrap();
    assert_eq!(pair.responses.len(), 1);
}

#[test]
fn a_count_that_lies_and_answers_cut_short_or_with_a_tail_are_malformed() {
    let good = responses(&[b"one", b"two"]);
    for len in 1..good.len() {
        let mut pair = asked(2);
        assert_eq!(
            pair.server_gets(&good[..len]),
            misbehaved(PeerMisbehaved::MalformedMessage),
            "{len}"
        );
    }
    let mut tail = good;
    tail.push(0);
    assert_eq!(
        asked(2).server_gets(&tail),
        misbehaved(PeerMisbehaved::MalformedMessage)
    );
    let mut pair = asked(2);
    pair.server_gets(&[61, 0xff, 0xff, 0xff, 0xff]).unwrap();
    assert_eq!(pair.server_said(), [FAILURE]);
}

#[test]
fn every_flipped_bit_of_an_answer_gives_as_many_answers_a_failure_or_an_error() {
    let good = responses(&[b"one", b"two"]);
    for bit in 8..good.len() * 8 {
        let mut changed = good.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let mut pair = asked(2);
        if pair.server_gets(&changed).is_err() {
            assert!(pair.responses.is_empty() && pair.server.is_closed());
            continue;
        }
        match pair.responses.pop() {
            Some(answers) => {
                let lengths = answers.responses.iter().map(|r| r.secret_text().len());
                assert!(lengths.eq([3, 3]), "bit {bit}");
            }
            None => assert_eq!(pair.server_said(), [FAILURE], "bit {bit}"),
        }
    }
}

#[test]
fn an_answer_without_a_question_ends_the_connection() {
    let answer = responses(&[]);
    assert_eq!(Pair::exchanged().server_gets(&answer), unexpected(61));
    assert_eq!(Pair::in_service().server_gets(&answer), unexpected(61));
    let mut pair = Pair::in_service();
    pair.judge = Judge::Reject;
    pair.server_gets(&interactive("alice")).unwrap();
    assert_eq!(pair.server_gets(&answer), unexpected(61));
    let mut pair = Pair::ready();
    pair.server_gets(&answer).unwrap();
    assert_eq!(pair.server_said()[0][0], number::UNIMPLEMENTED);
}

#[test]
fn another_request_gives_up_the_question_without_a_failure() {
    let mut pair = asked(1);
    pair.server_gets(&none("alice")).unwrap();
    assert!(pair.server_said().is_empty());
    let attempt = pair.open.pop().unwrap();
    assert_eq!(attempt.method, AuthMethod::None);
    pair.server.reject(attempt.id, &["publickey"], NOW);
    // The answer to the question of before counts for nothing.
    assert_eq!(pair.server_gets(&responses(&[b"late"])), unexpected(61));

    let mut pair = asked(1);
    assert_eq!(
        pair.server_gets(&interactive("root")),
        misbehaved(PeerMisbehaved::UserNameChanged)
    );
}

#[test]
fn each_answer_counts_as_an_attempt() {
    let mut pair = asked(1);
    let limit = Limits::default().max_auth_attempts;
    let mut guesses = 1;
    let result = loop {
        let result = pair.server_gets(&responses(&[b"guess"]));
        if result.is_err() {
            break result;
        }
        guesses += 1;
        let answers = pair.responses.pop().unwrap();
        pair.server.prompt(answers.id, &prompts(1), NOW).unwrap();
        pair.server_said();
    };
    assert_eq!(result, misbehaved(PeerMisbehaved::TooManyAuthAttempts));
    assert_eq!(guesses, limit);
}

#[test]
fn queries_of_keys_are_bounded() {
    let mut pair = Pair::in_service();
    pair.judge = Judge::Reject;
    for seed in 0..Limits::default().max_auth_attempts {
        pair.server_gets(&query("alice", &key(u8::try_from(seed).unwrap())))
            .unwrap();
    }
    assert_eq!(
        pair.server_gets(&query("alice", &key(200))),
        misbehaved(PeerMisbehaved::TooManyAuthAttempts)
    );
}

#[test]
fn only_an_interactive_attempt_can_be_prompted_and_not_without_measure() {
    let mut pair = Pair::in_service();
    pair.judge = Judge::Wait;
    pair.server_gets(&none("alice")).unwrap();
    let attempt = pair.open.pop().unwrap();
    let copy = AuthId(attempt.id.0);
    let misuse = |what| Err(Error::ApiMisuse(what));
    assert_eq!(
        pair.server.prompt(attempt.id, &prompts(1), NOW),
        misuse(ApiMisuse::NotKeyboardInteractive)
    );
    assert_eq!(
        pair.server.prompt(AuthId(9999), &prompts(1), NOW),
        misuse(ApiMisuse::NoSuchQuestion)
    );
    let got = MAX_PROMPTS + 1;
    assert_eq!(
        pair.server.prompt(copy, &prompts(got), NOW),
        misuse(ApiMisuse::TooManyPrompts { got })
    );
    assert_eq!(pair.server.poll_output(), None);
}

#[test]
fn what_was_typed_is_erased_from_the_callers_buffer() {
    let mut password = request("alice", "ssh-connection", "password");
    password.put_byte(0);
    password.put_string(b"correct horse");
    for (mut pair, message) in [
        (asked(1), responses(&[b"correct horse"])),
        (Pair::in_service(), password),
    ] {
        pair.client_sends(&message);
        let mut bytes = pair.client.poll_output().unwrap().to_vec();
        let progress = pair.server.handle_input(&mut bytes, NOW).unwrap();
        assert_eq!(progress.consumed, bytes.len());
        let is_secret = |window: &[u8]| window == b"correct horse" || window == b"horse";
        assert!(!bytes.windows(13).any(is_secret) && !bytes.windows(5).any(is_secret));
    }
}
