//! Both libraries say the same.

use alloc::vec;

use super::aws_lc::AwsLc;
use super::rust_crypto::{Key as RustKey, RustCrypto};
use super::*;
use crate::secret::Generator;

#[test]
fn both_seal_to_the_same_bytes_and_refuse_the_same_changes() {
    for aead in [Aead::ChaCha20Poly1305, Aead::Aes256Gcm] {
        let (key, nonce, aad) = ([1; 32], [2; 12], [3; 56]);
        let (mut ours, mut theirs) = ([4; 700], [4; 700]);
        let tag = AwsLc::seal_in_place(aead, &key, nonce, &aad, &mut ours);
        assert_eq!(
            tag,
            RustCrypto::seal_in_place(aead, &key, nonce, &aad, &mut theirs)
        );
        assert_eq!(ours, theirs);
        let tag = tag.expect("sealed");
        let mut plain = [0; 700];
        let good = (&ours[..], &tag[..]);
        let bent = (&ours[..], &[0; 16][..]);
        for open in [AwsLc::open_into, RustCrypto::open_into] {
            plain.fill(0);
            assert_eq!(open(aead, &key, nonce, &aad, good, &mut plain), Ok(()));
            assert_eq!(plain, [4; 700]);
            for (aad, sealed) in [(&aad[..], bent), (b"other", good)] {
                assert_eq!(
                    open(aead, &key, nonce, aad, sealed, &mut plain),
                    Err(CryptoFailed)
                );
            }
        }
    }
}

#[test]
fn both_make_the_same_keys_and_each_verifies_what_the_other_signs() {
    for algorithm in SignatureAlgorithm::ALL {
        let mut secret = vec![0; algorithm.private_len()];
        Generator::new([1; 32]).fill(&mut secret);
        let ours = ChosenKey::from_secret(algorithm, &secret).expect("a key");
        let theirs = RustKey::from_secret(algorithm, &secret).expect("a key");
        assert_eq!(ours.secret(), secret);
        assert_eq!(ours.public(), theirs.public());
        let public = ours.public();
        let signed = [ours.sign(b"message"), theirs.sign(b"message")].map(|s| s.expect("signed"));
        let [by_us, by_them] = signed.map(Signature::normalized);
        // Only the FIPS module's ECDSA draws something.
        let draws = cfg!(feature = "fips") && algorithm != SignatureAlgorithm::Ed25519;
        assert_eq!(by_us == by_them, !draws);
        for signature in [by_us, by_them] {
            for verifies in [AwsLc::verifies, RustCrypto::verifies] {
                assert!(verifies(&public, b"message", &signature));
                assert!(!verifies(&public, b"another", &signature));
                for at in 0..signature.as_bytes().len() {
                    let mut bent = signature.as_bytes().to_vec();
                    bent[at] ^= 1;
                    let bent = Signature::from_slice(algorithm, &bent).expect("its length");
                    assert!(!verifies(&public, b"message", &bent), "byte {at}");
                }
            }
        }
    }
}

#[test]
fn neither_takes_a_scalar_that_is_no_key() {
    for algorithm in [SignatureAlgorithm::EcdsaP256, SignatureAlgorithm::EcdsaP384] {
        for byte in [0, 0xff] {
            let secret = vec![byte; algorithm.private_len()];
            assert!(ChosenKey::from_secret(algorithm, &secret).is_none());
            assert!(RustKey::from_secret(algorithm, &secret).is_none());
        }
        assert!(ChosenKey::from_secret(algorithm, &[1; 31]).is_none());
        assert!(RustKey::from_secret(algorithm, &[1; 31]).is_none());
    }
}

#[test]
#[cfg(feature = "fips")]
fn the_module_is_in_fips_mode_and_hashes_as_any_other() {
    aws_lc_rs::try_fips_mode().expect("FIPS mode");
    for hash in [Sha2::Sha256, Sha2::Sha384, Sha2::Sha512] {
        let parts: [&[u8]; 3] = [b"one", b"", &[7; 1_000]];
        let make = |sha2: fn(Sha2, &[&[u8]], &mut [u8]),
                    extract: fn(Sha2, &[u8], &[u8], &mut [u8]),
                    expand: fn(Sha2, &[u8], &[&[u8]], &mut [u8]) -> bool| {
            let mut digest = vec![0; hash.len()];
            sha2(hash, &parts, &mut digest);
            let mut prk = vec![0; hash.len()];
            extract(hash, b"salt", b"key", &mut prk);
            let mut long = vec![0; 200];
            assert!(expand(hash, &prk, &parts[..2], &mut long));
            assert!(!expand(hash, &prk[1..], &parts[..2], &mut [0; 8]));
            (digest, prk, long)
        };
        assert_eq!(
            make(AwsLc::sha2, AwsLc::extract, AwsLc::expand),
            make(RustCrypto::sha2, RustCrypto::extract, RustCrypto::expand)
        );
    }
}
