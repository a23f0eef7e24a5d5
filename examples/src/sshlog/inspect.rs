//! `sshlog verify` and `sshlog inspect`: what a log shows without a key.

use std::collections::BTreeMap;
use std::io::Write;

use session_log::{
    Attestation, CheckpointInfo, CheckpointKind, Event, FrameKind, GapInfo, Kem, ReaderConfig,
    SegmentInfo,
};

use super::moment::since_1970;
use super::progress::Prints;
use super::read::{print_verdict, read_log, read_signers, say_if_unchecked};
use super::signatures::Signatures;
use super::{InspectArguments, SshlogError, VerifyArguments, is_accepted};
use crate::tool::hex;

pub(super) fn verify(
    arguments: &VerifyArguments,
    out: &mut dyn Write,
) -> Result<bool, SshlogError> {
    let config = ReaderConfig {
        signers: Some(read_signers(&arguments.signers)?),
        ..ReaderConfig::default()
    };
    let mut attestation = None;
    let judged = read_log(&arguments.log, config, Prints::AtTheEnd, |event| {
        if let Event::Attestation(found) = event {
            attestation = Some(found);
        }
        Ok(())
    })?;
    if let Some(found) = &attestation {
        print_attestation(found, out)?;
    }
    let verdict = &judged.verdict;
    print_verdict(verdict, out)?;
    Ok(is_accepted(verdict, true, &arguments.allow))
}

pub(super) fn inspect(
    arguments: &InspectArguments,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<bool, SshlogError> {
    let config = ReaderConfig {
        signers: arguments.signers.as_deref().map(read_signers).transpose()?,
        ..ReaderConfig::default()
    };
    let mut frames: BTreeMap<&'static str, (u64, u64)> = BTreeMap::new();
    let mut signatures = arguments
        .export_signatures
        .as_deref()
        .map(Signatures::create)
        .transpose()?;
    let judged = read_log(&arguments.log, config, Prints::WhileReading, |event| {
        if let Some(signatures) = &mut signatures {
            signatures.take(&event)?;
        }
        match event {
            Event::Segment(segment) => print_segment(&segment, out)?,
            Event::Open(open) => writeln!(out, "  opened by {}", open.fingerprint)?,
            Event::Frame(frame) => {
                let (count, bytes) = frames.entry(frame_name(frame.kind)).or_default();
                *count += 1;
                *bytes += u64::from(frame.bytes);
            }
            Event::Checkpoint(checkpoint) => print_checkpoint(&checkpoint, out)?,
            Event::Attestation(found) => print_attestation(&found, out)?,
            Event::Gap(gap) => print_gap(&gap, out)?,
            _ => {}
        }
        Ok(())
    })?;
    for (name, (count, bytes)) in &frames {
        writeln!(out, "{name:<12}  {count} frames, {bytes} bytes")?;
    }
    let verdict = &judged.verdict;
    print_verdict(verdict, out)?;
    let is_checked = arguments.signers.is_some();
    say_if_unchecked(is_checked, err)?;
    Ok(is_accepted(verdict, is_checked, &arguments.allow))
}

fn print_segment(segment: &SegmentInfo, out: &mut dyn Write) -> Result<(), SshlogError> {
    writeln!(out, "segment {} of log {}", segment.number, segment.log_id)?;
    writeln!(
        out,
        "  suite 0x{:04x}: {}",
        segment.suite.id(),
        segment.suite.name()
    )?;
    writeln!(out, "  created {}", since_1970(segment.created_unix_ms))?;
    for recipient in &segment.recipients {
        let kem = Kem::from_id(recipient.kem_id).map_or("unknown", Kem::name);
        let id = hex(&recipient.key_id);
        writeln!(
            out,
            "  recipient {kem} {}",
            if id.is_empty() { "anonymous" } else { &id }
        )?;
    }
    Ok(())
}

fn print_checkpoint(checkpoint: &CheckpointInfo, out: &mut dyn Write) -> Result<(), SshlogError> {
    let kind = match checkpoint.kind {
        CheckpointKind::Periodic => "periodic",
        CheckpointKind::Heartbeat => "heartbeat",
        CheckpointKind::Final => "final",
        CheckpointKind::Abort => "abort",
        CheckpointKind::Rotated => "rotated",
        CheckpointKind::Recovered => "recovered",
    };
    let signed = if checkpoint.statement.is_some() {
        "signed"
    } else {
        "signature not checkable after a gap"
    };
    let (secs, millis) = (checkpoint.unix_ms / 1_000, checkpoint.unix_ms % 1_000);
    writeln!(
        out,
        "  checkpoint {kind} over {} frames at {secs}.{millis:03}, {signed}",
        checkpoint.frames
    )?;
    Ok(())
}

/// What whoever recovered the log says of what was found.
fn print_attestation(found: &Attestation, out: &mut dyn Write) -> Result<(), SshlogError> {
    writeln!(
        out,
        "recovered     {} of {} bytes kept of a log with SHA-256 {}, found at {}",
        found.kept_bytes,
        found.found_bytes,
        hex(&found.found_sha256),
        since_1970(found.unix_ms)
    )?;
    Ok(())
}

fn print_gap(gap: &GapInfo, out: &mut dyn Write) -> Result<(), SshlogError> {
    writeln!(
        out,
        "  gap at byte {}: {} bytes, {} frames: {}",
        gap.offset, gap.bytes, gap.frames, gap.fault
    )?;
    Ok(())
}

fn frame_name(kind: FrameKind) -> &'static str {
    match kind {
        FrameKind::Data => "data",
        FrameKind::Index => "index",
        FrameKind::Summary => "summary",
        FrameKind::Open => "open",
        FrameKind::Checkpoint => "checkpoint",
        FrameKind::Attestation => "attestation",
        _ => "other",
    }
}
