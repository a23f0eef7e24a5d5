//! russh on both sides, a channel between them.

use std::borrow::Cow;
use std::net::TcpStream;
use std::sync::Arc;

use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{PrivateKey, PublicKeyOrCertificate};
use russh::server::{Auth, ChannelOpenHandle, Msg, Session};
use russh::{Channel, ChannelId, ChannelMsg, Preferred, cipher, client, server};
use tokio::io::AsyncReadExt as _;

use crate::connection;

pub(crate) fn pump(cipher: &str, bytes: u64) {
    let (near, far) = connection();
    let preferred = preferred(cipher);
    // As many as the two threads of the others.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let server = runtime.spawn(send(into_tokio(&runtime, far), preferred.clone(), bytes));
    let near = into_tokio(&runtime, near);
    runtime.block_on(async {
        receive(near, preferred, bytes).await;
        server.abort();
    });
}

fn preferred(cipher: &str) -> Preferred {
    let cipher = match cipher {
        "aes256-gcm@openssh.com" => cipher::AES_256_GCM,
        _ => cipher::CHACHA20_POLY1305,
    };
    Preferred {
        cipher: Cow::Owned(vec![cipher]),
        ..Preferred::default()
    }
}

fn into_tokio(runtime: &tokio::runtime::Runtime, stream: TcpStream) -> tokio::net::TcpStream {
    stream.set_nonblocking(true).expect("a socket option");
    let _guard = runtime.enter();
    tokio::net::TcpStream::from_std(stream).expect("a stream")
}

struct Zeros {
    bytes: u64,
    channel: Option<Channel<Msg>>,
}

impl server::Handler for Zeros {
    type Error = russh::Error;

    async fn auth_none(&mut self, _user: &str) -> Result<Auth, Self::Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.channel = Some(channel);
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        _command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(id)?;
        let (channel, bytes) = (self.channel.take().expect("one command"), self.bytes);
        tokio::spawn(async move {
            let zeros = tokio::io::repeat(0).take(bytes);
            // The client goes away once it has all.
            let _ = channel.data(zeros).await;
        });
        Ok(())
    }
}

async fn send(stream: tokio::net::TcpStream, preferred: Preferred, bytes: u64) {
    let config = server::Config {
        keys: vec![PrivateKey::from(Ed25519Keypair::from_seed(&[7; 32]))],
        preferred,
        ..server::Config::default()
    };
    let zeros = Zeros {
        bytes,
        channel: None,
    };
    let session = server::run_stream(Arc::new(config), stream, zeros)
        .await
        .expect("a client");
    let _ = session.await;
}

struct AnyHostKey;

impl client::Handler for AnyHostKey {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

async fn receive(stream: tokio::net::TcpStream, preferred: Preferred, bytes: u64) {
    let config = client::Config {
        preferred,
        ..client::Config::default()
    };
    let mut session = client::connect_stream(Arc::new(config), stream, AnyHostKey)
        .await
        .expect("a server");
    let login = session
        .authenticate_none("anybody")
        .await
        .expect("an answer");
    assert!(login.success());
    let mut channel = session.channel_open_session().await.expect("a channel");
    channel.exec(true, "zeros").await.expect("a command");
    let mut received = 0;
    while received < bytes {
        match channel.wait().await {
            Some(ChannelMsg::Data { data }) => received += data.len() as u64,
            Some(_) => {}
            None => panic!("ended after {received} bytes"),
        }
    }
}
