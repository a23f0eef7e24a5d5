use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};

use super::AuthorizedPrincipals;
use crate::principals::check_name;
use crate::{CaPublicKey, Principals, SetupError};

/// How a server learns which principals may log in as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrincipalsSetting {
    /// A principal may log in as the user of the same name, and nobody else.
    UserName,
    /// A file for each user in this folder: `AuthorizedPrincipalsFile FOLDER/%u`. A user without a file cannot log in.
    FileInFolder(String),
    /// `AuthorizedPrincipalsCommand /bin/echo PRINCIPAL` in a `Match User` block for each user that is added. For everybody else,
    /// root included, the command prints nothing, so that they cannot log in, not even by their own name.
    EchoCommand,
}

/// What a server needs to take certificates, as lines of `sshd_config`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshdSetup {
    trusted_path: String,
    setting: PrincipalsSetting,
    matches: String,
    users: BTreeSet<String>,
}

impl SshdSetup {
    /// For a server that keeps the authorities' keys in this file.
    ///
    /// # Errors
    /// [`SetupError::Path`] unless paths are absolute, of visible ASCII without quotes, `%` and `#`.
    pub fn new(trusted_path: &str, setting: PrincipalsSetting) -> Result<Self, SetupError> {
        check_path(trusted_path)?;
        if let PrincipalsSetting::FileInFolder(folder) = &setting {
            check_path(folder)?;
        }
        Ok(Self {
            trusted_path: trusted_path.into(),
            setting,
            matches: String::new(),
            users: BTreeSet::new(),
        })
    }

    /// Lets these principals log in as a user. Gives the file to write on the server, path and content, where the
    /// setting is one of files.
    ///
    /// # Errors
    /// [`SetupError::User`] for a name that cannot be one, [`SetupError::NotTheUserName`] when the setting maps nothing,
    /// [`SetupError::OnePrincipal`] for more than one where a command prints them, [`SetupError::UserTwice`] for a user who was
    /// mapped before.
    pub fn map(
        &mut self,
        user: &str,
        principals: &Principals,
    ) -> Result<Option<(String, String)>, SetupError> {
        check_name(user).map_err(SetupError::User)?;
        if user.contains(['/', '%', '#', '=', '\\', '\'']) {
            return Err(SetupError::UserCharacter);
        }
        if self.users.contains(user) {
            return Err(SetupError::UserTwice);
        }
        let file = match &self.setting {
            PrincipalsSetting::UserName => match principals.as_slice() {
                [one] if one == user => None,
                _ => return Err(SetupError::NotTheUserName),
            },
            PrincipalsSetting::FileInFolder(folder) => {
                if principals.as_slice().iter().any(|name| name.contains('#')) {
                    return Err(SetupError::PrincipalCharacter);
                }
                let path = format!("{}/{user}", folder.trim_end_matches('/'));
                Some((path, AuthorizedPrincipals::of(principals).to_text()))
            }
            PrincipalsSetting::EchoCommand => {
                let [name] = principals.as_slice() else {
                    return Err(SetupError::OnePrincipal);
                };
                if name.starts_with('-') || name.contains(['%', '#', '\\', '\'']) {
                    return Err(SetupError::PrincipalCharacter);
                }
                self.matches.push_str(&format!(
                    "Match User {user}\n    AuthorizedPrincipalsCommand /bin/echo {name}\n    \
                     AuthorizedPrincipalsCommandUser nobody\n"
                ));
                None
            }
        };
        self.users.insert(user.to_string());
        Ok(file)
    }

    /// The lines for `sshd_config`. `Match` blocks come last, and must be last in the file.
    #[must_use]
    pub fn sshd_config(&self) -> String {
        let mut lines = format!(
            "PubkeyAuthentication yes\nTrustedUserCAKeys {}\n",
            self.trusted_path
        );
        match &self.setting {
            PrincipalsSetting::UserName => {}
            PrincipalsSetting::FileInFolder(folder) => {
                let folder = folder.trim_end_matches('/');
                lines.push_str(&format!("AuthorizedPrincipalsFile {folder}/%u\n"));
            }
            // Without this, who has no block could log in by their own name.
            PrincipalsSetting::EchoCommand => lines.push_str(
                "AuthorizedPrincipalsCommand /bin/echo\nAuthorizedPrincipalsCommandUser nobody\n",
            ),
        }
        lines.push_str(&self.matches);
        lines
    }
}

/// The content of the file that `TrustedUserCAKeys` names.
#[must_use]
pub fn trusted_user_ca_keys(authorities: &[CaPublicKey]) -> String {
    authorities
        .iter()
        .map(|authority| format!("{}\n", authority.to_openssh()))
        .collect()
}

fn check_path(path: &str) -> Result<(), SetupError> {
    let allowed = |byte: u8| byte.is_ascii_graphic() && !b"\"'%#\\".contains(&byte);
    if path.starts_with('/') && path.bytes().all(allowed) {
        Ok(())
    } else {
        Err(SetupError::Path)
    }
}
