use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::{self, Write as _};

use crate::KeyIdError;

/// The longest key id, in bytes: half of the line that sshd's log holds (`MSGBUFSIZ`, 1024), which
/// also has to fit the user, the address and two fingerprints.
pub const MAX_KEY_ID_BYTES: usize = 512;

/// The name that a server writes into its log when the certificate is used.
///
/// One word of visible ASCII, so that nothing in it can pass for another part of the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyId(String);

impl KeyId {
    /// Names who logs in, in which session, by which decision: `identity=…;session=…;decision=…`.
    ///
    /// Bytes other than ASCII letters, digits and `@ . _ + - : /` are written as `%XX`, so that
    /// different parts always give different texts, and [`KeyIdParts::parse`] reads them back.
    ///
    /// # Errors
    /// [`KeyIdError::Empty`] when a part is, [`KeyIdError::TooLong`] above [`MAX_KEY_ID_BYTES`].
    pub fn new(identity: &str, session: &str, decision: &str) -> Result<Self, KeyIdError> {
        let mut text = String::new();
        for (name, part) in [
            ("identity=", identity),
            (";session=", session),
            (";decision=", decision),
        ] {
            if part.is_empty() {
                return Err(KeyIdError::Empty);
            }
            text.push_str(name);
            escape_into(&mut text, part);
        }
        Self::bounded(text)
    }

    /// Takes a text of one's own: visible ASCII, without spaces.
    ///
    /// # Errors
    /// [`KeyIdError`] when it is empty, too long, or has other characters.
    pub fn from_text(text: &str) -> Result<Self, KeyIdError> {
        if text.is_empty() {
            return Err(KeyIdError::Empty);
        }
        if let Some(at) = text.bytes().position(|byte| !byte.is_ascii_graphic()) {
            return Err(KeyIdError::Character { at });
        }
        Self::bounded(text.to_string())
    }

    /// The text as it stands in the certificate.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn bounded(text: String) -> Result<Self, KeyIdError> {
        if text.len() > MAX_KEY_ID_BYTES {
            return Err(KeyIdError::TooLong {
                limit: MAX_KEY_ID_BYTES,
                got: text.len(),
            });
        }
        Ok(Self(text))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a key id made by [`KeyId::new`] says, read back from a certificate or a server's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyIdParts {
    /// Who logged in.
    pub identity: String,
    /// In which session.
    pub session: String,
    /// By which decision.
    pub decision: String,
}

impl KeyIdParts {
    /// Reads `identity=…;session=…;decision=…`. None for any text that [`KeyId::new`] does not write.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.splitn(3, ';');
        let mut part = |name| unescape(fields.next()?.strip_prefix(name)?);
        let parts = Self {
            identity: part("identity=")?,
            session: part("session=")?,
            decision: part("decision=")?,
        };
        // Exactly one spelling is right, so that logs can be searched for it.
        let written = KeyId::new(&parts.identity, &parts.session, &parts.decision).ok()?;
        (written.as_str() == text).then_some(parts)
    }
}

fn unescape(part: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high << 4 | low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

fn escape_into(out: &mut String, part: &str) {
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b"@._+-:/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing into a String does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}
