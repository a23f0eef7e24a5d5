//! `sshlog grep`: lines of sessions that match a pattern.

mod lines;

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use regex::{Regex, RegexBuilder};
use session_log::{Event, Record, RecordView, Sanitizer, Style, Value, kind_name};

use super::input::logs_of;
use super::moment::Calendar;
use super::progress::Prints;
use super::read::{is_good, print_verdict, read_log, reader_config, say_if_unchecked};
use super::{Keys, SshlogError};
use lines::{Line, Lines, Stream};

#[derive(Debug, Args)]
#[command(after_help = "\
Patterns are matched against the text without colours and cursor movement. Data is put together to lines by channel and direction, also where it
was recorded key by key. What is printed before a line is its time, which `sshlog replay --at` takes, its channel, and where it is from.

Examples:
  sshlog grep -i auditor 'sudo .*passw' logs/              every log of a folder
  sshlog grep -i auditor --commands --ignore-case '^rm ' session.sslg
  sshlog grep -i auditor --output --count ERROR session.sslg

Exit status: 0 a line was found; 1 none was; 2 a log is not good, or could not be read.")]
pub(super) struct Arguments {
    /// Upper and lower case are the same
    #[arg(long)]
    ignore_case: bool,
    /// Print only how many lines there are
    #[arg(short, long)]
    count: bool,
    /// Look through what was typed; without any of these three, through everything
    #[arg(long)]
    input: bool,
    /// Look through what was shown
    #[arg(long)]
    output: bool,
    /// Look through commands
    #[arg(long)]
    commands: bool,
    /// A regular expression, as of the Rust crate `regex`
    pattern: String,
    #[command(flatten)]
    keys: Keys,
    /// The logs: files, folders with segments, folders with logs; - for standard input
    #[arg(required = true)]
    log: Vec<PathBuf>,
}

/// Largest program that a pattern may become, bytes.
const MAX_PATTERN_BYTES: usize = 1 << 20;

pub(super) fn run(
    arguments: &Arguments,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<bool, SshlogError> {
    let pattern = RegexBuilder::new(&arguments.pattern)
        .case_insensitive(arguments.ignore_case)
        .size_limit(MAX_PATTERN_BYTES)
        .dfa_size_limit(MAX_PATTERN_BYTES)
        .build()
        .map_err(|error| SshlogError::Pattern(Box::new(error)))?;
    let mut logs = Vec::new();
    for name in &arguments.log {
        logs.extend(logs_of(name)?);
    }
    let mut found = 0;
    let mut bad = Vec::new();
    for log in &logs {
        let mut search = Search {
            arguments,
            pattern: &pattern,
            log: (logs.len() > 1).then_some(log.as_path()),
            calendar: Calendar::default(),
            lines: Lines::default(),
            found: 0,
            out: &mut *out,
        };
        if !search.log(log, err)? {
            bad.push(log);
        }
        found += search.found;
    }
    out.flush()?;
    say_if_unchecked(arguments.keys.opening.signers.is_some(), err)?;
    match bad.len() {
        0 => Ok(found > 0),
        count => Err(SshlogError::NotGood { count }),
    }
}

struct Search<'a> {
    arguments: &'a Arguments,
    pattern: &'a Regex,
    /// The name that is printed, when there are several logs.
    log: Option<&'a Path>,
    calendar: Calendar,
    lines: Lines,
    found: u64,
    out: &'a mut dyn Write,
}

impl Search<'_> {
    /// Looks through one log; gives whether it is a good one.
    fn log(&mut self, log: &Path, err: &mut dyn Write) -> Result<bool, SshlogError> {
        let keys = &self.arguments.keys;
        let config = reader_config(keys, err)?;
        let judged = read_log(log, config, Prints::WhileReading, |event| {
            self.calendar.see(&event);
            match event {
                Event::Record(view) => self.take(&view),
                _ => Ok(()),
            }
        })?;
        for line in self.lines.finish() {
            self.look(&line)?;
        }
        if self.arguments.count {
            self.print_name()?;
            writeln!(self.out, "{}", self.found)?;
        }
        let verdict = &judged.verdict;
        let good = is_good(verdict, keys);
        if !good {
            self.out.flush()?;
            writeln!(err, "sshlog: {}:", log.display())?;
            print_verdict(verdict, err)?;
        }
        Ok(good)
    }

    fn take(&mut self, view: &RecordView<'_>) -> Result<(), SshlogError> {
        let (stream, data) = match view.record {
            Record::Input(data) => (Stream::Input, data),
            Record::Output(data) => (Stream::Output, data),
            Record::Stderr(data) => (Stream::Stderr, data),
            _ => return self.take_event(view),
        };
        if !self.is_wanted(stream) {
            return Ok(());
        }
        for line in self.lines.push(view.channel, stream, view.t_us, data) {
            self.look(&line)?;
        }
        Ok(())
    }

    /// Looks through the texts of a record that is not data.
    fn take_event(&mut self, view: &RecordView<'_>) -> Result<(), SshlogError> {
        let is_command = matches!(
            view.record,
            Record::Exec { .. } | Record::Command { .. } | Record::Subsystem { .. }
        );
        let narrowed = self.arguments.input || self.arguments.output || self.arguments.commands;
        if narrowed && !(is_command && self.arguments.commands) {
            return Ok(());
        }
        let mut texts = Vec::new();
        let mut add = |bytes: &[u8]| {
            let mut text = String::new();
            Sanitizer::new(Style::Plain).push(bytes, &mut text);
            texts.extend(text.lines().map(str::to_owned));
        };
        view.record.fields(&mut |_, _, value| match value {
            Value::Text(text) => add(text.as_bytes()),
            Value::Bytes(bytes) => add(bytes),
            Value::TextList(list) => list.iter().for_each(|text| add(text.as_bytes())),
            _ => {}
        });
        for text in texts {
            self.look(&Line {
                t_us: view.t_us,
                channel: view.channel,
                from: kind_name(view.kind),
                text,
            })?;
        }
        Ok(())
    }

    fn is_wanted(&self, stream: Stream) -> bool {
        let Arguments {
            input,
            output,
            commands,
            ..
        } = *self.arguments;
        match stream {
            _ if !input && !output && !commands => true,
            Stream::Input => input,
            Stream::Output | Stream::Stderr => output,
        }
    }

    fn look(&mut self, line: &Line) -> Result<(), SshlogError> {
        if !self.pattern.is_match(&line.text) {
            return Ok(());
        }
        self.found += 1;
        if self.arguments.count {
            return Ok(());
        }
        self.print_name()?;
        let time = self.calendar.format(line.t_us);
        writeln!(
            self.out,
            "{time} {} {}: {}",
            line.channel, line.from, line.text
        )?;
        Ok(())
    }

    fn print_name(&mut self) -> Result<(), SshlogError> {
        if let Some(log) = self.log {
            // A name may hold what a terminal acts on.
            let mut name = String::new();
            let bytes = log.as_os_str().as_encoded_bytes();
            Sanitizer::new(Style::Plain).push(bytes, &mut name);
            write!(self.out, "{}: ", name.replace('\n', " "))?;
        }
        Ok(())
    }
}
