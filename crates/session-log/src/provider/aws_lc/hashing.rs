//! SHA-2 and HKDF in the FIPS module.

use aws_lc_rs::digest::{Context, SHA256, SHA384, SHA512};
use aws_lc_rs::hkdf::{HKDF_SHA256, HKDF_SHA384, HKDF_SHA512, KeyType, Prk};
use aws_lc_rs::hmac::{self, HMAC_SHA256, HMAC_SHA384, HMAC_SHA512};

use super::AwsLc;
use crate::provider::{Hashing, Sha2};

/// How many bytes are wanted.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl Hashing for AwsLc {
    fn sha2(hash: Sha2, parts: &[&[u8]], out: &mut [u8]) {
        let mut context = Context::new(match hash {
            Sha2::Sha256 => &SHA256,
            Sha2::Sha384 => &SHA384,
            Sha2::Sha512 => &SHA512,
        });
        for part in parts {
            context.update(part);
        }
        for (to, byte) in out.iter_mut().zip(context.finish().as_ref()) {
            *to = *byte;
        }
    }

    fn extract(hash: Sha2, salt: &[u8], ikm: &[u8], out: &mut [u8]) {
        let algorithm = match hash {
            Sha2::Sha256 => HMAC_SHA256,
            Sha2::Sha384 => HMAC_SHA384,
            Sha2::Sha512 => HMAC_SHA512,
        };
        let extracted = hmac::sign_to_buffer(&hmac::Key::new(algorithm, salt), ikm, out);
        // A key of zeros must not come of a wrong length in this crate.
        assert!(extracted.is_ok(), "the output has the hash's length");
    }

    fn expand(hash: Sha2, prk: &[u8], info: &[&[u8]], out: &mut [u8]) -> bool {
        let algorithm = match hash {
            Sha2::Sha256 => HKDF_SHA256,
            Sha2::Sha384 => HKDF_SHA384,
            Sha2::Sha512 => HKDF_SHA512,
        };
        prk.len() == hash.len()
            && Prk::new_less_safe(algorithm, prk)
                .expand(info, Length(out.len()))
                .is_ok_and(|okm| okm.fill(out).is_ok())
    }
}
