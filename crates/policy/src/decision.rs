//! What a decision says, to the session, to the log and to the person.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt::{self, Write as _};
use core::time::Duration;

use crate::closest::Closest;
use crate::constraints::Constraints;
use crate::feature::{Feature, Features};
use crate::limits::MAX_CLOCK_SKEW;
use crate::permissions::Permissions;
use crate::request::Identity;

/// The answer to a [`Request`](crate::Request).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Let in, as the grant says and no further.
    Allow(Grant),
    /// Keep out.
    Deny(Denial),
}

/// What was granted, and by which policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The application that decided.
    pub application: Arc<str>,
    /// The policy that decided.
    pub policy: Arc<str>,
    /// What the session may do.
    pub permissions: Arc<Permissions>,
    /// Forwardings, limits on commands and files, and what must be done besides.
    pub constraints: Arc<Constraints>,
    /// How the session must be recorded.
    pub recording: Recording,
    /// How long the session may last, if that is limited.
    pub max_session: Option<Duration>,
    /// How long the session may be silent, if that is limited.
    pub idle_timeout: Option<Duration>,
    /// How old the login may be when the connection begins, if that is limited: ask [`login_is_fresh`](Self::login_is_fresh) before
    /// the session begins. Zero asks for a new login at every connection.
    pub max_login_age: Option<Duration>,
}

impl Grant {
    /// What the grant asks for, of whoever carries it out.
    #[must_use]
    pub fn asks_for(&self) -> Features {
        let mut features = self.constraints.features();
        features.insert_if(Feature::Recording, self.recording != Recording::Strict);
        features.insert_if(Feature::LoginAge, self.max_login_age.is_some());
        features
    }

    /// Whether the login is young enough to begin a session on a connection that began at `connected`, both times since the Unix epoch.
    ///
    /// A login whose time is unknown, or lies further in the future than clocks differ, is not. The whole second in which the
    /// connection began counts as its beginning, as identity providers tell no more than seconds.
    #[must_use]
    pub fn login_is_fresh(&self, identity: &Identity, connected: Duration, now: Duration) -> bool {
        let Some(max_age) = self.max_login_age else {
            return true;
        };
        let earliest = Duration::from_secs(connected.as_secs()).saturating_sub(max_age);
        let latest = now.saturating_add(MAX_CLOCK_SKEW);
        identity
            .authenticated_at
            .is_some_and(|at| earliest <= at && at <= latest)
    }
}

/// How a session must be recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recording {
    /// Whatever passes is recorded before it passes.
    #[default]
    Strict,
    /// Whatever passes is recorded within a bounded time.
    Bounded,
    /// What happened is recorded, and not what was typed and shown.
    MetadataOnly,
}

impl fmt::Display for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Strict => "strict",
            Self::Bounded => "bounded",
            Self::MetadataOnly => "metadata_only",
        })
    }
}

/// Why nothing was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The kind of reason.
    pub reason: DenialReason,
    /// The application that decided, or the one whose policy came closest.
    pub application: Option<Arc<str>>,
    /// The policy that decided: the Block, or the Allow that matched but does not name the user.
    pub policy: Option<Arc<str>>,
    /// The Allow policy that came closest, where no policy matched, or where one that names the user nearly did.
    pub closest: Option<Closest>,
    /// What the person can do about it.
    pub advice: Advice,
}

/// The kinds of denial, the most telling last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DenialReason {
    /// No application is about this target.
    NoApplicationForTarget,
    /// No policy matched this identity, device and network.
    NoPolicyMatched,
    /// A policy matched, but not one that names the user.
    UserNotAllowed,
    /// A Block policy matched.
    BlockedByPolicy,
}

impl fmt::Display for DenialReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoApplicationForTarget => "no_application_for_target",
            Self::NoPolicyMatched => "no_policy_matched",
            Self::UserNotAllowed => "user_not_allowed",
            Self::BlockedByPolicy => "blocked_by_policy",
        })
    }
}

/// What a refused person can do. It depends on the policy only where the person matches it but for the one thing named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Advice {
    /// Ask somebody for access.
    AskForAccess,
    /// Ask for another user.
    AskForAnotherUser,
    /// Log in again, with a stronger method.
    LogInAgain,
    /// Bring the device into order.
    CheckDevice,
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AskForAccess => "ask_for_access",
            Self::AskForAnotherUser => "ask_for_another_user",
            Self::LogInAgain => "log_in_again",
            Self::CheckDevice => "check_device",
        })
    }
}

impl Denial {
    /// What to tell the refused person: what they can do, and nothing about applications, policies, rules or whether the target exists.
    #[must_use]
    pub fn for_person(&self) -> &'static str {
        match self.advice {
            Advice::AskForAccess => {
                "you have no access to this machine from here; if you need it, ask the people who run it"
            }
            Advice::AskForAnotherUser => {
                "you have no access to this machine under that user name; try the one you were given, or ask the people who run it"
            }
            Advice::LogInAgain => {
                "your login is too old or too weak for this machine; log in again with your strongest method, such as a security key, then reconnect"
            }
            Advice::CheckDevice => {
                "your device did not pass the checks that this machine asks for, or was not checked lately; bring it up to date, wait for its next check, then reconnect"
            }
        }
    }

    /// What to tell the operator's log: the reason, and the policy that decided or came closest. It holds names from the policy document only,
    /// nothing that the client sent.
    #[must_use]
    pub fn for_log(&self) -> String {
        let mut text = String::new();
        // Writing to a `String` cannot fail.
        let _ = self.write_for_log(&mut text);
        text
    }

    fn write_for_log(&self, out: &mut String) -> fmt::Result {
        write!(out, "{}", self.reason)?;
        match (&self.application, &self.policy) {
            (Some(application), Some(policy)) => {
                write!(out, ": policy {policy:?} of application {application:?}")?
            }
            (Some(application), None) if self.closest.is_none() => {
                write!(out, ": application {application:?}")?
            }
            _ => {}
        }
        match &self.closest {
            Some(closest) => write!(out, ": {closest}"),
            None => Ok(()),
        }
    }
}
