//! The `check_cert` command: would a server take this certificate, and if not, why.

use std::io::Write;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use sshcert::{
    AuthorizedPrincipals, CheckContext, EnforcedOption, Extension, Krl, LoginRefusal, LoginRule,
    Profile, Refusal, Unverified, check_host_certificate, check_login,
};

use crate::tool::files::read_text;
use crate::tool::time::{format_time, parse_time, unix_now};
use crate::tool::{
    self, ToolError, in_file, option, printable, read_authorities, read_key_blob, read_krl,
};

/// Check a certificate as sshd does, and say what each check found.
#[derive(Debug, Parser)]
#[command(
    name = "check_cert",
    after_help = "\
Examples:
  check_cert --ca ca.pub --cert id-cert.pub --principal deploy --address 10.1.2.3
  check_cert --ca ca.pub --cert id-cert.pub --principal deploy --address 10.1.2.3 --at 2026-01-31T12:00:00Z --krl revoked
  check_cert --ca ca.pub --cert id-cert.pub --principal root --address 10.1.2.3 --principals-file /etc/ssh/auth_principals/root
  check_cert --ca ca.pub --cert ssh_host_ed25519_key-cert.pub --host --principal web-1.example.com

The certificate alone lets nobody in: whoever presents it must also have the key it is for.

Exit status: 0 when it is accepted, 1 when it is refused, 2 when a file or option cannot be read."
)]
struct Arguments {
    /// A trusted authority: its public key, or a TrustedUserCAKeys file; may be given several times
    #[arg(long = "ca", value_name = "CAPUB", required = true)]
    authorities: Vec<PathBuf>,
    /// The certificate
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,
    /// The user to log in as; with --host the host name
    #[arg(long, value_name = "NAME")]
    principal: String,
    /// The address it is presented from; without it a certificate with source-address is refused
    #[arg(long, value_name = "IP")]
    address: Option<IpAddr>,
    /// When it is presented: 2026-01-31T12:00:00Z or unix seconds [default: now]
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// A revocation list, or a file of revoked keys; may be given several times
    #[arg(long = "krl", value_name = "FILE")]
    krls: Vec<PathBuf>,
    /// What the server's AuthorizedPrincipalsFile has for this user
    #[arg(long, value_name = "FILE", conflicts_with = "host")]
    principals_file: Option<PathBuf>,
    /// It is for a host
    #[arg(long)]
    host: bool,
    /// Only algorithms that FIPS modules have
    #[arg(long)]
    fips: bool,
}

/// The program.
pub fn main() -> ExitCode {
    tool::main("check_cert", run)
}

fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<bool, ToolError> {
    let trusted = read_authorities(&arguments.authorities)?;
    let blob = read_key_blob(&arguments.cert)?;
    let krls: Vec<Krl> = arguments
        .krls
        .iter()
        .map(|file| read_krl(file))
        .collect::<Result<_, _>>()?;
    let now = match &arguments.at {
        Some(text) => parse_time(text).map_err(|error| option("--at", error))?,
        None => unix_now(),
    };
    let enforced = [EnforcedOption::ForceCommand, EnforcedOption::VerifyRequired];
    let mut context = CheckContext::new(&arguments.principal, now)
        .enforcing(&enforced)
        .revoked_by(&krls);
    if let Some(address) = arguments.address {
        context = context.address(address);
    }
    if arguments.fips {
        context = context.profile(Profile::Fips);
    }
    if let Ok(certificate) = Unverified::parse(&blob) {
        describe(&certificate, out)?;
    }
    let verdict = if arguments.host {
        check_host_certificate(&blob, &trusted, &context).map(|_| Vec::new())
    } else {
        let rule = rule(arguments)?;
        check_login(&blob, &trusted, &rule, &context).map(|login| effects(&login))
    };
    report(&verdict, out)?;
    Ok(verdict.is_ok())
}

fn rule(arguments: &Arguments) -> Result<LoginRule, ToolError> {
    let rule = LoginRule::user_name();
    let Some(file) = &arguments.principals_file else {
        return Ok(rule);
    };
    let content =
        AuthorizedPrincipals::parse(&read_text(file)?).map_err(|error| in_file(file, error))?;
    Ok(rule.principals_file(content))
}

fn describe(certificate: &Unverified, out: &mut dyn Write) -> Result<(), ToolError> {
    let names: Vec<String> = certificate
        .principals()
        .iter()
        .map(|name| printable(name))
        .collect();
    writeln!(out, "serial {}", certificate.serial())?;
    writeln!(out, "key id {}", printable(certificate.key_id()))?;
    writeln!(out, "principals {}", names.join(" "))?;
    writeln!(
        out,
        "valid from {} to {}\n",
        format_time(certificate.valid_after()),
        format_time(certificate.valid_before())
    )?;
    Ok(())
}

/// The checks in the order in which they are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Readable,
    Kind,
    Authority,
    Algorithms,
    Signature,
    Subject,
    Revocation,
    Time,
    Principals,
    Options,
}

impl Step {
    const ALL: [(Self, &str); 10] = [
        (Self::Readable, "is a well-formed certificate"),
        (Self::Kind, "is of the right kind"),
        (Self::Authority, "names a trusted authority"),
        (Self::Algorithms, "has algorithms that are allowed"),
        (Self::Signature, "is signed by that authority"),
        (Self::Subject, "is for an acceptable key"),
        (Self::Revocation, "is not revoked"),
        (Self::Time, "is valid at that time"),
        (Self::Principals, "is for that name"),
        (Self::Options, "has options that are met"),
    ];

    fn of(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::Parse(_) => Self::Readable,
            Refusal::WrongKind => Self::Kind,
            Refusal::UntrustedAuthority => Self::Authority,
            Refusal::Profile => Self::Algorithms,
            Refusal::Signature => Self::Signature,
            Refusal::Subject => Self::Subject,
            Refusal::Revoked(_) | Refusal::Revocation(_) => Self::Revocation,
            Refusal::NotYetValid { .. } | Refusal::Expired { .. } => Self::Time,
            Refusal::Login(LoginRefusal::Commands | LoginRefusal::NotEnforced { .. }) => {
                Self::Options
            }
            Refusal::NoPrincipals | Refusal::PrincipalNotListed | Refusal::Login(_) => {
                Self::Principals
            }
            _ => Self::Options,
        }
    }
}

/// The first check that fails ends it: what is behind it was not looked at.
fn report(verdict: &Result<Vec<String>, Refusal>, out: &mut dyn Write) -> Result<(), ToolError> {
    let failed = verdict.as_ref().err().map(Step::of);
    for (step, text) in Step::ALL {
        let mark = match failed {
            Some(failed) if step == failed => "NO",
            Some(failed) if step > failed => "-",
            _ => "ok",
        };
        writeln!(out, "{mark:>4}  {text}")?;
    }
    match verdict {
        Ok(effects) => {
            writeln!(out, "\naccepted")?;
            for effect in effects {
                writeln!(out, "  {effect}")?;
            }
        }
        Err(refusal) => writeln!(out, "\nrefused: {refusal}")?,
    }
    Ok(())
}

fn effects(login: &sshcert::Login) -> Vec<String> {
    let mut effects = Vec::new();
    if let Some(line) = login.line() {
        effects.push(format!(
            "by line {} of the principals file: {}",
            line.number(),
            printable(line.principal())
        ));
    }
    if let Some(command) = login.force_command() {
        effects.push(format!("runs only: {}", printable(command)));
    }
    if login.is_verification_required() {
        effects.push("needs user verification by the security key".into());
    }
    let permitted = Extension::ALL
        .into_iter()
        .filter(|extension| login.permits(*extension));
    let permitted: Vec<&str> = permitted.map(Extension::name).collect();
    effects.push(match permitted.as_slice() {
        [] => "permits nothing but running commands".into(),
        some => format!("permits {}", some.join(" ")),
    });
    effects
}
