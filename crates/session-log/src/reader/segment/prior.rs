//! What is kept of a segment once it was read: what the next one, or a recovery, must refer to.

use crate::hash::Digest;
use crate::header::{Core, LogId};
use crate::sign::PublicKey;
use crate::suite::Suite;

/// What the next segment must refer to.
#[derive(Clone, Copy)]
pub(in crate::reader) struct Prior {
    pub(super) suite: Suite,
    pub(super) log_id: [u8; 16],
    pub(super) no: u32,
    /// It ended with a good *rotated* checkpoint.
    pub(super) closed: bool,
    /// Root and size of its tree, when it ended well and had no gaps.
    pub(super) tree: Option<(Digest, u64)>,
    /// Root and size of what there is of it, when it has no gaps.
    pub(super) found: Option<(Digest, u64)>,
    /// How many of its frames its last good checkpoint vouches for.
    pub(super) attested: u64,
    /// The key that its last checkpoint names, if that was seen and good.
    pub(super) next_public: Option<PublicKey>,
}

impl Prior {
    /// What stands in for a segment that was not seen.
    pub(super) fn unknown(suite: Suite, core: &Core) -> Option<Prior> {
        let no = core.segment_no.checked_sub(1)?;
        Some(Prior {
            suite,
            log_id: core.log_id,
            no,
            closed: false,
            tree: None,
            found: None,
            attested: 0,
            next_public: None,
        })
    }
}

/// What was found of a log, for whoever recovers it.
#[derive(Clone, Copy)]
pub(crate) struct FoundLog {
    pub(crate) suite: Suite,
    pub(crate) log_id: LogId,
    pub(crate) segment_no: u32,
    pub(crate) root: Digest,
    pub(crate) size: u64,
    pub(crate) attested: u64,
}

impl Prior {
    /// What a recovery stands on: at least the OPEN of the segment.
    pub(in crate::reader) fn found_log(&self) -> Option<FoundLog> {
        let (root, size) = self.found.filter(|(_, size)| *size > 0)?;
        Some(FoundLog {
            suite: self.suite,
            log_id: LogId(self.log_id),
            segment_no: self.no,
            root,
            size,
            attested: self.attested,
        })
    }
}
