//! The `sshlog` command: makes reader keys, verifies logs without them, and shows logs with them.

mod afterwards;
mod error;
mod export;
mod import;
mod input;
mod inspect;
mod json;
mod keygen;
mod moment;
mod output;
mod progress;
mod proof;
mod read;
pub(crate) mod replay;
mod search;
mod signatures;
mod signing;
mod tree;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use session_log::{Authenticity, Completeness, Integrity, Verdict};

pub use error::SshlogError;

/// Make keys for session logs, verify logs, and read them.
#[derive(Debug, Parser)]
#[command(
    name = "sshlog",
    after_help = "\
Examples:
  sshlog keygen --out auditor                      makes auditor (keep it) and auditor.pub (give it to the proxy)
  sshlog verify --signers allowed_signers LOG      checks a log without any secret key
  sshlog records -i auditor LOG | jq .             every record as a line of JSON
  sshlog replay -i auditor --speed 4 LOG           shows the terminal as it was, four times as fast
  sshlog replay -i auditor --at 1h2m3s LOG         from there on; with --follow, a session that goes on
  sshlog grep -i auditor 'sudo|su -' LOGS/         lines that match, in all logs of a folder
  sshlog tree -i auditor LOGS/                     which sessions went on inside which others, as by ssh -J
  sshlog export -i auditor --to asciicast-v2 --out session.cast LOG
  sshlog recover --sign-with id_ed25519 --recipient auditor.pub --out whole.sslg BROKEN
  sshlog rewrap -i auditor --recipient late.pub --sign-with id_ed25519 --out late.wraps LOG
  sshlog prove -i auditor --frame 7 --out proof LOG; sshlog check-proof --signers allowed_signers proof

LOG is a file, a folder with a log's segments 0.sslg, 1.sslg, …, or - for standard input. Each command tells more: sshlog replay --help.
allowed_signers is OpenSSH's file: `proxy@example ssh-ed25519 AAAA…`.

Exit status: 0 the log is complete and intact, and its signer is the one asked for; 1 it is not; 2 it could not be read."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a key pair for reading logs
    Keygen(keygen::Arguments),
    /// Check that a log is whole, unchanged and signed; needs no secret key
    Verify(VerifyArguments),
    /// Show the structure of a log: segments, recipients, frames, signatures; needs no secret key
    Inspect(InspectArguments),
    /// Print every record as a line of JSON
    Records(RecordsArguments),
    /// Play a session back, through a terminal emulator
    Replay(replay::Arguments),
    /// Print the lines of sessions that match a pattern
    Grep(search::Arguments),
    /// Show which sessions went on inside which others
    Tree(tree::Arguments),
    /// Write a log in the format of another program
    Export(export::Arguments),
    /// Make a session log of a log of Cloudflare's ssh-log-cli
    Import(import::Arguments),
    /// Keep what is there of a log without its end, and sign what was found
    Recover(afterwards::RecoverArguments),
    /// Let a further recipient read a log, by a file beside it
    Rewrap(afterwards::RewrapArguments),
    /// Write a proof of one frame, which opens that frame and no other
    Prove(proof::ProveArguments),
    /// Check a proof; needs no secret key
    CheckProof(proof::CheckArguments),
    /// Print the completions for a shell
    #[command(after_help = "\
Examples:
  sshlog completions bash > ~/.local/share/bash-completion/completions/sshlog
  sshlog completions zsh > ~/.zfunc/_sshlog                 with fpath+=~/.zfunc before compinit in ~/.zshrc
  sshlog completions fish > ~/.config/fish/completions/sshlog.fish")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sshlog verify --signers allowed_signers session.sslg
  sshlog verify --signers allowed_signers logs/0202…/                    a log that is stored as one object a segment
  sshlog verify --signers allowed_signers --allow truncated session.sslg

Exit status: 0 the log is complete and intact, and its signer is the one asked for, or --allow names what it is; 1 it is not; 2 it could not be
read.")]
struct VerifyArguments {
    /// Who may sign: an OpenSSH allowed_signers file
    #[arg(long, value_name = "FILE")]
    signers: PathBuf,
    #[command(flatten)]
    allow: Allow,
    /// The log: a file, a folder with its segments 0.sslg, 1.sslg, …, or - for standard input
    log: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sshlog inspect --signers allowed_signers session.sslg
  sshlog inspect --export-signatures signed session.sslg
  ssh-keygen -Y verify -f allowed_signers -I proxy@example -n sslg1 -s signed/0.open.sig < signed/0.open
  ssh-keygen -Y verify -f signed/0.epochs -I epoch -n sslg1 -s signed/0.checkpoint-0.sig < signed/0.checkpoint-0

Exit status: 0 the log is complete and intact, and its signer is the one asked for, or --allow names what it is; 1 it is not; 2 it could not be
read.")]
struct InspectArguments {
    /// Who may sign: an OpenSSH allowed_signers file
    #[arg(long, value_name = "FILE")]
    signers: Option<PathBuf>,
    /// Write what is signed, and its signatures, to this new folder, for `ssh-keygen -Y verify`
    #[arg(long, value_name = "FOLDER")]
    export_signatures: Option<PathBuf>,
    #[command(flatten)]
    allow: Allow,
    /// The log: a file, a folder with its segments 0.sslg, 1.sslg, …, or - for standard input
    log: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Every line has t_us (microseconds since the log began), channel, kind, and the fields of that kind. Bytes that are no text are there twice: as
NAME with replacement characters, and as NAME_base64.

Examples:
  sshlog records -i auditor --signers allowed_signers session.sslg | jq -c 'select(.kind == \"exec\")'
  sshlog records -i auditor --salvage damaged.sslg

Exit status: 0 the log is complete and intact, and its signer is the one asked for, or --allow names what it is; 1 it is not; 2 it could not be
read.")]
struct RecordsArguments {
    #[command(flatten)]
    source: Source,
}

/// A log that is to be decrypted.
#[derive(Debug, Args)]
struct Source {
    #[command(flatten)]
    keys: Keys,
    /// The log: a file, a folder with its segments 0.sslg, 1.sslg, …, or - for standard input
    log: PathBuf,
}

/// What opens logs, what says whom to believe, and what to make of logs that are not good.
#[derive(Debug, Args)]
struct Keys {
    #[command(flatten)]
    opening: Opening,
    /// Skip what is damaged instead of stopping there
    #[arg(long)]
    salvage: bool,
    #[command(flatten)]
    allow: Allow,
}

/// What opens logs and says whom to believe.
#[derive(Debug, Args)]
struct Opening {
    /// The private key that `sshlog keygen` wrote; may be given several times
    #[arg(short, long = "identity", value_name = "KEY", required = true)]
    identity: Vec<PathBuf>,
    /// Who may sign: an OpenSSH allowed_signers file. Without it the signer is not checked
    #[arg(long, value_name = "FILE")]
    signers: Option<PathBuf>,
    /// Further recipients, as `sshlog rewrap` wrote them; may be given several times
    #[arg(long, value_name = "FILE")]
    sidecar: Vec<PathBuf>,
}

#[derive(Debug, Args)]
struct Allow {
    /// Take such a log for good, too; may be given several times
    #[arg(long = "allow", value_name = "WHAT")]
    allow: Vec<Allowance>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Allowance {
    /// A log that ends early, after a crash or because it is still being written
    Truncated,
    /// A log that its writer ended early, and signed as such
    Aborted,
    /// A log that is whole but for the hint at its end
    TrailerMissing,
    /// A log that was found without its end, and recovered
    Recovered,
    /// A part of a log, as `replay --seek` reads it: nobody's signature is over a part, so the signer is not checked
    Excerpt,
    /// A sidecar that was granted by somebody whom --signers does not name
    UnknownGranter,
}

impl Allow {
    fn has(&self, what: Allowance) -> bool {
        self.allow.contains(&what)
    }
}

/// 32 bytes of fresh randomness.
fn seed() -> Result<zeroize::Zeroizing<[u8; 32]>, SshlogError> {
    let mut seed = zeroize::Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed)?;
    Ok(seed)
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let (mut out, mut err) = (io::BufWriter::new(io::stdout().lock()), io::stderr().lock());
    ExitCode::from(run(std::env::args_os(), &mut out, &mut err))
}

/// Runs a command line, and gives its exit status.
pub fn run<I, T>(arguments: I, out: &mut dyn Write, err: &mut dyn Write) -> u8
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let to: &mut dyn Write = if error.use_stderr() { err } else { out };
            let shown = write!(to, "{error}").and_then(|()| to.flush());
            return if error.use_stderr() || shown.is_err() {
                2
            } else {
                0
            };
        }
    };
    let result = match cli.command {
        Command::Keygen(arguments) => keygen::run(&arguments, out).map(|()| true),
        Command::Verify(arguments) => inspect::verify(&arguments, out),
        Command::Inspect(arguments) => inspect::inspect(&arguments, out, err),
        Command::Records(arguments) => json::run(&arguments.source, out, err),
        Command::Replay(arguments) => replay::run(&arguments, out, err),
        Command::Grep(arguments) => search::run(&arguments, out, err),
        Command::Tree(arguments) => tree::run(&arguments, out, err),
        Command::Export(arguments) => export::run(&arguments, out, err),
        Command::Import(arguments) => import::run(&arguments, out, err),
        Command::Recover(arguments) => afterwards::recover(&arguments, out).map(|()| true),
        Command::Rewrap(arguments) => afterwards::rewrap(&arguments, out).map(|()| true),
        Command::Prove(arguments) => proof::prove(&arguments, out, err).map(|()| true),
        Command::CheckProof(arguments) => proof::check(&arguments, out, err),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "sshlog", &mut &mut *out);
            Ok(true)
        }
    };
    let result = result.and_then(|good| Ok(out.flush().map(|()| good)?));
    match result {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(SshlogError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => 1,
        Err(error) => {
            // Standard error is the last place to say anything; if it is gone, the status still tells.
            let _ = writeln!(err, "sshlog: {error}");
            2
        }
    }
}

/// Whether a verdict is what was asked for. Without a signers file nobody is trusted, and that alone is no reason to fail.
fn is_accepted(verdict: &Verdict, signers_given: bool, allow: &Allow) -> bool {
    let complete = match verdict.completeness {
        Completeness::Complete => true,
        Completeness::Truncated { .. } => allow.has(Allowance::Truncated),
        Completeness::Aborted { .. } => allow.has(Allowance::Aborted),
        Completeness::TrailerMissing => allow.has(Allowance::TrailerMissing),
        Completeness::Recovered { .. } => allow.has(Allowance::Recovered),
        Completeness::Excerpt => allow.has(Allowance::Excerpt),
        _ => false,
    };
    let signed = match &verdict.authenticity {
        Authenticity::Verified { .. } => true,
        Authenticity::UntrustedSigner { .. } => !signers_given,
        // The signature stands at the beginning, which was not read. That it is an excerpt was allowed, or is refused above.
        Authenticity::Unsigned => verdict.completeness == Completeness::Excerpt,
        _ => false,
    };
    complete && signed && verdict.integrity == Integrity::Intact
}
