//! Operations for the simulation of `proxy-core` (`tests/simulation`): its peers, its driver, its model of what may pass, and all that it
//! checks after every step; the fuzz bytes choose what happens.

use crate::nested;
use crate::play::choices::Choices;
use crate::play::{relay, session};

/// Does what `data` says: the first byte says whether to the relay alone, to a whole session, or to sessions inside others.
pub fn run(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else {
        return;
    };
    let mut choices = Choices::Bytes(rest);
    if first % 3 == 2 {
        let config = nested::Config::choose(&mut choices);
        let mut tally = nested::Tally::new();
        nested::explore(&config, &mut choices, &mut Vec::new(), &mut tally);
    } else if first % 3 == 0 {
        let config = relay::Config::choose(&mut choices);
        let mut tally = relay::Tally::default();
        relay::explore(&config, &mut choices, &mut Vec::new(), &mut tally);
    } else {
        let config = session::Config::choose(&mut choices);
        let mut tally = session::Tally::default();
        session::explore(&config, &mut choices, &mut Vec::new(), &mut tally);
    }
}

/// Bytes that lead far.
#[cfg(test)]
pub(crate) fn genuine(number: u64) -> Vec<u8> {
    let mut bytes = Choices::Seed(number).bytes(512);
    bytes[0] = number as u8;
    bytes
}

/// Whether a session begins inside one that is inside another.
#[cfg(test)]
pub(crate) fn goes_deep(data: &[u8]) -> bool {
    let mut choices = Choices::Bytes(&data[1..]);
    let config = nested::Config::choose(&mut choices);
    let mut tally = nested::Tally::new();
    nested::explore(&config, &mut choices, &mut Vec::new(), &mut tally);
    tally
        .keys()
        .any(|end| end.starts_with("2 ") && !end.contains("no:"))
}
