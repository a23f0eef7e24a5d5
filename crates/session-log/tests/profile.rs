//! The FIPS profile takes algorithms, and says which module computes them.
#![allow(clippy::unwrap_used)]

mod common;

use common::{identity, now};
use session_log::{
    CreateError, Kem, LogId, Profile, SignatureAlgorithm, SigningIdentity, Suite, Writer,
    WriterConfig, WriterPolicy, provider_name,
};

fn create(suite: Suite, kem: Kem, signer: SignatureAlgorithm) -> Result<(), CreateError> {
    let config = WriterConfig {
        suite,
        recipients: vec![identity(kem).recipient()],
        policy: WriterPolicy {
            profile: Profile::Fips,
            ..WriterPolicy::default()
        },
    };
    let signer = SigningIdentity::generate(signer, [4; 32]);
    Writer::create(&config, &signer, LogId([7; 16]), [1; 32], now(0)).map(|_| ())
}

#[test]
fn the_fips_profile_takes_the_two_suites_of_nist_curves_opened_by_an_ecdsa_key() {
    use SignatureAlgorithm::{EcdsaP256, EcdsaP384, Ed25519};
    for signer in [EcdsaP256, EcdsaP384] {
        assert_eq!(
            create(Suite::Aes256GcmSha256P256, Kem::P256, signer),
            Ok(())
        );
        assert_eq!(
            create(Suite::Aes256GcmSha384P384, Kem::P384, signer),
            Ok(())
        );
    }
    for suite in [Suite::ChaCha20Poly1305Sha256, Suite::Aes256GcmSha256] {
        let refused = create(suite, Kem::X25519, EcdsaP256);
        assert_eq!(
            refused,
            Err(CreateError::ProfileSuite { suite: suite.id() })
        );
    }
    let refused = create(Suite::Aes256GcmSha256P256, Kem::P256, Ed25519);
    let algorithm = "ssh-ed25519";
    assert_eq!(refused, Err(CreateError::ProfileIdentity { algorithm }));
}

#[test]
fn the_provider_is_named_as_it_was_built() {
    let expected = if cfg!(feature = "fips") {
        "AWS-LC, FIPS module (aws-lc-fips-sys)"
    } else if cfg!(feature = "aws-lc") {
        "AWS-LC (aws-lc-sys), not a FIPS module"
    } else {
        "RustCrypto, not a FIPS module"
    };
    assert_eq!(provider_name(), expected);
}
