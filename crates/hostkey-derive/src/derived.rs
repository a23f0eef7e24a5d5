use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use p256::ecdsa::signature::Signer;
use ssh_key::private::{EcdsaKeypair, Ed25519Keypair, Ed25519PrivateKey, KeypairData};
use ssh_key::public::{EcdsaPublicKey, Ed25519PublicKey, KeyData};
use ssh_key::{HashAlg, LineEnding, PrivateKey, PublicKey};
use zeroize::Zeroizing;

use crate::Algorithm;
use crate::target::put_string;

/// A host key derived for one target. Holds the private half, which is erased on drop.
///
/// ```compile_fail,E0599
/// # let secret = hostkey_derive::AccountSecret::from_bytes(&[1; 32]).unwrap();
/// # let key = hostkey_derive::derive(&secret, &[], hostkey_derive::Algorithm::Ed25519).unwrap();
/// let copy = key.clone();
/// ```
pub struct DerivedHostKey {
    signer: HostSigner,
    public: PublicKey,
    blob: Vec<u8>,
}

/// Ready to sign: the public half is computed once. Each of these erases itself on drop.
enum HostSigner {
    Ed25519(ed25519_dalek::SigningKey),
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
}

impl DerivedHostKey {
    pub(crate) fn ed25519(seed: &[u8; 32]) -> Self {
        let signer = ed25519_dalek::SigningKey::from_bytes(seed);
        let public = *signer.verifying_key().as_bytes();
        let mut blob = Vec::with_capacity(51);
        put_string(&mut blob, Algorithm::Ed25519.name().as_bytes());
        put_string(&mut blob, &public);
        Self {
            signer: HostSigner::Ed25519(signer),
            public: KeyData::Ed25519(Ed25519PublicKey(public)).into(),
            blob,
        }
    }

    pub(crate) fn p256(scalar: &[u8; 32]) -> Option<Self> {
        let signer = p256::ecdsa::SigningKey::from_slice(scalar).ok()?;
        let point = signer.verifying_key().to_sec1_point(false);
        let (public, blob) = ecdsa_public(Algorithm::EcdsaP256, b"nistp256", point.as_bytes())?;
        Some(Self {
            signer: HostSigner::P256(signer),
            public,
            blob,
        })
    }

    pub(crate) fn p384(scalar: &[u8; 48]) -> Option<Self> {
        let signer = p384::ecdsa::SigningKey::from_slice(scalar).ok()?;
        let point = signer.verifying_key().to_sec1_point(false);
        let (public, blob) = ecdsa_public(Algorithm::EcdsaP384, b"nistp384", point.as_bytes())?;
        Some(Self {
            signer: HostSigner::P384(signer),
            public,
            blob,
        })
    }

    /// What kind of key this is.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match self.signer {
            HostSigner::Ed25519(_) => Algorithm::Ed25519,
            HostSigner::P256(_) => Algorithm::EcdsaP256,
            HostSigner::P384(_) => Algorithm::EcdsaP384,
        }
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// The public half as the SSH blob that a server puts into its key exchange (RFC 4253 section 6.6).
    #[must_use]
    pub fn public_key_blob(&self) -> &[u8] {
        &self.blob
    }

    /// `SHA256:…` as `ssh-keygen -l` prints it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.public.fingerprint(HashAlg::Sha256).to_string()
    }

    /// Signs, giving the whole SSH signature blob: `string algorithm, string signature`
    /// (RFC 4253 section 6.6, RFC 5656 section 3.1.2, RFC 8709 section 6).
    ///
    /// Deterministic: Ed25519 by its definition, ECDSA by RFC 6979.
    #[must_use]
    pub fn sign(&self, data: &[u8]) -> Vec<u8> {
        match &self.signer {
            HostSigner::Ed25519(signer) => {
                let signature = ed25519_dalek::Signer::sign(signer, data);
                signature_blob(Algorithm::Ed25519, &signature.to_bytes())
            }
            HostSigner::P256(signer) => {
                let signature: p256::ecdsa::Signature = signer.sign(data);
                let (r, s) = signature.split_bytes();
                signature_blob(Algorithm::EcdsaP256, &mpints(&r, &s))
            }
            HostSigner::P384(signer) => {
                let signature: p384::ecdsa::Signature = signer.sign(data);
                let (r, s) = signature.split_bytes();
                signature_blob(Algorithm::EcdsaP384, &mpints(&r, &s))
            }
        }
    }

    /// The private key as an OpenSSH file without a passphrase, for handing it to another server.
    ///
    /// Everyone who reads it can impersonate the target to this account's clients.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "a key of fixed size always encodes into memory"
    )]
    pub fn to_openssh(&self) -> Zeroizing<String> {
        let keypair = match &self.signer {
            HostSigner::Ed25519(signer) => KeypairData::Ed25519(Ed25519Keypair {
                public: Ed25519PublicKey(*signer.verifying_key().as_bytes()),
                private: Ed25519PrivateKey::from_bytes(&Zeroizing::new(signer.to_bytes())),
            }),
            HostSigner::P256(signer) => {
                let mut scalar = Zeroizing::new([0; 32]);
                scalar.copy_from_slice(&Zeroizing::new(signer.to_bytes())[..]);
                KeypairData::Ecdsa(EcdsaKeypair::NistP256 {
                    public: signer.verifying_key().to_sec1_point(false),
                    private: (*scalar).into(),
                })
            }
            HostSigner::P384(signer) => {
                let mut scalar = Zeroizing::new([0; 48]);
                scalar.copy_from_slice(&Zeroizing::new(signer.to_bytes())[..]);
                KeypairData::Ecdsa(EcdsaKeypair::NistP384 {
                    public: signer.verifying_key().to_sec1_point(false),
                    private: (*scalar).into(),
                })
            }
        };
        PrivateKey::new(keypair, "")
            .and_then(|key| key.to_openssh(LineEnding::LF))
            .expect("fixed-size key")
    }
}

impl fmt::Debug for DerivedHostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DerivedHostKey")
            .field("algorithm", &self.algorithm())
            .field("fingerprint", &self.fingerprint())
            .finish_non_exhaustive()
    }
}

fn ecdsa_public(algorithm: Algorithm, curve: &[u8], point: &[u8]) -> Option<(PublicKey, Vec<u8>)> {
    let mut blob = Vec::with_capacity(12 + algorithm.name().len() + curve.len() + point.len());
    put_string(&mut blob, algorithm.name().as_bytes());
    put_string(&mut blob, curve);
    put_string(&mut blob, point);
    let key = EcdsaPublicKey::from_sec1_bytes(point).ok()?;
    Some((KeyData::Ecdsa(key).into(), blob))
}

fn signature_blob(algorithm: Algorithm, signature: &[u8]) -> Vec<u8> {
    let mut blob = Vec::with_capacity(8 + algorithm.name().len() + signature.len());
    put_string(&mut blob, algorithm.name().as_bytes());
    put_string(&mut blob, signature);
    blob
}

/// Two positive integers as mpints (RFC 4251 section 5): no leading zeros but the one that keeps them positive.
fn mpints(r: &[u8], s: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(10 + r.len() + s.len());
    for scalar in [r, s] {
        let zeros = scalar.iter().take_while(|byte| **byte == 0).count();
        let trimmed = scalar.get(zeros..).unwrap_or_default();
        let sign: &[u8] = if trimmed.first().is_some_and(|byte| *byte >= 0x80) {
            &[0]
        } else {
            &[]
        };
        out.extend_from_slice(&((sign.len() + trimmed.len()) as u32).to_be_bytes());
        out.extend_from_slice(sign);
        out.extend_from_slice(trimmed);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mpints_are_as_in_rfc_4251_section_5() {
        let check = |scalar: &[u8], expected: &[u8]| {
            let mut both = expected.to_vec();
            both.extend_from_slice(expected);
            assert_eq!(mpints(scalar, scalar), both);
        };
        check(&[0, 0], &[0, 0, 0, 0]);
        check(&[0, 1], &[0, 0, 0, 1, 1]);
        check(&[0, 0x80], &[0, 0, 0, 2, 0, 0x80]);
        check(&[0x7f, 0xff], &[0, 0, 0, 2, 0x7f, 0xff]);
        check(&[0x80, 0x00], &[0, 0, 0, 3, 0, 0x80, 0x00]);
    }
}
