//! The two sides of a session.

use core::ops::{Index, IndexMut};

/// One of the two connections of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Leg {
    /// The connection to the person's SSH client; the proxy is the server there.
    Client,
    /// The connection to the target's SSH server; the proxy is the client there.
    Target,
}

impl Leg {
    /// The opposite connection.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Target,
            Self::Target => Self::Client,
        }
    }

    pub(crate) const fn side(self) -> session_log::Side {
        match self {
            Self::Client => session_log::Side::Client,
            Self::Target => session_log::Side::Target,
        }
    }
}

/// A value for each leg.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PerLeg<T> {
    /// The client's.
    pub client: T,
    /// The target's.
    pub target: T,
}

impl<T> Index<Leg> for PerLeg<T> {
    type Output = T;

    fn index(&self, leg: Leg) -> &T {
        match leg {
            Leg::Client => &self.client,
            Leg::Target => &self.target,
        }
    }
}

impl<T> IndexMut<Leg> for PerLeg<T> {
    fn index_mut(&mut self, leg: Leg) -> &mut T {
        match leg {
            Leg::Client => &mut self.client,
            Leg::Target => &mut self.target,
        }
    }
}
