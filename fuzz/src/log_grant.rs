//! Files of further recipients: one that parses is signed by its granter, byte for byte, and none makes a good log of another or a bad one.

use std::sync::OnceLock;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use session_log::{Event, Grant, Identity, Kem, Reader, ReaderConfig, Sidecar};

use crate::log_reader::{genuine_logs, identity, signer};

/// Reads `data` as a sidecar, and the log that the genuine one is for with it.
pub fn run(data: &[u8]) {
    let Ok(sidecar) = Sidecar::parse(data) else {
        return;
    };
    if sidecar.granter() == signer().public_key() {
        assert_eq!(data, genuine(), "a grant that its granter did not sign");
    }
    let log = &genuine_logs()[2];
    let mut reader = Reader::new(ReaderConfig {
        identities: vec![late()],
        sidecars: vec![sidecar],
        ..ReaderConfig::default()
    });
    reader.push(log);
    reader.finish();
    while reader.poll().is_some() {}
}

fn late() -> Identity {
    Identity::generate(Kem::XWing, &mut ChaCha20Rng::from_seed([77; 32]))
}

/// The third of the genuine logs for one more recipient.
pub(crate) fn genuine() -> &'static [u8] {
    static GENUINE: OnceLock<Vec<u8>> = OnceLock::new();
    GENUINE.get_or_init(|| {
        let log = &genuine_logs()[2];
        let mut grant = Grant::new(vec![late().recipient()], [8; 32]);
        let mut reader = Reader::default();
        reader.push(log);
        while let Some(event) = reader.poll() {
            if let Event::Segment(segment) = event {
                let start = usize::try_from(segment.offset).expect("it is in memory");
                let header = &log[start..start + segment.header_bytes as usize];
                grant
                    .add_header(header, &[identity()])
                    .expect("the identity is a recipient");
            }
        }
        grant
            .begin(signer().public_key(), 1_800_000_000_000)
            .and_then(|opening| opening.sign(&signer()))
            .expect("it is the signer's key")
    })
}
