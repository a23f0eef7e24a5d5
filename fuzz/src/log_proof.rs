//! Proofs of one frame: the only one that holds is the one that was made.

use std::sync::OnceLock;

use session_log::{Prover, ReaderConfig, Signers, check_proof};

use crate::log_reader::{genuine_logs, identity, signer};

/// Checks `data` as a proof.
pub fn run(data: &[u8]) {
    static SIGNERS: OnceLock<Signers> = OnceLock::new();
    let signers = SIGNERS.get_or_init(|| {
        let line = format!("proxy@example {}", signer().public_key_openssh());
        Signers::from_text(&line).expect("it is our own")
    });
    if let Ok(proven) = check_proof(data, signers) {
        assert_eq!(data, genuine(), "a proof that nobody made");
        proven.records(|_| {}).expect("our own records");
    } else {
        assert_ne!(data, genuine(), "the true proof does not hold");
    }
}

/// Of a frame in the second segment of the third of the genuine logs.
pub(crate) fn genuine() -> &'static [u8] {
    static GENUINE: OnceLock<Vec<u8>> = OnceLock::new();
    GENUINE.get_or_init(|| {
        let config = ReaderConfig {
            identities: vec![identity()],
            ..ReaderConfig::default()
        };
        let mut prover = Prover::new(config, 1, 1);
        prover.push(&genuine_logs()[2]);
        prover.finish().expect("the frame is there and covered")
    })
}
