//! E-mail addresses: which ones are believed, and when two are the same (rules E1 to E5 of SPEC.md).

use core::cmp::Ordering;

use crate::limits::{MAX_EMAIL_BYTES, MAX_EMAIL_LOCAL_BYTES, MAX_HOSTNAME_BYTES, MAX_LABEL_BYTES};

/// A well-formed address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Email<'a> {
    pub(crate) whole: &'a str,
    pub(crate) local: &'a str,
    pub(crate) domain: &'a str,
}

/// Why a text is no address that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EmailFault {
    #[error("it has characters outside ASCII")]
    NotAscii,
    #[error("it has no `@`")]
    NoAt,
    #[error("it has more than one `@`")]
    SeveralAt,
    #[error("it is longer than {MAX_EMAIL_BYTES} bytes")]
    TooLong,
    #[error(
        "the part before the `@` is empty, too long or has a character that is not allowed there"
    )]
    Local,
    #[error("the part after the `@` is no domain name")]
    Domain,
}

impl<'a> Email<'a> {
    /// Splits `text`, refusing whatever two programs could read in two ways: quoted local parts, comments, several `@`, non-ASCII
    /// letters that fold to ASCII ones.
    pub(crate) fn parse(text: &'a str) -> Result<Self, EmailFault> {
        if !text.is_ascii() {
            return Err(EmailFault::NotAscii);
        }
        if text.len() > MAX_EMAIL_BYTES {
            return Err(EmailFault::TooLong);
        }
        let (local, domain) = text.split_once('@').ok_or(EmailFault::NoAt)?;
        if domain.contains('@') {
            return Err(EmailFault::SeveralAt);
        }
        if !is_local_part(local) {
            return Err(EmailFault::Local);
        }
        if !is_domain(domain) {
            return Err(EmailFault::Domain);
        }
        Ok(Self {
            whole: text,
            local,
            domain,
        })
    }
}

/// A dot-atom of RFC 5322 section 3.2.3.
fn is_local_part(text: &str) -> bool {
    let is_atext =
        |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
    text.len() <= MAX_EMAIL_LOCAL_BYTES
        && text
            .split('.')
            .all(|atom| !atom.is_empty() && atom.bytes().all(is_atext))
}

/// Letters, digits and inner hyphens in labels (RFC 1123 section 2.1), without a final dot.
pub(crate) fn is_domain(text: &str) -> bool {
    text.len() <= MAX_HOSTNAME_BYTES
        && text.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= MAX_LABEL_BYTES
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
}

/// Orders two texts with ASCII letters folded to lower case, and nothing else folded.
pub(crate) fn cmp_folded(left: &str, right: &str) -> Ordering {
    left.bytes()
        .map(|byte| byte.to_ascii_lowercase())
        .cmp(right.bytes().map(|byte| byte.to_ascii_lowercase()))
}
