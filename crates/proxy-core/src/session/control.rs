//! What operators do to a session: look, end it, watch it.
//!
//! ```text
//!   Watch ──> record: who watches ──┐                  ┌──> Watched(Began)
//!                                   ├─ page written ───┤
//!   packet ──> record ──> copy ─────┘                  └──> Watched(…), in the order of the log
//! ```
//!
//! A copy is made only while somebody watches, and at most of one batch: nothing is read before the page is written.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use bytes::Bytes;
use session_log::Record;

use super::Session;
use super::stage::{Denied, Stage};
use crate::operator::plain;
use crate::relay::Relay;
use crate::{
    EndReason, Input, Now, Operation, Output, Overview, PerLeg, Progress, Refusal, Seen, SessionId,
    WatchEnd, WatchId,
};

/// The longest piece that a watcher is given, 32 KiB: what OpenSSH puts into one packet. Shorter ones of one stream are put together.
const MAX_PIECE_BYTES: usize = 32 * 1024;

/// Who watches, and what they wait for.
#[derive(Default)]
pub(super) struct Watching {
    watchers: Vec<Watcher>,
    /// Of pages that nobody has said are written.
    unwritten: Vec<Piece>,
}

struct Watcher {
    id: WatchId,
    who: String,
    /// The page that says that they watch is written.
    has_begun: bool,
}

/// Copies of what is recorded, for watchers.
#[derive(Default)]
pub(super) struct Tap {
    /// Nothing is copied while nobody watches.
    is_open: bool,
    pieces: Vec<Piece>,
}

/// Something for watchers, in the order of the log.
enum Piece {
    /// Who begins here, and the terminals that there are.
    Begins(WatchId, Vec<(u32, Seen)>),
    Data(u32, Stream, Vec<u8>),
    Seen(u32, Seen),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stream {
    Input,
    Output,
    Stderr,
}

impl Tap {
    /// Takes a copy of what watchers are shown.
    pub(super) fn take(&mut self, channel: u32, record: &Record<'_>) {
        if !self.is_open {
            return;
        }
        let seen = match *record {
            Record::Input(data) => return self.take_data(channel, Stream::Input, data),
            Record::Output(data) => return self.take_data(channel, Stream::Output, data),
            Record::Stderr(data) => return self.take_data(channel, Stream::Stderr, data),
            // What the proxy itself says stands among what the person sees.
            Record::WriterNotice { text } if channel != 0 => {
                return self.take_data(channel, Stream::Stderr, text.as_bytes());
            }
            Record::Pty { columns, rows, .. } | Record::Resize { columns, rows, .. } => {
                Seen::Terminal { columns, rows }
            }
            Record::Exec { command: text } => command(text),
            Record::Subsystem { name } => command(name.as_bytes()),
            Record::Close {
                from: session_log::Side::Target,
            } => Seen::Closed,
            _ => return,
        };
        self.pieces.push(Piece::Seen(channel, seen));
    }

    fn take_data(&mut self, channel: u32, stream: Stream, data: &[u8]) {
        if let Some(Piece::Data(last_channel, last_stream, last)) = self.pieces.last_mut()
            && (*last_channel, *last_stream) == (channel, stream)
            && last.len() + data.len() <= MAX_PIECE_BYTES
        {
            last.extend_from_slice(data);
            return;
        }
        let pieces = data.chunks(MAX_PIECE_BYTES);
        let pieces = pieces.map(|data| Piece::Data(channel, stream, data.to_vec()));
        self.pieces.extend(pieces);
    }
}

/// What a watcher is told of a command.
fn command(text: &[u8]) -> Seen {
    Seen::Command(Bytes::copy_from_slice(
        text.get(..MAX_PIECE_BYTES).unwrap_or(text),
    ))
}

impl Watching {
    /// What could not be written is not shown.
    pub(super) fn forget_unwritten(&mut self) {
        self.unwritten.clear();
    }

    /// Keeps what is in a page that was just sealed, until it is written.
    pub(super) fn hold(&mut self, tap: &mut Tap) {
        self.unwritten.append(&mut tap.pieces);
    }
}

impl Session {
    /// This session as it is now, and then those inside it.
    #[must_use]
    pub fn overviews(&self, now: Now) -> Vec<Overview> {
        let inside = self.inner.sessions().flat_map(|it| it.overviews(now));
        core::iter::once(self.overview(now)).chain(inside).collect()
    }

    /// This session alone as it is now.
    #[must_use]
    pub fn overview(&self, now: Now) -> Overview {
        let relaying = match &self.stage {
            Stage::End(relaying) => Some(&**relaying),
            Stage::LogClosed(ending) => Some(&ending.relaying),
            _ => None,
        };
        let relay = relaying.map(|relaying| &relaying.relay);
        Overview {
            subject: self.subject.clone(),
            user: self.user.clone(),
            device: self.info.device.id.clone(),
            target: self.info.target.facts.clone(),
            progress: match &self.stage {
                Stage::End(_) => Progress::Open,
                Stage::LogClosed(_) | Stage::Farewell { .. } | Stage::Over => Progress::Ending,
                _ => Progress::Arriving,
            },
            connected: self.connected,
            idle: relaying.map(|relaying| now.mono.saturating_sub(relaying.last_activity)),
            bytes_from: relay.map_or_else(PerLeg::default, Relay::bytes_from),
            channels: relay.map_or(0, Relay::channels),
            watchers: self.watching.watchers.len(),
            last_command: relay.and_then(Relay::last_command).cloned(),
        }
    }

    pub(super) fn operate(&mut self, session: SessionId, operation: Operation, now: Now) {
        if session != self.id {
            if self.has(session) {
                let input = Input::Operator(session, operation);
                self.handle_inside(session, input, now);
            } else if let Operation::Watch { watch, .. } = operation {
                self.outputs
                    .push_back(Output::WatchOver(watch, WatchEnd::Over));
            }
            return;
        }
        match operation {
            Operation::End { who, reason } => {
                self.end_by_operator(&plain(&who), &plain(&reason), now)
            }
            Operation::Watch { watch, who } => {
                if let Err(why) = self.watch(watch, plain(&who)) {
                    self.outputs.push_back(Output::WatchOver(watch, why));
                }
            }
            Operation::Unwatch { watch, why } => self.unwatch(watch, &plain(&why)),
        }
    }

    fn end_by_operator(&mut self, who: &str, reason: &str, now: Now) {
        self.record_operator(who, "terminate", reason);
        let detail = format!("{who}: {reason}");
        if matches!(self.stage, Stage::End(_)) {
            let farewell = format!("this session ends: an operator has ended it: {reason}");
            self.end_saying(EndReason::Operator, &detail, farewell, now);
        } else {
            let denied = Denied {
                reason: Refusal::Operator,
                detail,
                advice: format!("an operator has ended this connection: {reason}"),
            };
            self.refuse(denied, now);
        }
    }

    fn watch(&mut self, id: WatchId, who: String) -> Result<(), WatchEnd> {
        let Stage::End(relaying) = &self.stage else {
            return Err(match self.overview(Now::default()).progress {
                Progress::Arriving => WatchEnd::NotBegun,
                Progress::Open | Progress::Ending => WatchEnd::Over,
            });
        };
        let recorder = self.recorder.as_mut().ok_or(WatchEnd::Over)?;
        let most = self.limits.watchers;
        if self.watching.watchers.len() >= most {
            return Err(WatchEnd::TooMany { most });
        }
        let record = Record::Operator {
            who: &who,
            action: "watch",
            text: "from here on",
        };
        recorder.record(0, &record);
        let terminals = relaying.relay.terminals();
        let terminals = terminals
            .map(|(channel, (columns, rows))| (channel, Seen::Terminal { columns, rows }))
            .collect();
        recorder.tap.is_open = true;
        recorder.tap.pieces.push(Piece::Begins(id, terminals));
        self.watching.watchers.push(Watcher {
            id,
            who,
            has_begun: false,
        });
        Ok(())
    }

    fn unwatch(&mut self, id: WatchId, why: &str) {
        let watchers = &mut self.watching.watchers;
        let Some(at) = watchers.iter().position(|watcher| watcher.id == id) else {
            return;
        };
        let who = watchers.remove(at).who;
        self.record_operator(&who, "unwatch", why);
        if self.watching.watchers.is_empty() {
            self.watching.unwritten = Vec::new();
            if let Some(recorder) = &mut self.recorder {
                recorder.tap = Tap::default();
            }
        }
    }

    fn record_operator(&mut self, who: &str, action: &str, text: &str) {
        if let Some(recorder) = &mut self.recorder {
            recorder.record(0, &Record::Operator { who, action, text });
        }
    }

    /// Says in a log that is about to end who has watched to its end.
    pub(super) fn record_last_watchers(&mut self) {
        let watchers: Vec<String> = self
            .watching
            .watchers
            .iter()
            .map(|it| it.who.to_string())
            .collect();
        for who in watchers {
            self.record_operator(&who, "unwatch", "the session ends");
        }
    }

    /// Every page is written, so that watchers may see what is in them.
    pub(super) fn show_watchers(&mut self) {
        for piece in core::mem::take(&mut self.watching.unwritten) {
            match piece {
                Piece::Begins(id, terminals) => {
                    let watcher = self.watching.watchers.iter_mut().find(|it| it.id == id);
                    if let Some(watcher) = watcher {
                        watcher.has_begun = true;
                        self.outputs.push_back(Output::Watched(id, 0, Seen::Began));
                        for (channel, seen) in terminals {
                            self.outputs.push_back(Output::Watched(id, channel, seen));
                        }
                    }
                }
                Piece::Seen(channel, seen) => self.show(channel, &seen),
                Piece::Data(channel, stream, data) => {
                    let data = Bytes::from(data);
                    let seen = match stream {
                        Stream::Input => Seen::Input(data),
                        Stream::Output => Seen::Output(data),
                        Stream::Stderr => Seen::Stderr(data),
                    };
                    self.show(channel, &seen);
                }
            }
        }
    }

    fn show(&mut self, channel: u32, seen: &Seen) {
        let begun = self.watching.watchers.iter().filter(|it| it.has_begun);
        let outputs = begun.map(|it| Output::Watched(it.id, channel, seen.clone()));
        self.outputs.extend(outputs);
    }

    /// There is nothing more to see. What was never written nobody sees.
    pub(super) fn dismiss_watchers(&mut self) {
        let watching = core::mem::take(&mut self.watching);
        let over = watching
            .watchers
            .into_iter()
            .map(|it| Output::WatchOver(it.id, WatchEnd::Over));
        self.outputs.extend(over);
    }
}
