//! The `audit_proxy` program: its command line, and what it does when asked to stop or to load its rules again.

pub mod admin;
pub mod admission;
pub mod keeper;
mod known;
mod open_files;
pub mod serve;
mod starter;
pub mod stop;

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;
use zeroize::Zeroizing;

use crate::asked::{Asked, HangUp};
use crate::config::Config;
use crate::token::{self, TokenHash};
use keeper::Keeper;
use serve::Server;

/// An SSH access proxy that asks a policy, mints certificates, and records every session.
#[derive(Debug, Parser)]
#[command(
    name = "audit_proxy",
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  audit_proxy init proxy                      write a starter folder
  audit_proxy --config proxy/proxy.toml --check
  audit_proxy --config proxy/proxy.toml
  audit_proxy token                           make a token for an [[identity]]

The operator's log goes to standard error; PORTREEVE_LOG=debug says more.
The policy and the revocations take effect whenever their files change, and on SIGHUP; what is wrong with
them is said there, and those before stay in force. Sessions that are no longer allowed end within 5 seconds.
SIGTERM and SIGINT end all sessions with a message and complete their logs; a second one cuts them off. With `drain` in
`[timeouts]`, the first only closes the door for that long, and each further one goes a step on. Operators look at running
sessions, end and watch them with `sessionctl`, where `[admin]` names a socket."
)]
struct Arguments {
    /// The configuration file
    #[arg(long, value_name = "FILE", required = true)]
    config: Option<PathBuf>,
    /// Only check the configuration, say what is wrong, and exit
    #[arg(long)]
    check: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a token, and show it with the line that makes it known
    Token,
    /// Write a folder with keys, secrets, a configuration and a policy to start from
    Init {
        /// The folder; it must not be there yet
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

/// The program.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match (arguments.command, arguments.config) {
        (Some(Command::Token), _) => show_token(),
        (Some(Command::Init { folder }), _) => init(&folder),
        (None, Some(config)) => run(&config, arguments.check),
        (None, None) => Err("name a configuration with --config FILE".to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // Standard error is the last place to say anything; if it is gone, the status still tells.
            let _ = writeln!(std::io::stderr(), "{message}");
            ExitCode::FAILURE
        }
    }
}

/// Sends the operator's log to standard error, at the level that `PORTREEVE_LOG` asks for.
pub fn log_to_stderr(default: &str) {
    let filter = EnvFilter::try_from_env("PORTREEVE_LOG").unwrap_or_else(|_| default.into());
    // A second call, in a program that has set up its own, changes nothing.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        // Where standard error cannot be written, a complaint about it cannot either, and would end a session's task.
        .log_internal_errors(false)
        .try_init();
}

fn show_token() -> Result<(), String> {
    let token = token::generate().map_err(|error| format!("no randomness: {error}"))?;
    let hash = TokenHash::of(&token).to_hex();
    say(&Zeroizing::new(format!(
        "The token, which is shown only now:\n\n  {}\n\nThe line for its [[identity]]:\n\n  token_sha256 = \"{hash}\"\n",
        token.as_str()
    )))
}

fn init(folder: &Path) -> Result<(), String> {
    let said = starter::write(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    say(&said)
}

fn say(text: &str) -> Result<(), String> {
    let said = std::io::stdout().write_all(text.as_bytes());
    said.map_err(|error| format!("standard output cannot be written: {error}"))
}

fn run(config: &Path, only_check: bool) -> Result<(), String> {
    log_to_stderr("info");
    let config = Config::load(config).map_err(|error| error.to_string())?;
    if only_check {
        return say(&format!(
            "The configuration is sound: {} listeners, {} targets, {} identities, {} recipients; {} policies, {} revocations, version {}.\n",
            config.listeners.len(),
            config.targets.len(),
            config.identities.len(),
            config.log.recipients.len(),
            config.rules.policy.policies(),
            config.rules.revocations.len(),
            config.rules.version,
        ))
        .and_then(|()| say(&not_inside(&config)));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("the runtime cannot be started: {error}"))?;
    let result = runtime.block_on(serve_until_stopped(config));
    // Whatever has not ended by now was given its time.
    runtime.shutdown_background();
    result
}

/// Which targets `ssh -J` and its like do not reach.
fn not_inside(config: &Config) -> String {
    let is_refused = |target: &&proxy_core::Target| {
        let is_known = target.host_keys.is_some() || !target.host_authorities.is_empty();
        !is_known && !target.any_host_key_inside
    };
    let refused = config.targets.iter().filter(is_refused);
    let names: Vec<&str> = refused.map(|target| &*target.facts.id).collect();
    if names.is_empty() {
        return String::new();
    }
    format!(
        "Not to be reached through another target, as by `ssh -J`, because no `host_keys` and no `host_ca` are known: {}.\n",
        names.join(", ")
    )
}

async fn serve_until_stopped(config: Config) -> Result<(), String> {
    open_files::allow(config.admission.connections);
    let no_signals = |error| format!("signals cannot be received: {error}");
    let mut asked = Asked::new(HangUp::IsNotOurs).map_err(no_signals)?;
    let hang_up = signal(SignalKind::hangup()).map_err(no_signals)?;
    let drain = config.drain;
    let server = Server::bind(config)
        .await
        .map_err(|error| error.to_string())?;
    if let Some(keeper) = server.keeper() {
        keep(keeper, hang_up)?;
    }
    let stopper = server.stopper();
    let serving = server.run();
    tokio::pin!(serving);
    tokio::select! {
        () = &mut serving => return Ok(()),
        () = asked.once() => {}
    }
    // Where an operator has closed the door already, a signal is a step on.
    if !drain.is_zero() && !stopper.is_draining() {
        tracing::info!(?drain, "asked to stop: nobody is accepted any more");
        stopper.drain(Some(drain));
        tokio::select! {
            () = &mut serving => return Ok(()),
            () = asked.again() => {}
        }
    }
    tracing::info!("asked to stop: ending all sessions");
    stopper.end();
    tokio::select! {
        () = serving => {}
        () = asked.again() => tracing::warn!("asked to stop again: sessions are cut off"),
    }
    Ok(())
}

/// Has the rules kept by a thread of its own, since looking at files may wait for a disk or a network; SIGHUP asks it.
fn keep(keeper: Keeper, mut hang_up: Signal) -> Result<(), String> {
    let (ask, asked) = std::sync::mpsc::channel();
    let thread = std::thread::Builder::new().name("rules".to_owned());
    thread
        .spawn(move || keeper.run(&asked))
        .map_err(|error| format!("the rules cannot be watched: {error}"))?;
    tokio::spawn(async move {
        // Until the program ends, or nobody listens.
        while hang_up.recv().await.is_some() && ask.send(()).is_ok() {}
    });
    Ok(())
}
