//! Messages about host keys.
//!
//! - What is read is written as it was, and is within its bounds.
//! - Nothing proves a key that did not sign.

use std::sync::OnceLock;

use ssh_transport::hostkeys::{
    MAX_HOST_KEYS, announcement, parse_announcement, parse_prove_request, proofs, prove_data,
    prove_request, verify_proofs,
};

const SESSION: &[u8] = &[5; 32];

/// Reads `data` as each of them.
pub fn run(data: &[u8]) {
    play(data);
}

/// True when it is a proof.
pub(crate) fn play(data: &[u8]) -> bool {
    if let Ok(keys) = parse_announcement(data) {
        check(&keys);
        let again = announcement(&keys);
        assert_eq!(parse_announcement(&again).expect("it was written"), keys);
        assert!(
            parse_prove_request(data).is_err(),
            "one message, two meanings"
        );
    }
    if let Ok(keys) = parse_prove_request(data) {
        check(&keys);
        assert_eq!(
            parse_prove_request(&prove_request(&keys)).expect("it was written"),
            keys
        );
    }
    let key = crate::ends::host_key();
    let host_key = key.public_key_blob();
    let is_proven = verify_proofs(data, SESSION, &[&host_key]).is_ok();
    assert!(!is_proven || data == genuine(), "a key that did not sign");
    is_proven
}

fn check(keys: &[&[u8]]) {
    assert!(keys.len() <= MAX_HOST_KEYS);
    assert!(
        keys.iter()
            .all(|key| key.len() <= ssh_transport::MAX_PUBLIC_KEY_BYTES)
    );
}

/// The proof of the fuzz targets' host key.
pub(crate) fn genuine() -> &'static [u8] {
    static GENUINE: OnceLock<Vec<u8>> = OnceLock::new();
    GENUINE.get_or_init(|| {
        let key = crate::ends::host_key();
        proofs(&[&key.sign(&prove_data(SESSION, &key.public_key_blob()))])
    })
}
