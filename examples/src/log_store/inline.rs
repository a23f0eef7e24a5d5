//! Writes on the threads that everything else runs on.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;

/// Room for one write at a time.
///
/// Nobody knows whether a write will wait for the disk before it is over. A session whose write does cannot even tell its person, so that
/// there is at most one such session, and all others have threads wait for them.
#[derive(Debug, Default)]
pub(super) struct Inline {
    is_taken: AtomicBool,
}

/// The right to write.
pub(super) struct Writing<'a>(&'a Inline);

impl Inline {
    /// Takes the room. None where another writes, or where the runtime has no other thread for what this one would have done meanwhile.
    pub(super) fn begin(&self) -> Option<Writing<'_>> {
        let runtime = Handle::try_current().map(|runtime| runtime.runtime_flavor());
        let is_ours = matches!(runtime, Ok(RuntimeFlavor::MultiThread))
            && !self.is_taken.swap(true, Ordering::AcqRel);
        is_ours.then(|| Writing(self))
    }
}

impl Writing<'_> {
    /// Writes, while another thread takes over what this one has to do besides.
    pub(super) fn run<T>(self, write: impl FnOnce() -> T) -> T {
        block_in_place(write)
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.0.is_taken.store(false, Ordering::Release);
    }
}
