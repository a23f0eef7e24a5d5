//! `sshlog recover` and `sshlog rewrap`: new files for logs that are there already.

use std::io::{self, Read as _, Write};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use session_log::{CreateError, Event, Grant, Integrity, Now, OnDamage, Recipient, Recovery};

use super::input::Files;
use super::output::{NewFile, PRIVATE, PUBLIC, write_new};
use super::progress::Prints;
use super::read::{completeness_text, read_identity, read_log, read_pieces, read_text};
use super::signing::Signing;
use super::{SshlogError, seed};

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  sshlog recover --sign-with ~/.ssh/id_ed25519 --recipient auditor.pub --out whole.sslg broken.sslg
  sshlog verify --signers allowed_signers --allow recovered whole.sslg
  sshlog recover --sign-with ~/.ssh/id_ed25519.pub --agent --recipient auditor.pub --out whole.sslg broken.sslg

Exit status: 0 it was written; 2 it was not.")]
pub(super) struct RecoverArguments {
    #[command(flatten)]
    signing: Signing,
    /// A recipient's public key, as in the broken log; may be given several times
    #[arg(long, value_name = "KEY.pub", required = true)]
    recipient: Vec<PathBuf>,
    /// Of a log that does not merely end early, keep what stands before the damage, such as zeros that a crash left. Without it nothing of such a
    /// log is recovered, since somebody may have changed it
    #[arg(long)]
    cut_off_damage: bool,
    /// Where to write the recovered log
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The broken log: a file, or a folder with its segments
    log: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  sshlog rewrap -i auditor --recipient late.pub --sign-with ~/.ssh/id_ed25519 --out late.wraps session.sslg
  sshlog records -i late --sidecar late.wraps --signers allowed_signers session.sslg

The log stays as it is, and has to be intact; one that has no end yet is granted as far as it goes. Exit status: 0 the sidecar was written; 2 it was not.")]
pub(super) struct RewrapArguments {
    /// A private key that reads the log
    #[arg(short, long = "identity", value_name = "KEY", required = true)]
    identity: Vec<PathBuf>,
    /// Who may read it from now on; may be given several times
    #[arg(long, value_name = "KEY.pub", required = true)]
    recipient: Vec<PathBuf>,
    #[command(flatten)]
    signing: Signing,
    /// Where to write the sidecar
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The log: a file, or a folder with its segments
    log: PathBuf,
}

pub(super) fn recover(
    arguments: &RecoverArguments,
    out: &mut dyn Write,
) -> Result<(), SshlogError> {
    // Whatever may fail comes before the log is read.
    Files::open(&arguments.log)?;
    let signer = arguments.signing.signer()?;
    let recipients = read_recipients(&arguments.recipient)?;
    let mut recovery = Recovery::new(match arguments.cut_off_damage {
        true => OnDamage::CutOff,
        false => OnDamage::Refuse,
    });
    read_pieces(&arguments.log, Prints::AtTheEnd, |bytes| {
        recovery.push(bytes);
        Ok(true)
    })?;
    if let Some(missing) = recovery.missing_trailer() {
        write_recovered(arguments, missing.keep_bytes, &missing.tail)?;
        writeln!(
            out,
            "{}: nothing but the trailer was missing; the log is complete, and needed no signature",
            arguments.out.display()
        )?;
        return Ok(());
    }
    let damage = recovery.damage();
    let opening = recovery
        .begin(recipients, signer.public_key(), *seed()?, now())
        .map_err(|error| match error {
            CreateError::Damaged { offset, fault } => SshlogError::Damaged {
                log: arguments.log.clone(),
                offset,
                fault,
            },
            error => error.into(),
        })?;
    let answer = signer.answer(opening.request())?;
    let recovered = opening.answer(&answer)?;
    write_recovered(arguments, recovered.keep_bytes, &recovered.tail)?;
    let found = recovered.attestation;
    writeln!(
        out,
        "{}: {} of {} bytes kept; {} frames of the last segment, {} of them signed for by its writer",
        arguments.out.display(),
        found.kept_bytes,
        found.found_bytes,
        found.frames,
        found.attested_frames
    )?;
    if let Some((offset, fault)) = damage {
        writeln!(out, "damaged at byte {offset}: {fault}; that was cut off")?;
    }
    Ok(())
}

/// Writes what is kept of the broken log, then what was missing.
fn write_recovered(
    arguments: &RecoverArguments,
    keep_bytes: u64,
    tail: &[u8],
) -> Result<(), SshlogError> {
    let mut kept = Files::open(&arguments.log)?.take(keep_bytes);
    let mut target = NewFile::create(&arguments.out, PRIVATE)?;
    io::copy(&mut kept, &mut target)
        .and_then(|_| target.write_all(tail))
        .map_err(|error| SshlogError::Write {
            file: arguments.out.clone(),
            error,
        })?;
    target.keep()
}

pub(super) fn rewrap(arguments: &RewrapArguments, out: &mut dyn Write) -> Result<(), SshlogError> {
    let identities = arguments
        .identity
        .iter()
        .map(|file| read_identity(file))
        .collect::<Result<Vec<_>, _>>()?;
    let signer = arguments.signing.signer()?;
    let recipients = read_recipients(&arguments.recipient)?;
    let mut files = Files::open(&arguments.log)?;
    let mut places = Vec::new();
    let config = session_log::ReaderConfig::default();
    let judged = read_log(&arguments.log, config, Prints::AtTheEnd, |event| {
        if let Event::Segment(segment) = event {
            places.push((segment.offset, segment.header_bytes));
        }
        Ok(())
    })?;
    // What lies behind a fault was not read, so the grant would be for a part and say nothing of it.
    if let Integrity::Tampered { why, .. } = judged.verdict.integrity {
        return Err(SshlogError::NotIntact {
            log: arguments.log.clone(),
            fault: why,
        });
    }
    let mut grant = Grant::new(recipients, *seed()?);
    for (offset, bytes) in &places {
        let header = files.read_at(*offset, *bytes)?;
        grant.add_header(&header, &identities)?;
    }
    let unix_ms = u64::try_from(now().unix.as_millis()).unwrap_or(u64::MAX);
    let opening = grant.begin(signer.public_key(), unix_ms)?;
    let answer = signer.answer(opening.request())?;
    let sidecar = opening.answer(&answer)?;
    write_new(&arguments.out, PUBLIC, &sidecar)?;
    writeln!(
        out,
        "{}: {} segments for {} recipients; they read with --sidecar {0}",
        arguments.out.display(),
        places.len(),
        arguments.recipient.len()
    )?;
    writeln!(
        out,
        "the log is {}; its signer was not checked",
        completeness_text(judged.verdict.completeness)
    )?;
    Ok(())
}

pub(super) fn read_recipients(files: &[PathBuf]) -> Result<Vec<Recipient>, SshlogError> {
    files
        .iter()
        .map(|file| {
            let text = read_text(file)?;
            Recipient::from_text(&text)
                .or_else(|error| Recipient::from_cloudflare(&text).map_err(|_| error))
                .map_err(|error| SshlogError::Key {
                    file: file.into(),
                    error,
                })
        })
        .collect()
}

pub(super) fn now() -> Now {
    Now {
        mono: Duration::ZERO,
        unix: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default(),
    }
}
