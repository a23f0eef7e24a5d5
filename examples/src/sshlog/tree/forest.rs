//! Sessions by what they are inside of.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use super::{Link, Session};

/// Sessions with what they say of each other.
pub(super) struct Forest<'a> {
    sessions: &'a [Session],
    by_id: BTreeMap<&'a str, &'a Session>,
}

impl<'a> Forest<'a> {
    pub(super) fn new(sessions: &'a [Session]) -> Self {
        let by_id = sessions.iter().map(|it| (it.id.as_str(), it)).collect();
        Self { sessions, by_id }
    }

    /// Prints every session once, below the one that it is inside of; true where all say the same of each other.
    pub(super) fn print(&self, out: &mut dyn Write) -> io::Result<bool> {
        let mut agree = true;
        let mut printed = BTreeSet::new();
        for session in self.sessions {
            if session
                .parent
                .as_ref()
                .and_then(|it| self.find(&it.session))
                .is_none()
            {
                agree &= self.print_tree(session, &mut printed, out)?;
            }
        }
        // Who says to be inside of a session that does not say so, or goes in a circle, stands below nobody.
        for session in self.sessions {
            if !printed.contains(session.id.as_str()) {
                agree = false;
                self.print_tree(session, &mut printed, out)?;
            }
        }
        Ok(agree)
    }

    fn find(&self, id: &str) -> Option<&'a Session> {
        self.by_id.get(id).copied()
    }

    /// Prints a session that stands below no other, and all below it.
    fn print_tree(
        &self,
        root: &'a Session,
        printed: &mut BTreeSet<&'a str>,
        out: &mut dyn Write,
    ) -> io::Result<bool> {
        if !printed.insert(&root.id) {
            writeln!(
                out,
                "{} session {}: ANOTHER LOG OF THIS SESSION",
                root.label, root.id
            )?;
            return Ok(false);
        }
        writeln!(
            out,
            "{} session {}{}",
            root.label,
            root.id,
            self.origin(root)
        )?;
        let mut agree = true;
        // Depth first, without a stack that a log could make deep.
        let mut open: Vec<(usize, &'a Session, &'a Link)> = Vec::new();
        let push = |open: &mut Vec<_>, depth, session: &'a Session| {
            open.extend(
                session
                    .links
                    .iter()
                    .rev()
                    .map(|link| (depth, session, link)),
            );
        };
        push(&mut open, 1, root);
        while let Some((depth, outer, link)) = open.pop() {
            let way = format!(
                "{:1$}channel {2} to {3}:{4}",
                "",
                2 * depth,
                link.channel,
                link.host,
                link.port
            );
            let Some(inner) = self.find(&link.session) else {
                writeln!(
                    out,
                    "{way}: session {}, of which no log is here",
                    link.session
                )?;
                continue;
            };
            let is_own = inner
                .parent
                .as_ref()
                .is_some_and(|parent| parent.session == outer.id && parent.channel == link.channel);
            if !is_own || !printed.insert(&inner.id) {
                agree = false;
                writeln!(out, "{way}: session {}, WHICH DOES NOT SAY SO", inner.id)?;
                continue;
            }
            writeln!(out, "{way}: {} session {}", inner.label, inner.id)?;
            push(&mut open, depth + 1, inner);
        }
        Ok(agree)
    }

    /// Where a session that stands below no other says that it came from.
    fn origin(&self, session: &Session) -> String {
        let Some(parent) = &session.parent else {
            return String::new();
        };
        let here = match self.find(&parent.session) {
            Some(_) => "WHICH DOES NOT SAY SO",
            None => "of which no log is here",
        };
        format!(
            ", inside channel {} of session {}, {here}",
            parent.channel, parent.session
        )
    }
}
