//! A log of output, and the keys it is made and read with.

use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use session_log::{
    Identity, Kem, LogId, Now, ReaderConfig, Recipient, Signers, SigningIdentity, Suite, Writer,
    WriterConfig, WriterPolicy,
};

/// Output that fills a 64 KiB frame to the byte before it is sealed.
pub const PIECE_BYTES: usize = 65_500;

pub fn at(mono: Duration) -> Now {
    Now {
        mono,
        unix: Duration::from_secs(1_800_000_000) + mono,
    }
}

pub fn identity() -> Identity {
    identity_of(Kem::X25519)
}

fn identity_of(kem: Kem) -> Identity {
    Identity::generate(kem, &mut ChaCha20Rng::from_seed([8; 32]))
}

fn signer() -> SigningIdentity {
    SigningIdentity::from_seed([3; 32])
}

pub fn writer(suite: Suite) -> Writer {
    writer_for(suite, identity().recipient())
}

/// Somebody with an X-Wing key.
pub fn post_quantum_recipient() -> Recipient {
    identity_of(Kem::XWing).recipient()
}

pub fn writer_for(suite: Suite, recipient: Recipient) -> Writer {
    let config = WriterConfig {
        suite,
        recipients: vec![recipient],
        policy: WriterPolicy::default(),
    };
    let now = at(Duration::ZERO);
    Writer::create(&config, &signer(), LogId([1; 16]), [2; 32], now).expect("a writer")
}

/// Trusts the writer, and decrypts with these keys.
pub fn reading(identities: Vec<Identity>) -> ReaderConfig {
    let line = format!("proxy {}", signer().public_key_openssh());
    ReaderConfig {
        identities,
        signers: Some(Signers::from_text(&line).expect("a signer")),
        ..ReaderConfig::default()
    }
}
