//! Words for messages: quotations, enumerations, and guesses at what was meant.

use alloc::vec::Vec;
use core::fmt;

/// A text of the document inside a message, harmless and short.
pub(in crate::load) struct Quoted<'a>(pub(in crate::load) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MAX_CHARS: usize = 60;
        let mut rest = self.0.chars();
        f.write_str("`")?;
        for character in rest.by_ref().take(MAX_CHARS) {
            write!(f, "{}", character.escape_debug())?;
        }
        f.write_str(if rest.next().is_some() { "…`" } else { "`" })
    }
}

/// Names as an enumeration.
pub(in crate::load) struct Listed<'a>(pub(in crate::load) &'a [&'a str]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            write!(f, "{}`{name}`", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// The known name that `name` is probably a slip of.
pub(in crate::load) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    const MAX_CHARS: usize = 40;
    const MAX_EDITS: usize = 2;
    // Guessing costs a comparison with every name, for every unknown one.
    const MAX_KNOWN: usize = 1000;
    let name = name.to_ascii_lowercase().replace('-', "_");
    if name.chars().count() > MAX_CHARS || known.len() > MAX_KNOWN {
        return None;
    }
    let candidates = known
        .iter()
        .map(|candidate| (edits(&name, candidate), *candidate));
    candidates
        .min()
        .filter(|(distance, _)| *distance <= MAX_EDITS)
        .map(|(_, candidate)| candidate)
}

/// The Levenshtein distance.
fn edits(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.chars().count()).collect();
    for (index, one) in left.chars().enumerate() {
        let mut diagonal = index;
        let mut previous = index.saturating_add(1);
        let mut next = alloc::vec![previous];
        for (other, above) in right.chars().zip(row.iter().skip(1)) {
            let replaced = diagonal.saturating_add(usize::from(one != other));
            previous = replaced
                .min(above.saturating_add(1))
                .min(previous.saturating_add(1));
            diagonal = *above;
            next.push(previous);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}
