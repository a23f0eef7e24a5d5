//! Every limit of this crate, with its unit and its reason.
//!
//! All of them bound what an operator's document may hold; what a peer sends (a user name, an address) is only compared, never stored.

use core::time::Duration;

/// Bytes of one policy document. A million e-mail addresses fit; a file that is no policy by mistake does not fill the memory.
pub const MAX_DOCUMENT_BYTES: usize = 64 * 1024 * 1024;

/// Rules and values that one decision may look at in the worst case, rule groups counted each time they are used.
///
/// It bounds the work of [`decide`](crate::decide): without it, thirty rule groups that each use the one before twice would cost 2^30 steps.
pub const MAX_DECISION_STEPS: u64 = 4_000_000;

/// Rule groups inside rule groups. It bounds the stack that a decision needs.
pub const MAX_GROUP_DEPTH: usize = 32;

/// Bytes of the name of an application, policy, rule group or other thing that a document names.
pub const MAX_NAME_BYTES: usize = 255;

/// Bytes of a Unix user name. Linux takes 32; names joined from a directory (`jane@corp.example.com`) are longer.
pub const MAX_UNIX_USER_BYTES: usize = 64;

/// Bytes of an e-mail address, RFC 5321 section 4.5.3.1.3 (a path of 256 without its angle brackets).
pub const MAX_EMAIL_BYTES: usize = 254;

/// Bytes of the part of an e-mail address before the `@`, RFC 5321 section 4.5.3.1.1.
pub const MAX_EMAIL_LOCAL_BYTES: usize = 64;

/// Bytes of a host or domain name, RFC 1035 section 2.3.4 as text.
pub const MAX_HOSTNAME_BYTES: usize = 253;

/// Bytes of one label of a domain name, RFC 1035 section 2.3.4.
pub const MAX_LABEL_BYTES: usize = 63;

/// Channels that one session may have open when a policy does not say. `ssh` itself opens one per command; 64 leaves room for a busy ControlMaster.
pub const DEFAULT_MAX_CHANNELS: u32 = 64;

/// Channels that a policy may grant. Each costs a recorder state and two windows.
pub const MAX_MAX_CHANNELS: u32 = 1024;

/// Age up to which a device posture result counts when the rule does not say.
pub const DEFAULT_POSTURE_MAX_AGE: Duration = Duration::from_secs(60 * 60);

/// How far in the future a time stamp of the identity provider or the posture service may lie and still count as "just now":
/// their clocks and ours differ by seconds, not by minutes.
pub const MAX_CLOCK_SKEW: Duration = Duration::from_secs(60);

/// The longest duration that a document may name. A longer one is a slip of the pen.
pub const MAX_DURATION: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Entries of one list of revocations. Every decision looks at each of them, so that a hundred thousand cost it about a millisecond.
pub const MAX_REVOCATIONS: usize = 100_000;

/// Problems that one [`LoadError`](crate::LoadError) lists; further ones are counted.
pub const MAX_PROBLEMS: usize = 100;

/// Rules that a log line or a denial quotes; further ones are counted.
pub const MAX_QUOTED: usize = 4;

/// Policies that are not about the person at which a refusal looks for the one that came closest.
pub const MAX_CLOSEST_LOOKS: usize = 32;

/// Bytes of a command pattern or a path in a document. Linux takes paths of 4096.
pub const MAX_PATTERN_BYTES: usize = 4096;
