//! Files beside a log: further recipients (SPEC.md section 15) and proofs of one frame (section 16).

use super::whole::{Session, policy, rotated, short};
use super::*;
use crate::grant::Grant;
use crate::prove::{Prover, check_proof};
use crate::sshsig;
use crate::writer::WriterPolicy;

/// A log of several segments that no key of the kit opens, and its writer's key for it.
fn sealed_for_another() -> (Vec<u8>, Identity) {
    let stranger = identity(77);
    let session = Session {
        recipients: vec![stranger.recipient()],
        policy: WriterPolicy {
            rotate_bytes: 4_096,
            ..policy()
        },
        ..Session::new()
    };
    let piece = [b'w'; 1_500];
    let records = [
        Record::Shell,
        Record::Output(&piece),
        Record::Output(&piece),
    ];
    (session.log(&[records.clone(), records].concat()), stranger)
}

fn grant(log: &[u8], from: &Identity, to: Kem) -> Vec<u8> {
    let mut grant = Grant::new(vec![kit_identity(to).recipient()], [8; 32]);
    let mut reader = Reader::default();
    reader.push(log);
    while let Some(event) = reader.poll() {
        if let Event::Segment(segment) = event {
            let start = usize::try_from(segment.offset).expect("small");
            let header = &log[start..start + segment.header_bytes as usize];
            let from = Identity::from_text(&from.to_text()).expect("its own");
            grant.add_header(header, &[from]).expect("a recipient");
        }
    }
    let granter = kit_signer(SignatureAlgorithm::Ed25519);
    let opening = grant.begin(granter.public_key(), 1_800_000_000_000);
    opening.expect("segments").sign(&granter).expect("its key")
}

/// The same with another body, properly signed.
fn resigned(sidecar: &[u8], change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Vec<u8> {
    let (suite, granter) = (Suite::default(), kit_signer(SignatureAlgorithm::Ed25519));
    let len = u32::from_be_bytes(sidecar[12..16].try_into().expect("4 bytes")) as usize;
    let body = change(sidecar[16..16 + len].to_vec());
    let signed = [&sidecar[..12], &(body.len() as u32).to_be_bytes(), &body].concat();
    let message = [b"sslg1 grant\0", suite.hash().of(&[&signed[..]]).as_bytes()].concat();
    let hash = suite.message_hash();
    let signature = granter.sign(hash, &message);
    [
        signed,
        sshsig::blob(hash, &granter.public_key(), &signature),
    ]
    .concat()
}

fn sidecars(log: &[u8], stranger: &Identity) -> Vec<(&'static str, Vec<u8>)> {
    let good = grant(log, stranger, Kem::XWing);
    let other = Session::new().log(&short());
    let flip = |at: usize| {
        let mut bent = good.clone();
        bent[at] ^= 1;
        bent
    };
    let with_last = |change: fn(&mut u8)| {
        resigned(&good, |mut body| {
            body.last_mut().map(change).expect("not empty");
            body
        })
    };
    vec![
        ("good", good.clone()),
        ("classical", grant(log, stranger, Kem::X25519)),
        (
            "of-another-log",
            grant(&other, &kit_identity(Kem::X25519), Kem::XWing),
        ),
        ("mark", flip(3)),
        ("major", flip(8)),
        ("minor", flip(9)),
        ("suite-unknown", flip(11)),
        ("suite-swapped", flip(10)),
        ("length", flip(14)),
        ("body", flip(200)),
        ("signature", flip(good.len() - 1)),
        ("cut", good[..good.len() - 1].to_vec()),
        ("cut-in-head", good[..15].to_vec()),
        ("trailing", [&good[..], &[0]].concat()),
        ("wrap-changed-and-signed", with_last(|byte| *byte ^= 1)),
        (
            "body-trailing-and-signed",
            resigned(&good, |body| [&body[..], &[0]].concat()),
        ),
        ("no-map-and-signed", resigned(&good, |_| vec![0x80])),
        (
            "further-key-and-signed",
            resigned(&good, |body| [&[0xa4][..], &body[1..], &[4, 0xf6]].concat()),
        ),
    ]
}

/// What a reader of the kit says of the log with this beside it.
fn judge_sidecar(log: &[u8], bytes: &[u8]) -> String {
    match Sidecar::parse(bytes) {
        Ok(sidecar) => judge_with(log, vec![sidecar]).1,
        Err(error) => format!("{{\"fault\": \"{error:?}\"}}"),
    }
}

fn prove(log: &[u8], segment: u32, seq: u64) -> Vec<u8> {
    let mut prover = Prover::new(
        ReaderConfig {
            identities: vec![kit_identity(Kem::X25519)],
            ..ReaderConfig::default()
        },
        segment,
        seq,
    );
    prover.push(log);
    prover.finish().expect("it is covered")
}

fn proofs() -> Vec<(&'static str, Vec<u8>)> {
    let log = rotated();
    let good = prove(&log, 1, 2);
    // Where the proof holds something: found by what it is.
    let place = |mark: &[u8]| {
        let found = good.windows(mark.len()).rposition(|w| w == mark);
        found.expect("it is there") + mark.len()
    };
    let flip = |at: usize| {
        let mut bent = good.clone();
        bent[at] ^= 1;
        bent
    };
    let frame = place(&[0xc5, 0x5c, 1]);
    let strange = Session {
        signer: SigningIdentity::from_seed([66; 32]),
        ..Session::new()
    };
    vec![
        ("good", good.clone()),
        ("good-first-segment", prove(&log, 0, 1)),
        ("good-summary", {
            let one = Session::new().log(&[]);
            prove(&one, 0, 2)
        }),
        ("by-untrusted-signer", prove(&strange.log(&short()), 0, 1)),
        ("suite-unknown", flip(2)),
        ("header", flip(60)),
        ("frame-body", flip(frame + 60)),
        ("frame-length", flip(frame + 4)),
        ("key", flip(good.len() - 16)),
        ("nonce", flip(good.len() - 1)),
        ("cut", good[..good.len() - 1].to_vec()),
        ("trailing", [&good[..], &[0]].concat()),
        ("further-key", [&[0xa7][..], &good[1..], &[7, 0]].concat()),
        ("empty", Vec::new()),
    ]
}

fn judge_proof(proof: &[u8]) -> String {
    let signers = Signers::from_text(&allowed_signers()).expect("signers");
    let proven = match check_proof(proof, &signers) {
        Ok(proven) => proven,
        Err(error) => return format!("{{\"fault\": \"{error:?}\"}}"),
    };
    let (mut records, mut data) = (0, Vec::new());
    let counted = proven.records(|view| {
        records += 1;
        if let Record::Input(bytes) | Record::Output(bytes) | Record::Stderr(bytes) = view.record {
            data.extend_from_slice(bytes);
        }
    });
    counted.expect("records");
    format!(
        "{{\"fault\": null, \"segment\": {}, \"seq\": {}, \"covered\": {}, \"records\": {records}, \"data_sha256\": \"{}\"}}",
        proven.segment,
        proven.seq,
        proven.covered_frames,
        Hash::Sha256.of(&[&data])
    )
}

/// Writes or compares the files; says how many there are.
pub(super) fn settle_all(kit: &Kit) -> usize {
    let (log, stranger) = sealed_for_another();
    assert_eq!(
        kit.cases.get("recipient-rewrapped").map(|case| &case.0),
        Some(&log)
    );
    let (sidecars, proofs) = (sidecars(&log, &stranger), proofs());
    let mut lines = Vec::new();
    for (name, bytes) in &sidecars {
        settle(&format!("{name}.sidecar"), bytes);
        let line = judge_sidecar(&log, bytes);
        assert_eq!(
            line.contains("\"decryption\": \"ok\""),
            ["good", "classical", "further-key-and-signed"].contains(name),
            "{name}: {line}"
        );
        lines.push(format!("  \"{name}.sidecar\": {line}"));
    }
    for (name, bytes) in &proofs {
        settle(&format!("{name}.proof"), bytes);
        let line = judge_proof(bytes);
        assert_eq!(
            line.contains("null"),
            name.starts_with("good"),
            "{name}: {line}"
        );
        lines.push(format!("  \"{name}.proof\": {line}"));
    }
    let json = format!("{{\n{}\n}}\n", lines.join(",\n"));
    settle("beside.json", json.as_bytes());
    sidecars.len() + proofs.len() + 1
}

pub(super) fn add(kit: &mut Kit) {
    let (log, _) = sealed_for_another();
    kit.add("recipient-rewrapped", log, Expect::NoIdentity);
}
