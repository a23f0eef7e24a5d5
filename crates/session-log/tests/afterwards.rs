//! What can be done with a log that is there: recover it, grant it, prove one frame of it, read it from a time on; and who may sign where.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::*;
use session_log::{
    Authenticity, Completeness, Compression, CreateError, Decryption, Event, FrameKind, Grant,
    GrantError, Identity, Integrity, Kem, LogId, Pressure, ProofError, ProveError, Prover,
    PublicKey, ReadMode, Reader, ReaderConfig, Record, Recovery, SeekError, SeekTo, Seeker,
    Sidecar, SignError, SignatureAlgorithm, Signers, SigningIdentity, Strength, Suite, Writer,
    WriterConfig, WriterPolicy, check_proof,
};

fn recover(broken: &[u8], signer: &SigningIdentity) -> Result<Vec<u8>, CreateError> {
    let mut recovery = Recovery::default();
    for piece in broken.chunks(777) {
        recovery.push(piece);
    }
    let recipients = vec![identity(Kem::X25519).recipient()];
    let recovered = recovery
        .begin(recipients, signer.public_key(), [5; 32], now(90_000))?
        .sign(signer)?;
    let keep = usize::try_from(recovered.keep_bytes).unwrap();
    assert_eq!(recovered.attestation.found_bytes, broken.len() as u64);
    Ok([&broken[..keep], &recovered.tail].concat())
}

#[test]
fn a_log_cut_anywhere_is_recovered_with_everything_that_was_sealed_and_never_called_complete() {
    for log in [small_log(), rotated_log()] {
        let header = read(&log).0.frames[0].offset as usize;
        for len in (0..log.len() - 24).step_by(211).chain([header + 400]) {
            let broken = &log[..len];
            let before = read(broken).0;
            let recovered = match recover(broken, &signer()) {
                Ok(recovered) => recovered,
                Err(error) => {
                    assert_eq!(error, CreateError::NothingFound, "cut at {len}");
                    assert!(before.frames.is_empty(), "cut at {len}");
                    continue;
                }
            };
            let (found, verdict) = read(&recovered);
            assert_eq!(found.records, before.records, "cut at {len}");
            let frames = before.frames.len() as u64;
            assert!(
                matches!(verdict.completeness, Completeness::Recovered { frames: f, attested_frames: a } if f == frames && a <= f),
                "cut at {len}: {verdict:?}"
            );
            assert_eq!(verdict.integrity, Integrity::Intact, "cut at {len}");
            assert!(matches!(
                verdict.authenticity,
                Authenticity::Verified { .. }
            ));
            assert!(!verdict.is_good());
        }
    }
}

#[test]
fn a_recovered_log_is_as_trustworthy_as_whoever_recovered_it_and_a_whole_one_is_not_recovered() {
    let log = small_log();
    let stranger = SigningIdentity::from_seed([99; 32]);
    let (_, verdict) = read(&recover(&log[..3_000], &stranger).unwrap());
    assert!(matches!(
        verdict.authenticity,
        Authenticity::UntrustedSigner { .. }
    ));
    assert_eq!(recover(&log, &signer()), Err(CreateError::Ended));
    let twice = recover(&log[..3_000], &signer()).unwrap();
    assert_eq!(recover(&twice, &signer()), Err(CreateError::Ended));
}

#[test]
fn a_log_that_lost_only_its_trailer_gets_the_same_one_again_and_no_other_log_does() {
    for log in [small_log(), rotated_log()] {
        let end = log.len() - 24;
        for len in (end - 60..=log.len()).chain([0, 10, 3_000]) {
            let cut = &log[..len];
            let mut recovery = Recovery::default();
            recovery.push(cut);
            let missing = recovery.missing_trailer();
            if (end..log.len()).contains(&len) {
                let missing = missing.unwrap();
                let keep = usize::try_from(missing.keep_bytes).unwrap();
                assert_eq!([&cut[..keep], &missing.tail].concat(), log, "{len}");
                assert_eq!(verify(cut).completeness, Completeness::TrailerMissing);
                assert!(!verify(cut).is_good());
                assert_eq!(recover(cut, &signer()), Err(CreateError::Ended));
            } else {
                assert_eq!(missing, None, "{len}");
            }
        }
        let mut recovery = Recovery::default();
        recovery.push(&[&log[..end], b"SSLGIDX2"].concat());
        assert_eq!(recovery.missing_trailer(), None, "another trailer");
    }
}

fn grant(log: &[u8], to: &Identity) -> Result<Vec<u8>, GrantError> {
    let mut grant = Grant::new(vec![to.recipient()], [8; 32]);
    for segment in read(log).0.segments {
        let start = usize::try_from(segment.offset).unwrap();
        let header = &log[start..start + segment.header_bytes as usize];
        grant.add_header(header, &[identity(Kem::X25519)])?;
    }
    grant
        .begin(signer().public_key(), 1_800_000_000_000)?
        .sign(&signer())
}

#[test]
fn a_sidecar_lets_a_further_recipient_read_and_nobody_else() {
    let log = rotated_log();
    let late = identity(Kem::XWing);
    let file = grant(&log, &late).unwrap();
    let sidecar = Sidecar::parse(&file).unwrap();
    assert_eq!(sidecar.granter(), signer().public_key());
    let with = |key: Identity| {
        let config = ReaderConfig {
            sidecars: vec![sidecar.clone()],
            ..reader_config(vec![key], ReadMode::Strict)
        };
        read_with(config, &[&log])
    };
    let (found, verdict) = with(late);
    assert!(verdict.is_good() && verdict.decryption == Decryption::Ok);
    assert_eq!(verdict.strength, Strength::Classical);
    assert_eq!(found.records, read(&log).0.records);
    let other = SigningIdentity::from_seed([1; 32]);
    assert_ne!(sidecar.granter(), other.public_key());
    let (_, verdict) = with(Identity::generate(Kem::XWing, &mut rng(77)));
    assert_eq!(verdict.decryption, Decryption::NoMatchingIdentity);
    for at in (0..file.len()).step_by(13) {
        let mut bent = file.clone();
        bent[at] ^= 1;
        assert!(Sidecar::parse(&bent).is_err() || at == 9, "byte {at}");
    }
    for len in (0..file.len()).step_by(29) {
        assert!(Sidecar::parse(&file[..len]).is_err(), "length {len}");
    }
    let mut strange = Grant::new(vec![identity(Kem::XWing).recipient()], [8; 32]);
    let header = &log[..read(&log).0.frames[0].offset as usize];
    assert_eq!(
        strange.add_header(header, &[identity(Kem::XWing)]),
        Err(GrantError::NoMatchingIdentity)
    );
}

fn rng(seed: u8) -> rand_chacha::ChaCha20Rng {
    use rand_core::SeedableRng as _;
    rand_chacha::ChaCha20Rng::from_seed([seed; 32])
}

fn prove(log: &[u8], segment: u32, seq: u64) -> Result<Vec<u8>, ProveError> {
    let config = reader_config(vec![identity(Kem::X25519)], ReadMode::Strict);
    let mut prover = Prover::new(config, segment, seq);
    for piece in log.chunks(1_000) {
        prover.push(piece);
    }
    prover.finish()
}

#[test]
fn one_frame_is_proven_without_the_others_and_no_changed_proof_holds() {
    let log = rotated_log();
    let (found, _) = read(&log);
    let trust = trust(&signer());
    let mut segment = 0;
    let mut proven = 0;
    let mut records = Vec::new();
    let mut last_seq = None;
    for frame in &found.frames {
        if last_seq.is_some_and(|last| frame.seq < last) {
            segment += 1;
        }
        last_seq = Some(frame.seq);
        let proof = prove(&log, segment, frame.seq);
        if matches!(frame.kind, FrameKind::Open | FrameKind::Checkpoint) {
            assert!(proof.is_err());
            continue;
        }
        let proof = proof.unwrap();
        let shown = check_proof(&proof, &trust).unwrap();
        assert_eq!((shown.segment, shown.seq), (segment, frame.seq));
        assert_eq!(shown.signer, "proxy@example");
        shown
            .records(|view| records.push(format!("{} {:?}", view.channel, view.record)))
            .unwrap();
        proven += 1;
    }
    assert!(proven > 30);
    assert_eq!(records, found.records);

    let proof = prove(&log, 1, 3).unwrap();
    for at in 0..proof.len() {
        let mut bent = proof.clone();
        bent[at] ^= 1 << (at % 8);
        assert!(check_proof(&bent, &trust).is_err(), "byte {at}");
    }
    let stranger = SigningIdentity::from_seed([3; 32]).public_key_openssh();
    let strangers = Signers::from_text(&format!("x {stranger}")).unwrap();
    assert_eq!(
        check_proof(&proof, &strangers),
        Err(ProofError::UntrustedSigner)
    );
    assert_eq!(prove(&log, 99, 1), Err(ProveError::NotCovered));
}

/// How many bytes were read, the records with their times, the verdict.
type Excerpt = (u64, Vec<(u64, String)>, session_log::Verdict);

fn seek(log: &[u8], to: SeekTo) -> Result<Excerpt, SeekError> {
    let config = reader_config(vec![identity(Kem::X25519)], ReadMode::Strict);
    let mut seeker = Seeker::new(config, log.len() as u64, to);
    let mut read_bytes = 0;
    while let Some(wanted) = seeker.poll_wanted() {
        let start = usize::try_from(wanted.offset).unwrap();
        let bytes = log
            .get(start..start + wanted.bytes as usize)
            .ok_or(SeekError::Misled)?;
        read_bytes += bytes.len() as u64;
        seeker.handle_bytes(bytes)?;
    }
    let sought = seeker.into_sought().unwrap();
    let mut reader: Reader = sought.reader;
    let rest = &log[usize::try_from(sought.offset).unwrap()..];
    read_bytes += rest.len() as u64;
    reader.push(rest);
    reader.finish();
    let mut records = Vec::new();
    while let Some(event) = reader.poll() {
        if let Event::Record(view) = event {
            records.push((view.t_us, format!("{:?}", view.record)));
        }
    }
    Ok((read_bytes, records, reader.verdict()))
}

#[test]
fn from_a_time_on_the_same_records_come_as_from_the_beginning_and_little_is_read() {
    let mut writer = writer(WriterPolicy {
        rotate_bytes: 60_000,
        checkpoint_frames: 8,
        ..WriterPolicy::default()
    });
    let mut log = Vec::new();
    for i in 0..400u64 {
        let text = format!("line {i}\n");
        writer
            .record(1, &Record::Output(text.as_bytes()), now(i * 100))
            .unwrap();
        writer.flush(now(i * 100)).unwrap();
        drain(&mut writer, &mut log);
    }
    writer.finish(now(40_000)).unwrap();
    drain(&mut writer, &mut log);
    let (whole, verdict) = read(&log);
    assert!(verdict.is_good() && whole.segments.len() > 3);
    let all: Vec<(u64, &String)> = whole.times.iter().copied().zip(&whole.records).collect();
    for t_us in [0, 1, 5_000_000, 17_300_000, 39_900_000, 50_000_000] {
        let (read_bytes, records, verdict) = seek(&log, SeekTo::Time { t_us }).unwrap();
        assert_eq!(verdict.completeness, Completeness::Excerpt);
        assert_eq!(verdict.integrity, Integrity::Intact, "{t_us}");
        assert_eq!(verdict.decryption, Decryption::Ok);
        let wanted = all.iter().filter(|(t, _)| *t >= t_us).count();
        let tail: Vec<String> = all[all.len() - wanted..]
            .iter()
            .map(|(_, record)| record[2..].to_owned())
            .collect();
        let found: Vec<String> = records.iter().map(|(_, record)| record.clone()).collect();
        assert!(found.ends_with(&tail), "{t_us}");
        assert!(found.len() <= tail.len() + 10, "{t_us}: {}", found.len());
        assert!(t_us < 39_000_000 || read_bytes < 20_000, "{read_bytes}");
    }
    let (_, last_second, _) = seek(&log, SeekTo::BeforeEnd { us: 1_000_000 }).unwrap();
    assert!(
        (10..25).contains(&last_second.len()),
        "{}",
        last_second.len()
    );
    let unended = &log[..log.len() - 24];
    assert!(seek(unended, SeekTo::Time { t_us: 0 }).is_err());
    for at in log.len() - 24..log.len() {
        let mut bent = log.clone();
        bent[at] ^= 1;
        assert!(seek(&bent, SeekTo::Time { t_us: 0 }).is_err(), "byte {at}");
    }
}

#[test]
fn an_identity_key_elsewhere_is_asked_once_and_only_its_own_answer_is_taken() {
    for algorithm in [
        SignatureAlgorithm::Ed25519,
        SignatureAlgorithm::EcdsaP256,
        SignatureAlgorithm::EcdsaP384,
    ] {
        let agent = SigningIdentity::generate(algorithm, [4; 32]);
        let public = PublicKey::from_openssh(&agent.public_key_openssh()).unwrap();
        let config = config(&[identity(Kem::X25519)], WriterPolicy::default());
        let begin = || Writer::begin(&config, public, LogId([7; 16]), [1; 32], now(0)).unwrap();
        let wrong = SigningIdentity::generate(algorithm, [5; 32]).answer(begin().request());
        let refused = begin().answer(&wrong).map(|_| ()).unwrap_err();
        assert_eq!(refused, CreateError::Signature(SignError::Wrong));
        let refused = begin().answer(b"no signature").map(|_| ()).unwrap_err();
        assert_eq!(refused, CreateError::Signature(SignError::Malformed));
        let opening = begin();
        let answer = agent.answer(opening.request());
        let mut writer = opening.answer(&answer).unwrap();
        writer.finish(now(1)).unwrap();
        let mut log = Vec::new();
        drain(&mut writer, &mut log);
        let signers = Some(trust(&agent));
        let config = ReaderConfig {
            signers,
            ..ReaderConfig::default()
        };
        assert!(read_with(config, &[&log]).1.is_good(), "{algorithm:?}");
    }
}

#[test]
fn a_suite_takes_only_recipients_of_its_kind_and_each_suite_reads_back() {
    for suite in Suite::ALL {
        for kem in Kem::ALL {
            let config = WriterConfig {
                suite,
                recipients: vec![identity(kem).recipient()],
                policy: WriterPolicy::default(),
            };
            let made = Writer::create(&config, &signer(), LogId([7; 16]), [1; 32], now(0));
            if !suite.kems().contains(&kem) {
                assert!(matches!(made, Err(CreateError::RecipientKem { .. })));
                continue;
            }
            let mut writer = made.unwrap();
            writer.record(1, &Record::Output(b"hello"), now(1)).unwrap();
            writer.finish(now(2)).unwrap();
            let mut log = Vec::new();
            drain(&mut writer, &mut log);
            let config = reader_config(vec![identity(kem)], ReadMode::Strict);
            let (found, verdict) = read_with(config, &[&log]);
            assert!(verdict.is_good(), "{suite:?} {kem:?}: {verdict:?}");
            assert_eq!(found.output, b"hello");
        }
    }
}

#[test]
fn only_output_is_compressed_and_it_reads_back() {
    let text = b"drwxr-xr-x 2 root root 4096 Jan  1 00:00 folder\r\n".repeat(4_000);
    let log = |record: &Record<'_>| {
        let mut writer = writer(WriterPolicy {
            compression: Compression::Output,
            ..WriterPolicy::default()
        });
        writer.record(1, &Record::Shell, now(0)).unwrap();
        writer.record(1, record, now(1)).unwrap();
        writer.finish(now(2)).unwrap();
        let mut log = Vec::new();
        drain(&mut writer, &mut log);
        log
    };
    let output = log(&Record::Output(&text));
    assert!(output.len() * 3 < text.len(), "{}", output.len());
    let (found, verdict) = read(&output);
    assert!(verdict.is_good() && found.output == text);
    let input = log(&Record::Input(&text));
    assert!(input.len() > text.len());
}

#[test]
fn pressure_rises_while_storage_is_behind_and_falls_when_it_caught_up() {
    let mut writer = writer(WriterPolicy {
        pressure_bytes: 10_000,
        ..WriterPolicy::default()
    });
    assert_eq!(writer.pressure(), Pressure::Low);
    writer
        .record(1, &Record::Output(&[0; 200_000]), now(1))
        .unwrap();
    let mut log = Vec::new();
    drain(&mut writer, &mut log);
    let high = Pressure::High {
        waiting_bytes: log.len() as u64,
    };
    assert_eq!(writer.pressure(), high);
    writer.on_durable(log.len() as u64);
    assert_eq!(writer.pressure(), Pressure::Low);
    writer.on_durable(u64::MAX);
    assert_eq!(writer.pressure(), Pressure::Low);
}
