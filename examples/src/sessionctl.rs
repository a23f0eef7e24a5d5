//! The `sessionctl` command: an operator's way to the sessions of a running `audit_proxy`.

mod ask;
mod help;
mod output;
mod watch;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::audit_proxy::admin::protocol::{Reply, Request, Which};
use crate::tool::{self, ToolError, escape_json, printable};
use ask::Conversation;
use output::Table;
use watch::WatchArguments;

/// Look at the sessions of a running audit_proxy, end them, and watch them.
#[derive(Debug, Parser)]
#[command(
    name = "sessionctl", after_help = help::ALL)]
struct Cli {
    /// The socket of the proxy
    #[arg(long, global = true, value_name = "PATH", default_value = "admin.sock")]
    socket: PathBuf,
    /// Print JSON lines for programs instead of text for people
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the sessions that run
    #[command(after_help = help::LIST)]
    List,
    /// Show all about one session
    #[command(after_help = help::SHOW)]
    Show {
        /// Its id, or the beginning of it
        id: String,
    },
    /// End sessions, with a reason that the person reads
    #[command(after_help = help::END)]
    End(EndArguments),
    /// Watch a session while it runs
    Watch(WatchArguments),
    /// List who waits for an approval
    #[command(after_help = help::APPROVALS)]
    Approvals,
    /// Let somebody in who waits for an approval
    #[command(after_help = help::ANSWER)]
    Approve(AnswerArguments),
    /// Keep somebody out who waits for an approval
    #[command(after_help = help::ANSWER)]
    Refuse(AnswerArguments),
    /// Let nobody in any more, and have the proxy end when its last session has
    #[command(after_help = help::DRAIN)]
    Drain {
        /// How long sessions may go on before they are ended, `0s` for not at all; without it, as long as `drain` of `[timeouts]` says,
        /// or as long as they need where that says nothing. An end that is near already is not put off
        #[arg(long, value_name = "TIME", value_parser = wait)]
        wait: Option<Duration>,
    },
}

#[derive(Debug, Args)]
struct AnswerArguments {
    /// The request's id, or the beginning of it, as the person and `approvals` see it
    id: String,
    /// Why: one line, which the person reads where they are refused, and the log keeps where they are let in
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
}

#[derive(Debug, Args)]
struct EndArguments {
    #[command(flatten)]
    which: WhichArguments,
    /// Why: one line, which the person reads and the log keeps
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct WhichArguments {
    /// The one with this id, or the beginning of it
    id: Option<String>,
    /// All of this identity, as `list` shows it
    #[arg(long, value_name = "NAME")]
    identity: Option<String>,
    /// All of this device
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// All on this target, by its id or host name
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// All
    #[arg(long)]
    all: bool,
}

impl WhichArguments {
    fn which(&self) -> Which {
        let named = [
            self.id.clone().map(Which::Session),
            self.identity.clone().map(Which::Identity),
            self.device.clone().map(Which::Device),
            self.target.clone().map(Which::Target),
        ];
        // One of them is there, unless it is all.
        named.into_iter().flatten().next().unwrap_or(Which::All)
    }
}

fn wait(text: &str) -> Result<Duration, String> {
    tool::time::parse_duration(text).map_err(|error| error.to_string())
}

/// The program.
pub fn main() -> ExitCode {
    tool::main::<Cli>("sessionctl", run)
}

fn run(cli: &Cli, out: &mut dyn Write) -> Result<bool, ToolError> {
    let request = match &cli.command {
        Command::List => Request::List,
        Command::Show { id } => Request::Show {
            session: id.clone(),
        },
        Command::End(arguments) => Request::End {
            which: arguments.which.which(),
            reason: arguments.reason.clone(),
        },
        Command::Watch(arguments) => Request::Watch {
            session: arguments.id.clone(),
        },
        Command::Approvals => Request::Approvals,
        Command::Approve(answer) => Request::Approve {
            session: answer.id.clone(),
            note: answer.note.clone(),
        },
        Command::Refuse(answer) => Request::Refuse {
            session: answer.id.clone(),
            note: answer.note.clone(),
        },
        Command::Drain { wait } => Request::Drain {
            wait_ms: wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        },
    };
    let mut conversation = Conversation::begin(&cli.socket, &request)?;
    if cli.json {
        return print_lines(&mut conversation, out);
    }
    match &cli.command {
        Command::Watch(arguments) => watch::run(arguments, conversation, out),
        Command::Show { .. } => print(&mut conversation, out, output::session),
        Command::List => {
            let mut table = Table::default();
            let is_done = print(&mut conversation, out, |line, _| {
                table.add(line);
                Ok(())
            })?;
            if is_done {
                table.print(out)?;
            }
            Ok(is_done)
        }
        Command::End(_)
        | Command::Approvals
        | Command::Approve(_)
        | Command::Refuse(_)
        | Command::Drain { .. } => print(&mut conversation, out, |_, _| Ok(())),
    }
}

fn print_lines(conversation: &mut Conversation, out: &mut dyn Write) -> Result<bool, ToolError> {
    let mut is_done = false;
    while let Some((line, reply)) = conversation.next()? {
        is_done = match reply {
            Some(Reply::Done { refused, .. }) => refused == 0,
            Some(Reply::WatchOver { .. }) => true,
            _ => false,
        };
        // JSON leaves some of what a terminal acts on as it is, and what answers may be no proxy.
        out.write_all(escape_json(&String::from_utf8_lossy(&line)).as_bytes())?;
        out.flush()?;
    }
    Ok(is_done)
}

/// Prints an answer for people; `session` does so for each session.
fn print(
    conversation: &mut Conversation,
    out: &mut dyn Write,
    mut session: impl FnMut(
        &crate::audit_proxy::admin::protocol::SessionLine,
        &mut dyn Write,
    ) -> Result<(), ToolError>,
) -> Result<bool, ToolError> {
    while let Some((_, reply)) = conversation.next()? {
        match reply {
            Some(Reply::Session(line)) => session(&line, out)?,
            Some(Reply::Approval(line)) => output::approval(&line, out)?,
            Some(Reply::Answered { session }) => {
                writeln!(out, "answered {}", printable(&session))?;
            }
            Some(Reply::Ended { session, late }) => {
                let how = if late {
                    ", which does not answer: it ends once it does"
                } else {
                    ""
                };
                writeln!(out, "ended {}{how}", printable(&session))?;
            }
            Some(Reply::Draining {
                connections,
                wait_ms,
            }) => {
                let time = match wait_ms {
                    Some(wait_ms) => format!("{} s to end", wait_ms / 1000),
                    None => "as long as they need".to_owned(),
                };
                writeln!(
                    out,
                    "nobody is let in any more; {connections} connections have {time}"
                )?;
            }
            Some(Reply::Done { refused: 0, .. }) => return Ok(true),
            Some(Reply::Done { refused, .. }) => {
                output::complain(&format!("for {refused} more the policy does not allow it"));
                return Ok(false);
            }
            Some(Reply::Refused { why } | Reply::Failed { why }) => {
                output::complain(&why);
                return Ok(false);
            }
            // What a newer proxy tells besides.
            Some(Reply::Seen { .. } | Reply::WatchOver { .. }) | None => {}
        }
    }
    output::complain("the proxy has not finished its answer");
    Ok(false)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn every_command_says_what_it_does_takes_and_prints() {
        let mut program = Cli::command();
        program.build();
        for command in program.get_subcommands_mut() {
            let name = command.get_name().to_owned();
            if name == "help" {
                continue;
            }
            assert!(command.get_about().is_some(), "{name}");
            assert!(command.get_after_help().is_some(), "{name}");
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{name}: {argument}");
            }
        }
        let shown = |name: &str| {
            let command = program.find_subcommand(name).unwrap();
            command.clone().render_long_help().to_string()
        };
        let list = shown("list");
        for heading in output::HEADINGS {
            assert!(
                list.contains(&format!("\n  {heading} ")),
                "{heading}: {list}"
            );
        }
        assert!(list.contains("PATH.PID") && shown("drain").contains("PATH.PID"));
        for option in ["--identity", "--device", "--target", "--all", "--reason"] {
            assert!(shown("end").contains(option), "{option}");
        }
    }
}
