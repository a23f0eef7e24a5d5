//! Asking an `ssh-agent` to sign (draft-ietf-sshm-ssh-agent).

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;
/// `SSH_AGENT_RSA_SHA2_256` and `SSH_AGENT_RSA_SHA2_512`; other keys ignore them.
const RSA_SHA2_256: u32 = 2;
const RSA_SHA2_512: u32 = 4;
/// How long the agent may take: somebody may have to confirm, or to touch a token.
const PATIENCE: Duration = Duration::from_secs(120);
/// The longest answer that is read, in bytes: an RSA signature has some hundred.
const MAX_ANSWER_BYTES: u32 = 16 << 10;

/// Why the agent did not sign.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// Nobody said where the agent is.
    #[error(
        "no agent: SSH_AUTH_SOCK is not set; start one with `eval $(ssh-agent)` and `ssh-add` the key"
    )]
    None,
    /// It cannot be reached, or went away.
    #[error("cannot talk to the agent at SSH_AUTH_SOCK: {0}")]
    Unreachable(#[from] io::Error),
    /// It has no such key, or was told not to use it.
    #[error("the agent does not sign with this key; is it in `ssh-add -L`?")]
    Refused,
    /// Its answer makes no sense.
    #[error("the agent's answer cannot be read")]
    Malformed,
}

/// Has the agent at `SSH_AUTH_SOCK` sign with the key of this blob. Gives an SSH signature blob.
///
/// # Errors
/// [`AgentError`].
pub fn sign(
    key_blob: &[u8],
    signature_algorithm: &str,
    message: &[u8],
) -> Result<Vec<u8>, AgentError> {
    let socket = std::env::var_os("SSH_AUTH_SOCK").ok_or(AgentError::None)?;
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let flags = match signature_algorithm {
        "rsa-sha2-256" => RSA_SHA2_256,
        _ => RSA_SHA2_512,
    };
    let mut request = vec![SIGN_REQUEST];
    put_string(&mut request, key_blob)?;
    put_string(&mut request, message)?;
    request.extend(flags.to_be_bytes());
    let mut framed = Vec::new();
    put_string(&mut framed, &request)?;
    stream.write_all(&framed)?;

    let answer = read_string(&mut stream)?;
    let mut answer = answer.as_slice();
    let mut kind = [0];
    answer.read_exact(&mut kind)?;
    if kind != [SIGN_RESPONSE] {
        return Err(AgentError::Refused);
    }
    read_string(&mut answer)
}

fn put_string(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), AgentError> {
    let length = u32::try_from(bytes.len()).map_err(|_| AgentError::Malformed)?;
    out.extend(length.to_be_bytes());
    out.extend(bytes);
    Ok(())
}

fn read_string(from: &mut impl io::Read) -> Result<Vec<u8>, AgentError> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if length > MAX_ANSWER_BYTES {
        return Err(AgentError::Malformed);
    }
    let mut bytes = vec![0; length as usize];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}
