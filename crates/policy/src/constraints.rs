//! What a grant allows beyond channels, and what it asks for in return (rules N1 to N9 of SPEC.md).

mod pattern;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use ipnet::IpNet;

use crate::feature::{Feature, Features};
use crate::permissions::NameSet;
use crate::target::Ports;

/// Forwardings, limits on commands and files, and what must be done besides. [`Default`] grants none of the first and asks for none of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Constraints {
    /// Whether the client's agent may be used on the target.
    pub agent_forwarding: bool,
    /// Whether programs of the target may show windows at the client.
    pub x11_forwarding: bool,
    /// Where the client may connect to through the target.
    pub local_forward: Destinations,
    /// SSH servers that the client may reach through the target. A session there is one of its own, decided about and recorded as such;
    /// nothing but SSH passes, also where `local_forward` names the same destination.
    pub jump: Destinations,
    /// Where the target may listen for the client.
    pub remote_forward: Destinations,
    /// Unix sockets of the target that the client may connect to or listen at.
    pub stream_local: PathRules,
    /// How what passes through forwarded connections is recorded.
    pub forward_recording: ForwardRecording,
    /// Which commands; nothing where all that `exec` allows are.
    pub commands: Option<CommandRules>,
    /// Which files; nothing where all that sftp, scp and rsync reach are.
    pub files: Option<Vec<FileRule>>,
    /// By name, who must be able to read the recording; empty where the proxy's own setting holds.
    pub recipients: NameSet,
    /// How what is typed without an echo is recorded; nothing where the proxy's own setting holds.
    pub hidden_input: Option<HiddenInput>,
    /// What must be done before the session begins, each kind at most once.
    pub step_up: Vec<StepUp>,
    /// When to decide again while the session runs.
    pub reevaluation: Option<Reevaluation>,
}

/// How the bytes of forwarded connections are recorded. How many passed always is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForwardRecording {
    /// All of them.
    #[default]
    Full,
    /// A digest of each direction.
    Digest,
    /// None.
    None,
}

/// How what is typed without an echo is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HiddenInput {
    /// Not at all.
    Never,
    /// For those alone who hold a further key.
    Sealed,
    /// As everything else.
    Always,
}

/// Something to do before the session begins.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StepUp {
    /// Prove possession of a security key, now.
    SecurityKey,
    /// Type in a reason.
    Reason,
    /// Have one of these people approve, by e-mail address in lower case. Nobody approves for themselves.
    Approval(Vec<Box<str>>),
}

/// Deciding again while a session runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reevaluation {
    /// How often, with facts as fresh as there are.
    pub every: Duration,
    /// What becomes of a session that is no longer allowed.
    pub on_loss: OnLoss,
}

/// What becomes of a session that is no longer allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnLoss {
    /// It ends.
    #[default]
    End,
    /// It goes on, and the operator is told.
    Report,
}

impl Constraints {
    /// What of this has to be carried out.
    pub(crate) fn features(&self) -> Features {
        let mut features = Features::NONE;
        let is_there = [
            (Feature::AgentForwarding, self.agent_forwarding),
            (Feature::X11Forwarding, self.x11_forwarding),
            (Feature::LocalForward, !self.local_forward.0.is_empty()),
            (Feature::Jump, !self.jump.0.is_empty()),
            (Feature::RemoteForward, !self.remote_forward.0.is_empty()),
            (Feature::StreamLocal, !self.stream_local.0.is_empty()),
            (
                Feature::ForwardRecording,
                self.forward_recording != ForwardRecording::Full,
            ),
            (Feature::Commands, self.commands.is_some()),
            (Feature::Files, self.files.is_some()),
            (Feature::Recipients, self.recipients.iter().next().is_some()),
            (Feature::HiddenInput, self.hidden_input.is_some()),
            (Feature::StepUp, !self.step_up.is_empty()),
            (Feature::Reevaluation, self.reevaluation.is_some()),
        ];
        for (feature, is_there) in is_there {
            features.insert_if(feature, is_there);
        }
        features
    }

    /// Whether these allow all that `other` allows, and ask for the same in return. When to decide again is left out: it says
    /// nothing about what may be done. Commands and files are compared as they are written, not by what they come to.
    #[must_use]
    pub fn cover(&self, other: &Self) -> bool {
        let Self {
            agent_forwarding,
            x11_forwarding,
            local_forward,
            jump,
            remote_forward,
            stream_local,
            forward_recording,
            commands,
            files,
            recipients,
            hidden_input,
            step_up,
            reevaluation: _,
        } = self;
        *agent_forwarding >= other.agent_forwarding
            && *x11_forwarding >= other.x11_forwarding
            && local_forward.cover_all(&other.local_forward)
            && jump.cover_all(&other.jump)
            // Where more than SSH could pass, a further destination of `jump` takes away.
            && (other.local_forward.0.is_empty() || other.jump.cover_all(jump))
            && remote_forward.cover_all(&other.remote_forward)
            && stream_local.cover_all(&other.stream_local)
            && *forward_recording == other.forward_recording
            && (commands.is_none() || *commands == other.commands)
            && (files.is_none() || *files == other.files)
            && *recipients == other.recipients
            && *hidden_input == other.hidden_input
            && *step_up == other.step_up
    }

    /// Whether this exact command may run, byte for byte as the client sent it.
    #[must_use]
    pub fn allows_command(&self, command: &[u8]) -> bool {
        let rules = self.commands.as_ref();
        rules.is_none_or(|rules| rules.allow(command))
    }

    /// Whether the file at `path` of the target may move in this direction.
    #[must_use]
    pub fn allows_file(&self, path: &str, direction: Direction) -> bool {
        let Some(rules) = &self.files else {
            return true;
        };
        let mut rules = rules.iter();
        rules.any(|rule| rule.may.contains(&direction) && rule.path.covers(path))
    }
}

/// Hosts and ports. An empty list covers none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destinations(pub(crate) Vec<Destination>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    pub(crate) host: Host,
    pub(crate) ports: Ports,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// Lower case.
    Name(Box<str>),
    Range(IpNet),
}

impl Destinations {
    /// Whether the list covers `host` and `port` as the client names them. Names are not resolved: a range covers addresses alone,
    /// and a name covers that name alone.
    #[must_use]
    pub fn cover(&self, host: &str, port: u16) -> bool {
        let address = host.parse::<IpAddr>().ok().map(|it| it.to_canonical());
        self.0.iter().any(|destination| {
            let host = match (&destination.host, address) {
                (Host::Name(name), None) => name.eq_ignore_ascii_case(host),
                (Host::Range(range), Some(address)) => range.contains(&address),
                (Host::Name(_), Some(_)) | (Host::Range(_), None) => false,
            };
            host && destination.ports.cover(port)
        })
    }

    /// Whether every host and port of `other` is covered, each by one entry of this list.
    fn cover_all(&self, other: &Self) -> bool {
        other.0.iter().all(|old| {
            let here = || self.0.iter().filter(|it| it.host.covers(&old.host));
            match &old.ports {
                Ports::Any => here().any(|it| it.ports == Ports::Any),
                Ports::These(ports) => ports
                    .iter()
                    .all(|port| here().any(|it| it.ports.cover(*port))),
            }
        })
    }
}

impl Host {
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Range(range), Self::Range(other)) => range.contains(other),
            _ => self == other,
        }
    }
}

/// Which commands may run, by patterns over the whole command in which `*` stands for any bytes.
///
/// A command is text for the user's shell: `git *` covers `git log; reboot`. Patterns with a `*` are a guard against slips, not a wall;
/// commands written out whole are one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandRules {
    /// Nothing where every command is allowed that is not denied.
    pub(crate) allow: Option<Vec<Box<str>>>,
    pub(crate) deny: Vec<Box<str>>,
}

impl CommandRules {
    fn allow(&self, command: &[u8]) -> bool {
        let covered = |patterns: &[Box<str>]| {
            let mut patterns = patterns.iter();
            patterns.any(|it| pattern::covers(it.as_bytes(), &b'*', command))
        };
        !covered(&self.deny) && self.allow.as_deref().is_none_or(covered)
    }
}

/// Absolute paths, each with all that is below it. An empty list covers none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathRules(pub(crate) Vec<PathRule>);

impl PathRules {
    /// Whether the list covers `path`.
    #[must_use]
    pub fn cover(&self, path: &str) -> bool {
        self.0.iter().any(|rule| rule.covers(path))
    }

    fn cover_all(&self, other: &Self) -> bool {
        other.0.iter().all(|rule| self.cover(&rule.0))
    }
}

/// An absolute path with all that is below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PathRule(pub(crate) Box<str>);

impl PathRule {
    /// Only plain absolute paths are covered: `..`, `.` and `//` are not resolved but refused, since the target resolves them with its links.
    fn covers(&self, path: &str) -> bool {
        let below = path.strip_prefix(&*self.0);
        is_plain_path(path)
            && below.is_some_and(|rest| {
                rest.is_empty() || rest.starts_with('/') || self.0.ends_with('/')
            })
    }
}

/// Whether `path` is absolute and has no empty, `.` or `..` parts, other than by ending in `/`.
pub(crate) fn is_plain_path(path: &str) -> bool {
    let Some(parts) = path.strip_prefix('/') else {
        return false;
    };
    let parts = parts.strip_suffix('/').unwrap_or(parts);
    path == "/"
        || (!path.contains('\0') && parts.split('/').all(|it| !matches!(it, "" | "." | "..")))
}

/// What may be done with the files at a path and below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRule {
    pub(crate) path: PathRule,
    pub(crate) may: Vec<Direction>,
}

/// Which way a file moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// From the client to the target.
    Upload,
    /// From the target to the client.
    Download,
}
