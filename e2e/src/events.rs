//! The access events of the proxy, read back from its JSON lines.

use serde_json::Value;

/// One line of the access log.
#[derive(Clone)]
pub struct Event(Value);

impl Event {
    /// All complete lines of a file.
    ///
    /// # Panics
    ///
    /// When a line is not a JSON object with an `event`.
    pub fn parse_all(text: &str) -> Vec<Self> {
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        let parse = |line: &str| {
            let value: Value = serde_json::from_str(line)
                .unwrap_or_else(|error| panic!("{error} in event: {line}"));
            assert!(
                value["event"].is_string(),
                "an event without a name: {line}"
            );
            Self(value)
        };
        complete.lines().map(parse).collect()
    }

    /// What happened, such as `session.start`.
    pub fn name(&self) -> &str {
        self.text("event")
    }

    /// The connection.
    pub fn session(&self) -> &str {
        self.text("session")
    }

    /// A text field; empty when there is none.
    pub fn text(&self, field: &str) -> &str {
        self.0[field].as_str().unwrap_or_default()
    }

    /// A number; 0 when there is none.
    pub fn number(&self, field: &str) -> u64 {
        self.0[field].as_u64().unwrap_or_default()
    }

    /// The whole object.
    pub fn json(&self) -> &Value {
        &self.0
    }
}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}
