//! `sshlog keygen`: a key pair for reading logs, in two files.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use session_log::{Identity, Kem};
use zeroize::Zeroizing;

use super::SshlogError;
use super::output::{NewFile, PRIVATE, PUBLIC};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sshlog keygen --out auditor                                     auditor and auditor.pub
  sshlog keygen --out fips-reader --kem p256                      for logs of the suite 0x0101
  sshlog keygen --out their --kem x25519 --format cloudflare      for logs of ssh-log-cli

The private file is readable by its owner only. Neither file is ever overwritten. Exit status: 0 both were made; 2 neither was.")]
pub(super) struct Arguments {
    /// Where to write the private key; the public key goes beside it with .pub at the end
    #[arg(long, value_name = "KEY")]
    out: PathBuf,
    /// How logs are encrypted to this key
    #[arg(long, value_enum, default_value_t = KemName::XWing)]
    kem: KemName,
    /// How the two files are written
    #[arg(long, value_enum, default_value_t = Format::Sshlog)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum KemName {
    /// ML-KEM-768 with X25519: holds against quantum computers
    XWing,
    /// X25519 alone
    X25519,
    /// P-256, for the suite 0x0101
    P256,
    /// P-384, for the suite 0x0102
    P384,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The text files of this program
    Sshlog,
    /// The base64 files of Cloudflare's ssh-log-cli; needs --kem x25519
    Cloudflare,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), SshlogError> {
    let kem = match arguments.kem {
        KemName::XWing => Kem::XWing,
        KemName::X25519 => Kem::X25519,
        KemName::P256 => Kem::P256,
        KemName::P384 => Kem::P384,
    };
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed)?;
    let identity = Identity::generate(kem, &mut ChaCha20Rng::from_seed(*seed));
    let private = &arguments.out;
    let mut public = private.clone().into_os_string();
    public.push(".pub");
    let public = PathBuf::from(public);
    let (public_text, private_text) = match arguments.format {
        Format::Sshlog => (identity.recipient().to_text(), identity.to_text()),
        Format::Cloudflare => identity
            .recipient()
            .to_cloudflare()
            .zip(identity.to_cloudflare())
            .ok_or(SshlogError::CloudflareKem)?,
    };
    let mut public_file = make(&public, PUBLIC, &public_text)?;
    make(private, PRIVATE, &private_text)?.keep()?;
    public_file.keep()?;
    writeln!(
        out,
        "private key (reads logs, keep it away from the proxy): {}",
        private.display()
    )?;
    writeln!(
        out,
        "public key (a recipient, give it to the proxy):        {}",
        public.display()
    )?;
    Ok(())
}

/// A key file that is there only once it is kept.
fn make(name: &Path, mode: u32, text: &str) -> Result<NewFile, SshlogError> {
    let mut file = NewFile::create(name, mode).map_err(|error| match error {
        SshlogError::Exists { file } => SshlogError::KeyExists { file },
        error => error,
    })?;
    file.write_all(text.as_bytes())
        .map_err(|error| SshlogError::Write {
            file: name.into(),
            error,
        })?;
    Ok(file)
}
