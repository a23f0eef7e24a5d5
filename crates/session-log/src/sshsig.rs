//! SSHSIG (OpenSSH PROTOCOL.sshsig) for Ed25519 keys: the preimage that is signed, the blob that carries it, the armour `ssh-keygen -Y` reads.

use alloc::string::String;
use alloc::vec::Vec;

use base64ct::{Base64, Encoding as _};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use crate::suite::{Digest, PUBLIC_KEY_BYTES, SIGNATURE_BYTES};

/// The namespace of every signature in a log: `ssh-keygen -Y verify -n sslg1`.
pub const NAMESPACE: &str = "sslg1";

/// Length of the blob: all its parts have fixed lengths for Ed25519 and this namespace.
pub(crate) const BLOB_BYTES: usize =
    6 + 4 + 4 + KEY_BLOB_BYTES + 4 + NAMESPACE.len() + 4 + 4 + 6 + 4 + SIGNATURE_BLOB_BYTES;
const KEY_BLOB_BYTES: usize = 4 + 11 + 4 + PUBLIC_KEY_BYTES;
const SIGNATURE_BLOB_BYTES: usize = 4 + 11 + 4 + SIGNATURE_BYTES;
const ALGORITHM: &[u8] = b"ssh-ed25519";
const HASH_NAME: &[u8] = b"sha256";

fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// What is signed: `"SSHSIG" || namespace || reserved || hash name || H(message)`.
fn preimage(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    out.extend_from_slice(b"SSHSIG");
    put_string(&mut out, NAMESPACE.as_bytes());
    put_string(&mut out, b"");
    put_string(&mut out, HASH_NAME);
    put_string(&mut out, Digest::of(&[message]).as_bytes());
    out
}

/// Signs the SSHSIG preimage of the message.
pub(crate) fn sign(key: &SigningKey, message: &[u8]) -> [u8; SIGNATURE_BYTES] {
    key.sign(&preimage(message)).to_bytes()
}

/// Checks a raw signature over the SSHSIG preimage. Weak keys and malleable signatures are refused.
pub(crate) fn verify(
    public: &[u8; PUBLIC_KEY_BYTES],
    message: &[u8],
    signature: &[u8; SIGNATURE_BYTES],
) -> bool {
    VerifyingKey::from_bytes(public).is_ok_and(|key| {
        key.verify_strict(&preimage(message), &Signature::from_bytes(signature))
            .is_ok()
    })
}

/// The public key in the form that OpenSSH puts in files and agents.
pub(crate) fn key_blob(public: &[u8; PUBLIC_KEY_BYTES]) -> Vec<u8> {
    let mut out = Vec::with_capacity(KEY_BLOB_BYTES);
    put_string(&mut out, ALGORITHM);
    put_string(&mut out, public);
    out
}

/// The whole signature object.
pub(crate) fn blob(public: &[u8; PUBLIC_KEY_BYTES], signature: &[u8; SIGNATURE_BYTES]) -> Vec<u8> {
    let mut out = Vec::with_capacity(BLOB_BYTES);
    out.extend_from_slice(b"SSHSIG");
    out.extend_from_slice(&1u32.to_be_bytes());
    put_string(&mut out, &key_blob(public));
    put_string(&mut out, NAMESPACE.as_bytes());
    put_string(&mut out, b"");
    put_string(&mut out, HASH_NAME);
    let mut inner = Vec::with_capacity(SIGNATURE_BLOB_BYTES);
    put_string(&mut inner, ALGORITHM);
    put_string(&mut inner, signature);
    put_string(&mut out, &inner);
    out
}

/// Key and signature of a blob that is exactly what [`blob`] makes of them.
pub(crate) fn parse_blob(bytes: &[u8]) -> Option<([u8; PUBLIC_KEY_BYTES], [u8; SIGNATURE_BYTES])> {
    let signature: [u8; SIGNATURE_BYTES] = *bytes.last_chunk()?;
    let key_at = 6 + 4 + 4 + KEY_BLOB_BYTES - PUBLIC_KEY_BYTES;
    let public: [u8; PUBLIC_KEY_BYTES] = *bytes.get(key_at..)?.first_chunk()?;
    (bytes == blob(&public, &signature)).then_some((public, signature))
}

/// The text that `ssh-keygen -Y verify -s` reads.
pub(crate) fn armor(blob: &[u8]) -> String {
    let mut out = String::from("-----BEGIN SSH SIGNATURE-----\n");
    push_lines(&mut out, &Base64::encode_string(blob), 70);
    out.push_str("-----END SSH SIGNATURE-----\n");
    out
}

/// Appends ASCII text in lines of a width.
pub(crate) fn push_lines(out: &mut String, text: &str, width: usize) {
    let mut rest = text;
    while !rest.is_empty() {
        let (line, tail) = rest.split_at_checked(width).unwrap_or((rest, ""));
        out.push_str(line);
        out.push('\n');
        rest = tail;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blob_has_its_stated_length_and_any_flipped_bit_fails() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let public = key.verifying_key().to_bytes();
        let bytes = blob(&public, &sign(&key, b"m"));
        assert_eq!(bytes.len(), BLOB_BYTES);
        let opens = |bytes: &[u8]| {
            parse_blob(bytes).is_some_and(|(p, s)| p == public && verify(&p, b"m", &s))
        };
        assert!(opens(&bytes));
        for bit in 0..bytes.len() * 8 {
            let mut bent = bytes.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            assert!(!opens(&bent), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(!opens(&bytes[..len]), "length {len}");
        }
    }
}
