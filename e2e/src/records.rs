//! The records of a session log, as `sshlog records` prints them.

use serde_json::Value;

/// One record.
#[derive(Clone)]
pub struct Record(Value);

impl Record {
    /// All complete lines.
    ///
    /// # Panics
    ///
    /// When a line is not a JSON object with a `kind`.
    pub fn parse_all(text: &str) -> Vec<Self> {
        let parse = |line: &str| {
            let value: Value = serde_json::from_str(line)
                .unwrap_or_else(|error| panic!("{error} in record: {line}"));
            assert!(value["kind"].is_string(), "a record without a kind: {line}");
            Self(value)
        };
        text.lines().map(parse).collect()
    }

    /// The bytes of all records of a kind, in their order.
    ///
    /// # Panics
    ///
    /// When the kind has no data.
    pub fn data_of(records: &[Self], kind: &str) -> Vec<u8> {
        records
            .iter()
            .filter(|record| record.kind() == kind)
            .flat_map(Self::data)
            .collect()
    }

    /// What kind of record, such as `exec`.
    pub fn kind(&self) -> &str {
        self.text("kind")
    }

    /// The channel; 0 is the connection itself.
    pub fn channel(&self) -> u64 {
        self.number("channel")
    }

    /// A text field; empty when there is none.
    pub fn text(&self, field: &str) -> &str {
        self.0[field].as_str().unwrap_or_default()
    }

    /// A number; 0 when there is none.
    pub fn number(&self, field: &str) -> u64 {
        self.0[field].as_u64().unwrap_or_default()
    }

    /// The bytes of an input, output, standard error or forwarded data record.
    ///
    /// # Panics
    ///
    /// When the record has none.
    pub fn data(&self) -> Vec<u8> {
        self.bytes("data")
    }

    /// The bytes of a field.
    ///
    /// # Panics
    ///
    /// When there is no such field.
    pub fn bytes(&self, field: &str) -> Vec<u8> {
        if let Some(encoded) = self.0[format!("{field}_base64")].as_str() {
            return base64(encoded);
        }
        self.0[field]
            .as_str()
            .unwrap_or_else(|| panic!("no {field} in {self:?}"))
            .as_bytes()
            .to_vec()
    }

    /// The whole object.
    pub fn json(&self) -> &Value {
        &self.0
    }
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The bytes of base64 text (RFC 4648 section 4), with padding.
pub fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut values = [0_u8; 256];
    for (value, letter) in (0..).zip(ALPHABET) {
        values[usize::from(*letter)] = value;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for group in text.trim_end_matches('=').as_bytes().chunks(4) {
        let bits = group.iter().fold(0_u32, |bits, letter| {
            bits << 6 | u32::from(values[usize::from(*letter)])
        });
        // Four letters are three bytes, three are two, two are one.
        let aligned = (bits << (6 * (4 - group.len()))).to_be_bytes();
        bytes.extend_from_slice(&aligned[1..group.len()]);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_follows_the_vectors_of_rfc_4648() {
        for (text, bytes) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9vYmE=", "fooba"),
        ] {
            assert_eq!(base64(text), bytes.as_bytes());
        }
    }
}
