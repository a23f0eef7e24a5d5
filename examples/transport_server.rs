//! Lets `ssh` in and runs its commands: `ssh-transport` over a socket of the standard library, and nothing else of Portreeve.

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use examples::session_channel::Message;
use examples::session_server::SessionServer;
use examples::shell_command::CommandEvent;
use ssh_key::{AuthorizedKeys, HashAlg, PrivateKey, SigningKey};
use ssh_transport::{
    AuthAttempt, AuthMethod, HostKey, HostKeyAlgorithm, Server, ServerConfig, ServerEvent,
};

/// How much may wait in a connection's queue before whoever fills it has to wait, in events.
const QUEUE_LENGTH: usize = 16;

/// Accept SSH connections and run their commands with /bin/sh, as the user who started this, whatever user they name.
#[derive(Debug, Parser)]
#[command(name = "transport_server")]
struct Arguments {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:2022")]
    listen: SocketAddr,
    /// The public keys that may log in. A line with options is not taken, as none of them would be kept
    #[arg(long, value_name = "FILE")]
    authorized_keys: PathBuf,
    /// The host key, in OpenSSH's format and without a passphrase. Without it, one is made that nobody can know tomorrow
    #[arg(long, value_name = "FILE")]
    host_key: Option<PathBuf>,
}

/// What all connections share.
struct House {
    host_key: PrivateKey,
    offered: HostKey,
    /// Blobs of the keys that may log in.
    guests: Vec<Vec<u8>>,
    config: Arc<ServerConfig>,
}

fn main() -> ExitCode {
    let Err(error) = run(&Arguments::parse());
    eprintln!("transport_server: {error}");
    ExitCode::FAILURE
}

fn run(arguments: &Arguments) -> Result<std::convert::Infallible, Box<dyn Error>> {
    let house = Arc::new(House::open(arguments)?);
    let listener = TcpListener::bind(arguments.listen)
        .map_err(|error| format!("cannot listen on {}: {error}", arguments.listen))?;
    let key = house.host_key.public_key();
    println!(
        "listening on {}, host key {}",
        listener.local_addr()?,
        key.fingerprint(HashAlg::Sha256)
    );
    loop {
        let (stream, peer) = listener.accept()?;
        let house = Arc::clone(&house);
        thread::spawn(move || match serve(&house, stream) {
            Ok(()) => eprintln!("{peer}: ended"),
            Err(error) => eprintln!("{peer}: {error}"),
        });
    }
}

impl House {
    fn open(arguments: &Arguments) -> Result<Self, Box<dyn Error>> {
        let host_key = match &arguments.host_key {
            Some(file) => PrivateKey::read_openssh_file(file)
                .map_err(|error| format!("cannot read the host key {}: {error}", file.display()))?,
            None => examples::fresh::ed25519("transport_server")?,
        };
        // The algorithm of an RSA key has another name than the key.
        let name = match host_key.algorithm() {
            ssh_key::Algorithm::Rsa { .. } => "rsa-sha2-512".to_owned(),
            other => other.to_string(),
        };
        let offered = HostKey {
            algorithm: HostKeyAlgorithm::from_name(&name)
                .ok_or("the host key is of no kind that is known here")?,
            public_key: host_key.public_key().to_bytes()?,
        };
        let file = arguments.authorized_keys.display();
        let entries = AuthorizedKeys::read_file(&arguments.authorized_keys)
            .map_err(|error| format!("cannot read {file}: {error}"))?;
        let mut guests = Vec::new();
        for entry in entries {
            if entry.config_opts().is_empty() {
                guests.push(entry.public_key().to_bytes()?);
            } else {
                eprintln!(
                    "{file}: a key with options is not taken: {}",
                    entry.public_key().fingerprint(HashAlg::Sha256)
                );
            }
        }
        Ok(Self {
            host_key,
            offered,
            guests,
            config: Arc::default(),
        })
    }

    fn knows(&self, attempt: &AuthAttempt) -> bool {
        matches!(&attempt.method, AuthMethod::PublicKey { public_key, .. } if self.guests.contains(public_key))
    }
}

/// What a connection waits for.
enum Event {
    Received(Vec<u8>),
    HungUp,
    Command(CommandEvent),
}

impl From<CommandEvent> for Event {
    fn from(event: CommandEvent) -> Self {
        Self::Command(event)
    }
}

fn serve(house: &House, stream: TcpStream) -> Result<(), Box<dyn Error>> {
    stream.set_nodelay(true)?;
    let (events, queue) = sync_channel(QUEUE_LENGTH);
    let (reader, received) = (stream.try_clone()?, events.clone());
    thread::spawn(move || read(reader, &received));
    let mut ssh = Server::new(
        Arc::clone(&house.config),
        *examples::fresh::seed()?,
        Duration::ZERO,
    );
    ssh.start(std::slice::from_ref(&house.offered), Duration::ZERO)?;
    let mut connection = Connection {
        house,
        ssh,
        begun: Instant::now(),
        inbox: Vec::new(),
        session: SessionServer::new(events),
    };
    let result = connection.run(&stream, &queue);
    // The thread that reads is to end, too.
    let _ = stream.shutdown(std::net::Shutdown::Both);
    result
}

fn read(mut stream: TcpStream, received: &SyncSender<Event>) {
    let mut chunk = vec![0; 64 * 1024];
    while let Ok(len @ 1..) = stream.read(&mut chunk) {
        let bytes = chunk.get(..len).unwrap_or_default().to_vec();
        if received.send(Event::Received(bytes)).is_err() {
            return;
        }
    }
    let _ = received.send(Event::HungUp);
}

struct Connection<'a> {
    house: &'a House,
    ssh: Server,
    begun: Instant,
    inbox: Vec<u8>,
    session: SessionServer<Event>,
}

impl Connection<'_> {
    fn run(
        &mut self,
        mut stream: &TcpStream,
        queue: &Receiver<Event>,
    ) -> Result<(), Box<dyn Error>> {
        loop {
            if let Some(bytes) = self.ssh.poll_output() {
                stream.write_all(&bytes)?;
            }
            if self.ssh.is_closed() {
                return Ok(());
            }
            let left = self
                .ssh
                .poll_timeout()
                .map_or(Duration::MAX, |at| at.saturating_sub(self.begun.elapsed()));
            let handled = match queue.recv_timeout(left) {
                Ok(Event::Received(bytes)) => self.handle_input(&bytes),
                Ok(Event::Command(event)) => self.tell_command(event),
                Ok(Event::HungUp) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => {
                    Ok(self.ssh.handle_timeout(self.begun.elapsed())?)
                }
            };
            if let Err(error) = handled {
                // What a failure has to say to the client.
                if let Some(bytes) = self.ssh.poll_output() {
                    let _ = stream.write_all(&bytes);
                }
                return Err(error);
            }
        }
    }

    fn tell_command(&mut self, event: CommandEvent) -> Result<(), Box<dyn Error>> {
        let replies = self.session.handle_command(event)?;
        self.send(replies)
    }

    fn send(&mut self, messages: Vec<Vec<u8>>) -> Result<(), Box<dyn Error>> {
        for message in messages {
            self.ssh.send_packet(&message, self.begun.elapsed())?;
        }
        Ok(())
    }

    fn handle_input(&mut self, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
        self.inbox.extend_from_slice(bytes);
        let mut inbox = std::mem::take(&mut self.inbox);
        let mut at = 0;
        loop {
            let rest = inbox.get_mut(at..).unwrap_or_default();
            let progress = self.ssh.handle_input(rest, self.begun.elapsed())?;
            if let Some(payload) = progress.payload.and_then(|range| rest.get(range)) {
                let replies = self.session.handle_message(Message::parse(payload)?)?;
                self.send(replies)?;
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
        self.inbox = inbox;
        Ok(())
    }

    fn handle_event(&mut self, event: ServerEvent) -> Result<(), Box<dyn Error>> {
        let now = self.begun.elapsed();
        match event {
            ServerEvent::SignExchangeHash(request) => {
                let signature = sign(&self.house.host_key, &request.data)?;
                self.ssh.signed(request.id, &signature, now)?;
            }
            ServerEvent::AuthAttempt(attempt) if self.house.knows(&attempt) => {
                self.ssh.accept(attempt.id, now)?
            }
            ServerEvent::AuthAttempt(attempt) => self.ssh.reject(attempt.id, &["publickey"], now),
            _ => {}
        }
        Ok(())
    }
}

/// A signature blob. An RSA key signs with SHA-512.
fn sign(key: &impl SigningKey, data: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    Ok(key.try_sign(data)?.try_into()?)
}
