//! russh, in this process.

use std::borrow::Cow;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::{
    Algorithm, EcdsaCurve, PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate,
    load_secret_key,
};
use russh::server::{ChannelOpenHandle, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelMsg, Limits, Preferred, client, server};
use ssh_transport::HostKeyAlgorithm;

use super::keys;
use super::rows::{ClientPeer, ServerPeer};

/// Everything that it has, not only what it likes.
fn everything() -> Preferred {
    let mut kex: Vec<_> = russh::kex::ALL_KEX_ALGORITHMS
        .iter()
        .map(|name| **name)
        .filter(|name| *name != russh::kex::NONE)
        .collect();
    kex.extend([
        russh::kex::EXTENSION_SUPPORT_AS_CLIENT,
        russh::kex::EXTENSION_SUPPORT_AS_SERVER,
        russh::kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
        russh::kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
    ]);
    let curve = |curve| Algorithm::Ecdsa { curve };
    let key = vec![
        Algorithm::Ed25519,
        curve(EcdsaCurve::NistP256),
        curve(EcdsaCurve::NistP384),
        curve(EcdsaCurve::NistP521),
    ];
    let ciphers = russh::cipher::ALL_CIPHERS.iter().map(|name| **name);
    let macs = russh::mac::ALL_MAC_ALGORITHMS.iter().map(|name| **name);
    Preferred {
        kex: Cow::Owned(kex),
        key: Cow::Owned(key),
        cipher: Cow::Owned(
            ciphers
                .filter(|name| ![russh::cipher::CLEAR, russh::cipher::NONE].contains(name))
                .collect(),
        ),
        mac: Cow::Owned(macs.filter(|name| *name != russh::mac::NONE).collect()),
        ..Preferred::default()
    }
}

/// Keys are exchanged again after this many bytes.
fn limits() -> Limits {
    Limits::new(100_000, 100_000, Duration::from_secs(3600))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

struct AnyHostKey;

impl client::Handler for AnyHostKey {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

pub(crate) struct RusshClient;

async fn download(
    port: u16,
    key: PrivateKey,
    command: &str,
) -> Result<(Vec<u8>, u32), russh::Error> {
    let config = client::Config {
        preferred: everything(),
        limits: limits(),
        ..client::Config::default()
    };
    let mut session = client::connect(Arc::new(config), ("127.0.0.1", port), AnyHostKey).await?;
    let key = PrivateKeyWithHashAlg::new(Arc::new(key), None);
    if !session
        .authenticate_publickey("alice", key)
        .await?
        .success()
    {
        return Err(russh::Error::NotAuthenticated);
    }
    let mut channel = session.channel_open_session().await?;
    channel.exec(true, command).await?;
    let (mut data, mut status) = (Vec::new(), u32::MAX);
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::Data { data: more } => data.extend_from_slice(&more),
            ChannelMsg::ExitStatus { exit_status } => status = exit_status,
            _ => {}
        }
    }
    Ok((data, status))
}

fn load(folder: &Path, name: &str) -> PrivateKey {
    load_secret_key(folder.join(name), None).unwrap()
}

impl ClientPeer for RusshClient {
    fn name(&self) -> &'static str {
        "russh"
    }

    fn exchanges_again(&self) -> bool {
        // Only for what it sends.
        false
    }

    fn has_rsa(&self) -> bool {
        false
    }

    fn run(
        &self,
        port: u16,
        _: &[u8],
        login: HostKeyAlgorithm,
        command: &str,
    ) -> Result<(Vec<u8>, u32), String> {
        let folder = tempfile::tempdir().unwrap();
        let name = keys::file_name(login);
        let kind = keys::FILES
            .iter()
            .find(|(file, _)| *file == name)
            .unwrap()
            .1;
        super::common::tools::keygen(folder.path(), name, kind);
        let downloaded = download(port, load(folder.path(), name), command);
        runtime()
            .block_on(downloaded)
            .map_err(|error| error.to_string())
    }
}

/// Sends back what it gets.
struct Echo;

impl server::Handler for Echo {
    type Error = russh::Error;

    async fn auth_publickey(
        &mut self,
        _: &str,
        _: VerifiedPublicKey<'_>,
    ) -> Result<server::Auth, Self::Error> {
        Ok(server::Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        _: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)
    }

    async fn data(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.data(channel, data.to_vec())
    }

    async fn channel_eof(
        &mut self,
        channel: ChannelId,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.exit_status_request(channel, 0)?;
        session.eof(channel)?;
        session.close(channel)
    }
}

pub(crate) struct RusshServer {
    runtime: tokio::runtime::Runtime,
    config: Arc<server::Config>,
}

impl RusshServer {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        keys::make_files(folder.path());
        let config = server::Config {
            keys: keys::FILES
                .iter()
                .map(|(name, _)| load(folder.path(), name))
                .collect(),
            preferred: everything(),
            limits: limits(),
            ..server::Config::default()
        };
        Self {
            runtime: runtime(),
            config: Arc::new(config),
        }
    }
}

impl ServerPeer for RusshServer {
    fn name(&self) -> &'static str {
        "russh"
    }

    fn exchanges_again(&self) -> bool {
        true
    }

    fn has_rsa(&self) -> bool {
        false
    }

    fn connect(&self) -> TcpStream {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        accepted.set_nonblocking(true).unwrap();
        let config = Arc::clone(&self.config);
        self.runtime.spawn(async move {
            let stream = tokio::net::TcpStream::from_std(accepted).unwrap();
            server::run_stream(config, stream, Echo)
                .await
                .unwrap()
                .await
        });
        client
    }
}
