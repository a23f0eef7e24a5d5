//! A person's security key in software, in an agent that stock `ssh` talks to.

use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use sha2::{Digest, Sha256};
use ssh_transport::Ed25519Key;

const SK: &[u8] = b"sk-ssh-ed25519@openssh.com";
/// What keys for logging in are made for.
const APPLICATION: &[u8] = b"ssh:";

/// Somebody touched the key (OpenSSH `PROTOCOL.u2f`).
pub const TOUCHED: u8 = 1;
/// The key verified its user.
pub const VERIFIED: u8 = 4;

const FAILURE: u8 = 5;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;

/// What an agent is asked at most: it is asked by `ssh`.
const MAX_REQUEST_BYTES: usize = 64 * 1024;

/// An `sk-ssh-ed25519@openssh.com` key that says of itself whatever it is told to say.
#[derive(Clone, Copy)]
pub struct SecurityKey {
    /// Its private half.
    pub seed: [u8; 32],
    /// What it says with each signature.
    pub flags: u8,
}

impl SecurityKey {
    /// The key with this number, which somebody touches.
    pub fn touched(number: u8) -> Self {
        Self {
            seed: [number; 32],
            flags: TOUCHED,
        }
    }

    fn key(&self) -> Ed25519Key {
        Ed25519Key::from_seed(self.seed.into())
    }

    fn blob(&self) -> Vec<u8> {
        // The public half ends the blob of the plain key.
        let plain = self.key().public_key_blob();
        let public = &plain[plain.len() - 32..];
        [string(SK), string(public), string(APPLICATION)].concat()
    }

    /// Its line in a `.pub` file.
    ///
    /// # Panics
    ///
    /// Never: the key is well formed.
    pub fn line(&self) -> String {
        let key = ssh_key::PublicKey::from_bytes(&self.blob()).expect("a public key");
        key.to_openssh().expect("a line")
    }

    /// A signature blob over `data` (OpenSSH `PROTOCOL.u2f`).
    fn sign(&self, data: &[u8], counter: u32) -> Vec<u8> {
        let said = [&[self.flags][..], &counter.to_be_bytes()].concat();
        let application = Sha256::digest(APPLICATION);
        let signed = [&application[..], &said, &Sha256::digest(data)[..]].concat();
        // The signature ends the blob of the plain key.
        let plain = self.key().sign(&signed);
        let signature = &plain[plain.len() - 64..];
        [string(SK), string(signature), said].concat()
    }
}

/// An agent with one security key, which serves until the test process ends.
pub struct Agent {
    /// For `IdentityAgent`.
    pub socket: PathBuf,
    counter: Arc<AtomicU32>,
}

impl Agent {
    /// Serves on this socket.
    ///
    /// # Panics
    ///
    /// When the socket cannot be made.
    pub fn serve(socket: &Path, key: SecurityKey) -> Self {
        let listener = UnixListener::bind(socket).expect("a socket for the agent");
        let counter = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&counter);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A connection ends when `ssh` closes it.
                let _ = answer(stream, key, &counted);
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

/// Answers requests to list keys and to sign (`draft-ietf-sshm-ssh-agent`), and no others.
fn answer(mut stream: UnixStream, key: SecurityKey, counter: &AtomicU32) -> io::Result<()> {
    loop {
        let request = read_string(&mut stream)?;
        let answer = match request.first() {
            Some(&REQUEST_IDENTITIES) => {
                let one = 1_u32.to_be_bytes().to_vec();
                [
                    vec![IDENTITIES_ANSWER],
                    one,
                    string(&key.blob()),
                    string(b"security key"),
                ]
                .concat()
            }
            Some(&SIGN_REQUEST) => {
                let mut fields = &request[1..];
                let (_, data) = (read_string(&mut fields)?, read_string(&mut fields)?);
                let count = counter.fetch_add(1, Ordering::SeqCst) + 1;
                [vec![SIGN_RESPONSE], string(&key.sign(&data, count))].concat()
            }
            // Such as `session-bind@openssh.com`.
            _ => vec![FAILURE],
        };
        stream.write_all(&string(&answer))?;
    }
}

fn string(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes()[..], bytes].concat()
}

fn read_string(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > MAX_REQUEST_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}
