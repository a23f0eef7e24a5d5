//! Whose access has ended, whatever the policies say (rules V1 to V5 of SPEC.md).

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::error::LoadError;
use crate::request::{IdentityKind, Request};

/// A list of what was revoked. It never changes; swap in a new one whole. [`Default`] is an empty one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revocations {
    pub(crate) entries: Vec<Revocation>,
}

/// One entry: all that it names must be met, and each of its lists by one value at least.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revocation {
    /// In lower case: e-mail addresses, subjects and service tokens are all looked for, ASCII case aside.
    pub(crate) identities: Box<[Box<str>]>,
    pub(crate) devices: Box<[Box<str>]>,
    /// 32 hex digits in lower case.
    pub(crate) sessions: Box<[Box<str>]>,
    /// In lower case; ids and host names.
    pub(crate) targets: Box<[Box<str>]>,
    /// Since the Unix epoch; nothing where it always held.
    pub(crate) from: Option<Duration>,
    pub(crate) reason: Box<str>,
    /// Of the document, counted from 1.
    pub(crate) line: usize,
}

impl Revocations {
    /// Loads a TOML document; SPEC.md says what may stand in one. An empty text revokes nothing.
    ///
    /// # Errors
    ///
    /// [`LoadError`] with every problem found: a syntax error, an unknown field, an entry that names nothing or gives no reason,
    /// a value that cannot be, or more than a limit of [`limits`](crate::limits) allows.
    pub fn from_toml(text: &str) -> Result<Self, LoadError> {
        crate::load::revocations_from_toml(text)
    }

    /// The first entry that this request falls under. `session` is the name of the session that asks, in hex digits.
    ///
    /// Ask before [`decide`](crate::decide): whoever is found is denied, and nothing that a policy says counts. It takes time in
    /// proportion to the length of the list.
    #[must_use]
    pub fn find(&self, request: &Request<'_>, session: &str) -> Option<&Revocation> {
        let mut entries = self.entries.iter();
        entries.find(|entry| entry.covers(request, session))
    }

    /// The next point in time after `now`, since the Unix epoch, at which an entry begins to hold.
    #[must_use]
    pub fn next_change(&self, now: Duration) -> Option<Duration> {
        let beginnings = self.entries.iter().filter_map(|entry| entry.from);
        beginnings.filter(|from| *from > now).min()
    }

    /// How many entries there are, those included that do not hold yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl Revocation {
    fn covers(&self, request: &Request<'_>, session: &str) -> bool {
        let identity = request.identity;
        let token = match &identity.kind {
            IdentityKind::ServiceToken { name } => Some(name.as_str()),
            IdentityKind::Person => None,
        };
        let names = [identity.email.as_deref(), Some(&*identity.subject), token];
        let target = [Some(&*request.target.id), Some(&*request.target.hostname)];
        self.from.is_none_or(|from| from <= request.now)
            && is_met(&self.identities, &names)
            && is_met(&self.devices, &[request.device.id.as_deref()])
            && is_met(&self.sessions, &[Some(session)])
            && is_met(&self.targets, &target)
    }

    /// Why, in the words of whoever revoked.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// What to tell the operator's log. It holds text from the document only.
    #[must_use]
    pub fn for_log(&self) -> String {
        alloc::format!("{self}")
    }

    /// What to tell the person: no more than that it is so.
    #[must_use]
    pub fn for_person(&self) -> &'static str {
        "your access was withdrawn; if you need it, ask the people who run this machine"
    }
}

impl fmt::Display for Revocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists = [
            ("identity", &self.identities),
            ("device", &self.devices),
            ("session", &self.sessions),
            ("target", &self.targets),
        ];
        f.write_str("revoked: ")?;
        for (name, list) in lists {
            match &**list {
                [] => {}
                [only] => write!(f, "{name} {only:?}, ")?,
                [first, others @ ..] => write!(f, "{name} {first:?} or {} others, ", others.len())?,
            }
        }
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

/// Whether a list that names something names one of `values`. Case never saves anybody.
fn is_met(list: &[Box<str>], values: &[Option<&str>]) -> bool {
    list.is_empty()
        || values
            .iter()
            .flatten()
            .any(|value| list.iter().any(|name| name.eq_ignore_ascii_case(value)))
}
