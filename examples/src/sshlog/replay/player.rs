//! Which records are shown, and when.

use std::io::Write;

use session_log::{Event, Record};

use super::interrupt::Interrupt;
use super::{Arguments, View};
use crate::sshlog::SshlogError;
use crate::sshlog::moment::Calendar;

pub(super) struct Player<'a> {
    arguments: &'a Arguments,
    view: Box<dyn View>,
    calendar: Calendar,
    interrupt: &'a Interrupt,
    out: &'a mut dyn Write,
    stage: Stage,
    /// The time of the record that was shown last.
    shown_us: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Before `--at`.
    Before,
    Playing,
    /// After `--until`, or after the moment of a snapshot.
    Over,
}

impl<'a> Player<'a> {
    pub(super) fn new(
        arguments: &'a Arguments,
        view: Box<dyn View>,
        calendar: Calendar,
        interrupt: &'a Interrupt,
        out: &'a mut dyn Write,
    ) -> Player<'a> {
        Player {
            arguments,
            view,
            calendar,
            interrupt,
            out,
            stage: match arguments.at {
                Some(_) => Stage::Before,
                None => Stage::Playing,
            },
            shown_us: None,
        }
    }

    pub(super) fn take(&mut self, event: &Event<'_>) -> Result<(), SshlogError> {
        self.calendar.see(event);
        let Event::Record(view) = event else {
            return Ok(());
        };
        if self.stage == Stage::Before && self.is_at(view.t_us) {
            self.begin()?;
        }
        if self.stage == Stage::Playing && self.is_past(view.t_us) {
            self.stage = Stage::Over;
        }
        if self.stage == Stage::Over || self.interrupt.came() {
            return Ok(());
        }
        let is_seen = matches!(
            view.record,
            Record::Output(_) | Record::Stderr(_) | Record::Resize { .. }
        ) || (self.arguments.input && matches!(view.record, Record::Input(_)));
        if self.stage == Stage::Playing && is_seen {
            let since = self.shown_us.replace(view.t_us).unwrap_or(view.t_us);
            let pause = self.arguments.pause(view.t_us.saturating_sub(since));
            if !pause.is_zero() {
                self.show()?;
                self.interrupt.sleep(pause);
            }
        }
        self.view.take(view);
        Ok(())
    }

    /// Shows what has come so far.
    pub(super) fn show(&mut self) -> Result<(), SshlogError> {
        if self.stage != Stage::Before && !self.arguments.snapshot {
            self.view.show(self.out)?;
            self.out.flush()?;
        }
        Ok(())
    }

    /// Whether nothing more is to be shown.
    pub(super) fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    pub(super) fn finish(mut self, err: &mut dyn Write) -> Result<(), SshlogError> {
        if self.stage == Stage::Before {
            writeln!(err, "sshlog: the log ends before the time of --at")?;
            self.view.pass_over();
        }
        self.view.show(self.out)?;
        Ok(self.view.finish(self.out, err)?)
    }

    /// What came before the moment is there at once, and the pace begins with the moment.
    fn begin(&mut self) -> Result<(), SshlogError> {
        self.stage = match self.arguments.snapshot {
            true => Stage::Over,
            false => Stage::Playing,
        };
        self.view.pass_over();
        self.shown_us = self.arguments.at.map(|at| at.on_clock(self.calendar));
        self.show()
    }

    fn is_at(&self, t_us: u64) -> bool {
        let at = self.arguments.at.map(|at| at.on_clock(self.calendar));
        at.is_none_or(|at| t_us > at)
    }

    fn is_past(&self, t_us: u64) -> bool {
        let until = self.arguments.until.map(|end| end.on_clock(self.calendar));
        until.is_some_and(|until| t_us > until)
    }
}
