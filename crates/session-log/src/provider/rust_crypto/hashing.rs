//! SHA-2 and HKDF.

use hkdf::{Hkdf, HkdfExtract};
use sha2::{Digest, Sha256, Sha384, Sha512};
use zeroize::Zeroize as _;

use super::RustCrypto;
use crate::provider::{Hashing, Sha2};

impl Hashing for RustCrypto {
    fn sha2(hash: Sha2, parts: &[&[u8]], out: &mut [u8]) {
        match hash {
            Sha2::Sha256 => hash_parts::<Sha256>(parts, out),
            Sha2::Sha384 => hash_parts::<Sha384>(parts, out),
            Sha2::Sha512 => hash_parts::<Sha512>(parts, out),
        }
    }

    fn extract(hash: Sha2, salt: &[u8], ikm: &[u8], out: &mut [u8]) {
        macro_rules! extract {
            ($hash:ty) => {{
                let mut extract = HkdfExtract::<$hash>::new(Some(salt));
                extract.input_ikm(ikm);
                let (mut prk, _) = extract.finalize();
                copy(&prk, out);
                prk.as_mut_slice().zeroize();
            }};
        }
        match hash {
            Sha2::Sha256 => extract!(Sha256),
            Sha2::Sha384 => extract!(Sha384),
            Sha2::Sha512 => extract!(Sha512),
        }
    }

    fn expand(hash: Sha2, prk: &[u8], info: &[&[u8]], out: &mut [u8]) -> bool {
        macro_rules! expand {
            ($hash:ty) => {
                Hkdf::<$hash>::from_prk(prk).is_ok_and(|k| k.expand_multi_info(info, out).is_ok())
            };
        }
        match hash {
            Sha2::Sha256 => expand!(Sha256),
            Sha2::Sha384 => expand!(Sha384),
            Sha2::Sha512 => expand!(Sha512),
        }
    }
}

fn hash_parts<H: Digest>(parts: &[&[u8]], out: &mut [u8]) {
    let mut hash = H::new();
    for part in parts {
        hash.update(part);
    }
    copy(&hash.finalize(), out);
}

fn copy(from: &[u8], to: &mut [u8]) {
    for (to, byte) in to.iter_mut().zip(from) {
        *to = *byte;
    }
}
