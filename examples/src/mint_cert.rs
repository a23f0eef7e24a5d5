//! The `mint_cert` command: a certificate for a public key, by an authority in a file or in an agent.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use ipnet::IpNet;
use rand_core::Rng as _;
use sshcert::{
    CaKey, CaKeyError, CaPublicKey, Certificate, CustomOption, Extension, HostCertificate,
    HostValidity, KeyId, OptionError, Prepared, Principals, Profile, Unverified, UserCertificate,
    Validity,
};

use crate::tool::files::{read_private_key, read_text, write_public};
use crate::tool::time::{parse_duration, unix_now};
use crate::tool::{self, ToolError, agent, in_file, key_blob, option, refused};

/// Mint an OpenSSH certificate: narrow, short-lived, and permitting nothing that is not named.
#[derive(Debug, Parser)]
#[command(
    name = "mint_cert",
    after_help = "\
Examples:
  mint_cert --ca ca --public-key id.pub --principal deploy --extension permit-pty --out id-cert.pub
  mint_cert --ca ca --public-key id.pub --principal deploy --ttl 10m --source-address 10.0.0.0/8 \\
            --force-command 'systemctl restart web'
  mint_cert --ca ca --host --public-key ssh_host_ed25519_key.pub --principal web-1.example.com --ttl 30d
  mint_cert --ca ca.pub --agent --public-key id.pub --principal deploy     the authority's key is in ssh-agent

Extensions: permit-pty, permit-port-forwarding, permit-agent-forwarding, permit-X11-forwarding,
permit-user-rc, no-touch-required, and name@domain of one's own.

Look at the result with `ssh-keygen -L -f id-cert.pub`, and ask whether a server would take it with `check_cert`.

Exit status: 0 when the certificate was made, 2 when not."
)]
struct Arguments {
    /// The authority's private key; with --agent, its public key
    #[arg(long, value_name = "CAKEY")]
    ca: PathBuf,
    /// The public key to certify
    #[arg(long, value_name = "FILE")]
    public_key: PathBuf,
    /// A user, or with --host a host name, that it is for; at least one
    #[arg(long = "principal", value_name = "NAME", required = true)]
    principals: Vec<String>,
    /// How long it is valid, from now: at most a day, with --host 367 days [default: 3m]
    #[arg(long, value_name = "TIME")]
    ttl: Option<String>,
    /// How far in the past it starts, for clocks that run behind: at most an hour [default: 60s]
    #[arg(long, value_name = "TIME")]
    backdate: Option<String>,
    /// A certificate for a host, not for users
    #[arg(long)]
    host: bool,
    /// Its serial number, by which it can be revoked [default: random]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    serial: Option<u64>,
    /// Its name in the server's log: visible ASCII without spaces
    #[arg(long, value_name = "ID")]
    key_id: Option<String>,
    /// Only for connections from here; may be given several times
    #[arg(long = "source-address", value_name = "CIDR", conflicts_with = "host")]
    source_addresses: Vec<String>,
    /// The server runs this whatever is asked for
    #[arg(long, value_name = "CMD", conflicts_with = "host")]
    force_command: Option<String>,
    /// A security key must verify its user (PIN, fingerprint) each time
    #[arg(long, conflicts_with = "host")]
    verify_required: bool,
    /// What it permits; may be given several times
    #[arg(long = "extension", value_name = "NAME[=DATA]")]
    extensions: Vec<String>,
    /// The key of the authority is in the agent at SSH_AUTH_SOCK
    #[arg(long)]
    agent: bool,
    /// Only algorithms that FIPS modules have
    #[arg(long)]
    fips: bool,
    /// Where to write it, perhaps over an earlier certificate; standard output if not given
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// The program.
pub fn main() -> ExitCode {
    tool::main("mint_cert", |arguments: &Arguments, out| {
        run(arguments, out).map(|()| true)
    })
}

fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), ToolError> {
    let authority = Authority::read(arguments)?;
    let text = read_text(&arguments.public_key)?;
    let subject = ssh_key::PublicKey::from_openssh(&text).map_err(|_| {
        let why = "not a public key; it should be as in a .pub file: `ssh-ed25519 AAAA…`";
        in_file(&arguments.public_key, why)
    })?;
    let principals =
        Principals::new(&arguments.principals).map_err(|error| option("--principal", error))?;
    let prepared = if arguments.host {
        prepare_host(arguments, subject, principals, authority.public())
    } else {
        prepare_user(arguments, subject, principals, authority.public())
    }?;
    let certificate = authority.mint(prepared)?;
    let line = format!("{}\n", certificate.to_openssh());
    match &arguments.out {
        Some(file) => {
            let otherwise =
                "there is something else than a certificate in it, and it is not overwritten";
            write_public(file, line.as_bytes(), is_certificate, otherwise)
        }
        None => Ok(out.write_all(line.as_bytes())?),
    }
}

fn is_certificate(content: &[u8]) -> bool {
    let blob = std::str::from_utf8(content).ok().and_then(key_blob);
    blob.is_some_and(|blob| Unverified::parse(&blob).is_ok())
}

/// Who signs.
enum Authority {
    Local(Box<CaKey>),
    Agent(CaPublicKey),
}

impl Authority {
    fn read(arguments: &Arguments) -> Result<Self, ToolError> {
        let file = &arguments.ca;
        let text = read_private_key(file)?;
        if arguments.agent {
            let public = CaPublicKey::from_openssh(&text).map_err(|error| in_file(file, error))?;
            return Ok(Self::Agent(public));
        }
        let key = CaKey::from_openssh(&text).map_err(|error| match error {
            CaKeyError::Malformed if CaPublicKey::from_openssh(&text).is_ok() => in_file(
                file,
                "this is a public key: name the private one, or add --agent if that is in an agent",
            ),
            CaKeyError::Encrypted => in_file(
                file,
                "it is protected by a passphrase: `ssh-add` it, and name its .pub file with --agent",
            ),
            other => in_file(file, other),
        })?;
        Ok(Self::Local(Box::new(key)))
    }

    fn public(&self) -> &CaPublicKey {
        match self {
            Self::Local(key) => key.public(),
            Self::Agent(public) => public,
        }
    }

    fn mint(&self, prepared: Prepared) -> Result<Certificate, ToolError> {
        match self {
            Self::Local(key) => key.mint(prepared).map_err(refused),
            Self::Agent(public) => {
                let algorithm = prepared.signature_algorithm();
                let signature = agent::sign(public.blob(), algorithm, prepared.to_be_signed())?;
                prepared.complete(&signature).map_err(refused)
            }
        }
    }
}

fn prepare_user(
    arguments: &Arguments,
    subject: ssh_key::PublicKey,
    principals: Principals,
    ca: &CaPublicKey,
) -> Result<Prepared, ToolError> {
    let (ttl, backdate) = times(arguments)?;
    let validity =
        Validity::starting(unix_now(), ttl, backdate).map_err(|error| option("--ttl", error))?;
    let mut rng = crate::fresh::rng()?;
    let mut draft = UserCertificate::new(subject, principals, validity)
        .serial(serial(arguments, &mut rng))
        .profile(profile(arguments));
    if let Some(key_id) = key_id(arguments)? {
        draft = draft.key_id(key_id);
    }
    if !arguments.source_addresses.is_empty() {
        let ranges = arguments.source_addresses.iter().map(|text| range(text));
        let ranges: Vec<IpNet> = ranges.collect::<Result<_, _>>()?;
        draft = draft
            .source_address(ranges)
            .map_err(|error| option("--source-address", error))?;
    }
    if let Some(command) = &arguments.force_command {
        draft = draft
            .force_command(command)
            .map_err(|error| option("--force-command", error))?;
    }
    if arguments.verify_required {
        draft = draft.verify_required();
    }
    for text in &arguments.extensions {
        let known = Extension::ALL
            .into_iter()
            .find(|known| known.name() == text);
        draft = match known {
            Some(known) => draft.extension(known),
            None => draft
                .custom_extension(&custom(text)?)
                .map_err(|error| option("--extension", error))?,
        };
    }
    draft.prepare_with_rng(ca, &mut rng).map_err(refused)
}

fn prepare_host(
    arguments: &Arguments,
    subject: ssh_key::PublicKey,
    hostnames: Principals,
    ca: &CaPublicKey,
) -> Result<Prepared, ToolError> {
    let (ttl, backdate) = times(arguments)?;
    let validity = HostValidity::starting(unix_now(), ttl, backdate)
        .map_err(|error| option("--ttl", error))?;
    let mut rng = crate::fresh::rng()?;
    let mut draft = HostCertificate::new(subject, hostnames, validity)
        .serial(serial(arguments, &mut rng))
        .profile(profile(arguments));
    if let Some(key_id) = key_id(arguments)? {
        draft = draft.key_id(key_id);
    }
    for text in &arguments.extensions {
        draft = draft
            .custom_extension(&custom(text)?)
            .map_err(|error| option("--extension", error))?;
    }
    draft.prepare_with_rng(ca, &mut rng).map_err(refused)
}

fn times(arguments: &Arguments) -> Result<(Duration, Duration), ToolError> {
    let read = |name, text: &Option<String>, default| match text {
        Some(text) => parse_duration(text).map_err(|error| option(name, error)),
        None => Ok(default),
    };
    Ok((
        read("--ttl", &arguments.ttl, sshcert::DEFAULT_TTL)?,
        read("--backdate", &arguments.backdate, sshcert::DEFAULT_BACKDATE)?,
    ))
}

/// Never 0, which cannot be revoked.
fn serial(arguments: &Arguments, rng: &mut rand_chacha::ChaCha20Rng) -> u64 {
    arguments.serial.unwrap_or_else(|| rng.next_u64().max(1))
}

fn profile(arguments: &Arguments) -> Profile {
    if arguments.fips {
        Profile::Fips
    } else {
        Profile::Any
    }
}

fn key_id(arguments: &Arguments) -> Result<Option<KeyId>, ToolError> {
    let key_id = arguments.key_id.as_deref().map(KeyId::from_text);
    key_id
        .transpose()
        .map_err(|error| option("--key-id", error))
}

fn range(text: &str) -> Result<IpNet, ToolError> {
    let single = text.parse::<std::net::IpAddr>().map(IpNet::from);
    single.or_else(|_| text.parse()).map_err(|_| {
        let why =
            format!("`{text}` is neither an address nor a range; write 10.1.2.3 or 10.0.0.0/8");
        option("--source-address", why)
    })
}

fn custom(text: &str) -> Result<CustomOption, ToolError> {
    let custom = match text.split_once('=') {
        Some((name, value)) => CustomOption::with_value(name, value),
        None => CustomOption::flag(text),
    };
    custom.map_err(|error| match error {
        OptionError::Name => option(
            "--extension",
            format!("`{text}` is not known here; --help lists the known ones, and one's own are name@domain"),
        ),
        other => option("--extension", other),
    })
}
