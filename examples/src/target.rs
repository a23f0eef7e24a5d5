//! A small SSH server for the demo to log in to.
//!
//! It is built on `russh`, so that the proxy talks to an implementation that is not its own. It
//! lets in only who shows a user certificate of one certificate authority, and runs real commands
//! as the current user: over pipes, or in a terminal of their own. No forwarding, no subsystems.
//!
//! It is no replacement for `sshd`: `russh` reads all channels of a connection in one loop, so
//! input for a command that does not read it is held in memory ([`STDIN_LIMIT_BYTES`]), and it does
//! not hand over `eow@openssh.com`, so `ssh host yes | head -1` ends only when the client closes.

mod access;
mod process;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pty_process::Size;
use russh::keys::{Certificate, PrivateKey, PublicKey};
use russh::server::{Auth, ChannelOpenHandle, Handle, Msg, Session, VerifiedPublicKey};
use russh::{
    Channel, ChannelId, ChannelOpenFailure, ChannelWriteHalf, MethodKind, MethodSet, Pty, Sig,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use access::Permissions;
use process::{Running, Spawn, Terminal};

/// How many channels one connection may have open.
pub const MAX_CHANNELS: usize = 64;

/// How many environment variables one channel may set.
pub const MAX_ENV: usize = 64;

/// How many bytes may wait for a command that does not read its standard input; with more, the
/// channel is closed. `russh` grants the client new window by itself, so the only other choice
/// would be to stop the whole connection, which deadlocks when the command waits for its output.
pub const STDIN_LIMIT_BYTES: usize = 64 << 20;

/// Serves SSH on `listener` until the future is dropped.
///
/// `ca_public_key` signs the certificates that are let in; `host_key` is what the server shows.
///
/// # Errors
/// When the listener cannot accept any more.
pub async fn serve(
    listener: TcpListener,
    ca_public_key: PublicKey,
    host_key: PrivateKey,
) -> std::io::Result<()> {
    let config = Arc::new(russh::server::Config {
        methods: MethodSet::from([MethodKind::PublicKey].as_slice()),
        auth_rejection_time: Duration::from_millis(100),
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: vec![host_key],
        inactivity_timeout: None,
        ..Default::default()
    });
    let authority = Arc::new(ca_public_key);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                connections.spawn(connection(config.clone(), authority.clone(), stream));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(
    config: Arc<russh::server::Config>,
    authority: Arc<PublicKey>,
    stream: TcpStream,
) {
    let (Ok(peer), Ok(())) = (stream.peer_addr(), stream.set_nodelay(true)) else {
        return;
    };
    let handler = Connection {
        authority,
        peer,
        granted: None,
        channels: BTreeMap::new(),
    };
    let ended = match russh::server::run_stream(config, stream, handler).await {
        Ok(session) => session.await,
        Err(error) => Err(error),
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a connection to the embedded target ended");
    }
}

/// One connection: what its certificate grants, and its channels.
struct Connection {
    authority: Arc<PublicKey>,
    peer: std::net::SocketAddr,
    granted: Option<Permissions>,
    channels: BTreeMap<ChannelId, Open>,
}

/// One session channel, before and after its command was started.
struct Open {
    write_half: ChannelWriteHalf<Msg>,
    environment: Vec<(String, String)>,
    terminal: Option<Terminal>,
    running: Option<Running>,
}

impl Connection {
    /// Starts a shell (`command` is none) or a command; false when it may not or cannot be.
    fn start(&mut self, id: ChannelId, command: Option<&[u8]>, handle: Handle) -> bool {
        let Some(granted) = &self.granted else {
            return false;
        };
        let Some(open) = self.channels.get_mut(&id) else {
            return false;
        };
        if open.running.is_some() {
            return false;
        }
        let spawn = Spawn {
            command: granted
                .force_command
                .as_ref()
                .map(String::as_bytes)
                .or(command)
                .map(<[u8]>::to_vec),
            environment: std::mem::take(&mut open.environment),
            terminal: open.terminal.take(),
        };
        match process::start(spawn, &open.write_half, handle) {
            Ok(running) => {
                open.running = Some(running);
                true
            }
            Err(error) => {
                tracing::warn!(%error, "the embedded target cannot start a command");
                false
            }
        }
    }

    fn running(&mut self, id: ChannelId) -> Option<&mut Running> {
        self.channels.get_mut(&id)?.running.as_mut()
    }
}

/// Answers a channel request; `russh` sends the answer only if the client wants one.
fn answer(session: &mut Session, id: ChannelId, done: bool) -> Result<(), russh::Error> {
    if done {
        session.channel_success(id)
    } else {
        session.channel_failure(id)
    }
}

impl russh::server::Handler for Connection {
    type Error = russh::Error;

    async fn auth_publickey(
        &mut self,
        _user: &str,
        _key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(Auth::reject())
    }

    async fn auth_openssh_certificate(
        &mut self,
        user: &str,
        certificate: &Certificate,
    ) -> Result<Auth, Self::Error> {
        let now_unix = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        match access::check(
            certificate,
            &self.authority,
            user,
            self.peer.ip(),
            now_unix.as_secs(),
        ) {
            Ok(granted) => {
                tracing::debug!(user, key_id = certificate.key_id(), "certificate accepted");
                self.granted = Some(granted);
                Ok(Auth::Accept)
            }
            Err(refusal) => {
                tracing::info!(user, %refusal, "the embedded target refuses a certificate");
                Ok(Auth::reject())
            }
        }
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        if self.channels.len() >= MAX_CHANNELS {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        }
        // The read half is dropped on purpose: input comes through `data`, which never waits.
        let (_, write_half) = channel.split();
        self.channels.insert(
            write_half.id(),
            Open {
                write_half,
                environment: Vec::new(),
                terminal: None,
                running: None,
            },
        );
        reply.accept().await;
        Ok(())
    }

    async fn pty_request(
        &mut self,
        id: ChannelId,
        term: &str,
        columns: u32,
        rows: u32,
        pixel_width: u32,
        pixel_height: u32,
        _modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let permitted = self.granted.as_ref().is_some_and(|granted| granted.pty);
        let done = match self.channels.get_mut(&id) {
            Some(open) if permitted && open.running.is_none() => {
                open.terminal = Some(Terminal {
                    term: term.to_owned(),
                    size: size(columns, rows, pixel_width, pixel_height),
                });
                true
            }
            _ => false,
        };
        answer(session, id, done)
    }

    async fn env_request(
        &mut self,
        id: ChannelId,
        name: &str,
        value: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let accepted = (name == "LANG" || name.starts_with("LC_"))
            && !name.contains(['=', '\0'])
            && !value.contains('\0');
        let done = match self.channels.get_mut(&id) {
            Some(open) if accepted && open.environment.len() < MAX_ENV => {
                open.environment.push((name.to_owned(), value.to_owned()));
                true
            }
            _ => false,
        };
        answer(session, id, done)
    }

    async fn shell_request(
        &mut self,
        id: ChannelId,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let done = self.start(id, None, session.handle());
        answer(session, id, done)
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let done = self.start(id, Some(command), session.handle());
        answer(session, id, done)
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        _name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        answer(session, id, false)
    }

    async fn window_change_request(
        &mut self,
        id: ChannelId,
        columns: u32,
        rows: u32,
        pixel_width: u32,
        pixel_height: u32,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let size = size(columns, rows, pixel_width, pixel_height);
        let done = match self.channels.get_mut(&id) {
            Some(open) => match (&mut open.running, &mut open.terminal) {
                (Some(running), _) => running.resize(size),
                (None, Some(terminal)) => {
                    terminal.size = size;
                    true
                }
                (None, None) => false,
            },
            None => false,
        };
        answer(session, id, done)
    }

    async fn signal(
        &mut self,
        id: ChannelId,
        signal: Sig,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        if let Some(running) = self.running(id) {
            running.signal(&signal);
        }
        Ok(())
    }

    async fn data(
        &mut self,
        id: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let Some(running) = self.running(id) else {
            return Ok(());
        };
        if running.stdin(data).is_err() {
            tracing::warn!("a command of the embedded target does not read its input");
            self.channels.remove(&id);
            session.close(id)?;
        }
        Ok(())
    }

    async fn channel_eof(
        &mut self,
        id: ChannelId,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        if let Some(running) = self.running(id) {
            running.stdin_eof();
        }
        Ok(())
    }

    async fn channel_close(
        &mut self,
        id: ChannelId,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        // Dropping what runs there ends it.
        self.channels.remove(&id);
        Ok(())
    }
}

/// A terminal's size; numbers that no terminal has are capped.
fn size(columns: u32, rows: u32, pixel_width: u32, pixel_height: u32) -> Size {
    let cap = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
    Size::new_with_pixel(cap(rows), cap(columns), cap(pixel_width), cap(pixel_height))
}
