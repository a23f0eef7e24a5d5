//! `audit_proxy init`: a folder with everything that a proxy needs to start.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use hostkey_derive::AccountSecret;
use policy::PolicySet;
use session_log::{Identity, Kem};
use ssh_key::LineEnding;
use zeroize::Zeroizing;

use crate::fresh::{self, FreshError};
use crate::token::{self, TokenHash};

const CONFIG: &str = include_str!("../../audit_proxy/proxy.toml");
const POLICY: &str = include_str!("../../audit_proxy/policy.toml");

/// What stands in the sample configuration in the place of a token's hash.
const SAMPLE_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// What stands in the sample policy in the place of a Unix user.
const SAMPLE_USER: &str = "\"deploy\"";

/// Why the folder was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum StarterError {
    /// The folder is there already.
    #[error("it is there already; choose another name, nothing is overwritten")]
    Exists,
    /// The folder cannot be made.
    #[error("the folder cannot be made: {0}")]
    Folder(io::Error),
    /// A file cannot be written.
    #[error("`{}` cannot be written: {error}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// There are no new keys.
    #[error(transparent)]
    Fresh(#[from] FreshError),
    /// A key cannot be written down.
    #[error("a key cannot be written down: {0}")]
    Key(#[from] ssh_key::Error),
}

/// Writes the folder; gives what to tell the person.
///
/// # Errors
/// When the folder is there already, or something in it cannot be written.
pub(super) fn write(folder: &Path) -> Result<String, StarterError> {
    let mut rng = fresh::rng()?;
    make_folder(folder)?;
    make_folder(&folder.join("logs"))?;
    let file = |name: &str, text: &str, mode: u32| {
        let path = folder.join(name);
        write_new(&path, text, mode).map_err(|error| StarterError::File { file: path, error })
    };

    let secret = AccountSecret::generate(&mut rng);
    file("account-secret", &hex_line(secret.secret_bytes()), 0o600)?;
    for (name, comment) in [("ca", "portreeve CA"), ("signing", "portreeve log signing")] {
        let key = fresh::ed25519(comment)?;
        file(name, &key.to_openssh(LineEnding::LF)?, 0o600)?;
        let public = key.public_key().to_openssh()?;
        file(&format!("{name}.pub"), &format!("{public}\n"), 0o644)?;
        if name == "signing" {
            file("allowed_signers", &format!("proxy {public}\n"), 0o644)?;
        }
    }
    let auditor = Identity::generate(Kem::XWing, &mut rng);
    file("auditor", &auditor.to_text(), 0o600)?;
    file("auditor.pub", &auditor.recipient().to_text(), 0o644)?;

    let token = token::generate().map_err(FreshError::from)?;
    file("token", &format!("{}\n", token.as_str()), 0o600)?;
    let hash = TokenHash::of(&token).to_hex();
    file("proxy.toml", &CONFIG.replace(SAMPLE_HASH, &hash), 0o644)?;
    let policy = policy_for(&current_user());
    file("policy.toml", &policy, 0o644)?;
    Ok(what_next(folder))
}

/// Who runs this, as `sshd` knows them; empty when nobody can tell.
fn current_user() -> String {
    let asked = std::process::Command::new("id").arg("-un").output();
    let told = asked.ok().filter(|output| output.status.success());
    let name = told.and_then(|output| String::from_utf8(output.stdout).ok());
    name.map(|name| name.trim().to_owned())
        .or_else(|| std::env::var("USER").ok())
        .unwrap_or_default()
}

fn what_next(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "\
Written to {folder}:
  proxy.toml       the configuration: listeners, targets, identities
  policy.toml      who may be which user on which target
  ca, ca.pub       the certificate authority; targets must trust ca.pub
  account-secret   from which the host keys that clients see are derived
  signing          signs the logs; allowed_signers names it to `sshlog`
  auditor          READS ALL LOGS: move it to whoever audits, and off this machine
  auditor.pub      to which logs are encrypted
  token            the token of the identity `me`, for the connect helper
  logs             where the logs go

On each target, copy ca.pub to /etc/ssh/portreeve_ca.pub and add to /etc/ssh/sshd_config:
  TrustedUserCAKeys /etc/ssh/portreeve_ca.pub

Then name your targets and people in proxy.toml and policy.toml, and:
  audit_proxy --config {folder}/proxy.toml --check
  audit_proxy --config {folder}/proxy.toml
"
    )
}

fn make_folder(path: &Path) -> Result<(), StarterError> {
    DirBuilder::new()
        .mode(0o700)
        .create(path)
        .map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => StarterError::Exists,
            _ => StarterError::Folder(error),
        })
}

fn write_new(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.write_all(text.as_bytes())
}

fn hex_line(bytes: &[u8]) -> Zeroizing<String> {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    // Room for all at once: a text that grows leaves copies of a secret behind.
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 2 + 1));
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.extend(DIGITS.get(usize::from(digit)));
        }
    }
    text.push('\n');
    text
}

/// The sample policy for this user, or as it is when no policy can name them.
fn policy_for(user: &str) -> String {
    // What would end the text in which the name stands is in no name that a policy takes.
    let policy = POLICY.replace(SAMPLE_USER, &format!("\"{user}\""));
    let named = !user.contains(['"', '\\']) && PolicySet::from_toml(&policy).is_ok();
    if named { policy } else { POLICY.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_names_every_user_that_a_policy_can() {
        for user in [
            "ada",
            "Ada.Lovelace",
            "svc_backup-2",
            "HOST$",
            "ada@example.com",
        ] {
            let line = format!("usernames = [\"{user}\"]");
            assert!(policy_for(user).contains(&line), "{user}");
        }
        for user in [
            "",
            "*",
            "two words",
            "1000",
            "a\", \"root",
            "a\\u0062",
            "a\nb",
        ] {
            assert_eq!(policy_for(user), POLICY, "{user}");
        }
    }
}
