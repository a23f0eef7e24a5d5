//! The `derive_host_key` command: the host key that stands for a target, without a connection.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use hostkey_derive::{AccountSecret, Algorithm, HostName, KnownHosts, derive};
use zeroize::Zeroizing;

use crate::tool::files::{read_text, write_secret};
use crate::tool::{self, ToolError, in_file, key_blob, option, refused};

/// Derive the host key that the proxy shows for a target.
#[derive(Debug, Parser)]
#[command(
    name = "derive_host_key",
    after_help = "\
Examples:
  derive_host_key --secret account.secret --target \"$(cat ssh_host_ed25519_key.pub)\" --algorithm ssh-ed25519
  derive_host_key --secret account.secret --target \"$(ssh-keyscan -t ed25519 web-1 | cut -d' ' -f2-)\" \\
                  --algorithm ecdsa-sha2-nistp256 --known-hosts web-1.example.com
  derive_host_key --secret account.secret --target 'ssh-ed25519 AAAA…' --algorithm ssh-ed25519 --private-out key

The secret is 32 to 64 bytes as hex or base64. On the command line everybody on the machine can see it: --secret-hex is
for tests. The target may be a host certificate: it counts as the key it certifies.

Exit status: 0 when there is a key, 2 when not."
)]
struct Arguments {
    /// The account secret, in hex
    #[arg(
        long,
        value_name = "HEX",
        conflicts_with = "secret",
        required_unless_present = "secret"
    )]
    secret_hex: Option<String>,
    /// The file with the account secret, in hex or base64; - for standard input
    #[arg(long, value_name = "FILE")]
    secret: Option<PathBuf>,
    /// The target's host key: `ssh-ed25519 AAAA…`
    #[arg(long, value_name = "KEY")]
    target: String,
    /// The algorithm of the key to derive, which need not be the target's
    #[arg(long, value_name = "NAME", value_parser = ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384"])]
    algorithm: String,
    /// Print a line for known_hosts instead, for this host, with :PORT unless that is 22
    #[arg(long, value_name = "NAME[:PORT]")]
    known_hosts: Option<String>,
    /// With the name in that line hashed
    #[arg(long, requires = "known_hosts")]
    hashed: bool,
    /// Also write the private key, which can impersonate the target, to this new file
    #[arg(long, value_name = "FILE")]
    private_out: Option<PathBuf>,
}

/// The program.
pub fn main() -> ExitCode {
    tool::main("derive_host_key", |arguments: &Arguments, out| {
        run(arguments, out).map(|()| true)
    })
}

fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), ToolError> {
    let secret = secret(arguments)?;
    let target = key_blob(&arguments.target).ok_or_else(|| {
        option(
            "--target",
            "not a public key; write it as in a .pub file: 'ssh-ed25519 AAAA…'",
        )
    })?;
    let algorithm = Algorithm::from_name(&arguments.algorithm)
        .ok_or_else(|| option("--algorithm", "no key of this algorithm can be derived"))?;
    let key = derive(&secret, &target, algorithm).map_err(|error| option("--target", error))?;
    let text = match &arguments.known_hosts {
        Some(name) => {
            let mut known = KnownHosts::new();
            known.add(&[host_name(name)?], &key);
            if arguments.hashed {
                known.to_hashed_text(&mut crate::fresh::rng()?)
            } else {
                known.to_text()
            }
        }
        None => format!("{}\n", key.public_key().to_openssh().map_err(refused)?),
    };
    // Last, so that a mistake elsewhere leaves no private key behind.
    if let Some(file) = &arguments.private_out {
        write_secret(file, key.to_openssh().as_bytes())?;
    }
    Ok(out.write_all(text.as_bytes())?)
}

fn secret(arguments: &Arguments) -> Result<AccountSecret, ToolError> {
    if let Some(file) = &arguments.secret {
        return AccountSecret::from_text(&read_text(file)?).map_err(|error| in_file(file, error));
    }
    let hex = Zeroizing::new(arguments.secret_hex.clone().unwrap_or_default());
    if !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(option(
            "--secret-hex",
            "not hexadecimal; base64 can be read from a file with --secret",
        ));
    }
    AccountSecret::from_text(&hex).map_err(|error| option("--secret-hex", error))
}

/// `NAME`, `NAME:PORT`, an IPv6 address, or `[ADDRESS]:PORT`.
fn host_name(text: &str) -> Result<HostName, ToolError> {
    let bracketed = text
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("]:"));
    let split = bracketed.or_else(|| text.split_once(':').filter(|(_, port)| !port.contains(':')));
    let (host, port) = match split {
        Some((host, port)) => {
            let port = port
                .parse()
                .map_err(|_| option("--known-hosts", format!("`{port}` is not a port")))?;
            (host, port)
        }
        None => (text, 22),
    };
    HostName::new(host, port).map_err(|error| option("--known-hosts", error))
}
