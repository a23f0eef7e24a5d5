//! The server's side: who may log in as whom there, decided as sshd decides it, and the files that say so.

mod authorized_principals;
mod from;
mod line_options;
mod setup;
mod values;

use alloc::string::{String, ToString};
use alloc::vec::Vec;

pub use self::authorized_principals::{AuthorizedPrincipals, PrincipalsLine};
pub use self::line_options::LineOptions;
pub use self::setup::{PrincipalsSetting, SshdSetup, trusted_user_ca_keys};
use crate::check::{check_user, is_security_key};
use crate::public::key_lines;
use crate::{
    CaKeyError, CaPublicKey, CheckContext, Checked, EnforcedOption, Extension, LoginRefusal,
    Refusal,
};

/// The most bytes of a file of principals or authorities that are read.
pub const MAX_SERVER_FILE_BYTES: usize = 1 << 20;

/// Which principals let their holder log in as one user of a server that has `TrustedUserCAKeys`.
///
/// With neither a file nor a command, the user's own name does. With either, only what they list: the file first, then the
/// command.
#[derive(Clone, Debug, Default)]
pub struct LoginRule {
    file: Option<AuthorizedPrincipals>,
    command: Option<AuthorizedPrincipals>,
}

impl LoginRule {
    /// The user's own name: neither `AuthorizedPrincipalsFile` nor `AuthorizedPrincipalsCommand` is set.
    #[must_use]
    pub fn user_name() -> Self {
        Self::default()
    }

    /// `AuthorizedPrincipalsFile` is set, and this is its content for the user; empty if the file is not there.
    #[must_use]
    pub fn principals_file(mut self, content: AuthorizedPrincipals) -> Self {
        self.file = Some(content);
        self
    }

    /// `AuthorizedPrincipalsCommand` is set, and this is what it prints for the user.
    #[must_use]
    pub fn principals_command(mut self, output: AuthorizedPrincipals) -> Self {
        self.command = Some(output);
        self
    }

    /// What lets a certificate with these principals in as this user, apart from the certificate itself.
    ///
    /// # Errors
    /// [`LoginRefusal`]: as for sshd, the first line that lists a principal decides, whatever the others say.
    pub fn find<S: AsRef<str>>(
        &self,
        principals: &[S],
        context: &CheckContext<'_>,
    ) -> Result<Admission<'_>, LoginRefusal> {
        if self.file.is_none() && self.command.is_none() {
            let user = context.name();
            let is_listed = principals.iter().any(|name| name.as_ref() == user);
            return if is_listed {
                Ok(Admission::UserName)
            } else {
                Err(LoginRefusal::NotTheUserName)
            };
        }
        let from_file = self.file.as_ref().and_then(|list| list.find(principals));
        let line = match from_file {
            Some(line) => line,
            None => self
                .command
                .as_ref()
                .and_then(|list| list.find(principals))
                .ok_or(LoginRefusal::NotListed)?,
        };
        line.check(context)?;
        Ok(Admission::Line(line))
    }
}

/// By what a [`LoginRule`] lets a certificate in.
#[derive(Clone, Copy, Debug)]
pub enum Admission<'a> {
    /// The user's name is one of its principals.
    UserName,
    /// This line lists one of its principals.
    Line(&'a PrincipalsLine),
}

/// A login that a server would let happen, and what it would let it do.
#[derive(Clone, Debug)]
pub struct Login {
    checked: Checked,
    line: Option<PrincipalsLine>,
    force_command: Option<String>,
}

impl Login {
    /// The certificate.
    #[must_use]
    pub fn certificate(&self) -> &Checked {
        &self.checked
    }

    /// The line of the principals file or command that let it in; none where the user's name did.
    #[must_use]
    pub fn line(&self) -> Option<&PrincipalsLine> {
        self.line.as_ref()
    }

    /// The command that runs instead of whatever is asked for: the certificate's or the line's.
    #[must_use]
    pub fn force_command(&self) -> Option<&str> {
        self.force_command.as_deref()
    }

    /// Whether something is permitted: by the certificate, and by the line if there is one.
    #[must_use]
    pub fn permits(&self, extension: Extension) -> bool {
        let by_line = |line: &PrincipalsLine| line.options().permits(extension);
        self.checked.permits(extension) && self.line.as_ref().is_none_or(by_line)
    }

    /// Whether a signature without user verification must not be accepted.
    #[must_use]
    pub fn is_verification_required(&self) -> bool {
        let by_line = |line: &PrincipalsLine| line.options().is_verification_required();
        self.checked.is_verification_required() || self.line.as_ref().is_some_and(by_line)
    }
}

/// Whether a server lets the holder of a certificate log in as the user that the context names.
///
/// As [`check_user_certificate`](crate::check_user_certificate), but that the rule says which principals will do. What the
/// options of its line demand is checked as what the certificate's own demand: [`CheckContext::enforcing`] promises
/// `command` and `verify-required`, and the latter needs a security key.
///
/// # Errors
/// [`Refusal`], for the first thing that is wrong; [`Refusal::Login`] when it is the rule that refuses.
pub fn check_login(
    blob: &[u8],
    trusted: &[CaPublicKey],
    rule: &LoginRule,
    context: &CheckContext<'_>,
) -> Result<Login, Refusal> {
    let mut line = None;
    let checked = check_user(blob, trusted, context, |principals| {
        if let Admission::Line(found) = rule.find(principals, context)? {
            line = Some(found.clone());
        }
        Ok(())
    })?;
    if let Some(line) = &line {
        check_enforcement(line, &checked, context)?;
    }
    let of_line = line
        .as_ref()
        .and_then(|line| line.options().force_command());
    let force_command = match (of_line, checked.force_command()) {
        (Some(one), Some(other)) if one != other => {
            return Err(LoginRefusal::Commands.into());
        }
        (one, other) => one.or(other).map(ToString::to_string),
    };
    Ok(Login {
        force_command,
        line,
        checked,
    })
}

/// What a line demands is enforced by the caller or by nobody, as what a certificate demands is.
fn check_enforcement(
    line: &PrincipalsLine,
    checked: &Checked,
    context: &CheckContext<'_>,
) -> Result<(), Refusal> {
    let options = line.options();
    let is_unenforced = |demanded: bool, option| demanded && !context.enforces(option);
    let demands_command = options.force_command().is_some();
    let demands_verification = options.is_verification_required();
    if is_unenforced(demands_command, EnforcedOption::ForceCommand)
        || is_unenforced(demands_verification, EnforcedOption::VerifyRequired)
    {
        let line = line.number();
        return Err(LoginRefusal::NotEnforced { line }.into());
    }
    if demands_verification && !is_security_key(checked.subject()) {
        return Err(Refusal::VerifyRequired);
    }
    Ok(())
}

/// Reads the file that `TrustedUserCAKeys` names: public keys, one a line, `#` before a comment.
///
/// # Errors
/// [`CaKeyError`] for a line that is no authority's key. sshd reads up to such a line, and trusts nobody behind it.
pub fn parse_trusted_user_ca_keys(text: &str) -> Result<Vec<CaPublicKey>, CaKeyError> {
    key_lines(text)
        .map(|(_, line)| CaPublicKey::from_openssh(line))
        .collect()
}
