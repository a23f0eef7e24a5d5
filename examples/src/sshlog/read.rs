//! From files to events: what all commands share.

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};

use session_log::{
    Authenticity, Completeness, Decryption, Event, Identity, Integrity, LogId, ReadMode, Reader,
    ReaderConfig, Sidecar, Signers, Strength, Verdict, limits::MAX_SIDECAR_BYTES,
};
use zeroize::Zeroizing;

use super::input::Input;
use super::moment::since_1970;
use super::progress::{Prints, Progress};
use super::{Allow, Allowance, Keys, Opening, SshlogError};

/// How much of a log is read at a time, bytes.
pub(super) const PIECE_BYTES: usize = 64 << 10;
/// Longest key or signers file that is read, bytes. The parsers have limits of their own below it.
const MAX_TEXT_FILE_BYTES: u64 = 2 << 20;

/// What was found of a log.
pub(super) struct Judged {
    pub(super) verdict: Verdict,
    /// The log's name, and those of other logs that a sidecar was given of.
    pub(super) strays: Strays,
}

/// Finds the sidecars that are of other logs than the one that is read.
#[derive(Default)]
pub(super) struct Strays {
    granted: Vec<LogId>,
    log: Option<LogId>,
}

impl Strays {
    pub(super) fn of(config: &ReaderConfig) -> Strays {
        Strays {
            granted: config.sidecars.iter().map(Sidecar::log_id).collect(),
            log: None,
        }
    }

    pub(super) fn see(&mut self, event: &Event<'_>) {
        if let Event::Segment(segment) = event {
            self.log.get_or_insert(segment.log_id);
        }
    }

    fn tell(&self, err: &mut dyn Write) -> io::Result<()> {
        let Some(log) = self.log else {
            return Ok(());
        };
        for granted in self.granted.iter().filter(|granted| **granted != log) {
            writeln!(
                err,
                "sshlog: a sidecar is of the log {granted}, and this is {log}: it opens nothing here"
            )?;
        }
        Ok(())
    }
}

/// Reads a log up to its end, or to where it cannot be trusted any more, and hands every event over.
pub(super) fn read_log(
    log: &Path,
    config: ReaderConfig,
    prints: Prints,
    mut each: impl FnMut(Event<'_>) -> Result<(), SshlogError>,
) -> Result<Judged, SshlogError> {
    let mut strays = Strays::of(&config);
    let mut reader = Reader::new(config);
    read_pieces(log, prints, |bytes| {
        reader.push(bytes);
        while let Some(event) = reader.poll() {
            strays.see(&event);
            each(event)?;
        }
        Ok(!reader.is_stopped())
    })?;
    reader.finish();
    while let Some(event) = reader.poll() {
        strays.see(&event);
        each(event)?;
    }
    Ok(Judged {
        verdict: reader.verdict(),
        strays,
    })
}

/// Reads a log piece by piece until `each` wants no more.
pub(super) fn read_pieces(
    log: &Path,
    prints: Prints,
    mut each: impl FnMut(&[u8]) -> Result<bool, SshlogError>,
) -> Result<(), SshlogError> {
    let mut input = Input::open(log)?;
    let mut progress = Progress::of(input.len(), prints);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let bytes = input.read(&mut piece)?;
        progress.add(bytes.len() as u64);
        if bytes.is_empty() || !each(bytes)? {
            return Ok(());
        }
    }
}

/// The keys, signers and mode that the command line names. Says who granted the sidecars.
pub(super) fn reader_config(keys: &Keys, err: &mut dyn Write) -> Result<ReaderConfig, SshlogError> {
    let mode = if keys.salvage {
        ReadMode::Salvage
    } else {
        ReadMode::Strict
    };
    opening_config(&keys.opening, mode, &keys.allow, err)
}

pub(super) fn opening_config(
    opening: &Opening,
    mode: ReadMode,
    allow: &Allow,
    err: &mut dyn Write,
) -> Result<ReaderConfig, SshlogError> {
    let identities = opening
        .identity
        .iter()
        .map(|file| read_identity(file))
        .collect::<Result<_, _>>()?;
    let signers = opening.signers.as_deref().map(read_signers).transpose()?;
    let mut sidecars = Vec::new();
    for file in &opening.sidecar {
        let sidecar = read_sidecar(file)?;
        judge_granter(file, &sidecar, signers.as_ref(), allow, err)?;
        sidecars.push(sidecar);
    }
    Ok(ReaderConfig {
        identities,
        signers,
        mode,
        sidecars,
    })
}

/// Says who granted a sidecar, and refuses it when `--signers` names others only.
fn judge_granter(
    file: &Path,
    sidecar: &Sidecar,
    signers: Option<&Signers>,
    allow: &Allow,
    err: &mut dyn Write,
) -> Result<(), SshlogError> {
    let granter = sidecar.granter();
    let fingerprint = granter.fingerprint();
    let who = match signers {
        None => format!("{fingerprint}, which was not checked"),
        Some(signers) => match signers.principals(&granter) {
            Some(name) => format!("{name}, {fingerprint}"),
            None if allow.has(Allowance::UnknownGranter) => {
                format!("{fingerprint}, whom --signers does not name")
            }
            None => {
                return Err(SshlogError::UnknownGranter {
                    file: file.into(),
                    fingerprint,
                });
            }
        },
    };
    let when = since_1970(sidecar.granted_unix_ms());
    writeln!(
        err,
        "sshlog: {}: granted by {who}, at {when}",
        file.display()
    )?;
    Ok(())
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

/// How much of a log is there, for people.
pub(super) fn completeness_text(completeness: Completeness) -> String {
    match completeness {
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
    }
}

/// The verdict for people, one axis a line.
pub(super) fn print_verdict(verdict: &Verdict, to: &mut dyn Write) -> io::Result<()> {
    let completeness = completeness_text(verdict.completeness);
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
    Judged { verdict, strays }: &Judged,
    keys: &Keys,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<bool, SshlogError> {
    out.flush()?;
    print_verdict(verdict, err)?;
    strays.tell(err)?;
    say_if_unchecked(keys.opening.signers.is_some(), err)?;
    Ok(is_good(verdict, keys))
}

/// Whether the log was read, and is what was asked for.
pub(super) fn is_good(verdict: &Verdict, keys: &Keys) -> bool {
    let is_checked = keys.opening.signers.is_some();
    verdict.decryption == Decryption::Ok && super::is_accepted(verdict, is_checked, &keys.allow)
}

/// Nothing but `--signers` says whose signatures count.
pub(super) fn say_if_unchecked(is_checked: bool, err: &mut dyn Write) -> io::Result<()> {
    if is_checked {
        return Ok(());
    }
    writeln!(
        err,
        "sshlog: the signer was not checked; name the trusted ones with --signers FILE"
    )
}
