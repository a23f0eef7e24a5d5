//! The demo: a target, the proxy in front of it and a log reader, all on loopback and made on the spot.

/// `println!` without a panic where standard output is gone: an error ends the demo, and clears up.
macro_rules! say {
    ($($text:tt)*) => {
        std::io::Write::write_fmt(
            &mut std::io::stdout(),
            format_args!("{}\n", format_args!($($text)*)),
        )?
    };
}

mod audit;
mod scene;
mod self_test;
mod sshd;

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::Parser;

use crate::asked::{Asked, HangUp};
use crate::audit_proxy::log_to_stderr;
use scene::{Scene, TargetKind};

/// Try Portreeve on loopback: a target, the proxy, and a reader of its logs.
#[derive(Debug, Parser)]
#[command(
    name = "demo",
    after_help = "\
With a terminal, the demo prints an `ssh` line to paste into another window; Ctrl-C ends it and
shows what was recorded. Without a terminal, or with --self-test, it drives a session itself, and
exits with 0 only if everything held.

The target runs commands as the user who runs the demo, and only this machine can reach it."
)]
struct Arguments {
    /// Drive a session through the proxy and check everything
    #[arg(long)]
    self_test: bool,
    /// Use the real sshd found on PATH as the target
    #[arg(long)]
    sshd: bool,
}

/// Why the demo did not succeed, for people.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The program.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log_to_stderr("warn");
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("demo: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(run(&arguments));
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error is the last place to say anything; if it is gone, the status still tells.
            let _ = writeln!(std::io::stderr(), "demo: FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let kind = if arguments.sshd {
        TargetKind::Sshd
    } else {
        TargetKind::Embedded
    };
    let has_person = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let mut asked = Asked::new(HangUp::Ends)?;
    let alone = arguments.self_test || !has_person;
    let starting = async {
        let scene = Scene::start(kind).await?;
        if alone {
            self_test::run(scene).await.map(|()| None)
        } else {
            Ok(Some(scene))
        }
    };
    // Whatever is left off here is dropped, and takes its folder and its `sshd` along.
    let scene = tokio::select! {
        scene = starting => scene?,
        () = asked.once() => return Err("asked to stop".into()),
    };
    match scene {
        Some(scene) => with_person(scene, &mut asked).await,
        None => Ok(()),
    }
}

/// Waits while a person tries things, then shows what was recorded of them.
async fn with_person(scene: Scene, asked: &mut Asked) -> Result<(), Failure> {
    say!("{}\n", scene.description);
    say!(
        "In another terminal:\n\n  ssh -p {} {}@127.0.0.1\n",
        scene.address.port(),
        scene.user
    );
    say!("Try another user name to be denied. Ctrl-C here ends it and shows what was recorded.");
    asked.once().await;
    say!("\nEnding all sessions …");
    let recorded = scene.end().await?;
    say!("\nAccess events:\n\n{}", recorded.events.trim_end());
    for log in &recorded.logs {
        say!("\nLog {}\n", log.name);
        let verdict = recorded.verify(log)?;
        say!("Without the key: {}", audit::in_words(&verdict));
        let reading = recorded.read(log)?;
        say!("With the key:    {}\n", audit::in_words(&reading.verdict));
        say!("{}", reading.lines().trim_end());
    }
    Ok(())
}
