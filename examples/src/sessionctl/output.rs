//! What people read. Names come from clients and configurations, so nothing is printed that a terminal would act on.

use std::io::Write;
use std::time::Duration;

use crate::audit_proxy::admin::protocol::{ApprovalLine, SessionLine};
use crate::tool::time::{format_time, unix_now};
use crate::tool::{ToolError, printable};

/// How much of an id a list shows: enough to tell any sessions apart that run at once, in digits.
const ID_DIGITS: usize = 12;

/// How much of a command a list shows, in characters; `show` has all that is known of it.
const COMMAND_CHARS: usize = 40;

pub(super) const HEADINGS: [&str; 10] = [
    "SESSION", "IDENTITY", "USER", "TARGET", "FROM", "FOR", "IDLE", "IN/OUT", "STATE", "LAST",
];

/// A table of sessions.
#[derive(Default)]
pub(super) struct Table {
    rows: Vec<[String; 10]>,
}

impl Table {
    pub(super) fn add(&mut self, line: &SessionLine) {
        let now_ms = u64::try_from(unix_now().as_millis()).unwrap_or(u64::MAX);
        let since = now_ms.saturating_sub(line.since_unix_ms);
        let mut state = line.progress.clone();
        if let Some(parent) = &line.parent {
            state.push_str(", inside ");
            state.push_str(&short_id(parent));
        }
        if line.watchers > 0 {
            state.push_str(", watched");
        }
        let last = match &line.last_command {
            Some(last) => beginning(&last.text, COMMAND_CHARS),
            None => "-".to_owned(),
        };
        let row = [
            short_id(&line.session),
            line.identity.clone(),
            line.user.clone().unwrap_or_else(|| "-".to_owned()),
            line.target.clone(),
            line.client_addr.clone(),
            time(since),
            line.idle_ms.map_or_else(|| "-".to_owned(), time),
            format!(
                "{}/{}",
                size(line.bytes_from_client),
                size(line.bytes_from_target)
            ),
            state,
            last,
        ];
        self.rows.push(row.map(|cell| printable(&cell)));
    }

    pub(super) fn print(&self, out: &mut dyn Write) -> Result<(), ToolError> {
        let rows = || std::iter::once(HEADINGS.map(str::to_owned)).chain(self.rows.iter().cloned());
        let mut widths = [0; 10];
        for row in rows() {
            for (width, cell) in widths.iter_mut().zip(&row) {
                *width = cell.chars().count().max(*width);
            }
        }
        for row in rows() {
            let cells = row.iter().zip(widths);
            let line: Vec<String> = cells
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            writeln!(out, "{}", line.join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// All about one session.
pub(super) fn session(line: &SessionLine, out: &mut dyn Write) -> Result<(), ToolError> {
    let mut say = |name: &str, value: &str| writeln!(out, "{name:12}{}", printable(value));
    say("session", &line.session)?;
    if let Some(parent) = &line.parent {
        say("inside", parent)?;
    }
    say("identity", &line.identity)?;
    if let Some(device) = &line.device {
        say("device", device)?;
    }
    say("from", &line.client_addr)?;
    if let Some(user) = &line.user {
        say("user", user)?;
    }
    say(
        "target",
        &format!("{} ({}:{})", line.target, line.hostname, line.port),
    )?;
    say("since", &format_time(line.since_unix_ms / 1000))?;
    if let Some(idle) = line.idle_ms {
        say("idle", &time(idle))?;
    }
    let (client, target) = (size(line.bytes_from_client), size(line.bytes_from_target));
    say(
        "bytes",
        &format!("{client} from the client, {target} from the target"),
    )?;
    say("channels", &line.channels.to_string())?;
    if let Some(last) = &line.last_command {
        let text = format!("{} on channel {}: {}", last.kind, last.channel, last.text);
        say("last", &text)?;
    }
    if line.watchers > 0 {
        say("watchers", &line.watchers.to_string())?;
    }
    say("state", &line.progress)?;
    Ok(())
}

/// Somebody who waits, in two lines or three.
pub(super) fn approval(line: &ApprovalLine, out: &mut dyn Write) -> Result<(), ToolError> {
    let now_ms = u64::try_from(unix_now().as_millis()).unwrap_or(u64::MAX);
    let left = time(line.expires_unix_ms.saturating_sub(now_ms));
    let who = format!(
        "{}  {} as {} on {} ({}:{}), from {}",
        line.session,
        line.identity,
        line.user,
        line.target,
        line.hostname,
        line.port,
        line.client_addr
    );
    writeln!(out, "{}", printable(&who))?;
    if let Some(reason) = &line.reason {
        writeln!(out, "    because: {}", printable(reason))?;
    }
    let approvers = line.approvers.join(", ");
    writeln!(out, "    {left} left for {}", printable(&approvers))?;
    Ok(())
}

/// Says on standard error what did not work.
pub(super) fn complain(why: &str) {
    // If that is gone, too, the exit status still tells.
    let _ = writeln!(std::io::stderr(), "sessionctl: {}", printable(why));
}

fn short_id(session: &str) -> String {
    session.chars().take(ID_DIGITS).collect()
}

fn beginning(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn time(millis: u64) -> String {
    let secs = Duration::from_millis(millis).as_secs();
    match secs {
        0..60 => format!("{secs}s"),
        60..3600 => format!("{}m{:02}s", secs / 60, secs % 60),
        3600..86_400 => format!("{}h{:02}m", secs / 3600, secs / 60 % 60),
        _ => format!("{}d{:02}h", secs / 86_400, secs / 3600 % 24),
    }
}

fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["K", "M", "G", "T", "P"];
    let mut shown = (bytes, "B");
    for unit in UNITS {
        if shown.0 < 10_000 {
            break;
        }
        shown = (shown.0 / 1024, unit);
    }
    format!("{}{}", shown.0, shown.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tool::is_printable;

    #[test]
    fn times_and_sizes_are_short() {
        for (millis, text) in [
            (0, "0s"),
            (59_999, "59s"),
            (61_000, "1m01s"),
            (3_600_000, "1h00m"),
            (90_000_000, "1d01h"),
        ] {
            assert_eq!(time(millis), text);
        }
        for (bytes, text) in [
            (0, "0B"),
            (9_999, "9999B"),
            (10_240, "10K"),
            (5 << 30, "5120M"),
            (u64::MAX, "16383P"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn names_do_not_steer_the_terminal() {
        let line = SessionLine {
            session: "5f0c".repeat(8),
            identity: "ada\u{1b}]52;c;eA==\u{7}".to_owned(),
            target: "web\r\nfake".to_owned(),
            last_command: Some(crate::audit_proxy::admin::protocol::LastCommandLine {
                channel: 1,
                kind: "exec".to_owned(),
                text: "printf '\u{1b}[2J\u{9b}2J\u{202e}\u{2066}'".to_owned(),
            }),
            ..SessionLine::default()
        };
        let mut table = Table::default();
        table.add(&line);
        let mut out = Vec::new();
        table.print(&mut out).unwrap();
        session(&line, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.chars().all(|c| c == '\n' || is_printable(c)),
            "{text:?}"
        );
        assert!(
            text.contains("5f0c5f0c5f0c ") && text.contains("printf"),
            "{text}"
        );
    }
}
