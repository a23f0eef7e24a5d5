//! Access events: what the operator is told while it happens.
//!
//! They hold no session content and no command text; that is in the encrypted log.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use serde::{Serialize, Serializer};

use crate::Leg;

/// The name of one connection in events, messages and log file names: 16 bytes, shown as 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub(crate) [u8; 16]);

impl SessionId {
    /// The name with these 16 bytes, of a session that an operator means.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes; the same as the log's id.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for SessionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Who and where, the same in every event of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Subject {
    /// The connection.
    pub session: SessionId,
    /// The identity's email, or its subject when it has none.
    pub identity: String,
    /// The client's address and port.
    pub client_addr: String,
    /// The target's id.
    pub target: String,
    /// The target's host name.
    pub hostname: String,
    /// The target's port.
    pub port: u16,
    /// The session that this one is inside of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<SessionId>,
}

/// One line of the access log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccessEvent {
    /// When, in milliseconds since 1970.
    pub time_unix_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
    /// Who and where.
    #[serde(flatten)]
    pub subject: Arc<Subject>,
    /// The Unix user, once the client has named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<Arc<str>>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event")]
#[non_exhaustive]
pub enum EventKind {
    /// The connection ended before a session began.
    #[serde(rename = "access.denied")]
    AccessDenied {
        /// Why, for a machine.
        reason: Refusal,
        /// Why, for the operator.
        detail: String,
    },
    /// The policy allowed the user on the target.
    #[serde(rename = "access.allowed")]
    AccessAllowed {
        /// The application that decided.
        application: Arc<str>,
        /// The policy that decided.
        policy: Arc<str>,
        /// The version of the rules.
        rules: Arc<str>,
    },
    /// The person proved to have a security key that is enrolled for them.
    #[serde(rename = "step_up.security_key")]
    SecurityKeyProven {
        /// The key's fingerprint.
        key: String,
        /// Whether it verified its user, by a PIN or a fingerprint.
        user_verified: bool,
        /// How often the key says that it has signed. One that is not above that of the last login speaks of a copied key.
        counter: u32,
    },
    /// The person said why they want to come in; the text is in the log.
    #[serde(rename = "step_up.reason")]
    ReasonGiven {
        /// How long it is, in bytes.
        bytes: usize,
    },
    /// Other people were asked to approve.
    #[serde(rename = "approval.asked")]
    ApprovalAsked {
        /// Who may, by e-mail address.
        approvers: Vec<Box<str>>,
    },
    /// One of them did.
    #[serde(rename = "approval.given")]
    ApprovalGiven {
        /// Who.
        by: String,
    },
    /// None of them did.
    #[serde(rename = "approval.refused")]
    ApprovalRefused {
        /// How it came to that.
        why: ApprovalRefusal,
        /// Who refused, if a person did.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// The target accepted the certificate, and the client is let in.
    #[serde(rename = "session.start")]
    SessionStart {
        /// The certificate's serial number.
        certificate_serial: u64,
        /// The fingerprint of the target's host key.
        target_host_key: String,
    },
    /// The session was decided about again, with another outcome or under other rules than before. One that is not allowed any more ends,
    /// unless its policy says that it goes on.
    #[serde(rename = "session.reevaluated")]
    SessionReevaluated {
        /// Whether it is still allowed.
        allowed: bool,
        /// Why, for the operator.
        detail: String,
        /// The policy that let the session in, or has taken it over.
        policy: Arc<str>,
        /// The version of the rules.
        rules: Arc<str>,
    },
    /// The session is over.
    #[serde(rename = "session.end")]
    SessionEnd {
        /// Why, for a machine.
        reason: EndReason,
        /// Why, for the operator.
        detail: String,
        /// How long it was, in milliseconds.
        duration_ms: u64,
        /// Channel data from the client, in bytes.
        bytes_from_client: u64,
        /// Channel data from the target, in bytes.
        bytes_from_target: u64,
        /// How the last program ended, when one did.
        #[serde(skip_serializing_if = "Option::is_none")]
        exit: Option<Exit>,
        /// Whether the log got its final page.
        log_complete: bool,
    },
    /// Something on a channel.
    #[serde(untagged)]
    Channel(ChannelEvent),
}

impl EventKind {
    /// Whether nothing of this session follows: no event, and no page of its log.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        matches!(self, Self::AccessDenied { .. } | Self::SessionEnd { .. })
    }
}

/// What happened on a channel. Channel numbers are those of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event")]
#[non_exhaustive]
pub enum ChannelEvent {
    /// A channel was opened and confirmed.
    #[serde(rename = "channel.open")]
    Open {
        /// The channel.
        channel: u32,
        /// Who opened it.
        from: Leg,
    },
    /// A terminal was asked for.
    #[serde(rename = "channel.pty")]
    Pty {
        /// The channel.
        channel: u32,
    },
    /// A login shell was asked for.
    #[serde(rename = "channel.shell")]
    Shell {
        /// The channel.
        channel: u32,
    },
    /// A command was asked for; its text is in the log.
    #[serde(rename = "channel.exec")]
    Exec {
        /// The channel.
        channel: u32,
    },
    /// A subsystem was asked for.
    #[serde(rename = "channel.subsystem")]
    Subsystem {
        /// The channel.
        channel: u32,
        /// Its name.
        name: String,
    },
    /// The use of the client's agent was asked for.
    #[serde(rename = "channel.agent")]
    Agent {
        /// The channel.
        channel: u32,
    },
    /// Windows at the client were asked for.
    #[serde(rename = "channel.x11")]
    X11 {
        /// The channel.
        channel: u32,
    },
    /// A connection was asked for at the other side.
    #[serde(rename = "channel.forward")]
    Forward {
        /// The channel.
        channel: u32,
        /// Who asked: the client to reach something through the target, or the target for who came to a listener.
        from: Leg,
        /// The channel type.
        kind: String,
        /// The host, or the path of a socket; empty of X11 and of an agent.
        host: String,
        /// The port, 0 of all but TCP.
        port: u32,
    },
    /// A program of the target wants something signed by the client's agent, which was asked to.
    #[serde(rename = "agent.signature")]
    AgentSignature {
        /// The channel.
        channel: u32,
        /// The SHA-256 fingerprint of the key.
        key: String,
    },
    /// The target was asked to listen for the client.
    #[serde(rename = "forward.listen")]
    Listen {
        /// The address, or the path of a socket.
        host: String,
        /// The port; 0 of a socket, and where the target chooses.
        port: u32,
    },
    /// The target listens for the client, as it was asked to.
    #[serde(rename = "forward.listening")]
    Listening {
        /// The address, or the path of a socket.
        host: String,
        /// The port, where it was for the target to choose the one that it chose; 0 of a socket.
        port: u32,
    },
    /// Something was refused; channel 0 is the connection itself.
    #[serde(rename = "channel.refused")]
    Refused {
        /// The channel.
        channel: u32,
        /// Who asked.
        from: Leg,
        /// For what.
        what: String,
        /// Why not.
        why: &'static str,
    },
    /// Refusals are no longer told one by one; the log has them all.
    #[serde(rename = "channel.refusals_muted")]
    RefusalsMuted {
        /// How many were told.
        told: u32,
    },
    /// What else happens on channels is no longer told one by one either, but for refusals; the log has it all.
    #[serde(rename = "channel.events_muted")]
    EventsMuted {
        /// How many were told.
        told: u32,
    },
    /// The client asked for proof of host keys that were told to it, as one does for those that are new to it, and was given it.
    /// Whether it keeps them is its own business.
    #[serde(rename = "host_keys.proven")]
    HostKeysProven {
        /// How many: at least one.
        keys: u32,
    },
    /// Both sides closed the channel.
    #[serde(rename = "channel.close")]
    Close {
        /// The channel.
        channel: u32,
        /// Data from the client, in bytes.
        bytes_from_client: u64,
        /// Data from the target, in bytes.
        bytes_from_target: u64,
        /// How its program ended, when it said so.
        #[serde(skip_serializing_if = "Option::is_none")]
        exit: Option<Exit>,
    },
}

/// How an approval came to be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalRefusal {
    /// Somebody who was asked said no.
    ByPerson,
    /// Nobody answered in time.
    BySilence,
    /// Nobody was asked: too many questions of that person waited already.
    NotAsked,
    /// Nobody needs to answer any more: the person left, or is refused for another reason.
    Withdrawn,
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// With a status.
    Status(u32),
    /// By a signal, by its name without `SIG`.
    Signal(String),
}

impl Serialize for Leg {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Client => "client",
            Self::Target => "target",
        })
    }
}

/// Why a connection ended before a session began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Refusal {
    /// The policy said no.
    Policy,
    /// The policy asks for a newer login.
    LoginTooOld,
    /// The identity, device, session or target was revoked.
    Revoked,
    /// The user's name cannot stand in a certificate.
    BadUserName,
    /// The person did not do what the policy asks for besides a name, or cannot.
    StepUpMissing,
    /// Nobody who was asked to approve did.
    NotApproved,
    /// The client never logged in with method `none`.
    NoLogin,
    /// The client went away.
    ClientLeft,
    /// The client broke the protocol, or shares no algorithm with the proxy.
    ClientProtocol,
    /// The client took too long to log in.
    LoginTimeout,
    /// No connection to the target.
    TargetUnreachable,
    /// The target broke the protocol, went away, or shares no algorithm with the proxy.
    TargetProtocol,
    /// The target took too long.
    TargetTimeout,
    /// The target's host key is none of the pinned ones.
    HostKeyMismatch,
    /// The target did not take the certificate.
    CertificateRejected,
    /// No certificate could be signed.
    SigningFailed,
    /// The log cannot be written.
    RecorderFailed,
    /// A session inside another one was to go to a target that the proxy does not know.
    UnknownTarget,
    /// A session inside another one was to go to a target of which no host key is known ([`crate::Target::any_host_key_inside`]).
    NoKnownHostKey,
    /// The session that it was inside of ended.
    OuterEnded,
    /// An operator ended the connection.
    Operator,
    /// The proxy is shutting down.
    Shutdown,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EndReason {
    /// The client said goodbye or closed its connection.
    ClientDisconnected,
    /// The target said goodbye or closed its connection.
    TargetDisconnected,
    /// The client broke the protocol.
    ClientMisbehaved,
    /// The target broke the protocol.
    TargetMisbehaved,
    /// The target showed another host key in the middle of the session.
    HostKeyChanged,
    /// The log cannot be written.
    RecorderFailed,
    /// Nothing passed for as long as the policy allows.
    IdleTimeout,
    /// The session lasted as long as the policy allows.
    MaxSession,
    /// The policy no longer allows it.
    AccessLost,
    /// The identity, device, session or target was revoked.
    Revoked,
    /// The policy allows it still, but less than it began with.
    GrantChanged,
    /// The session that it was inside of ended.
    OuterEnded,
    /// An operator ended it.
    Operator,
    /// The proxy is shutting down.
    Shutdown,
}

impl EndReason {
    /// Whether the session ended because it was not allowed any more: what still waits to be written need not be.
    #[must_use]
    pub const fn is_loss_of_access(self) -> bool {
        matches!(
            self,
            Self::AccessLost | Self::Revoked | Self::GrantChanged | Self::Operator
        )
    }
}

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
