//! Windows of the target's programs at the client (RFC 4254 section 6.3): who may open one, and what of it the log does not keep.
//!
//! The cookie that a client sends with `x11-req` is one that it made up, and that it replaces by its display's own once the target
//! has shown it; so it goes on as it is. It stands in no log and no event all the same: whoever reads along is not to be let in.

use alloc::borrow::Cow;

use super::Relay;
use super::channel::Channel;

/// Longest cookie that is hidden in the log, in bytes. Those in use have 16; a client refuses one that is longer than its own,
/// and nothing else is to hide behind it.
const MAX_COOKIE_BYTES: usize = 64;

/// Bytes before the name of the authentication protocol in what a program says first (X11 protocol, section 8).
const HEAD_BYTES: usize = 12;

/// How many connections to the client's display the programs of a channel may open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Displays {
    #[default]
    None,
    /// As many, each from a request for a single one.
    Single(u32),
    Any,
}

impl Displays {
    /// The target has agreed to show one more, or any number.
    pub(super) const fn lend(&mut self, single_connection: bool) {
        *self = match (*self, single_connection) {
            (Self::Any, _) | (_, false) => Self::Any,
            (Self::None, true) => Self::Single(1),
            (Self::Single(left), true) => Self::Single(left.saturating_add(1)),
        };
    }

    const fn is_one_left(self) -> bool {
        matches!(self, Self::Any | Self::Single(1..))
    }
}

impl Relay {
    /// Whether a program of the target may open a window.
    pub(super) fn has_display(&self) -> bool {
        self.channels.values().any(shows_one_more)
    }

    /// One more is to open. It does not say whose it is: one that may open any number does not cost another its only one. The number
    /// of the channel whose only one it is.
    pub(super) fn use_display(&mut self) -> Option<u32> {
        if self
            .channels
            .values()
            .any(|it| it.displays == Displays::Any && it.is_open())
        {
            return None;
        }
        let mut all = self.channels.values_mut();
        let channel = all.find(|it| shows_one_more(it))?;
        if let Displays::Single(left) = &mut channel.displays {
            *left = left.saturating_sub(1);
        }
        Some(channel.number)
    }

    /// The client did not open the only one that a channel had.
    pub(super) fn return_display(&mut self, number: u32) {
        if let Some(channel) = self.channels.numbered(number)
            && let Displays::Single(left) = &mut channel.displays
        {
            *left = left.saturating_add(1);
        }
    }
}

const fn shows_one_more(channel: &Channel) -> bool {
    channel.displays.is_one_left() && channel.is_open()
}

/// Writes zeros over the cookie in what a program says first.
#[derive(Debug, Default)]
pub(super) struct Cookie {
    head: [u8; HEAD_BYTES],
    /// How many bytes were seen, as far as they matter.
    seen: usize,
}

impl Cookie {
    /// The next bytes as the log is to have them.
    pub(super) fn hide<'a>(&mut self, data: &'a [u8]) -> Cow<'a, [u8]> {
        let free = self.head.get_mut(self.seen..).unwrap_or_default();
        free.iter_mut().zip(data).for_each(|(to, from)| *to = *from);
        let begins_at = self.seen;
        self.seen = self.seen.saturating_add(data.len());
        if self.seen <= HEAD_BYTES {
            return Cow::Borrowed(data);
        }
        let (begin, end) = self.place();
        let begin = begin.saturating_sub(begins_at);
        let end = end.saturating_sub(begins_at).min(data.len());
        if begin >= end {
            return Cow::Borrowed(data);
        }
        let mut hidden = data.to_vec();
        if let Some(cookie) = hidden.get_mut(begin..end) {
            cookie.fill(0);
        }
        Cow::Owned(hidden)
    }

    /// Where it begins and ends, by what the head says.
    fn place(&self) -> (usize, usize) {
        let [order, _, _, _, _, _, n0, n1, d0, d1, _, _] = self.head;
        let number = |bytes| match order {
            b'B' => u16::from_be_bytes(bytes),
            _ => u16::from_le_bytes(bytes),
        };
        let (name, cookie) = (number([n0, n1]), usize::from(number([d0, d1])));
        let begin = HEAD_BYTES.saturating_add(usize::from(name).next_multiple_of(4));
        if !matches!(order, b'B' | b'l') || cookie > MAX_COOKIE_BYTES {
            return (begin, begin);
        }
        (begin, begin.saturating_add(cookie))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COOKIE: [u8; 16] = *b"sixteen secrets!";

    /// What a program says first, with this much behind it.
    fn hello(order: u8, cookie: &[u8]) -> alloc::vec::Vec<u8> {
        let name = b"MIT-MAGIC-COOKIE-1";
        let number = |n: usize| {
            let n = u16::try_from(n).unwrap();
            if order == b'B' {
                n.to_be_bytes()
            } else {
                n.to_le_bytes()
            }
        };
        let mut out = alloc::vec![order, 0];
        for field in [11, 0, name.len(), cookie.len(), 0] {
            out.extend(number(field));
        }
        out.extend(name);
        out.extend([0, 0]);
        out.extend(cookie);
        out.extend(b"behind it");
        out
    }

    #[test]
    fn the_cookie_is_hidden_in_both_byte_orders_and_however_it_is_split() {
        for order in [b'B', b'l'] {
            let said = hello(order, &COOKIE);
            let wanted = hello(order, &[0; 16]);
            for first in 0..said.len() {
                for second in first..said.len() {
                    let mut cookie = Cookie::default();
                    let pieces = [&said[..first], &said[first..second], &said[second..]];
                    let logged = pieces.map(|piece| cookie.hide(piece).into_owned()).concat();
                    assert_eq!(logged, wanted, "{first} {second}");
                }
            }
        }
    }

    #[test]
    fn nothing_else_hides_in_its_place() {
        for said in [
            hello(b'B', &[7; MAX_COOKIE_BYTES + 1]),
            hello(b'x', &COOKIE),
            b"SSH".to_vec(),
            alloc::vec![],
        ] {
            assert_eq!(Cookie::default().hide(&said), said);
        }
        // A second greeting is no greeting.
        let mut cookie = Cookie::default();
        cookie.hide(&hello(b'l', &COOKIE));
        let again = hello(b'l', &COOKIE);
        assert_eq!(cookie.hide(&again), again);
    }
}
