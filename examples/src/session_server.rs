//! A session channel that runs one command (RFC 4254 sections 5 and 6), as messages in and out: one at a time, without a terminal.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::SyncSender;

use ssh_key::encoding::{self, Decode as _};

use crate::session_channel::{self as channel, Message};
use crate::shell_command::{CommandEvent, Pipe, ShellCommand};

/// Why the client cannot be served on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// It sent what is no message, or none for this channel.
    #[error("malformed message: {0}")]
    Malformed(#[from] encoding::Error),
    /// The command cannot be started.
    #[error("cannot run /bin/sh: {0}")]
    NoShell(#[from] io::Error),
    /// It sent more than it was told it could.
    #[error("the client sent more than its window")]
    WindowExceeded,
}

/// Messages to send, in order.
pub type Replies = Result<Vec<Vec<u8>>, SessionError>;

/// The server's side of one connection's sessions. `E` is what the driver's queue holds.
#[derive(Debug)]
pub struct SessionServer<E> {
    events: SyncSender<E>,
    session: Option<Session>,
}

#[derive(Debug)]
struct Session {
    /// The client's number for the channel.
    channel: u32,
    /// Bytes that the client takes.
    window_bytes: usize,
    /// Bytes in one message that the client takes.
    max_data_bytes: usize,
    /// Bytes that the client may still send.
    own_window_bytes: usize,
    command: Option<ShellCommand>,
    /// Output that the client has no room for yet. At most one piece of each pipe.
    waiting: VecDeque<(Pipe, Vec<u8>)>,
    open_pipes: u8,
    status: Option<u32>,
    is_closing: bool,
}

impl<E: From<CommandEvent> + Send + 'static> SessionServer<E> {
    /// No session yet. What commands do is put into `events`, for [`Self::handle_command`].
    #[must_use]
    pub fn new(events: SyncSender<E>) -> Self {
        Self {
            events,
            session: None,
        }
    }

    /// Answers a message of the client.
    ///
    /// # Errors
    /// When the connection is to end.
    pub fn handle_message(&mut self, message: Message) -> Replies {
        match (message, &mut self.session) {
            (Message::GlobalRequest, _) => Ok(vec![channel::global_request_refused()]),
            (
                Message::Open {
                    kind,
                    channel,
                    window_bytes,
                    max_data_bytes,
                },
                None,
            ) if kind == "session" => {
                self.session = Some(Session::new(channel, window_bytes, max_data_bytes));
                Ok(vec![channel::opened(channel)?])
            }
            (Message::Open { channel, .. }, _) => Ok(vec![channel::open_refused(
                channel,
                "one session at a time, and nothing else",
            )?]),
            (Message::Close, Some(session)) => {
                let reply = if session.is_closing {
                    Vec::new()
                } else {
                    vec![channel::close(session.channel)?]
                };
                self.session = None;
                Ok(reply)
            }
            (message, Some(session)) => session.handle(message, &self.events),
            // What crossed our CLOSE.
            (_, None) => Ok(Vec::new()),
        }
    }

    /// Tells the client what its command did.
    ///
    /// # Errors
    /// When the connection is to end.
    pub fn handle_command(&mut self, event: CommandEvent) -> Replies {
        self.session
            .as_mut()
            .map_or(Ok(Vec::new()), |session| session.tell(event))
    }
}

impl Session {
    fn new(channel: u32, window_bytes: u32, max_data_bytes: u32) -> Self {
        Self {
            channel,
            window_bytes: window_bytes as usize,
            max_data_bytes: max_data_bytes.min(channel::MAX_DATA_BYTES) as usize,
            own_window_bytes: channel::WINDOW_BYTES as usize,
            command: None,
            waiting: VecDeque::new(),
            open_pipes: 2,
            status: None,
            is_closing: false,
        }
    }

    fn handle<E: From<CommandEvent> + Send + 'static>(
        &mut self,
        message: Message,
        events: &SyncSender<E>,
    ) -> Replies {
        match message {
            Message::MoreWindow(bytes) => {
                self.window_bytes = self.window_bytes.saturating_add(bytes as usize);
                self.send_waiting()
            }
            Message::Data(bytes) => {
                let left = self.own_window_bytes.checked_sub(bytes.len());
                self.own_window_bytes = left.ok_or(SessionError::WindowExceeded)?;
                if let Some(command) = &self.command {
                    command.write(bytes);
                }
                Ok(Vec::new())
            }
            Message::Eof => {
                if let Some(command) = &mut self.command {
                    command.close_input();
                }
                Ok(Vec::new())
            }
            Message::Request {
                kind,
                wants_reply,
                rest,
            } => {
                let is_done = self.request(&kind, &rest, events)?;
                let reply = channel::request_done(self.channel, is_done)?;
                Ok(if wants_reply { vec![reply] } else { Vec::new() })
            }
            _ => Ok(Vec::new()),
        }
    }

    fn request<E: From<CommandEvent> + Send + 'static>(
        &mut self,
        kind: &str,
        rest: &[u8],
        events: &SyncSender<E>,
    ) -> Result<bool, SessionError> {
        let line = match kind {
            "exec" => Some(String::decode(&mut &*rest)?),
            "shell" => None,
            _ => return Ok(false),
        };
        if self.command.is_some() {
            return Ok(false);
        }
        self.command = Some(ShellCommand::start(line.as_deref(), events)?);
        Ok(true)
    }

    fn tell(&mut self, event: CommandEvent) -> Replies {
        match event {
            CommandEvent::Wrote(pipe, bytes) => self.waiting.push_back((pipe, bytes)),
            CommandEvent::Closed(_) => self.open_pipes -= 1,
            CommandEvent::Exited(status) => self.status = Some(status),
            CommandEvent::Read(bytes) => {
                self.own_window_bytes += bytes;
                return Ok(vec![channel::more_window(
                    self.channel,
                    u32::try_from(bytes).unwrap_or(u32::MAX),
                )?]);
            }
        }
        self.send_waiting()
    }

    /// Sends what there is room for, and the end after all of it.
    fn send_waiting(&mut self) -> Replies {
        let mut replies = Vec::new();
        while let Some((pipe, mut bytes)) = self.waiting.pop_front() {
            let rest = bytes.split_off(bytes.len().min(self.window_bytes).min(self.max_data_bytes));
            if !bytes.is_empty() {
                self.window_bytes -= bytes.len();
                replies.push(match pipe {
                    Pipe::Output => channel::data(self.channel, &bytes)?,
                    Pipe::Error => channel::error_data(self.channel, &bytes)?,
                });
            }
            if rest.is_empty() {
                if let Some(command) = &self.command {
                    command.taken(pipe);
                }
                continue;
            }
            self.waiting.push_front((pipe, rest));
            if self.window_bytes == 0 || self.max_data_bytes == 0 {
                break;
            }
        }
        if let (Some(status), 0, true, false) = (
            self.status,
            self.open_pipes,
            self.waiting.is_empty(),
            self.is_closing,
        ) {
            self.is_closing = true;
            replies.push(channel::eof(self.channel)?);
            replies.push(channel::exit_status(self.channel, status)?);
            replies.push(channel::close(self.channel)?);
        }
        Ok(replies)
    }
}
