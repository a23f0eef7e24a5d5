//! Being asked to end: by SIGTERM, by SIGINT, and where SIGHUP has no other meaning by a terminal that closes.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask a program to end.
pub struct Asked {
    terminate: Signal,
    interrupt: Signal,
    /// None where it means something else, and under `nohup`: who started the program wants it to outlive the terminal.
    hang_up: Option<Signal>,
}

/// What SIGHUP is to a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HangUp {
    /// A terminal that closes.
    Ends,
    /// The program's own affair.
    IsNotOurs,
}

impl Asked {
    /// Receives the signals from now on.
    ///
    /// # Errors
    /// When the operating system has no place for them.
    pub fn new(hang_up: HangUp) -> io::Result<Self> {
        let hang_up = if hang_up == HangUp::IsNotOurs || ignores_hang_up() {
            None
        } else {
            Some(signal(SignalKind::hangup())?)
        };
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up,
        })
    }

    /// Waits to be asked.
    pub async fn once(&mut self) {
        let hang_up = async {
            match &mut self.hang_up {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = hang_up => {}
        }
    }

    /// Waits to be asked again. A terminal that closes may say so twice, by itself and by its shell,
    /// and means it once.
    pub async fn again(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Whether this process was started with SIGHUP ignored, which receiving it would undo.
fn ignores_hang_up() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // The lowest bit is that of signal 1.
    ignored
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & 1 == 1)
}
