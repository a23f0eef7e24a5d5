//! Host keys that a target shows, and account secrets and pins that people write.

use std::sync::OnceLock;

use hostkey_derive::{
    AccountSecret, Algorithm, MAX_TARGET_KEY_BYTES, Pin, Pins, TargetKey, derive,
};

use crate::input::text;

/// Reads `data` as each of them.
pub fn run(data: &[u8]) {
    if let Ok(target) = TargetKey::from_blob(data) {
        assert!(data.len() <= MAX_TARGET_KEY_BYTES);
        let derived = derive(secret(), data, Algorithm::Ed25519).expect("a readable key derives");
        let bare =
            derive(secret(), target.blob(), Algorithm::Ed25519).expect("so does the key in it");
        assert_eq!(
            derived.public_key_blob(),
            bare.public_key_blob(),
            "a certificate counts as its key"
        );
        assert!(target.is_certified() || target.blob() == data);
        assert_ne!(derived.public_key_blob(), target.blob());
        let pin = Pin::from_blob(target.blob()).expect("a readable key can be pinned");
        assert_eq!(pin.fingerprint(), target.fingerprint());
        let pins = Pins::new([pin]).expect("one pin");
        pins.check(data).expect("it is the pinned key");
    } else {
        assert!(
            derive(secret(), data, Algorithm::Ed25519).is_err(),
            "what cannot be read derives"
        );
    }
    let text = text(data);
    if let Ok(secret) = AccountSecret::from_text(text) {
        let bytes = secret.secret_bytes();
        assert!((AccountSecret::MIN_BYTES..=AccountSecret::MAX_BYTES).contains(&bytes.len()));
        assert!(AccountSecret::from_bytes(bytes).is_ok());
    }
    if let Ok(pin) = Pin::from_text(text) {
        let again = Pin::from_text(&pin.fingerprint()).expect("a fingerprint is a pin");
        assert_eq!(again.fingerprint(), pin.fingerprint());
    }
}

fn secret() -> &'static AccountSecret {
    static SECRET: OnceLock<AccountSecret> = OnceLock::new();
    SECRET.get_or_init(|| AccountSecret::from_bytes(&[7; 32]).expect("long enough"))
}
