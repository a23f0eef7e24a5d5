//! What a policy can ask of whoever carries out its grants.

use core::fmt;

/// Something that a grant can ask for and that a proxy may or may not be able to carry out.
///
/// Whoever carries out grants names what it can enforce, and refuses the rest when the policy is loaded
/// ([`PolicySet::refuse_beyond`](crate::PolicySet::refuse_beyond)) or at the latest when it is granted
/// ([`Grant::asks_for`](crate::Grant::asks_for)): a limit that nobody keeps is worse than none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Feature {
    /// Forwarding of the client's agent.
    AgentForwarding,
    /// Forwarding of X11.
    X11Forwarding,
    /// Connections from the client through the target, RFC 4254 section 7.2.
    LocalForward,
    /// SSH servers that are reached through the target, as sessions of their own.
    Jump,
    /// Ports of the target that lead to the client, RFC 4254 section 7.1.
    RemoteForward,
    /// Unix sockets of the target, OpenSSH's PROTOCOL section 2.4.
    StreamLocal,
    /// A recording of forwarded connections other than whole.
    ForwardRecording,
    /// Limits on commands.
    Commands,
    /// Limits on files.
    Files,
    /// A recording other than strict.
    Recording,
    /// Who must be able to read the recording.
    Recipients,
    /// How hidden input is recorded.
    HiddenInput,
    /// Something more to do before the session begins.
    StepUp,
    /// Decisions during the session.
    Reevaluation,
    /// How old a login may be.
    LoginAge,
}

impl Feature {
    const ALL: [Self; 15] = [
        Self::AgentForwarding,
        Self::X11Forwarding,
        Self::LocalForward,
        Self::Jump,
        Self::RemoteForward,
        Self::StreamLocal,
        Self::ForwardRecording,
        Self::Commands,
        Self::Files,
        Self::Recording,
        Self::Recipients,
        Self::HiddenInput,
        Self::StepUp,
        Self::Reevaluation,
        Self::LoginAge,
    ];

    /// The word for it in a document.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AgentForwarding => "agent_forwarding",
            Self::X11Forwarding => "x11_forwarding",
            Self::LocalForward => "local_forward",
            Self::Jump => "jump",
            Self::RemoteForward => "remote_forward",
            Self::StreamLocal => "stream_local",
            Self::ForwardRecording => "forward_recording",
            Self::Commands => "commands",
            Self::Files => "files",
            Self::Recording => "recording",
            Self::Recipients => "recipients",
            Self::HiddenInput => "hidden_input",
            Self::StepUp => "step_up",
            Self::Reevaluation => "reevaluate",
            Self::LoginAge => "max_login_age",
        }
    }

    const fn bit(self) -> u32 {
        1 << (self as u32)
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of [`Feature`]s.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Features(u32);

impl Features {
    /// No feature.
    pub const NONE: Self = Self(0);

    /// This set and `feature`.
    #[must_use]
    pub const fn with(self, feature: Feature) -> Self {
        Self(self.0 | feature.bit())
    }

    /// Whether `feature` is in the set.
    #[must_use]
    pub fn contains(self, feature: Feature) -> bool {
        self.0 & feature.bit() != 0
    }

    /// Those of this set that are not in `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The features in the order of their declaration.
    pub fn iter(self) -> impl Iterator<Item = Feature> {
        Feature::ALL
            .into_iter()
            .filter(move |it| self.contains(*it))
    }

    pub(crate) fn insert_if(&mut self, feature: Feature, condition: bool) {
        if condition {
            self.0 |= feature.bit();
        }
    }
}

impl FromIterator<Feature> for Features {
    fn from_iter<I: IntoIterator<Item = Feature>>(features: I) -> Self {
        Self(features.into_iter().fold(0, |bits, it| bits | it.bit()))
    }
}

impl fmt::Debug for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
