//! The metadata: a JSON object of a few fields. Unknown fields are passed over, as `ssh-log-cli` does.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

/// What stands in front of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloudflareMetadata {
    /// When it began, seconds since 1970.
    pub started_at: u64,
    /// How much data it holds, as its writer says, bytes.
    pub data_size: u64,
    /// The encapsulated key, hexadecimal.
    pub(super) encapsulated_key: String,
    /// The terminal, when there was one.
    pub pty: Option<CloudflarePty>,
    /// How it ended, when its writer knew.
    pub exit_data: Option<CloudflareExit>,
}

/// A terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloudflarePty {
    /// The `TERM` value.
    pub term: Option<String>,
    /// Width, characters.
    pub width: u32,
    /// Height, characters.
    pub height: u32,
    /// Terminal modes by name.
    pub modes: Vec<(String, u32)>,
}

/// How a session ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloudflareExit {
    /// When, seconds since 1970.
    pub timestamp: u64,
    /// The exit status.
    pub status: Option<u32>,
    /// The exit signal.
    pub signal: Option<String>,
    /// Whether a core was dumped.
    #[serde(default)]
    pub core_dumped: bool,
    /// What went wrong.
    pub error_msg: Option<String>,
}

impl CloudflareMetadata {
    pub(super) fn to_json(&self) -> String {
        // Numbers, texts and lists of them always serialize.
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(super) fn from_json(json: &[u8]) -> Option<CloudflareMetadata> {
        serde_json::from_slice(json).ok()
    }

    pub(super) fn set_key(&mut self, key: &[u8]) {
        self.encapsulated_key = base16(key);
    }

    pub(super) fn key(&self) -> Option<Vec<u8>> {
        let digits = self.encapsulated_key.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        digits
            .chunks(2)
            .map(|pair| {
                let text = core::str::from_utf8(pair).ok()?;
                u8::from_str_radix(text, 16).ok()
            })
            .collect()
    }
}

fn base16(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect::<String>()
        .to_string()
}
