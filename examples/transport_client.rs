//! Runs one command on any SSH server: `ssh-transport` over a socket of the standard library, and nothing else of Portreeve.

use std::error::Error;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use examples::session_channel::{self as channel, Message, WINDOW_BYTES};
use ssh_key::encoding::Decode as _;
use ssh_key::{HashAlg, PrivateKey, PublicKey, SigningKey};
use ssh_transport::{
    Client, ClientAuth, ClientConfig, ClientEvent, DisconnectReason, HostKeyQuestion,
};

/// What `ssh` exits with when not the command but the connection failed.
const FAILED: u8 = 255;

/// Run one command on an SSH server and exit with its status.
#[derive(Debug, Parser)]
#[command(name = "transport_client")]
struct Arguments {
    /// The server's port
    #[arg(short, long, default_value_t = 22)]
    port: u16,
    /// The private key to log in with, in OpenSSH's format and without a passphrase
    #[arg(short, long, value_name = "FILE")]
    identity: PathBuf,
    /// The server's host key: `SHA256:…`, or its line of a known_hosts or .pub file. Without it, the key is shown and refused
    #[arg(long, value_name = "KEY")]
    host_key: Option<String>,
    /// Who to be, and where
    #[arg(value_name = "USER@HOST")]
    destination: String,
    /// The command, which the user's shell on the server reads
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("transport_client: {error}");
            ExitCode::from(FAILED)
        }
    }
}

fn run(arguments: &Arguments) -> Result<u8, Box<dyn Error>> {
    let (user, host) = arguments
        .destination
        .rsplit_once('@')
        .ok_or("the destination is not USER@HOST")?;
    let file = arguments.identity.display();
    let key = PrivateKey::read_openssh_file(&arguments.identity)
        .map_err(|error| format!("cannot read the private key {file}: {error}"))?;
    if key.is_encrypted() {
        return Err(format!("the private key {file} has a passphrase").into());
    }
    let stream = TcpStream::connect((host, arguments.port))
        .map_err(|error| format!("cannot connect to {host} port {}: {error}", arguments.port))?;
    stream.set_nodelay(true)?;
    let begun = Instant::now();
    let ssh = Client::new(
        Arc::new(ClientConfig::default()),
        *examples::fresh::seed()?,
        Duration::ZERO,
    );
    let mut session = Session {
        ssh,
        stream,
        begun,
        user,
        key,
        arguments,
        channel: 0,
        is_over: false,
        status: None,
        taken_bytes: 0,
    };
    session.run()
}

/// One connection from its first byte to the exit status.
struct Session<'a> {
    ssh: Client,
    stream: TcpStream,
    begun: Instant,
    user: &'a str,
    key: PrivateKey,
    arguments: &'a Arguments,
    /// The server's number for the channel.
    channel: u32,
    is_over: bool,
    status: Option<u32>,
    /// Data that came since the window was last made wider.
    taken_bytes: u32,
}

impl Session<'_> {
    fn run(&mut self) -> Result<u8, Box<dyn Error>> {
        let (mut inbox, mut chunk) = (Vec::new(), vec![0; 64 * 1024]);
        while !self.is_over {
            let handled = self.handle_input(&mut inbox);
            // Also what a failure has to say to the server.
            let flushed = self.flush();
            handled?;
            flushed?;
            if !self.is_over {
                let received = self.wait(&mut chunk)?;
                inbox.extend_from_slice(chunk.get(..received).unwrap_or_default());
            }
        }
        let status = self
            .status
            .ok_or("the command ended without an exit status")?;
        Ok(u8::try_from(status).unwrap_or(FAILED))
    }

    fn handle_input(&mut self, inbox: &mut Vec<u8>) -> Result<(), Box<dyn Error>> {
        let mut at = 0;
        while !self.is_over {
            let rest = inbox.get_mut(at..).unwrap_or_default();
            let progress = self.ssh.handle_input(rest, self.begun.elapsed())?;
            if let Some(payload) = progress.payload.and_then(|range| rest.get(range)) {
                self.handle_message(Message::parse(payload)?)?;
            }
            at += progress.consumed;
            let mut was_told = false;
            while let Some(event) = self.ssh.poll_event() {
                was_told = true;
                self.handle_event(event)?;
            }
            if progress.consumed == 0 && !was_told {
                break;
            }
        }
        inbox.drain(..at);
        Ok(())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.ssh
            .poll_output()
            .map_or(Ok(()), |bytes| self.stream.write_all(&bytes))
    }

    /// Reads what the server sends, or lets a timer act: 0 bytes.
    fn wait(&mut self, chunk: &mut [u8]) -> Result<usize, Box<dyn Error>> {
        let deadline = self.ssh.poll_timeout();
        // The socket takes no zero for a time.
        let left = deadline.map(|at| {
            at.saturating_sub(self.begun.elapsed())
                .max(Duration::from_millis(1))
        });
        self.stream.set_read_timeout(left)?;
        match self.stream.read(chunk) {
            Ok(0) => Err("the server closed the connection".into()),
            Ok(received) => Ok(received),
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) =>
            {
                let timed_out = self.ssh.handle_timeout(self.begun.elapsed());
                self.flush()?;
                Ok(timed_out.map(|()| 0)?)
            }
            Err(error) => Err(format!("the connection broke: {error}").into()),
        }
    }

    fn handle_event(&mut self, event: ClientEvent) -> Result<(), Box<dyn Error>> {
        let now = self.begun.elapsed();
        match event {
            ClientEvent::HostKey(question) => self.check_host_key(question)?,
            ClientEvent::KeyExchanged(exchange) if exchange.first => {
                let public_key = self.key.public_key().to_bytes()?;
                let method = ClientAuth::Key { public_key };
                self.ssh.authenticate(self.user, method, now)?;
            }
            ClientEvent::SignAuth(request) => {
                let signature = sign(&self.key, &request.data)?;
                self.ssh.signed(request.id, &signature, now)?;
            }
            ClientEvent::NoSignatureAlgorithm => {
                return Err("the server takes RSA with SHA-1 only".into());
            }
            ClientEvent::Banner(text) => eprint!("{text}"),
            ClientEvent::AuthFailed { remaining, .. } => {
                let remaining = remaining.join(", ");
                return Err(format!(
                    "{} may not log in with this key; the server takes: {remaining}",
                    self.user
                )
                .into());
            }
            ClientEvent::Authenticated => self.ssh.send_packet(&channel::open()?, now)?,
            ClientEvent::Disconnected { text, .. } => {
                return Err(format!("the server said: {text}").into());
            }
            _ => {}
        }
        Ok(())
    }

    fn check_host_key(&mut self, question: HostKeyQuestion) -> Result<(), Box<dyn Error>> {
        let shown = PublicKey::from_bytes(&question.public_key)?;
        let fingerprint = shown.fingerprint(HashAlg::Sha256).to_string();
        let is_expected = match self.arguments.host_key.as_deref() {
            Some(expected) if expected.starts_with("SHA256:") => expected == fingerprint,
            Some(line) => is_key_of_line(&shown, line),
            None => false,
        };
        if is_expected {
            return Ok(self
                .ssh
                .accept_host_key(question.id, self.begun.elapsed())?);
        }
        self.ssh.reject_host_key(question.id);
        let is = format!(
            "the server's host key is {} {fingerprint}",
            shown.algorithm()
        );
        Err(match self.arguments.host_key {
            Some(_) => format!("{is}, which is not the one expected: somebody may be in between"),
            None => format!("{is}; if it should be, run this again with --host-key {fingerprint}"),
        }
        .into())
    }

    fn handle_message(&mut self, message: Message) -> Result<(), Box<dyn Error>> {
        let now = self.begun.elapsed();
        let reply = match message {
            Message::Opened { channel } => {
                self.channel = channel;
                channel::exec(channel, &self.arguments.command.join(" "))?
            }
            Message::OpenFailed { why } => {
                return Err(format!("the server refused a session: {why}").into());
            }
            Message::RequestDone(false) => {
                return Err("the server refused to run the command".into());
            }
            // There is no input for the command.
            Message::RequestDone(true) => channel::eof(self.channel)?,
            Message::Data(bytes) => {
                std::io::stdout().write_all(&bytes)?;
                return self.widen_window(bytes.len());
            }
            Message::ErrorData(bytes) => {
                std::io::stderr().write_all(&bytes)?;
                return self.widen_window(bytes.len());
            }
            Message::Request { kind, rest, .. } if kind == "exit-status" => {
                self.status = Some(u32::decode(&mut rest.as_slice())?);
                return Ok(());
            }
            Message::Close => {
                self.ssh.send_packet(&channel::close(self.channel)?, now)?;
                self.ssh
                    .disconnect(DisconnectReason::ByApplication, "the command has ended");
                self.is_over = true;
                return Ok(());
            }
            Message::Request {
                wants_reply: true, ..
            } => channel::request_done(self.channel, false)?,
            Message::GlobalRequest => channel::global_request_refused(),
            Message::Open { channel, .. } => channel::open_refused(channel, "this is a client")?,
            _ => return Ok(()),
        };
        Ok(self.ssh.send_packet(&reply, now)?)
    }

    fn widen_window(&mut self, taken: usize) -> Result<(), Box<dyn Error>> {
        self.taken_bytes += u32::try_from(taken)?;
        if self.taken_bytes > WINDOW_BYTES / 2 {
            let message = channel::more_window(self.channel, self.taken_bytes)?;
            self.ssh.send_packet(&message, self.begun.elapsed())?;
            self.taken_bytes = 0;
        }
        Ok(())
    }
}

/// A signature blob. An RSA key signs with SHA-512.
fn sign(key: &impl SigningKey, data: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    Ok(key.try_sign(data)?.try_into()?)
}

/// Whether a line of a known_hosts or .pub file has this key, after names and marks that are not looked at.
fn is_key_of_line(key: &PublicKey, line: &str) -> bool {
    let Ok(text) = key.to_openssh() else {
        return false;
    };
    let wanted: Vec<_> = text.split_whitespace().take(2).collect();
    let words: Vec<_> = line.split_whitespace().collect();
    words.windows(2).any(|pair| pair == wanted)
}
