//! What is said on the admin socket: one request a connection, as one line of JSON, and lines of JSON as the answer.
//!
//! ```text
//! {"request":"list"}
//!     {"reply":"session","session":"5f0c…","identity":"ada@example.com","target":"web-1",…}     one a session
//!     {"reply":"done","count":1,"refused":0}
//! {"request":"show","session":"5f0c"}                          ids may be shortened as long as one session is meant
//! {"request":"end","which":{"session":"5f0c"},"reason":"…"}    or {"identity":…}, {"device":…}, {"target":…}, "all"
//! {"request":"watch","session":"5f0c"}                         until either side closes
//!     {"reply":"seen","channel":1,"what":"output","base64":"bHMNCg=="}
//! {"request":"approvals"}
//!     {"reply":"approval","session":"5f0c…","identity":"ada@example.com","reason":"…",…}        one a person who waits
//! {"request":"approve","session":"5f0c","note":"…"}            or "refuse"; the note may be left out
//!     {"reply":"answered","session":"5f0c…"}
//! {"request":"drain","wait_ms":600000}
//! ```
//!
//! The last line is `done`, or `refused` where the policy does not allow it, or `failed` where it cannot be done. Fields and kinds may
//! be added; who reads ignores what they do not know.

use base64ct::{Base64, Encoding as _};
use proxy_core::{ApprovalRequest, CommandKind, Progress, Seen};
use serde::{Deserialize, Serialize};

use crate::live::Entry;

/// The longest line in either direction, in bytes: a piece of 32 KiB of a session in base64, and room for the rest.
pub const MAX_LINE_BYTES: usize = 64 * 1024;

/// What an operator wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// To see all sessions.
    List,
    /// To see all about one.
    Show {
        /// Its id, or the beginning of it.
        session: String,
    },
    /// To end some.
    End {
        /// Which ones.
        which: Which,
        /// Why, for the person and the log.
        reason: String,
    },
    /// To see what passes in one.
    Watch {
        /// Its id, or the beginning of it.
        session: String,
    },
    /// To see who waits for an approval.
    Approvals,
    /// To let somebody in who waits.
    Approve {
        /// The request's id, or the beginning of it.
        session: String,
        /// Why, for the person and the log.
        #[serde(default)]
        note: String,
    },
    /// Not to.
    Refuse {
        /// The request's id, or the beginning of it.
        session: String,
        /// Why, for the person.
        #[serde(default)]
        note: String,
    },
    /// To have the proxy accept nobody any more, and end when the last session has.
    Drain {
        /// How long sessions may go on, in milliseconds; without it, as the configuration says, and as long as they need where that says
        /// nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wait_ms: Option<u64>,
    },
}

/// Sessions that are meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// The one whose id begins so.
    Session(String),
    /// All of an identity, as it is listed.
    Identity(String),
    /// All of a device.
    Device(String),
    /// All on a target, by its id or host name.
    Target(String),
    /// All there are.
    All,
}

/// One line of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// A session.
    Session(Box<SessionLine>),
    /// Somebody who waits for an approval.
    Approval(Box<ApprovalLine>),
    /// The answer to a request was taken.
    Answered {
        /// The session that asked.
        session: String,
    },
    /// A session was told to end.
    Ended {
        /// Its id.
        session: String,
        /// Its task does not answer: it ends once that goes on.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        late: bool,
    },
    /// Something of the session that is watched.
    Seen {
        /// The channel, by its number in the log.
        channel: u32,
        /// What it is.
        #[serde(flatten)]
        what: SeenLine,
    },
    /// The watching is over.
    WatchOver {
        /// Why.
        why: String,
    },
    /// Nobody is accepted any more.
    Draining {
        /// Connections that still run.
        connections: usize,
        /// After how long they are told to end, in milliseconds; left out where they have as long as they need.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wait_ms: Option<u64>,
    },
    /// It is done.
    Done {
        /// For how many sessions.
        count: usize,
        /// For how many the policy does not allow it.
        refused: usize,
    },
    /// The policy does not allow it.
    Refused {
        /// What to do about it.
        why: String,
    },
    /// It cannot be done.
    Failed {
        /// Why.
        why: String,
    },
}

/// Approvers that are named in a line, which has room for so many of the longest names: a policy may name any number.
pub(super) const MAX_LISTED_APPROVERS: usize = 32;

/// Somebody who waits for an approval.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ApprovalLine {
    /// The session that asks: 32 hex digits.
    pub session: String,
    /// The session that it is inside of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Who.
    pub identity: String,
    /// From where.
    pub client_addr: String,
    /// As which Unix user.
    pub user: String,
    /// The target's id.
    pub target: String,
    /// Its host name.
    pub hostname: String,
    /// Its port.
    pub port: u16,
    /// Why, in the person's words, where the policy asks for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who may answer; of very many, the first.
    pub approvers: Vec<String>,
    /// Since when, in milliseconds since 1970.
    pub asked_unix_ms: u64,
    /// Until when an answer counts.
    pub expires_unix_ms: u64,
}

impl ApprovalLine {
    pub(super) fn of(request: &ApprovalRequest) -> Self {
        let subject = &request.subject;
        let within = u64::try_from(request.within.as_millis()).unwrap_or(u64::MAX);
        let approvers = request.approvers.iter().take(MAX_LISTED_APPROVERS);
        Self {
            session: subject.session.to_string(),
            parent: subject.parent.map(|parent| parent.to_string()),
            identity: subject.identity.clone(),
            client_addr: subject.client_addr.clone(),
            user: request.user.to_string(),
            target: subject.target.clone(),
            hostname: subject.hostname.clone(),
            port: subject.port,
            reason: request.reason.clone(),
            approvers: approvers.map(ToString::to_string).collect(),
            asked_unix_ms: request.asked_unix_ms,
            expires_unix_ms: request.asked_unix_ms.saturating_add(within),
        }
    }
}

/// One session. Times are in milliseconds, sizes in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionLine {
    /// Its id: 32 hex digits.
    pub session: String,
    /// The session that it is inside of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Who.
    pub identity: String,
    /// The Unix user, once there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Their device, where it has a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// From where.
    pub client_addr: String,
    /// The target's id.
    pub target: String,
    /// Its host name.
    pub hostname: String,
    /// Its port.
    pub port: u16,
    /// `arriving`, `open` or `ending`; or `stuck`, where it did not answer: it waits for its disk, and the rest of this is what was known
    /// when its connection began.
    pub progress: String,
    /// When the connection began, since 1970.
    pub since_unix_ms: u64,
    /// For how long nothing has passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_ms: Option<u64>,
    /// Channel data from the client.
    pub bytes_from_client: u64,
    /// Channel data from the target.
    pub bytes_from_target: u64,
    /// Open channels.
    pub channels: usize,
    /// Who watches it.
    pub watchers: usize,
    /// What was asked for last, for those who may `show` this session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_command: Option<LastCommandLine>,
}

/// A command or the name of a subsystem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastCommandLine {
    /// The channel, by its number in the log.
    pub channel: u32,
    /// `exec` or `subsystem`.
    pub kind: String,
    /// Its beginning; what is no UTF-8 is replaced.
    pub text: String,
}

/// Something that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum SeenLine {
    /// The log says that the session is watched; what follows was recorded after it.
    Began,
    /// A terminal's size.
    Terminal {
        /// Characters in a row.
        columns: u32,
        /// Rows.
        rows: u32,
    },
    /// A command or subsystem was asked for.
    Command(Bytes),
    /// The person sent this.
    Input(Bytes),
    /// The program wrote this to its standard output.
    Output(Bytes),
    /// The program, or the proxy, wrote this to its standard error.
    Stderr(Bytes),
    /// The channel is closed.
    Closed,
}

/// Any bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bytes {
    /// In base64 (RFC 4648 section 4).
    pub base64: String,
}

impl Bytes {
    fn of(bytes: &[u8]) -> Self {
        Self {
            base64: Base64::encode_string(bytes),
        }
    }

    /// The bytes; `None` where it is no base64.
    pub fn decode(&self) -> Option<Vec<u8>> {
        Base64::decode_vec(&self.base64).ok()
    }
}

impl From<&Seen> for SeenLine {
    fn from(seen: &Seen) -> Self {
        match seen {
            Seen::Began => Self::Began,
            Seen::Terminal { columns, rows } => Self::Terminal {
                columns: *columns,
                rows: *rows,
            },
            Seen::Command(bytes) => Self::Command(Bytes::of(bytes)),
            Seen::Input(bytes) => Self::Input(Bytes::of(bytes)),
            Seen::Output(bytes) => Self::Output(Bytes::of(bytes)),
            Seen::Stderr(bytes) => Self::Stderr(Bytes::of(bytes)),
            Seen::Closed => Self::Closed,
        }
    }
}

impl SessionLine {
    /// What a list tells of a session: nothing of its content.
    pub(super) fn listed(entry: &Entry) -> Self {
        let overview = &entry.overview;
        let subject = &overview.subject;
        let millis =
            |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            session: subject.session.to_string(),
            parent: subject.parent.map(|parent| parent.to_string()),
            identity: subject.identity.clone(),
            user: overview.user.as_deref().map(str::to_owned),
            device: overview.device.clone(),
            client_addr: subject.client_addr.clone(),
            target: subject.target.clone(),
            hostname: subject.hostname.clone(),
            port: subject.port,
            progress: match overview.progress {
                _ if !entry.answers => "stuck",
                Progress::Arriving => "arriving",
                Progress::Open => "open",
                Progress::Ending => "ending",
            }
            .to_owned(),
            since_unix_ms: millis(overview.connected),
            idle_ms: overview.idle.map(millis),
            bytes_from_client: overview.bytes_from.client,
            bytes_from_target: overview.bytes_from.target,
            channels: overview.channels,
            watchers: overview.watchers,
            last_command: None,
        }
    }

    /// All there is to tell of a session.
    pub(super) fn shown(entry: &Entry) -> Self {
        let last_command = entry
            .overview
            .last_command
            .as_ref()
            .map(|last| LastCommandLine {
                channel: last.channel,
                kind: match last.kind {
                    CommandKind::Exec => "exec",
                    CommandKind::Subsystem => "subsystem",
                }
                .to_owned(),
                text: String::from_utf8_lossy(&last.text).into_owned(),
            });
        Self {
            last_command,
            ..Self::listed(entry)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_str, json, to_value};

    use super::*;

    #[test]
    fn requests_are_what_the_documentation_says() {
        for (text, request) in [
            (r#"{"request":"list"}"#, Request::List),
            (
                r#"{"request":"show","session":"5f0c"}"#,
                Request::Show {
                    session: "5f0c".to_owned(),
                },
            ),
            (
                r#"{"request":"end","which":{"device":"laptop-7"},"reason":"stolen"}"#,
                Request::End {
                    which: Which::Device("laptop-7".to_owned()),
                    reason: "stolen".to_owned(),
                },
            ),
            (
                r#"{"request":"end","which":"all","reason":"fire"}"#,
                Request::End {
                    which: Which::All,
                    reason: "fire".to_owned(),
                },
            ),
            (r#"{"request":"drain"}"#, Request::Drain { wait_ms: None }),
        ] {
            assert_eq!(from_str::<Request>(text).unwrap(), request);
            assert_eq!(
                to_value(&request).unwrap(),
                from_str::<Value>(text).unwrap()
            );
        }
        for wrong in [
            "",
            "[]",
            "{}",
            r#"{"request":"reboot"}"#,
            r#"{"request":"show"}"#,
            r#"{"request":"show","session":"5f0c","force":true}"#,
            r#"{"request":"end","which":{"session":"a","device":"b"},"reason":""}"#,
            r#"{"request":"drain","wait_ms":-1}"#,
        ] {
            assert!(from_str::<Request>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_seen_keeps_every_byte() {
        let every_byte: Vec<u8> = (0..=255).collect();
        let seen = Seen::Output(every_byte.clone().into());
        let reply = Reply::Seen {
            channel: 3,
            what: (&seen).into(),
        };
        let value = to_value(&reply).unwrap();
        assert_eq!(
            (&value["reply"], &value["what"]),
            (&json!("seen"), &json!("output"))
        );
        let Reply::Seen {
            channel: 3,
            what: SeenLine::Output(bytes),
        } = from_str(&value.to_string()).unwrap()
        else {
            panic!("{value}")
        };
        assert_eq!(bytes.decode().unwrap(), every_byte);
        let largest = Reply::Seen {
            channel: u32::MAX,
            what: (&Seen::Stderr(vec![0; 32 * 1024].into())).into(),
        };
        assert!(serde_json::to_string(&largest).unwrap().len() < MAX_LINE_BYTES);
    }
}
