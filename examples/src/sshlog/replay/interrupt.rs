//! Ctrl-C, so that a replay that is left puts the terminal in order and still says its verdict.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::asked::{Asked, HangUp};

pub(crate) struct Interrupt {
    came: Arc<AtomicBool>,
}

/// How long Ctrl-C may go unnoticed in a pause.
const NOTICE: Duration = Duration::from_millis(50);
/// What shells report of a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

impl Interrupt {
    /// Leaves it to the system, which ends the program.
    pub(super) fn unwatched() -> Interrupt {
        Interrupt {
            came: Arc::default(),
        }
    }

    /// Watches for it from now on. A second one ends the program at once, for output that nobody takes.
    pub(crate) fn watch() -> Interrupt {
        let came = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&came);
        let (ready, is_ready) = mpsc::channel();
        thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .build()
            else {
                return;
            };
            runtime.block_on(async {
                let Ok(mut asked) = Asked::new(HangUp::Ends) else {
                    return;
                };
                // Whoever asked to watch may be gone only when the program ends.
                let _ = ready.send(());
                asked.once().await;
                flag.store(true, Ordering::Relaxed);
                asked.again().await;
                std::process::exit(INTERRUPTED);
            });
        });
        // An error says that the system has no place for it, and so goes on to end the program itself.
        let _ = is_ready.recv();
        Interrupt { came }
    }

    pub(crate) fn came(&self) -> bool {
        self.came.load(Ordering::Relaxed)
    }

    /// Sleeps, but not on when it comes.
    pub(super) fn sleep(&self, pause: Duration) {
        let began = Instant::now();
        while let Some(rest) = pause.checked_sub(began.elapsed())
            && !rest.is_zero()
            && !self.came()
        {
            thread::sleep(rest.min(NOTICE));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_watched_for_as_soon_as_that_was_asked_for() {
        let _interrupt = Interrupt::watch();
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let caught = status
            .lines()
            .find_map(|line| line.strip_prefix("SigCgt:"))
            .unwrap();
        let caught = u64::from_str_radix(caught.trim(), 16).unwrap();
        let interrupt = rustix::process::Signal::INT.as_raw();
        assert_eq!(caught >> (interrupt - 1) & 1, 1, "{caught:x}");
    }
}
