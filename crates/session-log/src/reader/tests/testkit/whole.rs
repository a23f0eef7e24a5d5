//! Logs as writers make them.

use core::time::Duration;

use super::*;
use crate::header::LogId;
use crate::keyfile::Recipient;
use crate::record::{SessionMeta, Side};
use crate::recover::Recovery;
use crate::sign::PublicKey;
use crate::time::Now;
use crate::writer::{Compression, OutputDigest, Padding, Writer, WriterConfig, WriterPolicy};

pub(super) fn now(millis: u64) -> Now {
    Now {
        mono: Duration::from_millis(millis),
        unix: Duration::from_millis(1_800_000_000_000 + millis),
    }
}

pub(super) fn policy() -> WriterPolicy {
    WriterPolicy {
        padding: Padding::Exact,
        checkpoint_frames: 3,
        ..WriterPolicy::default()
    }
}

pub(super) struct Session {
    pub(super) suite: Suite,
    pub(super) recipients: Vec<Recipient>,
    pub(super) policy: WriterPolicy,
    pub(super) signer: SigningIdentity,
}

impl Session {
    pub(super) fn new() -> Session {
        Session {
            suite: Suite::default(),
            recipients: vec![kit_identity(Kem::X25519).recipient()],
            policy: policy(),
            signer: kit_signer(SignatureAlgorithm::Ed25519),
        }
    }

    pub(super) fn of(suite: Suite) -> Session {
        Session {
            suite,
            recipients: suite.kems()[suite.kems().len() - 1..]
                .iter()
                .map(|kem| kit_identity(*kem).recipient())
                .collect(),
            signer: kit_signer(suite.signature_algorithm()),
            ..Session::new()
        }
    }

    pub(super) fn begin(&self) -> Writer {
        let config = WriterConfig {
            suite: self.suite,
            recipients: self.recipients.clone(),
            policy: self.policy,
        };
        Writer::create(&config, &self.signer, LogId([7; 16]), [1; 32], now(0)).expect("writer")
    }

    /// A few records, each in its frame.
    pub(super) fn run(&self, records: &[Record<'_>]) -> Writer {
        let mut writer = self.begin();
        for (i, record) in records.iter().enumerate() {
            let at = now(i as u64 * 100);
            writer.record(1, record, at).expect("record");
            writer.flush(at).expect("flush");
        }
        writer
    }

    pub(super) fn log(&self, records: &[Record<'_>]) -> Vec<u8> {
        let mut writer = self.run(records);
        writer.finish(now(5_000)).expect("finish");
        take(&mut writer)
    }
}

pub(super) fn take(writer: &mut Writer) -> Vec<u8> {
    let mut log = Vec::new();
    while let Some(bytes) = writer.take_output() {
        log.extend_from_slice(&bytes);
    }
    log
}

pub(super) fn short() -> [Record<'static>; 5] {
    [
        Record::Exec { command: b"uptime" },
        Record::Input(b"x"),
        Record::Output(b"up 3 days\n"),
        Record::Stderr(b"warning\n"),
        Record::ExitStatus { code: 0 },
    ]
}

/// The log that most edits start from.
pub(super) fn plain() -> Vec<u8> {
    Session::new().log(&short())
}

/// Three segments.
pub(super) fn rotated() -> Vec<u8> {
    let session = Session {
        policy: WriterPolicy {
            rotate_bytes: 4_096,
            ..policy()
        },
        ..Session::new()
    };
    let piece = [b'r'; 1_200];
    session.log(
        &core::iter::once(Record::Shell)
            .chain(core::iter::repeat_n(Record::Output(&piece), 7))
            .collect::<Vec<_>>(),
    )
}

/// A log whose second half is for other recipients than the first.
pub(super) fn changed(first: &Recipient, then: &Recipient) -> Vec<u8> {
    let session = Session {
        recipients: vec![first.clone()],
        ..Session::new()
    };
    let mut writer = session.run(&short());
    writer
        .rotate_to(vec![then.clone()], now(1_000))
        .expect("rotated");
    for record in short() {
        writer.record(2, &record, now(2_000)).expect("record");
    }
    writer.finish(now(5_000)).expect("finish");
    take(&mut writer)
}

fn add_segments(kit: &mut Kit) {
    use Expect::{Good, NoIdentity};
    kit.add("good-rotated", rotated(), Good);
    let x25519 = kit_identity(Kem::X25519).recipient();
    let x_wing = kit_identity(Kem::XWing).recipient();
    let stranger = identity(77).recipient();
    let anonymous = x_wing.clone().anonymous();
    kit.add("good-rotated-to-x-wing", changed(&x25519, &x_wing), Good);
    kit.add("good-rotated-to-x25519", changed(&x_wing, &x25519), Good);
    kit.add("good-rotated-x-wing", changed(&x_wing, &anonymous), Good);
    let ended = changed(&x25519, &stranger);
    kit.add("recipient-another-later", ended, NoIdentity);
    let joined = changed(&stranger, &x25519);
    kit.add("recipient-another-earlier", joined, NoIdentity);

    let mut old = Session {
        policy: WriterPolicy {
            rotate_after: Duration::from_secs(60),
            ..policy()
        },
        ..Session::new()
    }
    .run(&short());
    old.handle_timeout(now(61_000)).expect("rotation");
    old.record(1, &Record::Input(b"later"), now(62_000))
        .expect("record");
    old.finish(now(63_000)).expect("finish");
    kit.add("good-rotated-by-time", take(&mut old), Good);

    let mut beating = Session::new().run(&short());
    for seconds in [400, 800, 1_200] {
        beating.handle_timeout(now(seconds * 1_000)).expect("beat");
    }
    beating
        .record(1, &Record::Input(b"back"), now(1_300_000))
        .expect("record");
    beating.finish(now(1_301_000)).expect("finish");
    kit.add("good-heartbeats", take(&mut beating), Good);
}

/// A log without its end, and the same recovered.
pub(super) fn broken_and_recovered(signer: &SigningIdentity, cut: usize) -> (Vec<u8>, Vec<u8>) {
    let mut broken = take(&mut Session::new().run(&short()));
    broken.truncate(broken.len() - cut);
    let whole = recovery_of(&broken, signer, kit_identity(Kem::X25519).recipient());
    (broken, whole)
}

fn recovery_of(broken: &[u8], signer: &SigningIdentity, recipient: Recipient) -> Vec<u8> {
    let mut recovery = Recovery::default();
    recovery.push(broken);
    let public: PublicKey = signer.public_key();
    let recovered = recovery
        .begin(vec![recipient], public, [3; 32], now(90_000))
        .expect("recovery")
        .sign(signer)
        .expect("its key");
    let keep = usize::try_from(recovered.keep_bytes).expect("small");
    [&broken[..keep], &recovered.tail].concat()
}

pub(super) fn add(kit: &mut Kit) {
    use Expect::{Aborted, Good, NoIdentity, Recovered, Truncated, Untrusted};
    kit.add("good-0002", plain(), Good);
    for suite in Suite::ALL {
        if suite != Suite::default() {
            let log = Session::of(suite).log(&short());
            kit.add(&format!("good-{:04x}", suite.id()), log, Good);
        }
    }
    let with = |change: &dyn Fn(&mut Session)| {
        let mut session = Session::new();
        change(&mut session);
        session
    };
    let x_wing = kit_identity(Kem::XWing).recipient();
    let x25519 = kit_identity(Kem::X25519).recipient();
    let pq = with(&|s| s.recipients = vec![x_wing.clone()]);
    kit.add("good-x-wing", pq.log(&short()), Good);
    let mixed = with(&|s| s.recipients = vec![x_wing.clone(), x25519.clone()]);
    kit.add("good-two-recipients", mixed.log(&short()), Good);
    let anonymous = with(&|s| s.recipients = vec![x25519.clone().anonymous()]);
    kit.add("good-anonymous", anonymous.log(&short()), Good);
    let stranger = identity(77).recipient();
    let other = with(&|s| s.recipients = vec![stranger.clone()]);
    kit.add("recipient-another", other.log(&short()), NoIdentity);
    let hidden = with(&|s| s.recipients = vec![stranger.clone().anonymous()]);
    kit.add(
        "recipient-anonymous-another",
        hidden.log(&short()),
        NoIdentity,
    );
    let padded = with(&|s| s.policy.padding = Padding::Padme { floor_bytes: 512 });
    kit.add("good-padme", padded.log(&short()), Good);
    let blocks = with(&|s| s.policy.padding = Padding::Blocks { bytes: 256 });
    kit.add("good-blocks", blocks.log(&short()), Good);
    let summed = with(&|s| s.policy.output_digest = OutputDigest::Sha256);
    kit.add("good-output-digest", summed.log(&short()), Good);
    let text = b"the same line again and again\r\n".repeat(300);
    let zstd = with(&|s| s.policy.compression = Compression::Output);
    let records = [Record::Shell, Record::Output(&text), Record::Output(&text)];
    let compressed = zstd.log(&records);
    assert!(compressed.len() < text.len());
    kit.add("good-zstd", compressed, Good);
    add_segments(kit);
    kit.add("good-empty-session", Session::new().log(&[]), Good);
    // A file of the kit stays as it is once readers are tested with it: kinds that came later have one of their own.
    let each = crate::record::tests::one_of_each();
    let came_later = |record: &Record<'_>| (0x24..=0x27).contains(&record.kind());
    let (later, each): (Vec<_>, Vec<_>) = each.into_iter().partition(came_later);
    kit.add("good-kinds-24-to-27", Session::new().log(&later), Good);
    let every = with(&|s| s.policy.checkpoint_frames = 1_000);
    kit.add("good-every-kind", every.log(&each), Good);
    let bytes = core::array::from_fn::<u8, 256, _>(|i| i as u8);
    let binary = [Record::Input(&bytes), Record::Output(&bytes)];
    kit.add("good-every-byte", Session::new().log(&binary), Good);

    let mut beating = Session::new().run(&short());
    beating.handle_timeout(now(400_000)).expect("periodic");
    beating.handle_timeout(now(800_000)).expect("heartbeat");
    kit.add("truncated-after-heartbeat", take(&mut beating), Truncated);
    let mut jumped = Session::new().run(&short());
    let late = Now {
        mono: Duration::from_millis(100),
        unix: Duration::from_secs(1_700_000_000),
    };
    jumped
        .record(1, &Record::Input(b"late"), late)
        .expect("record");
    jumped.finish(now(900)).expect("finish");
    kit.add("good-clocks-jump", take(&mut jumped), Good);
    let mut aborted = Session::new().run(&short());
    aborted.abort(now(600)).expect("abort");
    kit.add("aborted", take(&mut aborted), Aborted);
    let mut open = Session::new().run(&short());
    kit.add("truncated-no-end", take(&mut open), Truncated);

    let signer = kit_signer(SignatureAlgorithm::Ed25519);
    let (_, recovered) = broken_and_recovered(&signer, 0);
    kit.add("recovered-whole-frames", recovered, Recovered);
    let (_, recovered) = broken_and_recovered(&signer, 11);
    kit.add("recovered-torn-frame", recovered, Recovered);
    let (_, by_other_key) = broken_and_recovered(&kit_signer(SignatureAlgorithm::EcdsaP256), 11);
    kit.add("recovered-by-another-key", by_other_key, Recovered);
    let (broken, _) = broken_and_recovered(&signer, 11);
    let for_stranger = recovery_of(&broken, &signer, stranger);
    kit.add("recovered-for-another", for_stranger, Recovered);
    let pq_broken = take(&mut pq.run(&short()));
    let for_classical = recovery_of(&pq_broken, &signer, x25519);
    kit.add("recovered-x-wing-for-x25519", for_classical, Recovered);

    let strange = with(&|s| s.signer = SigningIdentity::from_seed([66; 32]));
    kit.add("signer-untrusted", strange.log(&short()), Untrusted);
    let ecdsa = with(&|s| s.signer = kit_signer(SignatureAlgorithm::EcdsaP256));
    kit.add("good-signer-p256", ecdsa.log(&short()), Good);
    let ecdsa = with(&|s| s.signer = kit_signer(SignatureAlgorithm::EcdsaP384));
    kit.add("good-signer-p384", ecdsa.log(&short()), Good);
    let meta = [
        Record::SessionMeta(SessionMeta {
            session: "5e55",
            identity_email: "ä@example.com",
            groups: vec!["a", "b"],
            ..SessionMeta::default()
        }),
        Record::Eof { from: Side::Target },
    ];
    kit.add("good-session-meta", Session::new().log(&meta), Good);
}
