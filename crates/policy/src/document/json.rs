//! JSON, RFC 8259: as strict as the grammar, and a key written twice is a fault. A member that is `null` counts as not written.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use super::pieces::{KEY, Outline, placeholder};
use super::table::{KeyFault, MAX_KEYS};
use super::{Entry, Item, List, MAX_DEPTH, SyntaxFault, Table, Value, offset};

/// Parses the whole of `text` as one value.
pub(crate) fn parse(text: &str) -> Result<Item<'_>, SyntaxFault> {
    parse_from(text, 0)
}

/// Parses all of `text` from `start` on as one value; places are counted from the beginning of `text`.
pub(crate) fn parse_from(text: &str, start: usize) -> Result<Item<'_>, SyntaxFault> {
    let mut parser = Parser {
        text,
        at: start,
        passed_over: None,
    };
    parser.document()
}

/// All but the applications, and where these are; nothing if the text does not come in pieces.
pub(super) fn outline(text: &str) -> Option<Outline<'_>> {
    let mut parser = Parser {
        text,
        at: 0,
        passed_over: Some(Vec::new()),
    };
    match (parser.document().ok()?.value, parser.passed_over) {
        (Value::Table(head), Some(applications)) => Some((head, applications)),
        _ => None,
    }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    /// Where the applications are, if they are not to be read but passed over.
    passed_over: Option<Vec<Range<u32>>>,
}

impl<'t> Parser<'t> {
    fn document(&mut self) -> Result<Item<'t>, SyntaxFault> {
        self.skip_space();
        let Some(item) = self.value(0)? else {
            return Err(self.fault("the document is `null`"));
        };
        self.skip_space();
        match self.peek() {
            None => Ok(item),
            Some(_) => Err(self.fault("there is more after the end of the document")),
        }
    }

    fn fault(&self, what: &str) -> SyntaxFault {
        self.fault_at(self.at, what)
    }

    fn fault_at(&self, at: usize, what: &str) -> SyntaxFault {
        SyntaxFault::new(at, what)
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes);
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.skip(1);
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.skip(1);
        }
        found
    }

    /// A value; nothing for `null`.
    fn value(&mut self, depth: u32) -> Result<Option<Item<'t>>, SyntaxFault> {
        if depth > MAX_DEPTH {
            return Err(self.fault("values nest too deep"));
        }
        let at = offset(self.at);
        let value = match self.peek() {
            Some(b'{') => Value::Table(self.object(depth)?),
            Some(b'[') => Value::List(self.array(depth)?),
            Some(b'"') => Value::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => return self.literal(at),
        };
        Ok(Some(Item { at, value }))
    }

    fn literal(&mut self, at: u32) -> Result<Option<Item<'t>>, SyntaxFault> {
        for (word, value) in [
            ("true", Some(Value::Boolean(true))),
            ("false", Some(Value::Boolean(false))),
            ("null", None),
        ] {
            if self.rest().starts_with(word) {
                self.skip(word.len());
                return Ok(value.map(|value| Item { at, value }));
            }
        }
        Err(self.fault("a value is expected here"))
    }

    fn object(&mut self, depth: u32) -> Result<Table<'t>, SyntaxFault> {
        let mut table = Table::with_room_for_one();
        // A member that is `null` is not in the table, yet its key is taken.
        let mut nulls: Vec<Cow<'t, str>> = Vec::new();
        self.skip(1);
        self.skip_space();
        if self.take(b'}') {
            return Ok(table);
        }
        loop {
            self.skip_space();
            let key_at = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.fault("a key in quotes is expected here"));
            }
            let key = self.string()?;
            self.skip_space();
            if !self.take(b':') {
                return Err(self.fault("a `:` is expected here"));
            }
            self.skip_space();
            let value = if depth == 0 && key == KEY && self.peek() == Some(b'[') {
                Some(self.applications()?)
            } else {
                self.value(depth.saturating_add(1))?
            };
            let added = match value {
                _ if nulls.contains(&key) => Err(KeyFault::Repeated),
                _ if nulls.len() >= MAX_KEYS => Err(KeyFault::TooMany),
                Some(item) => table.insert(Entry {
                    key,
                    key_at: offset(key_at),
                    item,
                }),
                None if table.position(&key).is_some() => Err(KeyFault::Repeated),
                None => {
                    nulls.push(key);
                    Ok(())
                }
            };
            added.map_err(|fault| key_fault(fault, key_at))?;
            self.skip_space();
            if self.take(b'}') {
                return Ok(table);
            }
            if !self.take(b',') {
                return Err(self.fault("a `,` or `}` is expected here"));
            }
        }
    }

    /// The list of applications, as it is or passed over.
    fn applications(&mut self) -> Result<Item<'t>, SyntaxFault> {
        let at = offset(self.at);
        let Some(mut passed_over) = self.passed_over.take() else {
            let value = Value::List(self.array(1)?);
            return Ok(Item { at, value });
        };
        self.skip(1);
        self.skip_space();
        let mut is_complete = self.take(b']');
        while !is_complete {
            self.skip_space();
            let start = offset(self.at);
            self.pass_over()?;
            passed_over.push(start..offset(self.at));
            self.skip_space();
            is_complete = self.take(b']');
            if !is_complete && !self.take(b',') {
                return Err(self.fault("a `,` or `]` is expected here"));
            }
        }
        self.passed_over = Some(passed_over);
        Ok(placeholder(at))
    }

    /// Goes behind an object. Whether it is one is seen by whoever reads it.
    fn pass_over(&mut self) -> Result<(), SyntaxFault> {
        if self.peek() != Some(b'{') {
            return Err(self.fault("an object is expected here"));
        }
        let mut depth = 0_usize;
        loop {
            let stops = |byte: &u8| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']');
            let Some(length) = self.rest().bytes().position(|byte| stops(&byte)) else {
                return Err(self.fault("the object has no end"));
            };
            self.skip(length);
            match self.peek() {
                Some(b'"') => drop(self.string()?),
                Some(b'{' | b'[') => {
                    depth = depth.saturating_add(1);
                    self.skip(1);
                }
                _ => {
                    depth = depth.saturating_sub(1);
                    self.skip(1);
                }
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn array(&mut self, depth: u32) -> Result<List<'t>, SyntaxFault> {
        let mut list = List::with_room_for_one();
        self.skip(1);
        self.skip_space();
        if self.take(b']') {
            return Ok(list);
        }
        loop {
            self.skip_space();
            let at = self.at;
            match self.value(depth.saturating_add(1))? {
                Some(item) => list.items.push(item),
                None => return Err(self.fault_at(at, "a list cannot hold `null`")),
            }
            self.skip_space();
            if self.take(b']') {
                return Ok(list);
            }
            if !self.take(b',') {
                return Err(self.fault("a `,` or `]` is expected here"));
            }
        }
    }

    fn number(&mut self) -> Result<Value<'t>, SyntaxFault> {
        let start = self.at;
        let whole = |parser: &mut Self| {
            let from = parser.at;
            while let Some(b'0'..=b'9') = parser.peek() {
                parser.skip(1);
            }
            parser.at.saturating_sub(from)
        };
        self.take(b'-');
        let leads_with_zero = self.peek() == Some(b'0');
        let digits = whole(self);
        if digits == 0 || (leads_with_zero && digits > 1) {
            return Err(self.fault_at(start, "this is no number"));
        }
        let end = self.at;
        let mut is_whole = true;
        if self.take(b'.') {
            is_whole = false;
            if whole(self) == 0 {
                return Err(self.fault_at(start, "this is no number"));
            }
        }
        if let Some(b'e' | b'E') = self.peek() {
            is_whole = false;
            self.skip(1);
            let _ = self.take(b'+') || self.take(b'-');
            if whole(self) == 0 {
                return Err(self.fault_at(start, "this is no number"));
            }
        }
        let digits = self.text.get(start..end).unwrap_or_default();
        Ok(if is_whole {
            Value::Integer {
                digits: digits.into(),
                radix: 10,
            }
        } else {
            Value::Float
        })
    }

    fn string(&mut self) -> Result<Cow<'t, str>, SyntaxFault> {
        let start = self.at;
        self.skip(1);
        let plain = self.plain(start)?;
        if self.take(b'"') {
            return Ok(Cow::Borrowed(plain));
        }
        let mut text = String::from(plain);
        loop {
            if self.take(b'"') {
                return Ok(Cow::Owned(text));
            }
            text.push(self.escape()?);
            text.push_str(self.plain(start)?);
        }
    }

    /// What stands before the next quote or backslash.
    fn plain(&mut self, start: usize) -> Result<&'t str, SyntaxFault> {
        let rest = self.rest();
        let stops = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
        let Some(length) = rest.as_bytes().iter().position(stops) else {
            return Err(self.fault_at(start, "this text has no closing quote"));
        };
        self.skip(length);
        if matches!(self.peek(), Some(0..=0x1f)) {
            return Err(self.fault("a text has a control character"));
        }
        Ok(rest.get(..length).unwrap_or_default())
    }

    /// What a backslash and what follows it stand for.
    fn escape(&mut self) -> Result<char, SyntaxFault> {
        let start = self.at;
        self.skip(1);
        let letter = self.peek();
        self.skip(1);
        Ok(match letter {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(start),
            _ => return Err(self.fault_at(start, "there is no such escape")),
        })
    }

    fn unicode(&mut self, start: usize) -> Result<char, SyntaxFault> {
        let high = self.hex4(start)?;
        let mut units = alloc::vec![high];
        if (0xd800..0xdc00).contains(&high) && self.rest().starts_with("\\u") {
            self.skip(2);
            units.push(self.hex4(start)?);
        }
        match char::decode_utf16(units).next() {
            Some(Ok(character)) => Ok(character),
            _ => Err(self.fault_at(start, "this escape is half of a character")),
        }
    }

    fn hex4(&mut self, start: usize) -> Result<u16, SyntaxFault> {
        const DIGITS: usize = 4;
        let digits = self.rest().get(..DIGITS);
        let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let unit = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
        self.skip(DIGITS);
        unit.ok_or_else(|| self.fault_at(start, "four hexadecimal digits are expected here"))
    }
}

fn key_fault(fault: KeyFault, at: usize) -> SyntaxFault {
    SyntaxFault {
        at,
        what: match fault {
            KeyFault::Repeated => "duplicate key".into(),
            KeyFault::TooMany => format!("an object has more than {MAX_KEYS} keys"),
        },
        is_repeated_key: fault == KeyFault::Repeated,
    }
}
