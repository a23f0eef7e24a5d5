//! `sshlog replay`: a session's output at its own pace, through the filter of `session-log`.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write};
use std::thread;
use std::time::Duration;

use clap::Args;
use session_log::{Event, Record, Sanitizer, Style};

use super::read::{conclude, read_log, reader_config};
use super::{Source, SshlogError};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// How many times as fast; 0 without any pause
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    /// Longest pause, seconds
    #[arg(long, value_name = "S", default_value_t = 3.0, value_parser = seconds)]
    max_pause: f64,
    /// Text only: no colours, no cursor movement
    #[arg(long)]
    plain: bool,
    /// Only this channel
    #[arg(long, value_name = "N")]
    channel: Option<u32>,
    #[command(flatten)]
    source: Source,
}

/// Longest pause that can be asked for, seconds: a day.
const MAX_PAUSE_SECS: f64 = 86_400.0;

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
    let style = if arguments.plain {
        Style::Plain
    } else {
        Style::Screen
    };
    // One filter a channel, so that the pieces of two cannot be put together to something that neither holds.
    let mut filters: BTreeMap<(u32, bool), Sanitizer> = BTreeMap::new();
    let mut shown_us = None;
    let mut text = String::new();
    let verdict = read_log(
        &arguments.source.log,
        reader_config(&arguments.source)?,
        |event| {
            let Event::Record(view) = event else {
                return Ok(());
            };
            let (data, is_stderr) = match view.record {
                Record::Output(data) => (data, false),
                Record::Stderr(data) => (data, true),
                _ => return Ok(()),
            };
            if arguments
                .channel
                .is_some_and(|channel| channel != view.channel)
            {
                return Ok(());
            }
            let pause = arguments.pause(view.t_us.saturating_sub(shown_us.unwrap_or(view.t_us)));
            shown_us = Some(view.t_us);
            if !pause.is_zero() {
                out.flush()?;
                thread::sleep(pause);
            }
            text.clear();
            filters
                .entry((view.channel, is_stderr))
                .or_insert_with(|| Sanitizer::new(style))
                .push(data, &mut text);
            out.write_all(text.as_bytes())?;
            Ok(())
        },
    )?;
    // What the session left set matters to a terminal, and its reset is rubbish in a file.
    let last = if io::stdout().is_terminal() {
        style
    } else {
        Style::Plain
    };
    out.write_all(Sanitizer::new(last).reset().as_bytes())?;
    conclude(&verdict, &arguments.source, out, err)
}

impl Arguments {
    fn pause(&self, recorded_us: u64) -> Duration {
        if self.speed == 0.0 {
            return Duration::ZERO;
        }
        let secs = Duration::from_micros(recorded_us).as_secs_f64() / self.speed;
        Duration::try_from_secs_f64(secs.min(self.max_pause)).unwrap_or(Duration::ZERO)
    }
}
