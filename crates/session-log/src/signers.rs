//! Whom an auditor trusts to sign logs: an OpenSSH `allowed_signers` file (ssh-keygen(1), ALLOWED SIGNERS).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error::SignersError;
use crate::limits::MAX_SIGNERS_FILE_BYTES;
use crate::sign::{PublicKey, SignatureAlgorithm};
use crate::sshsig::NAMESPACE;

/// The trusted signers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signers {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    principals: String,
    public: PublicKey,
}

impl Signers {
    /// Reads the file: lines of `principals [options] ssh-ed25519 BASE64 [comment]`, blank lines and `#` comments. Keys may be Ed25519, ECDSA P-256
    /// and ECDSA P-384.
    ///
    /// Of the options, `namespaces="…"` is honoured: a line whose list does not admit `sslg1` trusts nobody here. All others
    /// (`cert-authority`, `valid-after`, `valid-before`) are refused, because passing over one would trust more than the file says.
    ///
    /// # Errors
    /// With the line, when it is not of that form; when no line is left that could match.
    pub fn from_text(text: &str) -> Result<Signers, SignersError> {
        if text.len() > MAX_SIGNERS_FILE_BYTES {
            return Err(SignersError::TooLarge {
                limit: MAX_SIGNERS_FILE_BYTES,
                got: text.len(),
            });
        }
        let mut entries = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line_text = line.trim();
            if !line_text.is_empty() && !line_text.starts_with('#') {
                entries.extend(parse_line(line_text, index + 1)?);
            }
        }
        if entries.is_empty() {
            return Err(SignersError::Empty);
        }
        Ok(Signers { entries })
    }

    /// The principals that the first line with this key names; `None` when no line does, and so nobody trusts it.
    #[must_use]
    pub fn principals(&self, public: &PublicKey) -> Option<&str> {
        self.entries
            .iter()
            .find(|entry| entry.public == *public)
            .map(|entry| entry.principals.as_str())
    }
}

fn parse_line(text: &str, line: usize) -> Result<Option<Entry>, SignersError> {
    let mut words = split_words(text).into_iter();
    let principals = words.next().ok_or(SignersError::Line { line })?;
    let mut word = words.next().ok_or(SignersError::Line { line })?;
    let mut admits = true;
    if !is_key_type(word) {
        admits = options_admit(word, line)?;
        word = words.next().ok_or(SignersError::Line { line })?;
    }
    if SignatureAlgorithm::from_name(word.as_bytes()).is_none() {
        return Err(if is_key_type(word) {
            SignersError::KeyType { line }
        } else {
            SignersError::Line { line }
        });
    }
    let key = words.next().ok_or(SignersError::Line { line })?;
    let public =
        PublicKey::from_openssh(&[word, key].join(" ")).ok_or(SignersError::Key { line })?;
    Ok(admits.then(|| Entry {
        principals: principals.trim_matches('"').into(),
        public,
    }))
}

fn is_key_type(word: &str) -> bool {
    ["ssh-", "ecdsa-", "sk-", "rsa-"]
        .iter()
        .any(|prefix| word.starts_with(prefix))
}

/// Words at white space, except inside double quotes.
fn split_words(text: &str) -> Vec<&str> {
    let mut quoted = false;
    text.split(|c: char| {
        quoted ^= c == '"';
        c.is_ascii_whitespace() && !quoted
    })
    .filter(|word| !word.is_empty())
    .collect()
}

fn options_admit(options: &str, line: usize) -> Result<bool, SignersError> {
    let mut quoted = false;
    let mut admits = true;
    for option in options.split(|c: char| {
        quoted ^= c == '"';
        c == ',' && !quoted
    }) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let known = ["cert-authority", "valid-after", "valid-before"];
        if name.eq_ignore_ascii_case("namespaces") {
            let list = value
                .strip_prefix('"')
                .and_then(|v| v.strip_suffix('"'))
                .ok_or(SignersError::Line { line })?;
            admits &= list_admits(list);
        } else if let Some(option) = known
            .into_iter()
            .find(|known| name.eq_ignore_ascii_case(known))
        {
            return Err(SignersError::Option { line, option });
        } else {
            return Err(SignersError::UnknownOption { line });
        }
    }
    Ok(admits)
}

/// OpenSSH pattern list: one pattern must match, and no pattern after `!` may.
fn list_admits(list: &str) -> bool {
    let mut admitted = false;
    for pattern in list.split(',') {
        match pattern.strip_prefix('!') {
            Some(negated) if matches(negated.as_bytes(), NAMESPACE.as_bytes()) => return false,
            Some(_) => {}
            None => admitted |= matches(pattern.as_bytes(), NAMESPACE.as_bytes()),
        }
    }
    admitted
}

/// `*` and `?` as in ssh_config(5). The text is a short constant, so each star costs at most its length.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    // Greedy with one point of return: linear in pattern times text.
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == b'?' || Some(c) == text.get(t) => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    t = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern
        .get(p..)
        .is_some_and(|rest| rest.iter().all(|c| *c == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signer::SigningIdentity;
    use alloc::format;

    fn line(options: &str) -> (String, PublicKey) {
        let key = SigningIdentity::from_seed([5; 32]);
        (
            format!("proxy@example {options} {}", key.public_key_openssh()),
            key.public_key(),
        )
    }

    #[test]
    fn key_is_found_with_its_principals() {
        for options in [
            "",
            "namespaces=\"sslg1\"",
            "namespaces=\"git,ssl*\"",
            "namespaces=\"file, x,s?lg1\"",
        ] {
            let (text, public) = line(options);
            let signers = Signers::from_text(&format!("# who\n\n{text} comment\n")).expect(options);
            assert_eq!(
                signers.principals(&public),
                Some("proxy@example"),
                "{options}"
            );
            assert_eq!(
                signers.principals(&SigningIdentity::from_seed([9; 32]).public_key()),
                None
            );
        }
    }

    #[test]
    fn namespaces_that_leave_the_log_out_trust_nobody() {
        for options in [
            "namespaces=\"git\"",
            "namespaces=\"*,!sslg1\"",
            "namespaces=\"sslg\"",
            "namespaces=\"sslg1?\"",
        ] {
            assert_eq!(
                Signers::from_text(&line(options).0),
                Err(SignersError::Empty),
                "{options}"
            );
        }
    }

    #[test]
    fn options_that_narrow_trust_are_refused_and_not_passed_over() {
        for option in ["cert-authority", "valid-after", "valid-before"] {
            let text = line(&format!("{option}=\"20200101\"")).0;
            assert_eq!(
                Signers::from_text(&text),
                Err(SignersError::Option { line: 1, option })
            );
        }
        assert_eq!(
            Signers::from_text(&line("no-touch-required").0),
            Err(SignersError::UnknownOption { line: 1 })
        );
        let rsa = "\n# c\nproxy ssh-rsa AAAA";
        assert_eq!(
            Signers::from_text(rsa),
            Err(SignersError::KeyType { line: 3 })
        );
    }

    #[test]
    fn cut_and_bent_lines_are_errors_with_their_line() {
        let (text, _) = line("");
        let key_at = text.find("AAAA").expect("key");
        for len in 1..text.len() {
            let result = Signers::from_text(&text[..len]);
            assert!(result.is_err(), "{len}");
        }
        assert_eq!(Signers::from_text(""), Err(SignersError::Empty));
        let bent = text[..key_at + 8].to_owned_string() + "B" + &text[key_at + 9..];
        assert!(matches!(
            Signers::from_text(&bent),
            Err(SignersError::Key { line: 1 })
        ));
    }

    trait ToOwnedString {
        fn to_owned_string(&self) -> String;
    }
    impl ToOwnedString for str {
        fn to_owned_string(&self) -> String {
            String::from(self)
        }
    }
}
