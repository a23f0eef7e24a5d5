//! SSHSIG (OpenSSH PROTOCOL.sshsig): the preimage that is signed, the blob that carries it, the armour `ssh-keygen -Y` reads.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use base64ct::{Base64, Encoding as _};

use crate::provider::{ChosenHashing, Hashing as _, Sha2};
use crate::sign::{PublicKey, Signature};
use crate::wire::{Wire, put_string};

/// The namespace of every signature in a log: `ssh-keygen -Y verify -n sslg1`.
pub const NAMESPACE: &str = "sslg1";

/// The hash of the message that an SSHSIG names. OpenSSH has these two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MessageHash {
    Sha256,
    Sha512,
}

impl MessageHash {
    fn name(self) -> &'static [u8] {
        match self {
            MessageHash::Sha256 => b"sha256",
            MessageHash::Sha512 => b"sha512",
        }
    }

    fn of(self, message: &[u8]) -> Vec<u8> {
        let hash = match self {
            MessageHash::Sha256 => Sha2::Sha256,
            MessageHash::Sha512 => Sha2::Sha512,
        };
        let mut out = vec![0; hash.len()];
        ChosenHashing::sha2(hash, &[message], &mut out);
        out
    }
}

/// What is signed: `"SSHSIG" || namespace || reserved || hash name || H(message)`.
pub(crate) fn preimage(hash: MessageHash, message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    out.extend_from_slice(b"SSHSIG");
    put_string(&mut out, NAMESPACE.as_bytes());
    put_string(&mut out, b"");
    put_string(&mut out, hash.name());
    put_string(&mut out, &hash.of(message));
    out
}

/// Checks a signature over the SSHSIG preimage.
pub(crate) fn verify(
    hash: MessageHash,
    public: &PublicKey,
    message: &[u8],
    signature: &Signature,
) -> bool {
    public.verifies(&preimage(hash, message), signature)
}

/// The whole signature object.
pub(crate) fn blob(hash: MessageHash, public: &PublicKey, signature: &Signature) -> Vec<u8> {
    let mut out = Vec::with_capacity(384);
    out.extend_from_slice(b"SSHSIG");
    out.extend_from_slice(&1u32.to_be_bytes());
    put_string(&mut out, &public.to_ssh_blob());
    put_string(&mut out, NAMESPACE.as_bytes());
    put_string(&mut out, b"");
    put_string(&mut out, hash.name());
    put_string(&mut out, &signature.to_ssh_blob());
    out
}

/// Key and signature of a blob that is exactly what [`blob`] makes of them.
pub(crate) fn parse_blob(hash: MessageHash, bytes: &[u8]) -> Option<(PublicKey, Signature)> {
    let mut wire = Wire(bytes.strip_prefix(b"SSHSIG")?);
    wire.u32()?;
    let public = PublicKey::from_ssh_blob(wire.string()?)?;
    let [_namespace, _reserved, _hash] = [wire.string()?, wire.string()?, wire.string()?];
    let signature = Signature::from_ssh_blob(wire.string()?)?;
    (bytes == blob(hash, &public, &signature)).then_some((public, signature))
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
    use crate::secret::Generator;
    use crate::sign::{SignatureAlgorithm, SigningKey};

    #[test]
    fn any_flipped_bit_and_any_cut_of_a_blob_fails() {
        for (algorithm, step) in [
            (SignatureAlgorithm::Ed25519, 1),
            (SignatureAlgorithm::EcdsaP256, 17),
            (SignatureAlgorithm::EcdsaP384, 61),
        ] {
            let key = SigningKey::generate(algorithm, &mut Generator::new([7; 32]));
            let public = key.public();
            let hash = MessageHash::Sha256;
            let bytes = blob(
                hash,
                &public,
                &key.sign(&preimage(hash, b"m")).expect("signed"),
            );
            let opens = |bytes: &[u8]| {
                parse_blob(hash, bytes)
                    .is_some_and(|(p, s)| p == public && verify(hash, &p, b"m", &s))
            };
            assert!(opens(&bytes));
            for bit in (0..bytes.len() * 8).step_by(step) {
                let mut bent = bytes.clone();
                bent[bit / 8] ^= 1 << (bit % 8);
                assert!(!opens(&bent), "bit {bit}");
            }
            for len in 0..bytes.len() {
                assert!(!opens(&bytes[..len]), "length {len}");
            }
        }
    }
}
