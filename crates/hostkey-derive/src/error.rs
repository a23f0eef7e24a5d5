use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Why an account secret was not accepted. Never says anything about its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// Shorter or longer than an account secret may be.
    #[error("account secret of {got} bytes: {min} to {max} are needed")]
    Length {
        /// The fewest bytes allowed.
        min: usize,
        /// The most bytes allowed.
        max: usize,
        /// The bytes that came.
        got: usize,
    },
    /// The text is neither hex nor base64.
    #[error("account secret text is neither hex nor base64")]
    Encoding,
}

/// Why no key was derived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeriveError {
    /// The target's public key blob is longer than any real one.
    #[error("target host key of {got} bytes is over the limit of {limit}")]
    TooLong {
        /// The most bytes read.
        limit: usize,
        /// The bytes that came.
        got: usize,
    },
    /// The blob is not a well-formed public key or host certificate: a field is missing, empty,
    /// runs past the end, or is followed by more bytes.
    #[error("target host key is malformed")]
    Malformed,
    /// The algorithm of the target's key is none that this crate knows the fields of.
    #[error("target host key is of an unknown algorithm")]
    UnknownAlgorithm,
    /// A certificate was presented that is not a host certificate.
    #[error("target presented a certificate that is not for hosts")]
    NotAHostCertificate,
    /// No candidate was below the order of the curve. Cannot happen with the orders in use.
    #[error("no candidate in range for `{algorithm}`")]
    NoCandidate {
        /// The algorithm that was asked for.
        algorithm: crate::Algorithm,
    },
}

/// Why a text does not name a pin, or a list of pins cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PinError {
    /// Neither `SHA256:…` nor an OpenSSH public key line.
    #[error("pin is neither `SHA256:…` nor an OpenSSH public key")]
    Unrecognised,
    /// A certificate cannot be pinned as a key: pin the key it certifies.
    #[error("pin is a certificate: pin the key it certifies, or trust its authority")]
    Certificate,
    /// A list without any pin: it could only refuse everything.
    #[error("no pin was given")]
    Empty,
}

/// The target presented a host key that is not among the pinned ones.
///
/// Carries fingerprints to print, which are not secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinMismatch {
    pub(crate) presented: Option<String>,
    pub(crate) expected: Vec<String>,
}

impl PinMismatch {
    /// The `SHA256:…` fingerprint of what was presented; none if it was no key at all.
    #[must_use]
    pub fn presented(&self) -> Option<&str> {
        self.presented.as_deref()
    }

    /// The `SHA256:…` fingerprints that would have been accepted, in the order they were given.
    #[must_use]
    pub fn expected(&self) -> &[String] {
        &self.expected
    }
}

impl fmt::Display for PinMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.presented {
            Some(presented) => write!(f, "target host key {presented} is not the pinned one")?,
            None => f.write_str("target host key is unreadable and not the pinned one")?,
        }
        for (index, expected) in self.expected.iter().enumerate() {
            let lead = if index == 0 { ": expected " } else { " or " };
            write!(f, "{lead}{expected}")?;
        }
        Ok(())
    }
}

impl core::error::Error for PinMismatch {}

/// Why a secret cannot be made the current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RingError {
    /// It is in the ring already.
    #[error("secret is in the ring already")]
    Known,
    /// Rotations follow each other in time, and each leaves an overlap.
    #[error("rotation must be later than the one before, and end later than it begins")]
    Order,
    /// Too many secrets are still serving.
    #[error("{limit} earlier secrets still serve: wait until one ends")]
    TooMany {
        /// The most that may.
        limit: usize,
    },
}

/// A text is not the origin of a derived key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the origin of a derived key")]
pub struct OriginError;

/// Why a host cannot stand in a file of known hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostNameError {
    /// A character that names and addresses do not have, or none at all.
    #[error("host name has a character other than letters, digits, `.`, `-`, `_` and `:`, or none")]
    Character,
    /// Longer than names are.
    #[error("host name of {got} bytes is over the limit of {limit}")]
    TooLong {
        /// The most bytes allowed.
        limit: usize,
        /// The bytes that came.
        got: usize,
    },
    /// A key that has no blob.
    #[error("authority's key cannot be written")]
    Key,
}
