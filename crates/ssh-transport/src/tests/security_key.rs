//! Security keys whose user is absent, unverified, or of another application.

use ed25519_dalek::{Signer as _, SigningKey};
use sha2::{Digest as _, Sha256};

use super::auth::{FAILURE, request};
use super::*;
use crate::auth::signed_data;
use crate::wire::Put as _;

const TOUCHED: u8 = 1;
const VERIFIED: u8 = 4;
const NAME: &str = "sk-ssh-ed25519@openssh.com";

/// A security key in software.
struct Token {
    key: SigningKey,
    application: &'static str,
}

impl Token {
    fn new(application: &'static str) -> Self {
        Self {
            key: SigningKey::from_bytes(&[60; 32]),
            application,
        }
    }

    fn blob(&self) -> Vec<u8> {
        let mut blob = Vec::new();
        blob.put_string(NAME.as_bytes());
        blob.put_string(self.key.verifying_key().as_bytes());
        blob.put_string(self.application.as_bytes());
        blob
    }

    /// OpenSSH `PROTOCOL.u2f`.
    fn sign(&self, application: &str, data: &[u8], flags: u8, counter: u32) -> Vec<u8> {
        let mut signed = Sha256::digest(application).to_vec();
        signed.push(flags);
        signed.put_word(counter);
        signed.extend(Sha256::digest(data));
        let mut blob = Vec::new();
        blob.put_string(NAME.as_bytes());
        blob.put_string(&self.key.sign(&signed).to_bytes());
        blob.push(flags);
        blob.put_word(counter);
        blob
    }

    fn unsigned(&self) -> Vec<u8> {
        let mut message = request("alice", "ssh-connection", "publickey");
        message.put_byte(1);
        message.put_string(NAME.as_bytes());
        message.put_string(&self.blob());
        message
    }

    fn request(&self, pair: &Pair, flags: u8, counter: u32) -> Vec<u8> {
        let mut message = self.unsigned();
        let data = signed_data(pair.server.core.session_id().unwrap(), &message);
        message.put_string(&self.sign(self.application, &data, flags, counter));
        message
    }
}

fn in_service(policy: SecurityKeyPolicy) -> Pair {
    let config = ServerConfig {
        security_keys: policy,
        ..ServerConfig::default()
    };
    let mut pair = Pair::with(ClientConfig::default(), config);
    pair.run().unwrap();
    pair.client_sends(&message::service(5, "ssh-userauth"));
    pair.run_server().unwrap();
    pair.server_said();
    pair.judge = Judge::Reject;
    pair
}

/// What the caller hears of a signature with these flags; `None` when it is refused without asking.
fn heard(policy: &SecurityKeyPolicy, flags: u8) -> Option<(bool, bool)> {
    let mut pair = in_service(policy.clone());
    let attempt = Token::new("ssh:").request(&pair, flags, 7);
    pair.server_gets(&attempt).unwrap();
    match pair.attempts.pop()?.1 {
        AuthMethod::PublicKey {
            algorithm: HostKeyAlgorithm::SkEd25519,
            proof: KeyProof::SecurityKey(proof),
            ..
        } => {
            assert_eq!((proof.application.as_str(), proof.counter), ("ssh:", 7));
            Some((proof.user_present, proof.user_verified))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_untouched_key_is_refused_unless_touch_is_optional_and_then_told() {
    let default = SecurityKeyPolicy::default();
    assert_eq!(heard(&default, 0), None);
    assert_eq!(heard(&default, VERIFIED), None);
    assert_eq!(heard(&default, TOUCHED), Some((true, false)));
    assert_eq!(heard(&default, TOUCHED | VERIFIED), Some((true, true)));
    // Flags that nobody has defined change nothing.
    assert_eq!(heard(&default, 0xfa), None);
    let untouched = SecurityKeyPolicy {
        touch: Requirement::Optional,
        ..SecurityKeyPolicy::default()
    };
    assert_eq!(heard(&untouched, 0), Some((false, false)));
    assert_eq!(heard(&untouched, TOUCHED), Some((true, false)));
}

#[test]
fn an_unverified_user_is_refused_where_verification_is_required() {
    let verified = SecurityKeyPolicy {
        verification: Requirement::Required,
        ..SecurityKeyPolicy::default()
    };
    assert_eq!(heard(&verified, TOUCHED), None);
    assert_eq!(heard(&verified, VERIFIED), None);
    assert_eq!(heard(&verified, TOUCHED | VERIFIED), Some((true, true)));
}

#[test]
fn a_key_of_another_application_is_refused_even_as_a_query() {
    for (application, is_taken) in [
        ("ssh:", true),
        ("ssh:work", true),
        ("https://example.com", false),
        ("", false),
        ("SSH:", false),
        ("ssh", false),
    ] {
        let token = Token::new(application);
        let mut pair = in_service(SecurityKeyPolicy::default());
        let attempt = token.request(&pair, TOUCHED, 7);
        pair.server_gets(&attempt).unwrap();
        let mut query = request("alice", "ssh-connection", "publickey");
        query.put_byte(0);
        query.put_string(NAME.as_bytes());
        query.put_string(&token.blob());
        pair.server_gets(&query).unwrap();
        let expected = if is_taken { 2 } else { 0 };
        assert_eq!(pair.attempts.len(), expected, "{application}");
    }
}

#[test]
fn what_the_key_did_not_sign_along_does_not_count() {
    let token = Token::new("ssh:");
    let spoil: [fn(&mut Vec<u8>); 3] = [
        // Flags and counter stand at the end.
        |blob| {
            let at = blob.len() - 5;
            blob[at] ^= TOUCHED;
        },
        |blob| {
            let at = blob.len() - 5;
            blob[at] ^= VERIFIED;
        },
        |blob| {
            let at = blob.len() - 1;
            blob[at] ^= 1;
        },
    ];
    for change in spoil {
        for flags in [0, TOUCHED] {
            let mut pair = in_service(SecurityKeyPolicy {
                touch: Requirement::Optional,
                ..SecurityKeyPolicy::default()
            });
            let mut message = token.unsigned();
            let data = signed_data(pair.server.core.session_id().unwrap(), &message);
            let mut signature = token.sign("ssh:", &data, flags, 7);
            change(&mut signature);
            message.put_string(&signature);
            pair.server_gets(&message).unwrap();
            assert!(pair.attempts.is_empty());
            assert_eq!(pair.server_said(), [FAILURE]);
        }
    }
}

#[test]
fn a_signature_for_another_application_or_of_a_plain_key_is_refused() {
    let token = Token::new("ssh:");
    let plain = Ed25519Key::from_seed(Zeroizing::new([60; 32]));
    for foreign in [true, false] {
        let mut pair = in_service(SecurityKeyPolicy::default());
        let mut message = token.unsigned();
        let data = signed_data(pair.server.core.session_id().unwrap(), &message);
        message.put_string(&if foreign {
            token.sign("https://example.com", &data, TOUCHED, 7)
        } else {
            plain.sign(&data)
        });
        pair.server_gets(&message).unwrap();
        assert!(pair.attempts.is_empty());
        assert_eq!(pair.server_said(), [FAILURE]);
    }
}
