//! `sessionctl watch`: what a session shows, while it shows it, as `sshlog replay` would.

use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

use clap::Args;
use session_log::{Record, RecordView};

use super::ask::Conversation;
use super::output::complain;
use crate::audit_proxy::admin::protocol::{Bytes, Reply, SeenLine};
use crate::sshlog::replay::{Form, Interrupt, Screen, Stream, View};
use crate::tool::{ToolError, printable};

/// How long Ctrl-C may go unnoticed.
const NOTICE: Duration = Duration::from_millis(100);

#[derive(Debug, Args)]
#[command(after_help = "\
On a terminal the session goes through a terminal emulator, whose screen is drawn; elsewhere through a filter. Nothing of it reaches your
terminal as it is. The screen begins empty, and fills as the session writes. Whoever watches stands in the session's log. A watcher who
does not keep up is sent away; the session waits for nobody.")]
pub(super) struct WatchArguments {
    /// Its id, or the beginning of it
    pub(super) id: String,
    /// Only this channel; for a screen, without it, the first that has output
    #[arg(long, value_name = "N")]
    channel: Option<u32>,
    /// Show what is typed, too
    #[arg(long)]
    input: bool,
    /// Let the text pass through a filter; the default where standard output is no terminal
    #[arg(long, conflicts_with = "plain")]
    stream: bool,
    /// Text only: no colours, no cursor movement
    #[arg(long)]
    plain: bool,
}

impl WatchArguments {
    fn is_drawn(&self) -> bool {
        io::stdout().is_terminal() && !self.stream && !self.plain
    }

    fn view(&self) -> Box<dyn View> {
        if self.is_drawn() {
            let form = Form::Drawn;
            return Box::new(Screen::new(
                "sessionctl",
                form,
                self.channel,
                self.input,
                None,
            ));
        }
        let style = match self.plain {
            true => session_log::Style::Plain,
            false => session_log::Style::Screen,
        };
        let on_terminal = io::stdout().is_terminal();
        Box::new(Stream::new(style, on_terminal, self.channel, self.input))
    }
}

/// Shows what comes until either side ends it.
pub(super) fn run(
    arguments: &WatchArguments,
    mut conversation: Conversation,
    out: &mut dyn Write,
) -> Result<bool, ToolError> {
    let interrupt = Interrupt::watch();
    conversation.wait_at_most(NOTICE)?;
    let mut view = arguments.view();
    let mut last_words = None;
    let mut is_done = true;
    while !interrupt.came() {
        let reply = match conversation.next() {
            Ok(Some((_, reply))) => reply,
            Ok(None) => {
                last_words = Some("the proxy has closed the connection".to_owned());
                is_done = false;
                break;
            }
            Err(error) if is_no_hurry(&error) => continue,
            Err(error) => return Err(error.into()),
        };
        match reply {
            Some(Reply::Seen { channel, what }) => {
                take(&mut *view, channel, &what);
                view.show(out)?;
                if let SeenLine::Command(text) = &what
                    && !arguments.is_drawn()
                {
                    let text = text.decode().unwrap_or_default();
                    let text = printable(&String::from_utf8_lossy(&text));
                    writeln!(out, "[runs {text}]")?;
                }
                out.flush()?;
            }
            Some(Reply::WatchOver { why }) => {
                last_words = Some(why);
                break;
            }
            Some(Reply::Refused { why } | Reply::Failed { why }) => {
                complain(&why);
                return Ok(false);
            }
            _ => {}
        }
    }
    view.finish(out, &mut io::stderr())?;
    out.flush()?;
    if let Some(why) = last_words {
        complain(&why);
    }
    Ok(is_done)
}

fn is_no_hurry(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}

/// Shows what a record of the log would.
fn take(view: &mut dyn View, channel: u32, what: &SeenLine) {
    let bytes = |bytes: &Bytes| bytes.decode().unwrap_or_default();
    let data = match what {
        SeenLine::Input(data) | SeenLine::Output(data) | SeenLine::Stderr(data) => bytes(data),
        _ => Vec::new(),
    };
    let record = match what {
        SeenLine::Input(_) => Record::Input(&data),
        SeenLine::Output(_) => Record::Output(&data),
        SeenLine::Stderr(_) => Record::Stderr(&data),
        SeenLine::Terminal { columns, rows } => Record::Pty {
            term: "",
            columns: *columns,
            rows: *rows,
            pixel_width: 0,
            pixel_height: 0,
            modes: &[],
        },
        SeenLine::Began | SeenLine::Command(_) | SeenLine::Closed => return,
    };
    view.take(&RecordView {
        t_us: 0,
        channel,
        kind: 0,
        record,
    });
}
