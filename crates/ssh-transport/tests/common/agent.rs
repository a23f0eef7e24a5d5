//! An agent that holds one security key in software (the agent protocol of `draft-ietf-sshm-ssh-agent`).

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
};

use super::tools;
use super::wire::{Fields, Message};

/// Somebody touched the key (OpenSSH `PROTOCOL.u2f`).
pub const TOUCHED: u8 = 1;
/// The key verified its user.
pub const VERIFIED: u8 = 4;

const FAILURE: u8 = 5;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;

enum Private {
    Ed25519(Ed25519KeyPair),
    Ecdsa(EcdsaKeyPair),
}

/// A security key that says of itself whatever it is told to say.
pub struct SecurityKey {
    private: Private,
    application: String,
    pub blob: Vec<u8>,
    pub flags: u8,
    /// What happens to a signature before it is given out.
    pub spoil: fn(&mut Vec<u8>),
}

impl SecurityKey {
    pub fn ed25519(application: &str) -> Self {
        let key = Ed25519KeyPair::generate().unwrap();
        let blob = Message::bare()
            .string("sk-ssh-ed25519@openssh.com")
            .string(key.public_key())
            .string(application)
            .done();
        Self::new(Private::Ed25519(key), application, blob)
    }

    pub fn ecdsa(application: &str) -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let blob = Message::bare()
            .string("sk-ecdsa-sha2-nistp256@openssh.com")
            .string("nistp256")
            .string(key.public_key())
            .string(application)
            .done();
        Self::new(Private::Ecdsa(key), application, blob)
    }

    fn new(private: Private, application: &str, blob: Vec<u8>) -> Self {
        Self {
            private,
            application: application.to_owned(),
            blob,
            flags: TOUCHED,
            spoil: |_| {},
        }
    }

    fn name(&self) -> &str {
        Fields(&self.blob).text()
    }

    /// Its line in a `.pub` file.
    pub fn line(&self) -> String {
        format!("{} {} sk\n", self.name(), tools::base64_of(&self.blob))
    }

    /// A signature blob over `data` (OpenSSH `PROTOCOL.u2f`).
    fn sign(&self, data: &[u8], counter: u32) -> Vec<u8> {
        let signed = Message::bare()
            .raw(digest(&SHA256, self.application.as_bytes()))
            .byte(self.flags)
            .word(counter)
            .raw(digest(&SHA256, data))
            .done();
        let signature = match &self.private {
            Private::Ed25519(key) => key.sign(&signed).as_ref().to_vec(),
            Private::Ecdsa(key) => {
                let signature = key.sign(&SystemRandom::new(), &signed).unwrap();
                let (r, s) = signature.as_ref().split_at(32);
                Message::bare().mpint(r).mpint(s).done()
            }
        };
        let mut blob = Message::bare()
            .string(self.name())
            .string(signature)
            .byte(self.flags)
            .word(counter)
            .done();
        (self.spoil)(&mut blob);
        blob
    }
}

/// An agent that serves on a socket until the test process ends.
pub struct Agent {
    pub socket: PathBuf,
    counter: Arc<AtomicU32>,
}

impl Agent {
    /// Shows the certificate, if there is one, instead of the key.
    pub fn serve(socket: &Path, key: SecurityKey, certificate: Option<Vec<u8>>) -> Self {
        let _ = std::fs::remove_file(socket);
        let listener = UnixListener::bind(socket).unwrap();
        let counter = Arc::new(AtomicU32::new(0));
        let counted = counter.clone();
        let shown = certificate.unwrap_or_else(|| key.blob.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // A connection ends when `ssh` closes it.
                let _ = answer(stream.unwrap(), &key, &shown, &counted);
            }
        });
        Self {
            socket: socket.to_owned(),
            counter,
        }
    }

    /// How often it has signed.
    pub fn signatures(&self) -> u32 {
        self.counter.load(Ordering::SeqCst)
    }
}

fn answer(
    mut stream: UnixStream,
    key: &SecurityKey,
    shown: &[u8],
    counter: &AtomicU32,
) -> std::io::Result<()> {
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut request = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut request)?;
        let mut fields = Fields(&request);
        let answer = match fields.byte() {
            REQUEST_IDENTITIES => Message::new(IDENTITIES_ANSWER)
                .word(1)
                .string(shown)
                .string("sk"),
            SIGN_REQUEST => {
                assert_eq!(fields.string(), shown);
                let count = counter.fetch_add(1, Ordering::SeqCst) + 1;
                Message::new(SIGN_RESPONSE).string(key.sign(fields.string(), count))
            }
            // Such as `session-bind@openssh.com`.
            _ => Message::new(FAILURE),
        };
        stream.write_all(&Message::bare().string(answer.done()).done())?;
    }
}
