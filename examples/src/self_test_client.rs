//! The SSH client by which the demo tests itself: built on `russh`, without a key of its own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client::{AuthResult, DisconnectReason, Handle, Msg};
use russh::keys::{HashAlg, PublicKeyOrCertificate};
use russh::{Channel, ChannelMsg, Disconnect};
use tokio::net::ToSocketAddrs;
use tokio::time::{Instant, timeout, timeout_at};

/// How long any one step may take.
pub const STEP_LIMIT: Duration = Duration::from_secs(20);

/// How much output of one command or shell is kept; more is an error.
pub const OUTPUT_LIMIT_BYTES: usize = 16 << 20;

/// Why a step of the client did not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The server does not let this user in.
    #[error("not let in: {}", said(.0))]
    Denied(Said),
    /// The connection ended in the middle of something.
    #[error("the connection failed: {}", said(.1))]
    Connection(#[source] russh::Error, Said),
    /// A step took longer than [`STEP_LIMIT`].
    #[error("no {what} within {} s", STEP_LIMIT.as_secs())]
    TimedOut {
        /// What was waited for.
        what: &'static str,
    },
    /// The server refused a channel request.
    #[error("the server refused `{what}`")]
    Refused {
        /// The request.
        what: &'static str,
    },
    /// The channel ended before what was waited for came.
    #[error("the channel closed before `{wanted}` came; so far: `{got}`")]
    Closed {
        /// What was waited for.
        wanted: String,
        /// What came instead.
        got: String,
    },
    /// More than [`OUTPUT_LIMIT_BYTES`] came.
    #[error("more than {OUTPUT_LIMIT_BYTES} bytes of output")]
    TooMuchOutput,
}

/// What the server told the person outside of any channel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// All banners, in order.
    pub banner: String,
    /// The text of its disconnect message.
    pub disconnect: Option<String>,
    /// The fingerprint of the host key it showed, `SHA256:…`.
    pub host_key: Option<String>,
}

fn said(said: &Said) -> String {
    let mut text = said.banner.trim().to_owned();
    if let Some(disconnect) = &said.disconnect {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(disconnect);
    }
    if text.is_empty() {
        text.push_str("the server gave no reason");
    }
    text
}

/// A connection that is logged in.
pub struct Client {
    handle: Handle<Listener>,
    said: Arc<Mutex<Said>>,
}

/// What a command left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Finished {
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
    /// Its exit status, none if it was ended by a signal or the connection was lost.
    pub status: Option<u32>,
    /// The name of the signal that ended it, without `SIG`.
    pub signal: Option<String>,
}

impl Client {
    /// Connects and logs in as `user` by the method `none`.
    ///
    /// Any host key is accepted, and kept in [`Said::host_key`] for the caller to judge.
    ///
    /// # Errors
    /// [`ClientError::Denied`] with all that the server said when it does not let the user in or
    /// ends the connection before that; otherwise what went wrong.
    pub async fn login(address: impl ToSocketAddrs, user: &str) -> Result<Self, ClientError> {
        let told = Arc::new(Mutex::new(Said::default()));
        let config = Arc::new(russh::client::Config {
            nodelay: true,
            ..Default::default()
        });
        let listener = Listener(told.clone());
        let connecting = async {
            let mut handle = russh::client::connect(config, address, listener).await?;
            let result = handle.authenticate_none(user).await?;
            Ok((handle, result))
        };
        match timeout(STEP_LIMIT, connecting).await {
            Err(_) => Err(ClientError::TimedOut { what: "login" }),
            Ok(Ok((handle, AuthResult::Success))) => Ok(Self { handle, said: told }),
            Ok(Ok((handle, AuthResult::Failure { .. }))) => {
                let _ = handle
                    .disconnect(Disconnect::ByApplication, "not let in", "")
                    .await;
                Err(ClientError::Denied(read(&told)))
            }
            Ok(Err(error)) => {
                let told = read(&told);
                if told.banner.is_empty() && told.disconnect.is_none() {
                    Err(ClientError::Connection(error, told))
                } else {
                    Err(ClientError::Denied(told))
                }
            }
        }
    }

    /// What the server said so far, and the host key it showed.
    pub fn said(&self) -> Said {
        read(&self.said)
    }

    /// Runs a command without a terminal, gives it `stdin`, and waits for its end.
    ///
    /// # Errors
    /// When the server refuses it, the connection fails, or a limit is hit.
    pub async fn exec(&self, command: &str, stdin: &[u8]) -> Result<Finished, ClientError> {
        let mut channel = self.open().await?;
        self.step("exec", channel.exec(true, command)).await?;
        accepted(&mut channel, "exec").await?;
        if !stdin.is_empty() {
            self.step("room for input", channel.data(stdin)).await?;
        }
        self.step("end of input", channel.eof()).await?;
        collect(&mut channel).await
    }

    /// Opens an interactive shell in a terminal of the given size.
    ///
    /// # Errors
    /// As [`exec`](Self::exec).
    pub async fn shell(&self, columns: u32, rows: u32) -> Result<Shell, ClientError> {
        let mut channel = self.open().await?;
        let pty = channel.request_pty(true, "xterm", columns, rows, 0, 0, &[]);
        self.step("terminal", pty).await?;
        accepted(&mut channel, "pty-req").await?;
        self.step("shell", channel.request_shell(true)).await?;
        accepted(&mut channel, "shell").await?;
        Ok(Shell {
            channel,
            text: String::new(),
            read_to: 0,
        })
    }

    /// Says goodbye.
    pub async fn disconnect(self) {
        // The other side may have closed first, which is just as well.
        let _ = self
            .handle
            .disconnect(Disconnect::ByApplication, "done", "")
            .await;
        let _ = timeout(STEP_LIMIT, self.handle).await;
    }

    async fn open(&self) -> Result<Channel<Msg>, ClientError> {
        self.step("channel", self.handle.channel_open_session())
            .await
    }

    async fn step<T>(
        &self,
        what: &'static str,
        future: impl Future<Output = Result<T, russh::Error>>,
    ) -> Result<T, ClientError> {
        timeout(STEP_LIMIT, future)
            .await
            .map_err(|_| ClientError::TimedOut { what })?
            .map_err(|error| ClientError::Connection(error, self.said()))
    }
}

/// An interactive shell.
pub struct Shell {
    channel: Channel<Msg>,
    text: String,
    read_to: usize,
}

impl Shell {
    /// Types `text`.
    ///
    /// # Errors
    /// When the connection fails.
    pub async fn send(&self, text: &str) -> Result<(), ClientError> {
        self.channel
            .data(text.as_bytes())
            .await
            .map_err(|error| ClientError::Connection(error, Said::default()))
    }

    /// Tells the server that the terminal has a new size.
    ///
    /// # Errors
    /// When the connection fails.
    pub async fn resize(&self, columns: u32, rows: u32) -> Result<(), ClientError> {
        self.channel
            .window_change(columns, rows, 0, 0)
            .await
            .map_err(|error| ClientError::Connection(error, Said::default()))
    }

    /// Reads on until `wanted` has come, and returns what was read up to its end.
    ///
    /// # Errors
    /// When the channel closes first, the connection fails, or a limit is hit.
    pub async fn read_until(&mut self, wanted: &str) -> Result<String, ClientError> {
        let deadline = Instant::now() + STEP_LIMIT;
        loop {
            let unread = self.text.get(self.read_to..).unwrap_or_default();
            if let Some(at) = unread.find(wanted) {
                let end = self.read_to + at + wanted.len();
                let read = self.text.get(self.read_to..end).unwrap_or_default();
                self.read_to = end;
                return Ok(read.to_owned());
            }
            let message = timeout_at(deadline, self.channel.wait())
                .await
                .map_err(|_| ClientError::TimedOut {
                    what: "expected text of the shell",
                })?;
            match message {
                Some(ChannelMsg::Data { data }) => {
                    self.text.push_str(&String::from_utf8_lossy(&data));
                    if self.text.len() > OUTPUT_LIMIT_BYTES {
                        return Err(ClientError::TooMuchOutput);
                    }
                }
                Some(ChannelMsg::Close) | None => {
                    return Err(ClientError::Closed {
                        wanted: wanted.to_owned(),
                        got: unread.to_owned(),
                    });
                }
                Some(_) => {}
            }
        }
    }

    /// Waits for the shell's end, which the caller has asked it for.
    ///
    /// # Errors
    /// When the connection fails or a limit is hit.
    pub async fn finish(mut self) -> Result<Finished, ClientError> {
        collect(&mut self.channel).await
    }
}

/// Waits for the answer to a channel request.
async fn accepted(channel: &mut Channel<Msg>, what: &'static str) -> Result<(), ClientError> {
    let deadline = Instant::now() + STEP_LIMIT;
    loop {
        match timeout_at(deadline, channel.wait()).await {
            Err(_) => return Err(ClientError::TimedOut { what }),
            Ok(Some(ChannelMsg::Success)) => return Ok(()),
            Ok(Some(ChannelMsg::Failure | ChannelMsg::Close) | None) => {
                return Err(ClientError::Refused { what });
            }
            Ok(Some(_)) => {}
        }
    }
}

/// Reads a channel to its end.
async fn collect(channel: &mut Channel<Msg>) -> Result<Finished, ClientError> {
    let deadline = Instant::now() + STEP_LIMIT;
    let mut finished = Finished::default();
    loop {
        let message =
            timeout_at(deadline, channel.wait())
                .await
                .map_err(|_| ClientError::TimedOut {
                    what: "end of the command",
                })?;
        match message {
            Some(ChannelMsg::Data { data }) => finished.stdout.extend_from_slice(&data),
            Some(ChannelMsg::ExtendedData { data, ext: 1 }) => {
                finished.stderr.extend_from_slice(&data);
            }
            Some(ChannelMsg::ExitStatus { exit_status }) => finished.status = Some(exit_status),
            Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                finished.signal = Some(format!("{signal_name:?}"));
            }
            Some(ChannelMsg::Close) | None => return Ok(finished),
            Some(_) => {}
        }
        if finished.stdout.len() + finished.stderr.len() > OUTPUT_LIMIT_BYTES {
            return Err(ClientError::TooMuchOutput);
        }
    }
}

fn read(said: &Mutex<Said>) -> Said {
    said.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Writes down what the server says.
struct Listener(Arc<Mutex<Said>>);

impl Listener {
    fn note(&self, change: impl FnOnce(&mut Said)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl russh::client::Handler for Listener {
    type Error = russh::Error;

    async fn auth_banner(
        &mut self,
        banner: &str,
        _session: &mut russh::client::Session,
    ) -> Result<(), Self::Error> {
        self.note(|said| said.banner.push_str(banner));
        Ok(())
    }

    async fn check_server_key(
        &mut self,
        server_public_key: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let fingerprint = match server_public_key {
            PublicKeyOrCertificate::PublicKey { key, .. } => key.fingerprint(HashAlg::Sha256),
            PublicKeyOrCertificate::Certificate(certificate) => {
                certificate.public_key().fingerprint(HashAlg::Sha256)
            }
        };
        self.note(|said| said.host_key = Some(fingerprint.to_string()));
        Ok(true)
    }

    async fn disconnected(
        &mut self,
        reason: DisconnectReason<Self::Error>,
    ) -> Result<(), Self::Error> {
        match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                self.note(|said| said.disconnect = Some(info.message));
                Ok(())
            }
            DisconnectReason::Error(error) => Err(error),
        }
    }
}
