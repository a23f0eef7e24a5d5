//! From files to events: what all commands share.

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};

use session_log::{
    Authenticity, Completeness, Decryption, Event, Identity, Integrity, ReadMode, Reader,
    ReaderConfig, Sidecar, Signers, Strength, Verdict, limits::MAX_SIDECAR_BYTES,
};
use zeroize::Zeroizing;

use super::input::Input;
use super::progress::Progress;
use super::{Keys, SshlogError};

/// How much of a log is read at a time, bytes.
pub(super) const PIECE_BYTES: usize = 64 << 10;
/// Longest key or signers file that is read, bytes. The parsers have limits of their own below it.
const MAX_TEXT_FILE_BYTES: u64 = 2 << 20;

/// Reads a whole log and hands every event over.
pub(super) fn read_log(
    log: &Path,
    config: ReaderConfig,
    mut each: impl FnMut(Event<'_>) -> Result<(), SshlogError>,
) -> Result<Verdict, SshlogError> {
    let mut reader = Reader::new(config);
    read_pieces(log, |bytes| {
        reader.push(bytes);
        while let Some(event) = reader.poll() {
            each(event)?;
        }
        Ok(true)
    })?;
    reader.finish();
    while let Some(event) = reader.poll() {
        each(event)?;
    }
    Ok(reader.verdict())
}

/// Reads a log piece by piece until `each` wants no more.
pub(super) fn read_pieces(
    log: &Path,
    mut each: impl FnMut(&[u8]) -> Result<bool, SshlogError>,
) -> Result<(), SshlogError> {
    let mut input = Input::open(log)?;
    let mut progress = Progress::of(input.len());
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let bytes = input.read(&mut piece)?;
        progress.add(bytes.len() as u64);
        if bytes.is_empty() || !each(bytes)? {
            return Ok(());
        }
    }
}

/// The keys, signers and mode that the command line names.
pub(super) fn reader_config(keys: &Keys) -> Result<ReaderConfig, SshlogError> {
    let identities = keys
        .identity
        .iter()
        .map(|file| read_identity(file))
        .collect::<Result<_, _>>()?;
    Ok(ReaderConfig {
        identities,
        signers: keys.signers.as_deref().map(read_signers).transpose()?,
        mode: if keys.salvage {
            ReadMode::Salvage
        } else {
            ReadMode::Strict
        },
        sidecars: keys
            .sidecar
            .iter()
            .map(|file| read_sidecar(file))
            .collect::<Result<_, _>>()?,
    })
}

pub(super) fn read_identity(file: &Path) -> Result<Identity, SshlogError> {
    let text = Zeroizing::new(read_text(file)?);
    Identity::from_text(&text)
        .or_else(|error| Identity::from_cloudflare(&text).map_err(|_| error))
        .map_err(|error| SshlogError::Key {
            file: file.into(),
            error,
        })
}

pub(super) fn read_signers(file: &Path) -> Result<Signers, SshlogError> {
    Signers::from_text(&read_text(file)?).map_err(|error| SshlogError::Signers {
        file: file.into(),
        error,
    })
}

/// A file of at most so many bytes.
pub(super) fn read_bytes(file: &Path, limit: u64) -> Result<Vec<u8>, SshlogError> {
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|opened| opened.take(limit).read_to_end(&mut bytes))
        .map_err(|error| SshlogError::Read {
            file: file.into(),
            error,
        })?;
    Ok(bytes)
}

fn read_sidecar(file: &Path) -> Result<Sidecar, SshlogError> {
    Ok(Sidecar::parse(&read_bytes(
        file,
        MAX_SIDECAR_BYTES as u64 + 1,
    )?)?)
}

pub(super) fn read_text(file: &Path) -> Result<String, SshlogError> {
    let read = |file: &PathBuf| {
        let mut text = String::new();
        File::open(file)?
            .take(MAX_TEXT_FILE_BYTES)
            .read_to_string(&mut text)?;
        Ok(text)
    };
    let file = file.to_path_buf();
    read(&file).map_err(|error| SshlogError::Read { file, error })
}

/// The verdict for people, one axis a line.
pub(super) fn print_verdict(verdict: &Verdict, to: &mut dyn Write) -> io::Result<()> {
    let completeness = match verdict.completeness {
        Completeness::Complete => "complete".to_owned(),
        Completeness::Aborted { frames } => {
            format!("ABORTED: the writer stopped after {frames} frames")
        }
        Completeness::Truncated {
            attested_frames,
            frames,
        } => {
            format!(
                "TRUNCATED: the end is missing; {frames} frames are there, {attested_frames} of them signed for"
            )
        }
        Completeness::Recovered {
            attested_frames,
            frames,
        } => {
            format!(
                "RECOVERED: found without its end; {frames} frames were there, {attested_frames} of them signed for by the writer"
            )
        }
        Completeness::TrailerMissing => {
            "TRAILER MISSING: every frame is there and signed for, the hint behind them is not; `recover` puts it back".to_owned()
        }
        Completeness::Excerpt => "EXCERPT: only a part was read".to_owned(),
        _ => "in progress".to_owned(),
    };
    let integrity = match verdict.integrity {
        Integrity::Intact => "intact".to_owned(),
        Integrity::Damaged { gaps: 1 } => "DAMAGED: 1 gap".to_owned(),
        Integrity::Damaged { gaps } => format!("DAMAGED: {gaps} gaps"),
        Integrity::Tampered { at, why } => {
            format!(
                "TAMPERED: {why} (byte {}, segment {}, frame {})",
                at.offset, at.segment, at.frame
            )
        }
        _ => "UNKNOWN".to_owned(),
    };
    let authenticity = match &verdict.authenticity {
        // Comes from the auditor's own file.
        Authenticity::Verified { signer } => format!("verified: {signer}"),
        Authenticity::UntrustedSigner { fingerprint } => format!("UNTRUSTED signer {fingerprint}"),
        Authenticity::BadSignature => "BAD SIGNATURE".to_owned(),
        Authenticity::Unsigned => "UNSIGNED".to_owned(),
        _ => "UNKNOWN".to_owned(),
    };
    let decryption = match verdict.decryption {
        Decryption::Ok => "ok",
        Decryption::NotAttempted => "not attempted",
        Decryption::NoMatchingIdentity => "FAILED: the log was not made for this key",
        Decryption::KeyCommitmentMismatch => {
            "FAILED: this recipient was given another key than the log commits to"
        }
        _ => "UNKNOWN",
    };
    let strength = match verdict.strength {
        Strength::PostQuantum => "post-quantum",
        Strength::Classical => "classical",
        _ => "unknown",
    };
    writeln!(to, "completeness  {completeness}")?;
    writeln!(to, "integrity     {integrity}")?;
    writeln!(to, "authenticity  {authenticity}")?;
    writeln!(to, "decryption    {decryption}")?;
    writeln!(to, "strength      {strength}")
}

/// The verdict on standard error, after the log's contents went to standard output; then whether it is what was asked for.
pub(super) fn conclude(
    verdict: &Verdict,
    keys: &Keys,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<bool, SshlogError> {
    out.flush()?;
    print_verdict(verdict, err)?;
    if keys.signers.is_none() {
        writeln!(
            err,
            "sshlog: the signer was not checked; name the trusted ones with --signers FILE"
        )?;
    }
    let readable = verdict.decryption == Decryption::Ok;
    Ok(readable && super::is_accepted(verdict, keys.signers.is_some(), &keys.allow))
}
