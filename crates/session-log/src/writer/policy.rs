use core::time::Duration;

use crate::error::CreateError;
use crate::frame::padme;
use crate::limits::{MAX_CONTENT_BYTES, MAX_SEGMENT_BYTES};
use crate::sign::{PublicKey, SignatureAlgorithm};
use crate::suite::Suite;

/// When the writer seals, signs and rotates by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriterPolicy {
    /// A frame is sealed when its content reaches this many bytes: 512 to 1 MiB.
    pub frame_bytes: u32,
    /// A record waits at most this long for its frame to be sealed.
    pub flush_after: Duration,
    /// A checkpoint is due after this many frames: 1 to 65536.
    pub checkpoint_frames: u32,
    /// A checkpoint is due after this many bytes of frames.
    pub checkpoint_bytes: u64,
    /// A frame waits at most this long for a checkpoint: at least 1 ms.
    pub checkpoint_after: Duration,
    /// A heartbeat is due after this long without a frame: at least 1 ms.
    pub heartbeat_after: Duration,
    /// How frame lengths are hidden.
    pub padding: Padding,
    /// The segment is closed at this many bytes: 4 KiB to 512 MiB.
    pub rotate_bytes: u64,
    /// The segment is closed at this age: at least 1 ms.
    pub rotate_after: Duration,
    /// Whether the summary names a hash of each channel's output.
    pub output_digest: OutputDigest,
    /// Whether output is compressed.
    pub compression: Compression,
    /// Storage that is behind by more bytes than this makes [`crate::Pressure::High`].
    pub pressure_bytes: u64,
    /// Which suites and identity keys are taken.
    pub profile: Profile,
}

/// Which suites and identity keys a writer takes.
///
/// In a build with the feature `fips` they run in a FIPS module, as [`crate::provider_name`] says. The profile is apart from the feature, because what one
/// program in a build switches on would otherwise refuse the logs of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Profile {
    /// All of this version.
    #[default]
    Any,
    /// Those of FIPS-approved algorithms: the suites `0x0101` and `0x0102`, opened by an ECDSA key.
    Fips,
}

impl Profile {
    pub(crate) fn check(self, suite: Suite, identity: &PublicKey) -> Result<(), CreateError> {
        if self == Profile::Any {
            return Ok(());
        }
        if !suite.has_fips_algorithms() {
            return Err(CreateError::ProfileSuite { suite: suite.id() });
        }
        match identity.algorithm() {
            SignatureAlgorithm::Ed25519 => Err(CreateError::ProfileIdentity {
                algorithm: identity.algorithm().name(),
            }),
            SignatureAlgorithm::EcdsaP256 | SignatureAlgorithm::EcdsaP384 => Ok(()),
        }
    }
}

/// Whether frames are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// None is.
    Off,
    /// Those that hold at least 4 KiB of one channel's output and nothing else, when it saves a tenth. The length of what was typed never goes
    /// into a compressed length; that of output does, behind the padding.
    Output,
}

/// How the lengths of frames are hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// Padmé, and at least `floor_bytes` of content (at most 64 KiB).
    Padme {
        /// Shorter contents all look this long.
        floor_bytes: u32,
    },
    /// Up to a multiple of `bytes` (16 bytes to 64 KiB).
    Blocks {
        /// The multiple.
        bytes: u32,
    },
    /// None: lengths of keystrokes and answers can be read off the file.
    Exact,
}

/// Whether the summary names SHA-256 of each channel's output.
///
/// The signatures cover every byte without it; it serves to compare an exported stream with one recorded elsewhere, and costs a second hash over
/// all output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputDigest {
    /// No.
    Omit,
    /// Yes.
    Sha256,
}

impl Default for WriterPolicy {
    fn default() -> WriterPolicy {
        WriterPolicy {
            frame_bytes: 65_536,
            flush_after: Duration::from_secs(1),
            checkpoint_frames: 1_024,
            checkpoint_bytes: 16 << 20,
            checkpoint_after: Duration::from_secs(30),
            heartbeat_after: Duration::from_secs(300),
            padding: Padding::Padme { floor_bytes: 512 },
            rotate_bytes: 64 << 20,
            rotate_after: Duration::from_secs(6 * 3_600),
            output_digest: OutputDigest::Omit,
            compression: Compression::Off,
            pressure_bytes: 4 << 20,
            profile: Profile::Any,
        }
    }
}

/// Shortest timer, so that a timeout always lies ahead of the moment that handled it.
const MIN_TIMER: Duration = Duration::from_millis(1);
/// Largest padding floor, bytes.
const MAX_FLOOR_BYTES: u32 = 65_536;

impl WriterPolicy {
    pub(crate) fn check(&self) -> Result<(), CreateError> {
        let timers = [
            self.checkpoint_after,
            self.heartbeat_after,
            self.rotate_after,
        ];
        let checks = [
            (
                (512..=MAX_CONTENT_BYTES).contains(&self.frame_bytes),
                "frame_bytes must be 512 to 1048576",
            ),
            (
                (1..=65_536).contains(&self.checkpoint_frames),
                "checkpoint_frames must be 1 to 65536",
            ),
            (self.checkpoint_bytes > 0, "checkpoint_bytes must not be 0"),
            (
                timers.iter().all(|timer| *timer >= MIN_TIMER),
                "timers must be at least 1 ms",
            ),
            (
                (4_096..=MAX_SEGMENT_BYTES / 2).contains(&self.rotate_bytes),
                "rotate_bytes must be 4096 to 536870912",
            ),
            (
                matches!(
                    self.padding,
                    Padding::Exact
                        | Padding::Padme {
                            floor_bytes: 0..=MAX_FLOOR_BYTES
                        }
                        | Padding::Blocks {
                            bytes: 16..=MAX_FLOOR_BYTES
                        }
                ),
                "padding must be a floor of at most 65536 or blocks of 16 to 65536",
            ),
        ];
        match checks.iter().find(|(good, _)| !good) {
            Some((_, why)) => Err(CreateError::Policy(why)),
            None => Ok(()),
        }
    }
}

impl Padding {
    /// The padded length of a content.
    pub(crate) fn pad(self, content_len: u32) -> u32 {
        match self {
            Padding::Exact => content_len,
            Padding::Padme { floor_bytes } => padme(content_len).max(floor_bytes),
            Padding::Blocks { bytes } => {
                content_len
                    .checked_next_multiple_of(bytes)
                    .map_or(content_len, |padded| {
                        // A content near the largest is not padded beyond what a reader takes.
                        padded.min(MAX_CONTENT_BYTES.max(content_len))
                    })
            }
        }
    }
}
