//! Unix user names: which ones a document may name, and which ones an e-mail address may stand for.

use alloc::boxed::Box;
use alloc::string::String;

use crate::email::Email;
use crate::limits::MAX_UNIX_USER_BYTES;

/// Accounts that an e-mail alias never reaches: whoever may choose their own address would choose one of these.
/// The superuser and its twins, the accounts that systems and common servers come with, and the
/// first accounts of cloud images, which usually may become root without a password.
const NEVER_AN_ALIAS: [&str; 72] = [
    "adm",
    "admin",
    "administrator",
    "alpine",
    "apache",
    "avahi",
    "azureuser",
    "backup",
    "bin",
    "bitnami",
    "centos",
    "chrony",
    "cloud-user",
    "core",
    "daemon",
    "dbus",
    "debian",
    "dnsmasq",
    "docker",
    "ec2-user",
    "elasticsearch",
    "fedora",
    "ftp",
    "games",
    "gdm",
    "git",
    "gnats",
    "halt",
    "http",
    "irc",
    "jenkins",
    "kubernetes",
    "landscape",
    "list",
    "lp",
    "mail",
    "man",
    "messagebus",
    "mongodb",
    "mysql",
    "named",
    "news",
    "nginx",
    "nobody",
    "ntp",
    "opc",
    "operator",
    "oracle",
    "pi",
    "polkitd",
    "pollinate",
    "postfix",
    "postgres",
    "proxy",
    "rabbitmq",
    "redis",
    "rocky",
    "root",
    "rpc",
    "service",
    "shutdown",
    "sshd",
    "sudo",
    "support",
    "sync",
    "sys",
    "toor",
    "ubuntu",
    "uucp",
    "vagrant",
    "wheel",
    "www-data",
];

/// Why a text cannot be a Unix user name in a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UserFault {
    #[error("a user name is empty")]
    Empty,
    #[error("a user name is longer than {MAX_UNIX_USER_BYTES} bytes")]
    TooLong,
    #[error("there are no wildcards in user names")]
    Wildcard,
    #[error("a user name of digits alone is taken for a user id by many programs")]
    Digits,
    #[error("a user name has a character that is not allowed")]
    Character,
}

/// Checks a Unix user name: a letter, digit or underscore, then letters, digits and `_ . - @`, and perhaps a final `$`.
pub(crate) fn check(name: &str) -> Result<(), UserFault> {
    let stem = name.strip_suffix('$').unwrap_or(name);
    let Some(first) = stem.bytes().next() else {
        return Err(UserFault::Empty);
    };
    if name.len() > MAX_UNIX_USER_BYTES {
        return Err(UserFault::TooLong);
    }
    if name.contains(['*', '?']) {
        return Err(UserFault::Wildcard);
    }
    if stem.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(UserFault::Digits);
    }
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-@".contains(&byte);
    if !(first.is_ascii_alphanumeric() || first == b'_') || !stem.bytes().all(inner) {
        return Err(UserFault::Character);
    }
    Ok(())
}

/// The users that an Allow policy admits.
#[derive(Debug, Default)]
pub(crate) struct Users {
    /// Sorted, without duplicates.
    pub(crate) names: Box<[Box<str>]>,
    pub(crate) email_alias: bool,
}

impl Users {
    /// Whether `user` is admitted; without a user, whether anyone is.
    pub(crate) fn admits(&self, user: Option<&str>, email: Option<Email<'_>>) -> bool {
        let alias = email.filter(|_| self.email_alias).and_then(alias_prefix);
        match user {
            None => !self.names.is_empty() || alias.is_some(),
            Some(user) => {
                self.names(user) || alias.is_some_and(|prefix| is_lowercase_of(user, prefix))
            }
        }
    }
}

impl Users {
    /// Whether `user` is one of those written out.
    pub(crate) fn names(&self, user: &str) -> bool {
        let found = self.names.binary_search_by(|name| (**name).cmp(user));
        found.is_ok()
    }

    /// Whether `user` can be the alias of somebody who is let in as their own alias.
    pub(crate) fn could_alias(&self, user: &str) -> bool {
        let email = Email {
            whole: user,
            local: user,
            domain: user,
        };
        self.email_alias && alias(email).is_some_and(|alias| alias == user)
    }

    /// Whether it admits everybody as whom `other` admits them.
    pub(crate) fn include(&self, other: &Self) -> bool {
        (self.email_alias || !other.email_alias) && other.names.iter().all(|name| self.names(name))
    }
}

/// The user that an e-mail address stands for, if it stands for one.
pub(crate) fn alias(email: Email<'_>) -> Option<String> {
    alias_prefix(email).map(str::to_ascii_lowercase)
}

/// The part of `email` that is an alias once lowered, if it may be one.
fn alias_prefix(email: Email<'_>) -> Option<&str> {
    let reserved = NEVER_AN_ALIAS
        .iter()
        .any(|name| name.eq_ignore_ascii_case(email.local));
    let system = email.local.starts_with('_')
        || email
            .local
            .get(..8)
            .is_some_and(|head| head.eq_ignore_ascii_case("systemd-"))
        || email.local.ends_with('$');
    (!reserved && !system && check(email.local).is_ok()).then_some(email.local)
}

/// Whether `user` is byte for byte the ASCII lower case of `prefix`.
fn is_lowercase_of(user: &str, prefix: &str) -> bool {
    user.len() == prefix.len()
        && user
            .bytes()
            .eq(prefix.bytes().map(|byte| byte.to_ascii_lowercase()))
}
