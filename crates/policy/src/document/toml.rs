//! TOML: the events of the parser, put together into tables.

mod pieces;

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use toml_parser::decoder::{Encoding, ScalarKind};
use toml_parser::lexer::Token;
use toml_parser::parser::{EventReceiver, RecursionGuard, ValidateWhitespace, parse_document};
use toml_parser::{ErrorSink, Expected, ParseError, Raw, Source, Span};

use super::table::{KeyFault, MAX_KEYS};
use super::{Entry, Item, List, MAX_DEPTH, SyntaxFault, Table, TableKind, Value, offset};

pub(crate) use pieces::{application, outline};

const REPEATED: &str = "duplicate key";

/// Parses `text`. Where there are faults, the table is what could be read.
pub(crate) fn parse(text: &str) -> (Table<'_>, Vec<SyntaxFault>) {
    let mut errors: Vec<ParseError> = Vec::new();
    let mut builder = Builder::new(text, 0);
    builder.read(&mut Vec::new(), &mut errors);
    let root = builder.finish(&mut errors);
    (root, errors.iter().map(fault).collect())
}

fn fault(error: &ParseError) -> SyntaxFault {
    let mut what = String::from(error.description());
    for (index, expected) in error.expected().unwrap_or_default().iter().enumerate() {
        what.push_str(if index == 0 { ", expected " } else { ", " });
        match expected {
            Expected::Literal("\n") => what.push_str("newline"),
            Expected::Literal(text) => what = format!("{what}`{}`", text.escape_debug()),
            Expected::Description(text) => what.push_str(text),
            _ => what.push_str("something else"),
        }
    }
    SyntaxFault {
        at: error.unexpected().map_or(0, |span| span.start()),
        is_repeated_key: what == REPEATED,
        what,
    }
}

/// A key and where it stands.
type Key<'t> = (Cow<'t, str>, u32);

/// Puts events together. What a table header opens is kept apart until the next header, and then put in its place.
struct Builder<'t> {
    text: &'t str,
    /// Where the text begins in the document that it is a piece of.
    start: usize,
    root: Table<'t>,
    header: Header<'t>,
    /// The table that key-value lines go into.
    open: Table<'t>,
    /// The parts of the keys that are being read: of each frame, and at last of the value that comes.
    keys: Vec<Key<'t>>,
    /// The inline values that are being read, the outermost first.
    frames: Vec<Frame<'t>>,
}

/// Where the open table belongs.
#[derive(Default)]
struct Header<'t> {
    /// Empty for the document itself.
    path: Vec<Key<'t>>,
    is_array: bool,
    at: u32,
}

/// A value that is being read, and the key that it will stand under.
struct Frame<'t> {
    at: u32,
    /// Which of the keys are its own.
    keys: Range<usize>,
    value: Open<'t>,
}

enum Open<'t> {
    List(List<'t>),
    Table(Table<'t>),
}

impl<'t> Builder<'t> {
    fn new(text: &'t str, start: usize) -> Self {
        Self {
            text,
            start,
            root: Table::new(TableKind::Header),
            header: Header::default(),
            open: Table::new(TableKind::Header),
            keys: Vec::new(),
            frames: Vec::new(),
        }
    }

    /// Puts together what the text holds; `tokens` is room for its tokens.
    fn read(&mut self, tokens: &mut Vec<Token>, errors: &mut dyn ErrorSink) {
        let source = Source::new(self.text);
        tokens.clear();
        tokens.extend(source.lex());
        let mut checked = ValidateWhitespace::new(self, source);
        let mut bounded = RecursionGuard::new(&mut checked, MAX_DEPTH);
        parse_document(tokens, &mut bounded, errors);
    }

    /// The place in the document.
    fn place(&self, span: Span) -> u32 {
        offset(self.start.saturating_add(span.start()))
    }

    fn raw(&self, span: Span, encoding: Option<Encoding>) -> Raw<'t> {
        let text = self.text.get(span.start()..span.end()).unwrap_or_default();
        Raw::new_unchecked(text, encoding, span)
    }

    fn finish(mut self, errors: &mut dyn ErrorSink) -> Table<'t> {
        self.put_open_table(errors);
        self.root
    }

    /// Begins a header; the table before it is complete.
    fn begin_header(&mut self, span: Span, is_array: bool, errors: &mut dyn ErrorSink) {
        self.put_open_table(errors);
        self.header = Header {
            path: Vec::new(),
            is_array,
            at: self.place(span),
        };
        self.keys.clear();
    }

    fn end_header(&mut self) {
        self.header.path = core::mem::take(&mut self.keys);
        self.open = Table::new(TableKind::Header);
    }

    fn put_open_table(&mut self, errors: &mut dyn ErrorSink) {
        let table = core::mem::take(&mut self.open);
        let header = core::mem::take(&mut self.header);
        let mut path = header.path.into_iter();
        let Some(last) = path.next_back() else {
            if self.root.entries.is_empty() {
                self.root = table;
            }
            return;
        };
        let mut parent = &mut self.root;
        for (key, at) in path {
            match descend(parent, key, at, TableKind::Implicit) {
                Ok(table) => parent = table,
                Err(fault) => return report(fault, at, errors),
            }
        }
        let at = last.1;
        if let Err(fault) = place(parent, last, table, header.is_array, header.at) {
            report(fault, at, errors);
        }
    }

    /// Puts a finished value where it belongs.
    fn put(&mut self, keys: usize, item: Item<'t>, errors: &mut dyn ErrorSink) {
        let keys = self.keys.drain(keys.min(self.keys.len())..);
        let table = match self.frames.last_mut().map(|frame| &mut frame.value) {
            Some(Open::List(list)) => return list.items.push(item),
            Some(Open::Table(table)) => table,
            None => &mut self.open,
        };
        if let Err((fault, at)) = put_dotted(table, keys, item) {
            report(fault, at, errors);
        }
    }

    /// Where in `keys` those begin that the next value will stand under.
    fn next_keys(&self) -> usize {
        self.frames.last().map_or(0, |frame| frame.keys.end)
    }

    fn begin(&mut self, span: Span, value: Open<'t>) {
        let keys = self.next_keys()..self.keys.len();
        let at = self.place(span);
        self.frames.push(Frame { at, keys, value });
    }

    fn end(&mut self, errors: &mut dyn ErrorSink) {
        let Some(Frame { at, keys, value }) = self.frames.pop() else {
            return;
        };
        let value = match value {
            Open::List(list) => Value::List(list),
            Open::Table(table) => Value::Table(table),
        };
        self.put(keys.start, Item { at, value }, errors);
    }
}

/// The table under `key`, made if there is none: the last one where `key` is a list of tables.
fn descend<'p, 't>(
    table: &'p mut Table<'t>,
    key: Cow<'t, str>,
    at: u32,
    kind: TableKind,
) -> Result<&'p mut Table<'t>, KeyFault> {
    let position = match table.position(&key) {
        Some(position) => position,
        None => {
            let value = Value::Table(Table::new(kind));
            table.insert(Entry {
                key,
                key_at: at,
                item: Item { at, value },
            })?;
            table.entries.len().saturating_sub(1)
        }
    };
    let entry = table.entries.get_mut(position).ok_or(KeyFault::Repeated)?;
    match (&mut entry.item.value, kind) {
        (Value::Table(table), kind) if table.is_open_to(kind) => Ok(table),
        (Value::List(list), TableKind::Implicit) if list.is_open => {
            match list.items.last_mut().map(|item| &mut item.value) {
                Some(Value::Table(table)) => Ok(table),
                _ => Err(KeyFault::Repeated),
            }
        }
        _ => Err(KeyFault::Repeated),
    }
}

/// Puts the table of a header under its last key.
fn place<'t>(
    parent: &mut Table<'t>,
    (key, key_at): Key<'t>,
    table: Table<'t>,
    is_array: bool,
    at: u32,
) -> Result<(), KeyFault> {
    let item = Item {
        at,
        value: Value::Table(table),
    };
    let found = parent.position(&key);
    let found = found.and_then(|position| parent.entries.get_mut(position));
    match found.map(|entry| &mut entry.item.value) {
        None => parent.insert(Entry {
            key,
            key_at,
            item: if is_array {
                let list = List {
                    items: alloc::vec![item],
                    is_open: true,
                };
                Item {
                    at,
                    value: Value::List(list),
                }
            } else {
                item
            },
        }),
        Some(Value::List(list)) if is_array && list.is_open => {
            list.items.push(item);
            Ok(())
        }
        Some(Value::Table(existing)) if !is_array && existing.kind == TableKind::Implicit => {
            existing.kind = TableKind::Header;
            let Value::Table(table) = item.value else {
                return Ok(());
            };
            table
                .entries
                .into_iter()
                .try_for_each(|entry| existing.insert(entry))
        }
        Some(_) => Err(KeyFault::Repeated),
    }
}

/// Puts a value under a key such as `a.b.c`.
fn put_dotted<'t>(
    table: &mut Table<'t>,
    mut keys: impl DoubleEndedIterator<Item = Key<'t>>,
    item: Item<'t>,
) -> Result<(), (KeyFault, u32)> {
    let Some((key, key_at)) = keys.next_back() else {
        return Ok(());
    };
    let at_key = |fault| (fault, key_at);
    let mut table = table;
    for (key, at) in keys {
        table = descend(table, key, at, TableKind::Dotted).map_err(at_key)?;
    }
    let entry = Entry { key, key_at, item };
    table.insert(entry).map_err(at_key)
}

fn report(fault: KeyFault, at: u32, errors: &mut dyn ErrorSink) {
    let what = match fault {
        KeyFault::Repeated => Cow::Borrowed(REPEATED),
        KeyFault::TooMany => format!("a table has more than {MAX_KEYS} keys").into(),
    };
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    let span = Span::new_unchecked(at, at);
    errors.report_error(ParseError::new(what).with_unexpected(span));
}

impl EventReceiver for Builder<'_> {
    fn std_table_open(&mut self, span: Span, errors: &mut dyn ErrorSink) {
        self.begin_header(span, false, errors);
    }

    fn std_table_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.end_header();
    }

    fn array_table_open(&mut self, span: Span, errors: &mut dyn ErrorSink) {
        self.begin_header(span, true, errors);
    }

    fn array_table_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.end_header();
    }

    fn inline_table_open(&mut self, span: Span, _: &mut dyn ErrorSink) -> bool {
        self.begin(span, Open::Table(Table::with_room_for_one()));
        true
    }

    fn inline_table_close(&mut self, _: Span, errors: &mut dyn ErrorSink) {
        self.end(errors);
    }

    fn array_open(&mut self, span: Span, _: &mut dyn ErrorSink) -> bool {
        self.begin(span, Open::List(List::with_room_for_one()));
        true
    }

    fn array_close(&mut self, _: Span, errors: &mut dyn ErrorSink) {
        self.end(errors);
    }

    fn simple_key(&mut self, span: Span, kind: Option<Encoding>, errors: &mut dyn ErrorSink) {
        let mut key = Cow::Borrowed("");
        self.raw(span, kind).decode_key(&mut key, errors);
        self.keys.push((key, self.place(span)));
    }

    fn scalar(&mut self, span: Span, kind: Option<Encoding>, errors: &mut dyn ErrorSink) {
        let mut text = Cow::Borrowed("");
        let value = match self.raw(span, kind).decode_scalar(&mut text, errors) {
            ScalarKind::String => Value::Text(text),
            ScalarKind::Boolean(value) => Value::Boolean(value),
            ScalarKind::DateTime => Value::Date,
            ScalarKind::Float => Value::Float,
            ScalarKind::Integer(radix) => Value::Integer {
                digits: text,
                radix: radix.value(),
            },
        };
        let at = self.place(span);
        self.put(self.next_keys(), Item { at, value }, errors);
    }
}
