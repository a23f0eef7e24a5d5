//! What a writer has erased is nowhere in the memory of its process: not on the heap, not on a stack, not in a library.
//!
//! This holds for AWS-LC, the default; what RustCrypto leaves on the stack is said in the README.
#![cfg(all(target_os = "linux", feature = "aws-lc"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::*;
use hkdf::Hkdf;
use session_log::{Kem, LogId, Record, Writer, WriterPolicy};
use sha2::{Digest as _, Sha256, Sha512};

/// Where the writing process puts its log; it then waits for the end of its input.
const LOG: &str = "SESSION_LOG_ERASURE_LOG";
const KEM: &str = "SESSION_LOG_ERASURE_KEM";
/// Whether it ends the log before it waits.
const ENDED: &str = "SESSION_LOG_ERASURE_ENDED";
/// What is looked for of each secret: more than chance finds, and less than any secret has.
const NEEDLE_BYTES: usize = 16;
/// How long the writing process may take, in looks at its folder: two minutes.
const LOOKS: u32 = 24_000;
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);
/// More draws than the writer makes here.
const DRAWS: usize = 64;

fn seed() -> [u8; 32] {
    std::array::from_fn(|i| (i as u8).wrapping_mul(37) ^ 0x5a)
}

/// The process that writes. It does nothing when the test below did not start it.
#[test]
fn a_process_that_writes_and_waits() {
    let Some(path) = std::env::var_os(LOG) else {
        return;
    };
    let kem = match std::env::var(KEM).as_deref() {
        Ok("x-wing") => Kem::XWing,
        _ => Kem::X25519,
    };
    let recipient = common::identity(kem);
    let policy = WriterPolicy {
        checkpoint_frames: 4,
        ..WriterPolicy::default()
    };
    let config = config(&[recipient], policy);
    let mut writer = Writer::create(&config, &signer(), LogId([7; 16]), seed(), now(0)).unwrap();
    let mut log = Vec::new();
    for i in 0..14 {
        let text = [b'a'; 40];
        writer.record(1, &Record::Input(&text), now(i)).unwrap();
        writer.flush(now(i)).unwrap();
        drain(&mut writer, &mut log);
    }
    if std::env::var_os(ENDED).is_some() {
        writer.finish(now(20)).unwrap();
        drain(&mut writer, &mut log);
    }
    let path = Path::new(&path);
    fs::write(path.with_extension("part"), &log).unwrap();
    fs::rename(path.with_extension("part"), path).unwrap();
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    drop(writer);
}

/// `Expand` of the specification, section 6.
fn expand(prk: &[u8], label: &str, len: usize) -> Vec<u8> {
    let info = [b"sslg1 ", label.as_bytes(), &[0]].concat();
    let mut out = vec![0; len];
    let hkdf = Hkdf::<Sha256>::from_prk(prk).unwrap();
    hkdf.expand(&info, &mut out).unwrap();
    out
}

fn next(prk: &[u8], label: &str) -> Vec<u8> {
    expand(prk, label, 32)
}

/// What a log says in the clear.
struct Seen {
    header_hash: Vec<u8>,
    /// How many encrypted frames each epoch has.
    frames: Vec<u32>,
}

fn look(log: &[u8]) -> Seen {
    let number = |at: usize| u32::from_be_bytes(log[at..at + 4].try_into().unwrap()) as usize;
    let (core, wraps) = (number(12), number(16));
    let hashed = [&[0x48], &log[..16], &log[20..20 + core]].concat();
    let mut frames = Vec::new();
    let mut at = 20 + core + wraps;
    while at < log.len() && !log[at..].starts_with(b"SSLGIDX1") {
        let epoch = number(at + 16);
        frames.resize(epoch + 1, 0);
        frames[epoch] += u32::from(log[at + 2] < 0x10);
        if log[at + 2] == 0x11 {
            frames.push(0);
        }
        at += 24 + number(at + 4);
    }
    Seen {
        header_hash: Sha256::digest(hashed).to_vec(),
        frames,
    }
}

/// Secrets by name: those that the writer has erased, and those that it holds.
#[derive(Default)]
struct Secrets {
    erased: Vec<(String, Vec<u8>)>,
    held: Vec<(String, Vec<u8>)>,
}

/// Every key of the segment, as section 6 of the specification derives them.
fn segment_keys(segment_secret: &[u8], seen: &Seen) -> Secrets {
    let mut keys = Secrets::default();
    let mut erased = |name: String, key: &[u8]| keys.erased.push((name, key.to_vec()));
    erased("segment secret".into(), segment_secret);
    let (root, _) = Hkdf::<Sha256>::extract(Some(&seen.header_hash), segment_secret);
    erased("root".into(), &root);
    let mut epoch_key = next(&root, "epoch");
    for (epoch, frames) in seen.frames.iter().enumerate() {
        erased(format!("E[{epoch}]"), &epoch_key);
        let mut chain = next(&epoch_key, "chain");
        for frame in 0..*frames {
            erased(format!("C[{epoch},{frame}]"), &chain);
            erased(format!("K[{epoch},{frame}]"), &next(&chain, "key"));
            chain = next(&chain, "next");
        }
        if epoch + 1 == seen.frames.len() {
            keys.held.push(("the next chain key".into(), chain));
        } else {
            erased(format!("C[{epoch},{frames}]"), &chain);
        }
        epoch_key = next(&epoch_key, "next epoch");
    }
    keys.held.push(("the next epoch key".into(), epoch_key));
    keys
}

/// The states of the writer's generator, and what it drew at each.
fn generator() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let mut state = next(&seed(), "generator");
    let (mut states, mut draws) = (Vec::new(), Vec::new());
    for _ in 0..DRAWS {
        draws.push(next(&state, "draw"));
        states.push(state.clone());
        state = next(&state, "state");
    }
    (states, draws)
}

/// What of a secret is as good as itself: HMAC's two blocks, and the states of SHA-256 behind them.
fn as_good(name: &str, key: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut all = vec![(name.to_owned(), key.to_vec())];
    for (pad, what) in [(0x36, "inner"), (0x5c, "outer")] {
        let mut block = [pad; 64];
        for (byte, key) in block.iter_mut().zip(key) {
            *byte ^= key;
        }
        all.push((format!("{what} block of {name}"), block.to_vec()));
        let mut state = [
            0x6a09_e667_u32,
            0xbb67_ae85,
            0x3c6e_f372,
            0xa54f_f53a,
            0x510e_527f,
            0x9b05_688c,
            0x1f83_d9ab,
            0x5be0_cd19,
        ];
        sha2::block_api::compress256(&mut state, &[block]);
        let bytes = state.iter().flat_map(|word| word.to_ne_bytes()).collect();
        all.push((format!("{what} state of {name}"), bytes));
    }
    all
}

/// What an Ed25519 key is expanded to: its scalar but for the clamped first byte, and its nonce prefix.
fn expanded(name: &str, seed: &[u8]) -> [(String, Vec<u8>); 2] {
    let hash = Sha512::digest(seed);
    [
        (format!("scalar of {name}"), hash[1..31].to_vec()),
        (format!("prefix of {name}"), hash[32..].to_vec()),
    ]
}

/// The names of what is found in the writable memory of a process, with the place of each.
fn found(process: u32, secrets: &[(String, Vec<u8>)]) -> BTreeMap<String, String> {
    let mut by_start: BTreeMap<[u8; 2], Vec<(&str, &[u8])>> = BTreeMap::new();
    for (name, secret) in secrets {
        let start = [secret[0], secret[1]];
        let needles = by_start.entry(start).or_default();
        needles.push((name, &secret[..NEEDLE_BYTES]));
    }
    let starts: BTreeSet<u16> = by_start
        .keys()
        .map(|start| u16::from_be_bytes(*start))
        .collect();
    let mut is_start = vec![false; 1 << 16];
    starts
        .iter()
        .for_each(|start| is_start[usize::from(*start)] = true);
    let memory = fs::File::open(format!("/proc/{process}/mem")).unwrap();
    let mut places = BTreeMap::new();
    for line in fs::read_to_string(format!("/proc/{process}/maps"))
        .unwrap()
        .lines()
    {
        let mut words = line.split_whitespace();
        let (range, access) = (words.next().unwrap(), words.next().unwrap());
        let (from, to) = range.split_once('-').unwrap();
        let address = |text| u64::from_str_radix(text, 16).unwrap();
        let (from, to) = (address(from), address(to));
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        if !access.starts_with("rw") || memory.read_exact_at(&mut bytes, from).is_err() {
            continue;
        }
        for (at, start) in bytes.array_windows::<2>().enumerate() {
            if !is_start[usize::from(u16::from_be_bytes(*start))] {
                continue;
            }
            for (name, needle) in &by_start[start] {
                if bytes[at..].starts_with(needle) {
                    let region = words.clone().next_back().unwrap_or_default();
                    places.insert(
                        (*name).to_owned(),
                        format!("{:x} of {line}{region}", from + at as u64),
                    );
                }
            }
        }
    }
    places
}

struct Waiting(Child);

impl Drop for Waiting {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(log: &Path, kem: &str, ended: bool) -> Waiting {
    let mut command = Command::new(std::env::current_exe().unwrap());
    if ended {
        command.env(ENDED, "yes");
    }
    let child = command
        .args(["--exact", "a_process_that_writes_and_waits", "--nocapture"])
        .env(LOG, log)
        .env(KEM, kem)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut child = Waiting(child);
    for _ in 0..LOOKS {
        let ended = child.0.try_wait().unwrap();
        assert!(ended.is_none(), "{ended:?}");
        if log.exists() {
            return child;
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
    panic!("no log after {LOOKS} looks");
}

#[test]
fn no_key_of_the_past_is_left_in_the_memory_of_the_writing_process() {
    for kem in ["x25519", "x-wing"] {
        nothing_is_left(kem, false);
        nothing_is_left(kem, true);
    }
}

fn nothing_is_left(kem: &str, ended: bool) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let child = start(&path, kem, ended);
    let log = fs::read(&path).unwrap();
    let seen = look(&log);
    assert!(seen.frames.len() > 3 && seen.frames.iter().sum::<u32>() >= 14);

    let (states, draws) = generator();
    let named = |what: &str, all: &[Vec<u8>]| -> Vec<(String, Vec<u8>)> {
        let name = |(i, bytes): (usize, &Vec<u8>)| (format!("{what} {i}"), bytes.clone());
        all.iter().enumerate().map(name).collect()
    };
    let process = child.0.id();
    let current = found(process, &named("", &states));
    let numbers = current.keys().map(|name| name.trim().parse().unwrap());
    // Those before are looked for below.
    let current: usize = numbers
        .max()
        .expect("the state of the generator is in memory");
    // The key of this epoch was drawn last: 48 bytes, of which 32 are its seed.
    let signing = if ended { current } else { current - 2 };

    let mut secrets = segment_keys(&draws[0], &seen);
    if ended {
        secrets.erased.append(&mut secrets.held);
    } else {
        let key = draws[signing].clone();
        secrets.held.push(("the signing key".into(), key));
    }
    let held = found(process, &secrets.held);
    assert_eq!(
        held.len(),
        secrets.held.len(),
        "the search finds what is there: {held:?}"
    );

    secrets
        .erased
        .extend(named("generator state", &states[..current]));
    secrets.erased.extend(named("draw", &draws[..signing]));
    let mut needles = Vec::new();
    for (name, secret) in &secrets.erased {
        needles.extend(as_good(name, secret));
        needles.extend(expanded(name, secret));
    }
    let left = found(process, &needles);
    let lines: Vec<_> = left
        .iter()
        .map(|(name, place)| format!("{name} at {place}"))
        .collect();
    assert!(
        left.is_empty(),
        "{kem}: of {} values {} are left:\n{}",
        needles.len(),
        left.len(),
        lines.join("\n")
    );
}
