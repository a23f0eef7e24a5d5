//! `keyboard-interactive` (RFC 4256): questions to the person, and what the person typed.

use alloc::string::String;
use alloc::vec::Vec;

use zeroize::Zeroizing;

use super::super::Server;
use super::{Phase, wire_text};
use crate::error::{ApiMisuse, Error, PeerMisbehaved};
use crate::event::{AuthId, AuthMethod, AuthResponses, Challenge, Echo, Response, ServerEvent};
use crate::limits::{MAX_NAME_BYTES, MAX_PROMPT_BYTES, MAX_PROMPTS, MAX_RESPONSE_BYTES};
use crate::message::number;
use crate::text;
use crate::wire::{Malformed, Put as _, Reader};

/// RFC 4256 section 3.1, behind the method's name.
pub(super) fn read_request(mut reader: Reader<'_>) -> Result<AuthMethod, Malformed> {
    let _language = reader.string()?;
    let submethods = reader.string()?;
    reader.finish()?;
    Ok(AuthMethod::KeyboardInteractive {
        submethods: text::clean(submethods, MAX_NAME_BYTES),
    })
}

impl Server {
    pub(in super::super) fn send_prompts(
        &mut self,
        id: &AuthId,
        challenge: &Challenge,
    ) -> Result<(), Error> {
        let prompts = challenge.prompts.len();
        if prompts > MAX_PROMPTS {
            return Err(ApiMisuse::TooManyPrompts { got: prompts }.into());
        }
        if let Phase::AwaitDecision { token, attempt } = &self.auth.phase
            && *token == id.0
            && !matches!(attempt.method, AuthMethod::KeyboardInteractive { .. })
        {
            return Err(ApiMisuse::NotKeyboardInteractive.into());
        }
        let attempt = self.take_attempt(id)?;
        self.auth.phase = Phase::AwaitResponses { attempt, prompts };
        self.core.send(&information_request(challenge))
    }

    /// SSH_MSG_USERAUTH_INFO_RESPONSE (RFC 4256 section 3.4).
    pub(super) fn handle_responses(&mut self, reader: Reader<'_>) -> Result<(), Error> {
        let Phase::AwaitResponses { attempt, prompts } = core::mem::take(&mut self.auth.phase)
        else {
            let number = number::USERAUTH_INFO_RESPONSE;
            return Err(PeerMisbehaved::UnexpectedMessage { number }.into());
        };
        // Each answer is a guess, however many of them the caller asks for in one attempt.
        self.count_attempt()?;
        let Some(responses) = read_responses(reader, prompts)? else {
            return self.refuse();
        };
        let token = self.core.next_token();
        self.core.push(ServerEvent::AuthResponses(AuthResponses {
            id: AuthId(token),
            user: attempt.user.clone(),
            responses,
        }));
        self.auth.phase = Phase::AwaitDecision { token, attempt };
        Ok(())
    }
}

/// RFC 4256 section 3.2.
fn information_request(challenge: &Challenge) -> Vec<u8> {
    let mut message = Vec::new();
    message.put_byte(number::USERAUTH_INFO_REQUEST);
    message.put_string(wire_text(&challenge.name, MAX_PROMPT_BYTES).as_bytes());
    message.put_string(wire_text(&challenge.instruction, MAX_PROMPT_BYTES).as_bytes());
    message.put_string(b"");
    message.put_word(u32::try_from(challenge.prompts.len()).unwrap_or(u32::MAX));
    for prompt in &challenge.prompts {
        message.put_string(wire_text(&prompt.text, MAX_PROMPT_BYTES).as_bytes());
        message.put_byte(u8::from(prompt.echo == Echo::Shown));
    }
    message
}

/// The answers, if they are as many as were asked for and each is UTF-8 and of a bearable length.
fn read_responses(
    mut reader: Reader<'_>,
    prompts: usize,
) -> Result<Option<Vec<Response>>, Malformed> {
    if usize::try_from(reader.u32()?) != Ok(prompts) {
        return Ok(None);
    }
    let mut responses = Vec::with_capacity(prompts);
    for _ in 0..prompts {
        let bytes = reader.string()?;
        match core::str::from_utf8(bytes) {
            Ok(text) if text.len() <= MAX_RESPONSE_BYTES => {
                responses.push(Response(Zeroizing::new(String::from(text))));
            }
            _ => return Ok(None),
        }
    }
    reader.finish()?;
    Ok(Some(responses))
}
