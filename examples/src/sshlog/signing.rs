//! Who signs what a command writes: a key in a file, or one in `ssh-agent`.

use std::path::{Path, PathBuf};

use clap::Args;
use session_log::{KeyFileError, PublicKey, SignRequest, SigningIdentity};
use zeroize::Zeroizing;

use super::SshlogError;
use super::read::read_text;
use crate::tool::agent;

#[derive(Debug, Args)]
pub(super) struct Signing {
    /// The OpenSSH private key of whoever signs; with --agent, its public key
    #[arg(long, value_name = "KEY")]
    sign_with: PathBuf,
    /// The key that signs is in the agent at SSH_AUTH_SOCK
    #[arg(long)]
    agent: bool,
}

/// A key that signs.
pub(super) enum Signer {
    File(Box<SigningIdentity>),
    Agent(PublicKey),
}

impl Signing {
    pub(super) fn signer(&self) -> Result<Signer, SshlogError> {
        let file = &self.sign_with;
        let text = Zeroizing::new(read_text(file)?);
        match (PublicKey::from_openssh(text.trim()), self.agent) {
            (Some(public), true) => Ok(Signer::Agent(public)),
            (Some(_), false) => Err(SshlogError::SignWithPublic { file: file.clone() }),
            (None, true) => Err(SshlogError::AgentWantsPublic { file: file.clone() }),
            (None, false) => from_file(file, &text),
        }
    }
}

fn from_file(file: &Path, text: &str) -> Result<Signer, SshlogError> {
    match SigningIdentity::from_openssh(text) {
        Ok(identity) => Ok(Signer::File(Box::new(identity))),
        Err(KeyFileError::Encrypted) => Err(SshlogError::Passphrase { file: file.into() }),
        Err(error) => Err(SshlogError::Key {
            file: file.into(),
            error,
        }),
    }
}

impl Signer {
    pub(super) fn public_key(&self) -> PublicKey {
        match self {
            Signer::File(identity) => identity.public_key(),
            Signer::Agent(public) => *public,
        }
    }

    /// The signature that is asked for, as an SSH signature blob.
    pub(super) fn answer(&self, request: &SignRequest) -> Result<Vec<u8>, SshlogError> {
        match self {
            Signer::File(identity) => Ok(identity.answer(request).to_vec()),
            Signer::Agent(public) => Ok(agent::sign(
                &public.to_ssh_blob(),
                public.algorithm().name(),
                &request.data,
            )?),
        }
    }
}
