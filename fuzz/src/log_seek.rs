//! A log from a time on: what trailer and INDEX say leads somewhere in it or to an error, in few steps, and nothing comes out that the
//! writer did not seal.

use session_log::{Event, Reader, ReaderConfig, SeekTo, Seeker};

use crate::log_reader::{genuine_logs, identity};

/// Most ranges that a search may ask for: three a segment, and as many segments as the genuine logs have.
const MAX_STEPS: usize = 64;

/// The first byte chooses what is sought, the second of which log what follows is a piece; the rest is the log.
pub fn run(data: &[u8]) {
    let (&[to, by], log) = data.split_first_chunk().unwrap_or((&[0, 0], data));
    let us = u64::from(by) * 500;
    let to = match to & 1 {
        0 => SeekTo::BeforeEnd { us },
        _ => SeekTo::Time { t_us: us },
    };
    let config = || ReaderConfig {
        identities: vec![identity()],
        ..ReaderConfig::default()
    };
    let mut seeker = Seeker::new(config(), log.len() as u64, to);
    let mut steps = 0;
    while let Some(wanted) = seeker.poll_wanted() {
        let start = usize::try_from(wanted.offset).unwrap_or(usize::MAX);
        let bytes = start
            .checked_add(wanted.bytes as usize)
            .and_then(|end| log.get(start..end));
        let Some(bytes) = bytes else { return };
        if seeker.handle_bytes(bytes).is_err() {
            return;
        }
        steps += 1;
        assert!(steps <= MAX_STEPS, "the search goes on and on");
    }
    let sought = seeker.into_sought().expect("the search has ended");
    let mut reader = sought.reader;
    let start = usize::try_from(sought.offset).unwrap_or(usize::MAX);
    reader.push(log.get(start..).unwrap_or_default());
    reader.finish();
    let found = records(&mut reader);
    assert!(
        !reader.verdict().is_good(),
        "an excerpt is never a good log"
    );
    let sealed = genuine_logs().iter().any(|genuine| {
        let mut whole = Reader::new(config());
        whole.push(genuine);
        let all = records(&mut whole);
        found.iter().all(|record| all.contains(record))
    });
    assert!(sealed, "a record that nobody sealed");
}

fn records(reader: &mut Reader) -> Vec<String> {
    let mut found = Vec::new();
    while let Some(event) = reader.poll() {
        if let Event::Record(view) = event {
            found.push(format!("{} {} {:?}", view.t_us, view.channel, view.record));
        }
    }
    found
}
