//! An emulated screen on the terminal of whoever watches: rows that changed, as text, colours and positions of our own making.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write};

use avt::{Cell, Color, Pen, Terminal};

/// What the watching terminal shows.
pub(super) struct Drawing {
    /// Columns and rows of the watching terminal, when it is one.
    room: Option<(usize, usize)>,
    rows: Vec<String>,
    began: bool,
    cut: Option<(usize, usize)>,
}

impl Drawing {
    pub(super) fn new() -> Drawing {
        Drawing {
            room: room(),
            rows: Vec::new(),
            began: false,
            cut: None,
        }
    }

    /// Brings the terminal to what the emulator shows; below it goes what was typed.
    pub(super) fn draw(
        &mut self,
        terminal: &Terminal,
        typed: Option<&str>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let (columns, rows) = terminal.size();
        let below = usize::from(typed.is_some());
        let (width, height) = self.room.map_or((columns, rows), |(width, height)| {
            (
                width.min(columns),
                height.saturating_sub(below).min(rows).max(1),
            )
        });
        if (width, height) != (columns, rows) {
            self.cut = Some((columns, rows));
        }
        let mut lines: Vec<String> = terminal
            .screen()
            .visible_lines()
            .take(height)
            .map(|line| styled(line.cells(), width))
            .collect();
        lines.extend(typed.map(|typed| typed_line(typed, width)));
        let mut changes = String::new();
        if !self.began || self.rows.len() > lines.len() {
            self.began = true;
            self.rows.clear();
            changes.push_str("\x1b[0m\x1b[2J");
        }
        for (row, line) in lines.iter().enumerate() {
            if self.rows.get(row) != Some(line) {
                let _ = write!(changes, "\x1b[{};1H\x1b[0m\x1b[2K{line}\x1b[0m", row + 1);
            }
        }
        self.rows = lines;
        let cursor = terminal.cursor();
        let (column, row) = (
            cursor.col.min(width - 1) + 1,
            cursor.row.min(height - 1) + 1,
        );
        let shown = if cursor.visible { 'h' } else { 'l' };
        let _ = write!(changes, "\x1b[{row};{column}H\x1b[?25{shown}");
        out.write_all(changes.as_bytes())
    }

    /// Leaves the screen as it is, and the cursor below it.
    pub(super) fn leave(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if self.began {
            write!(
                out,
                "\x1b[0m\x1b[?25h\x1b[{};1H\r\n",
                self.rows.len().max(1)
            )?;
        }
        Ok(())
    }

    /// Says when not all of the screen could be shown.
    pub(super) fn tell(&self, program: &str, err: &mut dyn Write) -> io::Result<()> {
        match self.cut {
            Some((columns, rows)) => writeln!(
                err,
                "{program}: the session's screen was {columns} by {rows}, larger than this terminal: its right or lower part was not shown"
            ),
            None => Ok(()),
        }
    }
}

/// The size of the terminal that standard output is.
fn room() -> Option<(usize, usize)> {
    let out = io::stdout();
    let size = rustix::termios::tcgetwinsize(&out).ok()?;
    (out.is_terminal() && size.ws_col > 0 && size.ws_row > 0)
        .then_some((size.ws_col.into(), size.ws_row.into()))
}

/// The screen's text, without the blanks behind it.
pub(super) fn text_of(terminal: &Terminal) -> String {
    let lines: Vec<String> = terminal
        .screen()
        .visible_lines()
        .map(|line| line.text().trim_end().to_owned())
        .collect();
    let text = lines.join("\n");
    format!("{}\n", text.trim_end_matches('\n'))
}

fn typed_line(typed: &str, width: usize) -> String {
    let room = width.saturating_sub("typed: ".len());
    let surplus = typed.chars().count().saturating_sub(room);
    let shown: String = typed.chars().skip(surplus).collect();
    format!("\x1b[2mtyped: {shown}")
}

/// The cells of a line that fit, with their colours.
fn styled(cells: &[Cell], width: usize) -> String {
    let end = cells
        .iter()
        .rposition(|cell| cell.char() != ' ' || !cell.pen().is_default())
        .map_or(0, |last| last + 1);
    let mut line = String::new();
    let mut pen = Pen::default();
    let mut column = 0;
    for cell in cells.iter().take(end) {
        let next = column + usize::from(cell.width());
        // The second half of a wide character has no width of its own.
        if cell.width() == 0 {
            continue;
        }
        if next > width {
            break;
        }
        column = next;
        if *cell.pen() != pen {
            pen = *cell.pen();
            push_pen(&pen, &mut line);
        }
        line.push(cell.char());
    }
    line
}

fn push_pen(pen: &Pen, line: &mut String) {
    line.push_str("\x1b[0");
    for (is_set, code) in [
        (pen.is_bold(), ";1"),
        (pen.is_faint(), ";2"),
        (pen.is_italic(), ";3"),
        (pen.is_underline(), ";4"),
        (pen.is_blink(), ";5"),
        (pen.is_inverse(), ";7"),
        (pen.is_strikethrough(), ";9"),
    ] {
        if is_set {
            line.push_str(code);
        }
    }
    for (color, layer) in [(pen.foreground(), 38), (pen.background(), 48)] {
        // Writing to a string does not fail.
        let _ = match color {
            Some(Color::Indexed(number)) => write!(line, ";{layer};5;{number}"),
            Some(Color::RGB(rgb)) => write!(line, ";{layer};2;{};{};{}", rgb.r, rgb.g, rgb.b),
            None => Ok(()),
        };
    }
    line.push('m');
}
