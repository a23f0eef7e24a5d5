//! A person's key in software; one that plays a security key says of itself whatever it is told to say.

use sha2::{Digest as _, Sha256};

use super::{ed25519, packets};

/// Somebody touched the key (OpenSSH `PROTOCOL.u2f`).
pub const TOUCHED: u8 = 1;
/// The key verified its user.
pub const VERIFIED: u8 = 4;

const PLAIN: &[u8] = b"ssh-ed25519";
const IN_SECURITY_KEY: &[u8] = b"sk-ssh-ed25519@openssh.com";

/// An Ed25519 key.
#[derive(Clone)]
pub struct SoftKey {
    pub seed: [u8; 32],
    /// What it plays a security key for; a plain key if nothing.
    pub application: Option<&'static str>,
    pub flags: u8,
    pub counter: u32,
    /// Signs this in the place of what it is asked to sign.
    pub signs: fn(&[u8]) -> Vec<u8>,
}

impl SoftKey {
    /// As a security key that is touched.
    pub fn touched(seed: u8) -> Self {
        Self {
            seed: [seed; 32],
            application: Some("ssh:"),
            flags: TOUCHED,
            counter: 7,
            signs: <[u8]>::to_vec,
        }
    }

    /// In a file.
    pub fn plain(seed: u8) -> Self {
        Self {
            application: None,
            ..Self::touched(seed)
        }
    }

    pub fn blob(&self) -> Vec<u8> {
        // The last 32 bytes of the plain blob are the key.
        let public_key = ed25519(self.seed).public_key_blob().split_off(19);
        match self.application {
            None => [packets::string(PLAIN), packets::string(&public_key)].concat(),
            Some(application) => [
                packets::string(IN_SECURITY_KEY),
                packets::string(&public_key),
                packets::string(application.as_bytes()),
            ]
            .concat(),
        }
    }

    /// Its line in a `.pub` file.
    pub fn line(&self) -> String {
        let key = ssh_key::PublicKey::from_bytes(&self.blob()).unwrap();
        key.to_openssh().unwrap()
    }

    pub fn sign(&self, data: &[u8]) -> Vec<u8> {
        let data = (self.signs)(data);
        let Some(application) = self.application else {
            return ed25519(self.seed).sign(&data);
        };
        let signed = [
            Sha256::digest(application.as_bytes()).as_slice(),
            &[self.flags],
            &self.counter.to_be_bytes(),
            Sha256::digest(&data).as_slice(),
        ]
        .concat();
        let blob = ed25519(self.seed).sign(&signed);
        [
            packets::string(IN_SECURITY_KEY),
            packets::string(&blob[blob.len() - 64..]),
            vec![self.flags],
            self.counter.to_be_bytes().to_vec(),
        ]
        .concat()
    }
}
