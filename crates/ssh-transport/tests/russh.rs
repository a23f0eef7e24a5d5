//! russh, another implementation in Rust, on either side: the judge of the post-quantum key exchange.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail"
)]

mod common;

use std::borrow::Cow;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use common::channel::{SessionServer, exec, pattern, serve};
use common::{ClientEnd, Login, ServerEnd, TestKey};
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{PrivateKey, PublicKeyOrCertificate};
use russh::server::{ChannelOpenHandle, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelMsg, Limits, Preferred, client, server};
use ssh_transport::{Algorithms, CipherAlgorithm, ClientConfig, KexAlgorithm, ServerConfig};

const KEX: [(KexAlgorithm, russh::kex::Name); 3] = [
    (
        KexAlgorithm::MlKem768X25519Sha256,
        russh::kex::MLKEM768X25519_SHA256,
    ),
    (KexAlgorithm::Curve25519Sha256, russh::kex::CURVE25519),
    (KexAlgorithm::EcdhNistP256, russh::kex::ECDH_SHA2_NISTP256),
];

/// Those that russh offers unasked, one for each of the above.
const CIPHERS: [CipherAlgorithm; 3] = [
    CipherAlgorithm::Aes256Gcm,
    CipherAlgorithm::ChaCha20Poly1305,
    CipherAlgorithm::Aes256Gcm,
];

/// Data above russh's limit for one key, so that keys are exchanged again under load.
const DATA_BYTES: usize = 3 << 20;

fn preferred(kex: russh::kex::Name) -> Preferred {
    let kex = vec![
        kex,
        russh::kex::EXTENSION_SUPPORT_AS_CLIENT,
        russh::kex::EXTENSION_SUPPORT_AS_SERVER,
        russh::kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
        russh::kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
    ];
    Preferred {
        kex: Cow::Owned(kex),
        ..Preferred::default()
    }
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

/// Runs `send` of our server through russh's client.
async fn download(stream: TcpStream, kex: russh::kex::Name) -> (Vec<u8>, Option<u32>) {
    stream.set_nonblocking(true).unwrap();
    let stream = tokio::net::TcpStream::from_std(stream).unwrap();
    let config = client::Config {
        preferred: preferred(kex),
        limits: Limits::new(1 << 20, 1 << 20, Duration::from_secs(3600)),
        ..client::Config::default()
    };
    let mut session = client::connect_stream(Arc::new(config), stream, AnyHostKey)
        .await
        .unwrap();
    assert!(session.authenticate_none("alice").await.unwrap().success());
    let mut channel = session.channel_open_session().await.unwrap();
    channel
        .exec(true, format!("send {DATA_BYTES}"))
        .await
        .unwrap();
    let (mut data, mut status) = (Vec::new(), None);
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::Data { data: more } => data.extend_from_slice(&more),
            ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
            _ => {}
        }
    }
    (data, status)
}

#[test]
fn russh_as_client_takes_our_server_with_each_key_exchange() {
    let expected: Vec<u8> = (0..DATA_BYTES).map(|i| pattern(DATA_BYTES - i)).collect();
    for (ours, theirs) in KEX {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let server = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut config = ServerConfig {
                algorithms: Algorithms::compatible(),
                ..ServerConfig::default()
            };
            config.rekey.max_bytes = 1_500_000;
            let mut end = ServerEnd::new(config, 5, vec![TestKey::ed25519(7)]);
            serve(stream, &mut end, &mut SessionServer::default()).unwrap();
            end
        });
        let (data, status) = runtime().block_on(download(stream, theirs));
        assert!(data == expected, "{ours:?}: {} bytes", data.len());
        assert_eq!(status, Some(0));
        let end = server.join().unwrap();
        assert_eq!(end.exchanges[0].kex, ours.name());
        assert!(
            end.exchanges[0].strict && end.exchanges.len() > 2,
            "{} exchanges",
            end.exchanges.len()
        );
    }
}

/// Sends back what it gets, and 5 as the status.
struct Echo;

impl server::Handler for Echo {
    type Error = russh::Error;

    async fn auth_publickey(
        &mut self,
        _user: &str,
        _key: VerifiedPublicKey<'_>,
    ) -> Result<server::Auth, Self::Error> {
        Ok(server::Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        _command: &[u8],
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
        session.exit_status_request(channel, 5)?;
        session.eof(channel)?;
        session.close(channel)
    }
}

#[test]
fn our_client_takes_russh_as_server_with_each_key_exchange_and_cipher() {
    let data: Vec<u8> = (0..DATA_BYTES).map(pattern).collect();
    for (index, (ours, theirs)) in KEX.into_iter().enumerate() {
        let runtime = runtime();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        accepted.set_nonblocking(true).unwrap();
        let config = server::Config {
            keys: vec![PrivateKey::from(Ed25519Keypair::from_seed(&[9; 32]))],
            preferred: preferred(theirs),
            limits: Limits::new(1 << 20, 1 << 20, Duration::from_secs(3600)),
            ..server::Config::default()
        };
        runtime.spawn(async move {
            let stream = tokio::net::TcpStream::from_std(accepted).unwrap();
            server::run_stream(Arc::new(config), stream, Echo)
                .await
                .unwrap()
                .await
        });
        let mut config = ClientConfig::default();
        config.algorithms.kex = vec![ours];
        config.algorithms.ciphers = vec![CIPHERS[index]];
        let key = TestKey::ed25519(3);
        let login = Login::Key {
            algorithm: "ssh-ed25519".to_owned(),
            blob: key.blob,
            sign: key.sign,
        };
        let mut end = ClientEnd::new(config, 6, login);
        let outcome = exec(stream, &mut end, "cat", &data);
        assert!(
            outcome.stdout == data,
            "{ours:?}: {} bytes",
            outcome.stdout.len()
        );
        assert_eq!(outcome.status, Some(5));
        assert_eq!(end.exchanges[0].kex, ours.name());
        assert!(
            end.exchanges[0].strict && end.exchanges.len() > 1,
            "{} exchanges",
            end.exchanges.len()
        );
    }
}
