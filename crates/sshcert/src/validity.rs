use core::time::Duration;

use crate::ValidityError;

/// How long a user certificate lives if nobody says otherwise: long enough to log in.
pub const DEFAULT_TTL: Duration = Duration::from_secs(180);
/// How far the start is put into the past by default, for clocks that run behind.
pub const DEFAULT_BACKDATE: Duration = Duration::from_secs(60);
/// The longest life of a user certificate: one day, so that nobody needs to revoke yesterday's.
pub const MAX_TTL: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest life of a host certificate: a year and a day, leap year included.
pub const MAX_HOST_TTL: Duration = Duration::from_secs(367 * 24 * 60 * 60);
/// The furthest a start is put into the past: no sane clock is off by more.
pub const MAX_BACKDATE: Duration = Duration::from_secs(60 * 60);

/// When a certificate is valid: from a second, up to but not including another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    after: u64,
    before: u64,
}

impl Validity {
    /// From `backdate` before now until `ttl` after now, both counted in whole seconds.
    ///
    /// `now_unix` is the time since 1970-01-01. [`DEFAULT_TTL`] and [`DEFAULT_BACKDATE`] suit a login.
    ///
    /// # Errors
    /// [`ValidityError`] when `ttl` is under a second or over [`MAX_TTL`], or `backdate` is over [`MAX_BACKDATE`].
    pub fn starting(
        now_unix: Duration,
        ttl: Duration,
        backdate: Duration,
    ) -> Result<Self, ValidityError> {
        Self::within(now_unix, ttl, backdate, MAX_TTL)
    }

    /// Any span of time, `after` to `before` in unix seconds, however long.
    ///
    /// # Errors
    /// [`ValidityError::Reversed`] unless `before` is later than `after`.
    pub fn dangerous_between(after: u64, before: u64) -> Result<Self, ValidityError> {
        if before <= after {
            return Err(ValidityError::Reversed);
        }
        Ok(Self { after, before })
    }

    /// For all time: `always` to `forever` as `ssh-keygen` says. Such a certificate ends only by revocation.
    #[must_use]
    pub fn dangerous_forever() -> Self {
        Self {
            after: 0,
            before: u64::MAX,
        }
    }

    /// The first second at which it is valid, in unix seconds.
    #[must_use]
    pub fn valid_after(&self) -> u64 {
        self.after
    }

    /// The first second at which it is not valid any more, in unix seconds.
    #[must_use]
    pub fn valid_before(&self) -> u64 {
        self.before
    }

    fn within(
        now_unix: Duration,
        ttl: Duration,
        backdate: Duration,
        max_ttl: Duration,
    ) -> Result<Self, ValidityError> {
        if ttl.as_secs() == 0 {
            return Err(ValidityError::TooShort);
        }
        if ttl > max_ttl {
            return Err(ValidityError::TooLong {
                limit_secs: max_ttl.as_secs(),
                got_secs: ttl.as_secs(),
            });
        }
        if backdate > MAX_BACKDATE {
            return Err(ValidityError::BackdatedTooFar {
                limit_secs: MAX_BACKDATE.as_secs(),
                got_secs: backdate.as_secs(),
            });
        }
        let now = now_unix.as_secs();
        let before = now
            .checked_add(ttl.as_secs())
            .ok_or(ValidityError::Reversed)?;
        // The largest number means "forever" to OpenSSH.
        if before == u64::MAX {
            return Err(ValidityError::Reversed);
        }
        Ok(Self {
            after: now.saturating_sub(backdate.as_secs()),
            before,
        })
    }
}

/// When a host certificate is valid. Hosts cannot fetch a new one for every connection, so it may be longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostValidity(Validity);

impl HostValidity {
    /// As [`Validity::starting`], with [`MAX_HOST_TTL`].
    ///
    /// # Errors
    /// [`ValidityError`] when `ttl` is under a second or over [`MAX_HOST_TTL`], or `backdate` is over [`MAX_BACKDATE`].
    pub fn starting(
        now_unix: Duration,
        ttl: Duration,
        backdate: Duration,
    ) -> Result<Self, ValidityError> {
        Validity::within(now_unix, ttl, backdate, MAX_HOST_TTL).map(Self)
    }

    pub(crate) fn span(self) -> Validity {
        self.0
    }
}

impl From<Validity> for HostValidity {
    fn from(validity: Validity) -> Self {
        Self(validity)
    }
}
