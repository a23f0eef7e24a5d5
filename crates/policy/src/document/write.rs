//! A document as TOML text.

use alloc::string::String;
use core::fmt::{self, Write as _};

use super::{Item, Table, Value};

/// The document as TOML, lists of tables under headers of their own.
pub(crate) fn to_toml(document: &Table<'_>) -> String {
    let mut text = String::new();
    // Writing to a `String` cannot fail.
    let _ = write_table(&mut text, document, &mut String::new());
    text
}

/// Keys of the outermost tables stand on lines of their own, further down everything is in braces.
fn write_table(out: &mut String, table: &Table<'_>, path: &mut String) -> fmt::Result {
    for entry in table.entries() {
        if headed(&entry.item).is_none() {
            writeln!(out, "{} = {}", Key(&entry.key), Inline(&entry.item))?;
        }
    }
    for entry in table.entries() {
        let Some(items) = headed(&entry.item) else {
            continue;
        };
        let length = path.len();
        let separator = if path.is_empty() { "" } else { "." };
        write!(path, "{separator}{}", Key(&entry.key))?;
        for item in items {
            if let Value::Table(inner) = &item.value {
                let blank = if out.is_empty() { "" } else { "\n" };
                writeln!(out, "{blank}[[{path}]]")?;
                write_table(out, inner, path)?;
            }
        }
        path.truncate(length);
    }
    Ok(())
}

/// The tables of a list that is written under headers: one of tables that have lists of tables or names of their own.
fn headed<'i, 't>(item: &'i Item<'t>) -> Option<&'i [Item<'t>]> {
    let Value::List(list) = &item.value else {
        return None;
    };
    let is_named = |item: &Item<'_>| match &item.value {
        Value::Table(table) => table.get("name").is_some() && table.get("provider").is_none(),
        _ => false,
    };
    let all = !list.items.is_empty()
        && list.items.iter().any(is_named)
        && list.items.iter().all(is_table);
    all.then_some(&list.items)
}

fn is_table(item: &Item<'_>) -> bool {
    matches!(item.value, Value::Table(_))
}

struct Key<'a>(&'a str);

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        if !self.0.is_empty() && self.0.bytes().all(is_bare) {
            f.write_str(self.0)
        } else {
            Text(self.0).fmt(f)
        }
    }
}

struct Text<'a>(&'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for character in self.0.chars() {
            match character {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                _ if character.is_control() => write!(f, "\\u{:04x}", u32::from(character))?,
                _ => f.write_char(character)?,
            }
        }
        f.write_char('"')
    }
}

struct Inline<'a, 't>(&'a Item<'t>);

impl fmt::Display for Inline<'_, '_> {
    /// Values nest no deeper than the parsers allow.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.value {
            Value::Text(text) => Text(text).fmt(f),
            Value::Boolean(value) => value.fmt(f),
            // What a number is refused for, it is refused for again.
            Value::Integer { digits, .. } => f.write_str(digits),
            Value::Float => f.write_str("0.0"),
            Value::Date => f.write_str("1970-01-01"),
            Value::List(list) => {
                f.write_char('[')?;
                for (index, item) in list.items.iter().enumerate() {
                    let separator = if index == 0 { "" } else { ", " };
                    write!(f, "{separator}{}", Inline(item))?;
                }
                f.write_char(']')
            }
            Value::Table(table) => {
                f.write_str("{")?;
                for (index, entry) in table.entries().iter().enumerate() {
                    let separator = if index == 0 { "" } else { "," };
                    write!(
                        f,
                        "{separator} {} = {}",
                        Key(&entry.key),
                        Inline(&entry.item)
                    )?;
                }
                f.write_str(" }")
            }
        }
    }
}
