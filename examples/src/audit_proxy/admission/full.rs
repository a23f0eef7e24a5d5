//! Why there is no place for a connection.

use super::table::Over;

/// Why a connection is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Full {
    /// All places are taken.
    #[error("`max_connections` of `[limits]` are open")]
    Connections,
    /// Too many have not logged in yet.
    #[error("`max_unauthenticated` of `[limits]` have not logged in")]
    Unauthenticated,
    /// One source has too many connections.
    #[error("`connections` of `[limits.source]` are open")]
    SourceConnections,
    /// Too many of one source have not logged in yet.
    #[error("`unauthenticated` of `[limits.source]` have not logged in")]
    SourceUnauthenticated,
    /// One source makes connections too fast.
    #[error("`per_minute` of `[limits.source]` is reached")]
    SourceRate,
    /// One identity has too many connections.
    #[error("`connections` of `[limits.identity]` are open")]
    IdentityConnections,
    /// One identity makes connections too fast.
    #[error("`per_minute` of `[limits.identity]` is reached")]
    IdentityRate,
}

impl Full {
    pub(crate) const ALL: [Self; 7] = [
        Self::Connections,
        Self::Unauthenticated,
        Self::SourceConnections,
        Self::SourceUnauthenticated,
        Self::SourceRate,
        Self::IdentityConnections,
        Self::IdentityRate,
    ];

    /// A short word for the reason, for events.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Unauthenticated => "unauthenticated",
            Self::SourceConnections => "source_connections",
            Self::SourceUnauthenticated => "source_unauthenticated",
            Self::SourceRate => "source_rate",
            Self::IdentityConnections => "identity_connections",
            Self::IdentityRate => "identity_rate",
        }
    }

    /// What the person reads.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Connections | Self::Unauthenticated => {
                "this proxy has too many connections at once; try again in a moment"
            }
            Self::SourceConnections => {
                "too many connections are open from your address; close some and try again"
            }
            Self::SourceUnauthenticated => {
                "too many connections from your address have not logged in; finish or close some and try again"
            }
            Self::SourceRate => {
                "your address makes new connections too fast; wait a minute and try again"
            }
            Self::IdentityConnections => {
                "you have too many connections through this proxy; close some and try again"
            }
            Self::IdentityRate => "you make new connections too fast; wait a minute and try again",
        }
    }

    /// Whether it is known by then who the client is.
    pub(super) const fn is_about_an_identity(self) -> bool {
        matches!(self, Self::IdentityConnections | Self::IdentityRate)
    }

    pub(super) const fn of_source(over: Over) -> Self {
        match over {
            Over::Connections => Self::SourceConnections,
            Over::Unauthenticated => Self::SourceUnauthenticated,
            Over::Rate => Self::SourceRate,
        }
    }

    pub(super) const fn of_identity(over: Over) -> Self {
        match over {
            Over::Connections | Over::Unauthenticated => Self::IdentityConnections,
            Over::Rate => Self::IdentityRate,
        }
    }
}
