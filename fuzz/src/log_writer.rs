//! Calls that write a log, in any suite and by any policy. What was sealed is read back in its order; the log is good when it was finished, and
//! when it was cut off, a recovery attests what there is.

use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use session_log::{
    Completeness, Compression, Event, Identity, Integrity, LogId, OutputDigest, Padding, Reader,
    ReaderConfig, Recipient, Record, Recovery, Signers, Suite, Verdict, Writer, WriterConfig,
    WriterPolicy,
};

use crate::input::Input;
use crate::log_reader::{now, signer};

/// Most calls of one run.
const MAX_CALLS: usize = 32;
/// Longest piece of data, bytes: a few of them fill the smallest segment.
const MAX_PIECE_BYTES: u16 = 2_000;

/// How a log ends.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Finished,
    Aborted,
    CutOff,
}

/// Writes a log as `data` says: its suite, its policy, then the calls.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let suite = Suite::ALL[usize::from(input.byte()) % Suite::ALL.len()];
    // The last one is the cheapest, and what is written does not depend on it.
    let kem = suite.kems()[suite.kems().len() - 1];
    let key = || Identity::generate(kem, &mut ChaCha20Rng::from_seed([8; 32]));
    let config = WriterConfig {
        suite,
        recipients: vec![key().recipient()],
        policy: any_policy(&mut input),
    };
    let (id, seed) = (LogId([3; 16]), [3; 32]);
    let mut writer = Writer::create(&config, &signer(), id, seed, now(0))
        .expect("the settings are within their ranges");
    let mut log = Vec::new();
    let mut written = Vec::new();
    let recipients = vec![key().recipient().anonymous()];
    let end = call(&mut input, &mut writer, &recipients, &mut log, &mut written);
    let (read, verdict) = read(key(), &log);
    assert_eq!(verdict.integrity, Integrity::Intact);
    match end {
        End::Finished => assert!(verdict.is_good() && read == written),
        End::Aborted => {
            assert!(matches!(verdict.completeness, Completeness::Aborted { .. }));
            assert_eq!(read, written);
        }
        End::CutOff => {
            assert!(written.starts_with(&read), "what is read was written");
            recover(key(), &log, &read);
        }
    }
}

fn any_policy(input: &mut Input<'_>) -> WriterPolicy {
    let choice = |input: &mut Input<'_>, most: u8| input.byte() % most;
    WriterPolicy {
        frame_bytes: [512, 4_096, 65_536][usize::from(choice(input, 3))],
        checkpoint_frames: 1 + u32::from(choice(input, 9)),
        rotate_bytes: [4_096, 1 << 26][usize::from(choice(input, 2))],
        rotate_after: Duration::from_millis(1 + 300 * u64::from(choice(input, 9))),
        padding: [
            Padding::Exact,
            Padding::Padme { floor_bytes: 512 },
            Padding::Blocks { bytes: 256 },
        ][usize::from(choice(input, 3))],
        compression: [Compression::Off, Compression::Output][usize::from(choice(input, 2))],
        output_digest: [OutputDigest::Omit, OutputDigest::Sha256][usize::from(choice(input, 2))],
        ..WriterPolicy::default()
    }
}

fn call(
    input: &mut Input<'_>,
    writer: &mut Writer,
    recipients: &[Recipient],
    log: &mut Vec<u8>,
    written: &mut Vec<u8>,
) -> End {
    let mut millis = 0;
    for _ in 0..MAX_CALLS {
        if input.is_over() {
            break;
        }
        let choice = input.byte();
        millis += u64::from(choice >> 4);
        let at = now(millis);
        let done = match choice % 8 {
            0..=3 => {
                let len = usize::from(input.word() % MAX_PIECE_BYTES);
                let piece = vec![input.byte(); len];
                written.extend_from_slice(&piece);
                let data = if choice % 2 == 0 {
                    Record::Output(&piece)
                } else {
                    Record::Input(&piece)
                };
                writer.record(u32::from(choice >> 6), &data, at)
            }
            4 => writer.flush(at),
            5 => writer.handle_timeout(at),
            6 => {
                let code = u32::from(choice);
                writer.record(1, &Record::ExitStatus { code }, at)
            }
            7 if choice >> 6 == 3 => writer.rotate_to(recipients.to_vec(), at),
            _ => Ok(log.extend_from_slice(&writer.take_output().unwrap_or_default())),
        };
        done.expect("the log is open");
    }
    let end = [End::Finished, End::Aborted, End::CutOff][usize::from(input.byte() % 3)];
    let done = match end {
        End::Finished => writer.finish(now(millis)),
        End::Aborted => writer.abort(now(millis)),
        End::CutOff => Ok(()),
    };
    done.expect("the log is open");
    log.extend_from_slice(&writer.take_output().unwrap_or_default());
    if end == End::CutOff {
        let lost = usize::from(input.byte());
        log.truncate(log.len().saturating_sub(lost));
    }
    end
}

/// All data in its order, and the verdict.
fn read(key: Identity, log: &[u8]) -> (Vec<u8>, Verdict) {
    let line = format!("proxy@example {}", signer().public_key_openssh());
    let mut reader = Reader::new(ReaderConfig {
        identities: vec![key],
        signers: Some(Signers::from_text(&line).expect("it is our own")),
        ..ReaderConfig::default()
    });
    reader.push(log);
    reader.finish();
    let mut data = Vec::new();
    while let Some(event) = reader.poll() {
        if let Event::Record(view) = event
            && let Record::Input(bytes) | Record::Output(bytes) = view.record
        {
            data.extend_from_slice(bytes);
        }
    }
    (data, reader.verdict())
}

fn recover(key: Identity, log: &[u8], data: &[u8]) {
    let mut recovery = Recovery::default();
    recovery.push(log);
    let public = signer().public_key();
    let Ok(opening) = recovery.begin(vec![key.recipient()], public, [5; 32], now(9_000)) else {
        assert_eq!(data, b"", "a log with data can be recovered");
        return;
    };
    let recovered = opening.sign(&signer()).expect("it is the signer's key");
    let keep = usize::try_from(recovered.keep_bytes).expect("it is in memory");
    let (again, verdict) = read(key, &[&log[..keep], &recovered.tail].concat());
    assert_eq!(again, data);
    assert!(matches!(
        verdict.completeness,
        Completeness::Recovered { .. }
    ));
}
