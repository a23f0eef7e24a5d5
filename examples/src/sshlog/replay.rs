//! `sshlog replay`: a session as it was seen, at its own pace.
//!
//! ```text
//! log ─▶ reader ─▶ player: from when, until when, how fast ─▶ view ─┬─ screen: emulator ─▶ what changed of it ─▶ terminal
//!                                                                   └─ stream: filter ─▶ file, pipe
//! ```

mod interrupt;
mod place;
mod player;
mod screen;
mod stream;

use std::io::{self, IsTerminal as _, Write};
use std::thread;
use std::time::Duration;

use clap::Args;
use session_log::{Completeness, Reader, Style};

use super::input::Input;
use super::moment::Moment;
use super::progress::{Prints, Progress};
use super::read::{Judged, PIECE_BYTES, Strays, conclude, reader_config};
use super::{Source, SshlogError};
pub(crate) use interrupt::Interrupt;
use place::Place;
use player::Player;
pub(crate) use screen::{Form, Screen};
pub(crate) use stream::Stream;

#[derive(Debug, Args)]
#[command(after_help = "\
On a terminal a session is replayed through a terminal emulator, whose screen is drawn; nothing of the recording itself reaches the terminal.
Elsewhere its text goes through a filter that lets pass what moves the cursor and sets colours.

Examples:
  sshlog replay -i auditor --speed 4 session.sslg
  sshlog replay -i auditor --at 1h2m3s session.sslg                         the screen as it was then, and on from there
  sshlog replay -i auditor --at 2027-01-15T08:00:00Z --until 2027-01-15T08:05:00Z session.sslg
  sshlog replay -i auditor --at 90s --snapshot session.sslg                 prints the screen of that moment as text
  sshlog replay -i auditor --follow session.sslg                            a session that goes on: Ctrl-C leaves it
  sshlog replay -i auditor --seek --at 5h --allow excerpt session.sslg      without reading the five hours before

Exit status: 0 the log is complete and intact, and its signer is the one asked for; 1 it is not, or its end was not waited for; 2 it could not be
read.")]
pub(super) struct Arguments {
    /// How many times as fast; 0 without any pause
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    /// Longest pause, seconds
    #[arg(long, value_name = "S", default_value_t = 3.0, value_parser = seconds)]
    max_pause: f64,
    /// Begin here: a time since the log's beginning such as 1h2m3s, or an instant such as 2027-01-15T08:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = Moment::parse)]
    at: Option<Moment>,
    /// End here; the rest is verified without being shown
    #[arg(long, value_name = "WHEN", value_parser = Moment::parse)]
    until: Option<Moment>,
    /// Go to --at by the log's index. What lies before is not read: the screen begins a minute before, and the log is judged as an excerpt
    #[arg(long, requires = "at")]
    seek: bool,
    /// Show what is there, and what is still being written, until the log's end
    #[arg(long, conflicts_with_all = ["speed", "seek"])]
    follow: bool,
    /// Draw the screen of a terminal emulator; the default on a terminal
    #[arg(long, group = "view")]
    screen: bool,
    /// Let the recorded text pass through a filter; the default elsewhere
    #[arg(long, group = "view")]
    stream: bool,
    /// Text only: no colours, no cursor movement
    #[arg(long, group = "view")]
    plain: bool,
    /// Print the screen as text as it was at --at, or else at the end
    #[arg(long, group = "view")]
    snapshot: bool,
    /// Show what was typed, too
    #[arg(long)]
    input: bool,
    /// Only this channel; for a screen, without it, the first that has output
    #[arg(long, value_name = "N")]
    channel: Option<u32>,
    #[command(flatten)]
    source: Source,
}

/// Longest pause that can be asked for, seconds: a day.
const MAX_PAUSE_SECS: f64 = 86_400.0;
/// Widest screen, columns: a recording cannot make an emulator hold more.
pub(super) const MAX_COLUMNS: u32 = 500;
/// Highest screen, rows.
pub(super) const MAX_ROWS: u32 = 200;
/// The screen of a session that asked for no terminal, columns and rows.
pub(super) const USUAL_SIZE: (u32, u32) = (80, 24);
/// Who speaks on standard error.
const PROGRAM: &str = "sshlog";
/// How long to wait for a log to grow.
const GROWTH_PAUSE: Duration = Duration::from_millis(200);

fn speed(text: &str) -> Result<f64, String> {
    let value: f64 = text
        .parse()
        .map_err(|_| "expected a number such as 2 or 0.5".to_owned())?;
    if value.is_finite() && value >= 0.0 {
        Ok(value)
    } else {
        Err("expected a number from 0".to_owned())
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    speed(text).map(|value| value.min(MAX_PAUSE_SECS))
}

pub(super) fn run(
    arguments: &Arguments,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<bool, SshlogError> {
    let keys = &arguments.source.keys;
    let mut strays = Strays::of(&reader_config(keys, err)?);
    let config = || reader_config(keys, &mut io::sink());
    let (mut input, mut reader, calendar, size) = if arguments.seek {
        let place = Place::find(arguments, config, err)?;
        (
            Input::Files(place.files),
            place.reader,
            place.calendar,
            place.size,
        )
    } else {
        let reader = Reader::new(config()?);
        let input = Input::open(&arguments.source.log)?;
        (input, reader, Default::default(), None)
    };
    let interrupt = match arguments.follow || io::stdout().is_terminal() {
        true => Interrupt::watch(),
        false => Interrupt::unwatched(),
    };
    let view = arguments.view(size);
    let mut player = Player::new(arguments, view, calendar, &interrupt, out);
    let mut progress = Progress::of(input.len(), Prints::WhileReading);
    let mut piece = vec![0; PIECE_BYTES];
    let left = loop {
        let bytes = input.read(&mut piece)?;
        progress.add(bytes.len() as u64);
        let at_end = bytes.is_empty();
        reader.push(bytes);
        while let Some(event) = reader.poll() {
            strays.see(&event);
            player.take(&event)?;
        }
        player.show()?;
        if interrupt.came() || (arguments.follow && player.is_over()) {
            break true;
        }
        if reader.is_stopped() {
            break false;
        }
        if at_end {
            let is_open = reader.verdict().completeness == Completeness::InProgress;
            match &mut input {
                Input::Files(files) if arguments.follow && is_open => files.look_again()?,
                // Whoever wrote to standard input has closed it.
                _ => break false,
            }
            thread::sleep(GROWTH_PAUSE);
        }
    };
    if !left {
        reader.finish();
        while let Some(event) = reader.poll() {
            player.take(&event)?;
        }
    }
    player.finish(err)?;
    let judged = Judged {
        verdict: reader.verdict(),
        strays,
    };
    conclude(&judged, keys, out, err)
}

/// What takes the records of a session and shows them.
pub(crate) trait View {
    /// Takes a record that has come; shows nothing yet.
    fn take(&mut self, view: &session_log::RecordView<'_>);
    /// Forgets what was taken and not shown, but for its effects on what follows.
    fn pass_over(&mut self);
    /// Shows what has changed.
    fn show(&mut self, out: &mut dyn Write) -> io::Result<()>;
    /// Leaves the terminal in order, and says what is to be said.
    fn finish(&mut self, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<()>;
}

impl Arguments {
    fn view(&self, size: Option<(u32, u32)>) -> Box<dyn View> {
        let on_terminal = io::stdout().is_terminal();
        if self.snapshot {
            return Box::new(Screen::new(
                PROGRAM,
                Form::Text,
                self.channel,
                self.input,
                size,
            ));
        }
        if self.screen || (on_terminal && !self.stream && !self.plain) {
            return Box::new(Screen::new(
                PROGRAM,
                Form::Drawn,
                self.channel,
                self.input,
                size,
            ));
        }
        let style = if self.plain {
            Style::Plain
        } else {
            Style::Screen
        };
        Box::new(Stream::new(style, on_terminal, self.channel, self.input))
    }

    fn pause(&self, recorded_us: u64) -> Duration {
        if self.speed == 0.0 || self.follow || self.snapshot {
            return Duration::ZERO;
        }
        let secs = Duration::from_micros(recorded_us).as_secs_f64() / self.speed;
        Duration::try_from_secs_f64(secs.min(self.max_pause)).unwrap_or(Duration::ZERO)
    }
}

/// Keys as text: what is no character is written as `^C`.
fn typed(data: &[u8]) -> String {
    let mut text = String::new();
    for c in String::from_utf8_lossy(data).chars() {
        match c {
            '\u{0}'..='\u{1f}' => {
                text.push('^');
                text.extend(char::from_u32(u32::from(c) + 0x40));
            }
            '\u{7f}' => text.push_str("^?"),
            c => text.push(c),
        }
    }
    let mut harmless = String::new();
    session_log::Sanitizer::new(Style::Plain).push(text.as_bytes(), &mut harmless);
    harmless
}
