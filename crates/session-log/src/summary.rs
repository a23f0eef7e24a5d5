//! SUMMARY: what the whole log amounts to, sealed right before the final checkpoint.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use minicbor::Decoder;
use sha2::{Digest as _, Sha256};

use crate::cbor::{self, check_item, check_whole};
use crate::error::RecordError;
use crate::limits::{MAX_SUMMARY_CHANNELS, MAX_TEXT_BYTES};
use crate::record::{DataKind, Record};

/// How a command on a channel ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// With this status.
    Status(u32),
    /// By this signal, without `SIG`, at most 32 bytes.
    Signal(String),
}

/// What one channel amounts to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelSummary {
    /// Bytes from the client.
    pub input_bytes: u64,
    /// Bytes of standard output.
    pub output_bytes: u64,
    /// Bytes of standard error.
    pub stderr_bytes: u64,
    /// How its command ended, if that was seen.
    pub exit: Option<Exit>,
    /// SHA-256 of all its output, when the writer's policy asked for it.
    pub output_sha256: Option<[u8; 32]>,
}

impl ChannelSummary {
    fn counts_as(&self, counted: &ChannelSummary) -> bool {
        (self.input_bytes, self.output_bytes, self.stderr_bytes)
            == (
                counted.input_bytes,
                counted.output_bytes,
                counted.stderr_bytes,
            )
            && self.exit == counted.exit
    }
}

/// What a log amounts to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Time of the first record, microseconds since the log began.
    pub first_us: u64,
    /// Time of the last record, microseconds since the log began.
    pub last_us: u64,
    /// How many records of each kind.
    pub counters: BTreeMap<u16, u64>,
    /// By channel, at most [`MAX_SUMMARY_CHANNELS`].
    pub channels: BTreeMap<u32, ChannelSummary>,
    /// Records on channels that found no place in `channels`.
    pub omitted_records: u64,
}

/// Longest signal name kept, bytes: RFC 4254 names have at most 4.
const MAX_SIGNAL_BYTES: usize = 32;

/// Counts while the log is written, and again while it is read.
#[cfg_attr(test, derive(Clone))]
pub(crate) struct Tally {
    summary: Summary,
    hashes: Option<BTreeMap<u32, Sha256>>,
    empty: bool,
    run: Option<Run>,
}

/// Data records of one channel that follow each other, not yet in the summary: most records are, and so need no look into its maps.
#[derive(Clone, Copy)]
struct Run {
    channel: u32,
    /// Records and bytes of input, output and stderr.
    counts: [(u64, u64); 3],
}

impl Tally {
    pub(crate) fn new(hash_output: bool) -> Tally {
        Tally {
            summary: Summary::default(),
            hashes: hash_output.then(BTreeMap::new),
            empty: true,
            run: None,
        }
    }

    /// Puts the run into the summary. Before anything else is counted there, or read from it.
    fn settle(&mut self) {
        let Some(Run { channel, counts }) = self.run.take() else {
            return;
        };
        for (kind, (records, _)) in DataKind::ALL.into_iter().zip(counts) {
            if records > 0 {
                *self.summary.counters.entry(kind.kind()).or_default() += records;
            }
        }
        // The run began with an entry.
        if let Some(entry) = self.summary.channels.get_mut(&channel) {
            let [(_, input), (_, output), (_, stderr)] = counts;
            entry.input_bytes += input;
            entry.output_bytes += output;
            entry.stderr_bytes += stderr;
        }
    }

    fn note_time(&mut self, t_us: u64) {
        if self.empty {
            self.summary.first_us = t_us;
            self.empty = false;
        }
        self.summary.last_us = t_us;
    }

    fn note(&mut self, t_us: u64, kind: u16, channel: u32) -> Option<&mut ChannelSummary> {
        self.settle();
        self.note_time(t_us);
        *self.summary.counters.entry(kind).or_default() += 1;
        let channels = &mut self.summary.channels;
        if channels.len() >= MAX_SUMMARY_CHANNELS && !channels.contains_key(&channel) {
            self.summary.omitted_records += 1;
            return None;
        }
        Some(channels.entry(channel).or_default())
    }

    pub(crate) fn data(&mut self, t_us: u64, channel: u32, kind: DataKind, data: &[u8]) {
        let bytes = data.len() as u64;
        match &mut self.run {
            Some(run) if run.channel == channel => {
                run.add(kind, 1, bytes);
                self.note_time(t_us);
            }
            _ => {
                if self.note(t_us, kind.kind(), channel).is_none() {
                    return;
                }
                let mut run = Run {
                    channel,
                    counts: [(0, 0); 3],
                };
                // The record itself is counted.
                run.add(kind, 0, bytes);
                self.run = Some(run);
            }
        }
        if let (DataKind::Output, Some(hashes)) = (kind, &mut self.hashes) {
            hashes.entry(channel).or_default().update(data);
        }
    }

    pub(crate) fn record(&mut self, t_us: u64, channel: u32, record: &Record<'_>) {
        let Some(entry) = self.note(t_us, record.kind(), channel) else {
            return;
        };
        match record {
            Record::ExitStatus { code } => entry.exit = Some(Exit::Status(*code)),
            Record::ExitSignal { name, .. } => {
                let end = (0..=name.len().min(MAX_SIGNAL_BYTES))
                    .rev()
                    .find(|end| name.is_char_boundary(*end));
                entry.exit = name
                    .get(..end.unwrap_or(0))
                    .map(|name| Exit::Signal(name.into()));
            }
            _ => {}
        }
    }

    /// Counts any record.
    #[cfg(test)]
    pub(crate) fn add(&mut self, t_us: u64, channel: u32, record: &Record<'_>) {
        match DataKind::of(record) {
            Some((kind, data)) => self.data(t_us, channel, kind, data),
            None => self.record(t_us, channel, record),
        }
    }

    /// The content of the SUMMARY frame. Its size is bounded by the limits on channels and kinds.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        self.settle();
        for (channel, hash) in core::mem::take(&mut self.hashes).into_iter().flatten() {
            if let Some(entry) = self.summary.channels.get_mut(&channel) {
                entry.output_sha256 = Some(hash.finalize().into());
            }
        }
        self.summary.encode()
    }
}

impl Run {
    fn add(&mut self, kind: DataKind, records: u64, bytes: u64) {
        let [input, output, stderr] = &mut self.counts;
        let count = match kind {
            DataKind::Input => input,
            DataKind::Output => output,
            DataKind::Stderr => stderr,
        };
        count.0 += records;
        count.1 += bytes;
    }
}

impl Summary {
    /// Whether it says what was counted. The hashes of the output are not compared: a reader does not make them.
    pub(crate) fn counts_as(&self, tally: &mut Tally) -> bool {
        tally.settle();
        let counted = &tally.summary;
        let same_channels = self.channels.len() == counted.channels.len()
            && self.channels.iter().zip(&counted.channels).all(
                |((channel, said), (number, found))| channel == number && said.counts_as(found),
            );
        (self.first_us, self.last_us, self.omitted_records)
            == (counted.first_us, counted.last_us, counted.omitted_records)
            && self.counters == counted.counters
            && same_channels
    }

    fn encode(&self) -> Vec<u8> {
        cbor::encode_vec(|e| {
            e.map(5)?;
            e.u8(1)?.u64(self.first_us)?;
            e.u8(2)?.u64(self.last_us)?;
            e.u8(3)?.map(self.counters.len() as u64)?;
            for (kind, count) in &self.counters {
                e.u16(*kind)?.u64(*count)?;
            }
            e.u8(4)?.array(self.channels.len() as u64)?;
            for (channel, entry) in &self.channels {
                let optional =
                    u64::from(entry.exit.is_some()) + u64::from(entry.output_sha256.is_some());
                e.map(4 + optional)?;
                e.u8(1)?.u32(*channel)?;
                e.u8(2)?.u64(entry.input_bytes)?;
                e.u8(3)?.u64(entry.output_bytes)?;
                e.u8(4)?.u64(entry.stderr_bytes)?;
                match &entry.exit {
                    Some(Exit::Status(code)) => e.u8(5)?.u32(*code)?,
                    Some(Exit::Signal(name)) => e.u8(5)?.str(name)?,
                    None => e,
                };
                if let Some(hash) = &entry.output_sha256 {
                    e.u8(6)?.bytes(hash)?;
                }
            }
            e.u8(5)?.u64(self.omitted_records).map(|_| ())
        })
    }

    /// Reads the content of a SUMMARY frame.
    pub(crate) fn decode(content: &[u8]) -> Result<Summary, RecordError> {
        check_whole(content)?;
        let mut d = Decoder::new(content);
        let mut summary = Summary::default();
        let mut seen = 0;
        for _ in 0..d.map()?.ok_or(RecordError)? {
            let key = d.u64()?;
            seen += u8::from((1..=5).contains(&key));
            match key {
                1 => summary.first_us = d.u64()?,
                2 => summary.last_us = d.u64()?,
                3 => {
                    for _ in 0..d.map()?.ok_or(RecordError)? {
                        summary.counters.insert(d.u16()?, d.u64()?);
                    }
                }
                4 => {
                    let count = d.array()?.ok_or(RecordError)?;
                    if count > MAX_SUMMARY_CHANNELS as u64 {
                        return Err(RecordError);
                    }
                    for _ in 0..count {
                        let (channel, entry) = decode_channel(&mut d)?;
                        let ascends = summary.channels.last_key_value();
                        if ascends.is_some_and(|(last, _)| *last >= channel) {
                            return Err(RecordError);
                        }
                        summary.channels.insert(channel, entry);
                    }
                }
                5 => summary.omitted_records = d.u64()?,
                _ => check_item(&mut d)?,
            }
        }
        if seen == 5 {
            Ok(summary)
        } else {
            Err(RecordError)
        }
    }
}

fn decode_channel(d: &mut Decoder<'_>) -> Result<(u32, ChannelSummary), RecordError> {
    let mut channel = 0;
    let mut entry = ChannelSummary::default();
    let mut seen = 0;
    for _ in 0..d.map()?.ok_or(RecordError)? {
        let key = d.u64()?;
        seen += u8::from((1..=4).contains(&key));
        match key {
            1 => channel = d.u32()?,
            2 => entry.input_bytes = d.u64()?,
            3 => entry.output_bytes = d.u64()?,
            4 => entry.stderr_bytes = d.u64()?,
            5 => {
                entry.exit = Some(match d.datatype()? {
                    minicbor::data::Type::String => {
                        let name = d.str()?;
                        if name.len() > MAX_TEXT_BYTES {
                            return Err(RecordError);
                        }
                        Exit::Signal(name.into())
                    }
                    _ => Exit::Status(d.u32()?),
                });
            }
            6 => entry.output_sha256 = Some(d.bytes()?.try_into().map_err(|_| RecordError)?),
            _ => check_item(d)?,
        }
    }
    if seen == 4 {
        Ok((channel, entry))
    } else {
        Err(RecordError)
    }
}
