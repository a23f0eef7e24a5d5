//! `sshlog prove` and `sshlog check-proof`: one frame for somebody who may see no other.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use session_log::{ProofError, Prover, ReadMode, check_proof};

use super::json::line;
use super::moment::since_1970;
use super::output::{PRIVATE, write_new};
use super::progress::Prints;
use super::read::{opening_config, read_bytes, read_pieces, read_signers, say_if_unchecked};
use super::{Allow, Opening, SshlogError};

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  sshlog prove -i auditor --frame 7 --out proof session.sslg
  sshlog check-proof --signers allowed_signers proof

A proof holds the key of one frame, its place in the tree, and the signatures over that. With --signers it is
checked before it is written. Exit status: 0 it was written; 2 it was not.")]
pub(super) struct ProveArguments {
    /// The number of the segment
    #[arg(long, value_name = "N", default_value_t = 0)]
    segment: u32,
    /// The number of the frame in the segment
    #[arg(long, value_name = "N")]
    frame: u64,
    /// Where to write the proof
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    opening: Opening,
    /// The log: a file, a folder with its segments 0.sslg, 1.sslg, …, or - for standard input
    log: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  sshlog check-proof --signers allowed_signers proof

What is proven is printed as by sshlog records. Exit status: 0 the proof holds; 1 it does not; 2 it could not be read.")]
pub(super) struct CheckArguments {
    /// Who may sign: an OpenSSH allowed_signers file
    #[arg(long, value_name = "FILE")]
    signers: PathBuf,
    /// The proof
    proof: PathBuf,
}

/// Largest proof that is read, bytes. The check has a limit of its own below it.
const MAX_PROOF_FILE_BYTES: u64 = 32 << 20;

pub(super) fn prove(
    arguments: &ProveArguments,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<(), SshlogError> {
    let nothing = Allow { allow: Vec::new() };
    let config = opening_config(&arguments.opening, ReadMode::Strict, &nothing, err)?;
    let signers = config.signers.clone();
    let mut prover = Prover::new(config, arguments.segment, arguments.frame);
    read_pieces(&arguments.log, Prints::AtTheEnd, |bytes| {
        prover.push(bytes);
        Ok(!prover.is_covered() && !prover.is_stopped())
    })?;
    let proof = prover.finish()?;
    if let Some(signers) = &signers {
        // Whoever gets the proof will check it like this.
        check_proof(&proof, signers)?;
    }
    say_if_unchecked(signers.is_some(), err)?;
    write_new(&arguments.out, PRIVATE, &proof)?;
    writeln!(
        out,
        "{}: {} bytes; it opens this one frame of the log and no other",
        arguments.out.display(),
        proof.len()
    )?;
    Ok(())
}

pub(super) fn check(
    arguments: &CheckArguments,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<bool, SshlogError> {
    let signers = read_signers(&arguments.signers)?;
    let bytes = read_bytes(&arguments.proof, MAX_PROOF_FILE_BYTES)?;
    let proven = match check_proof(&bytes, &signers) {
        Ok(proven) => proven,
        Err(error @ (ProofError::Malformed | ProofError::TooLarge { .. })) => {
            return Err(SshlogError::NoProof {
                file: arguments.proof.clone(),
                error,
            });
        }
        Err(error) => {
            writeln!(err, "sshlog: the proof does not hold: {error}")?;
            return Ok(false);
        }
    };
    let mut lines = Vec::new();
    proven.records(|view| lines.push(line(view)))?;
    for text in &lines {
        writeln!(out, "{text}")?;
    }
    writeln!(
        err,
        "proven: frame {} of segment {} of log {}, opened by {}; signed with the first {} frames at {}",
        proven.seq,
        proven.segment,
        proven.log_id,
        proven.signer,
        proven.covered_frames,
        since_1970(proven.signed_unix_ms)
    )?;
    Ok(true)
}
