//! A TOML document of which every value knows its place, and the problems found in it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use policy::Problem;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub(super) use super::words::quoted;
use super::words::{duration, nearest};

/// The most problems that are told at once.
const MAX_PROBLEMS: usize = 100;

/// A table of the document.
#[derive(Clone)]
pub(super) struct Table<'d> {
    path: String,
    span: Range<usize>,
    table: &'d DeTable<'d>,
}

/// A value of the document.
#[derive(Clone)]
pub(super) struct Field<'d> {
    path: String,
    span: Range<usize>,
    value: &'d DeValue<'d>,
}

/// Reads values and collects what is wrong with them.
pub(super) struct Reader<'d> {
    text: &'d str,
    file: PathBuf,
    problems: Vec<(PathBuf, Problem)>,
}

impl<'d> Table<'d> {
    /// The place of the table itself, for what it lacks.
    fn child(&self, name: &str, value: &'d Spanned<DeValue<'d>>) -> Field<'d> {
        let dot = if self.path.is_empty() { "" } else { "." };
        Field {
            path: format!("{}{dot}{name}", self.path),
            span: value.span(),
            value: value.get_ref(),
        }
    }

    /// The value of a field, if it is there.
    pub(super) fn field(&self, name: &str) -> Option<Field<'d>> {
        Some(self.child(name, self.table.get(name)?))
    }
}

impl<'d> Reader<'d> {
    pub(super) fn new(file: &Path, text: &'d str) -> Self {
        Self {
            text,
            file: file.to_owned(),
            problems: Vec::new(),
        }
    }

    /// The folder that relative paths start from.
    pub(super) fn folder(&self) -> PathBuf {
        self.file
            .parent()
            .map_or_else(PathBuf::new, Path::to_path_buf)
    }

    /// The problems in the order of the lines, if there are any.
    pub(super) fn into_problems(mut self) -> Vec<(PathBuf, Problem)> {
        self.problems.sort_by(|(one, a), (other, b)| {
            let own = |file: &PathBuf| *file != self.file;
            (own(one), one, a.line, a.column).cmp(&(own(other), other, b.line, b.column))
        });
        self.problems
    }

    fn problem_at(&mut self, span: &Range<usize>, path: &str, what: String, help: String) {
        if self.problems.len() >= MAX_PROBLEMS {
            return;
        }
        let before = self.text.get(..span.start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        self.problems.push((
            self.file.clone(),
            Problem {
                line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
                column: before
                    .get(line_start..)
                    .map(|start| start.chars().count() + 1),
                path: path.to_owned(),
                what,
                help,
            },
        ));
    }

    /// Reports what is wrong with a value, and what to write instead.
    pub(super) fn problem(
        &mut self,
        field: &Field<'d>,
        what: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.problem_at(&field.span, &field.path, what.into(), help.into());
    }

    /// Reports what a table lacks.
    pub(super) fn lacks(&mut self, table: &Table<'d>, name: &str, help: &str) {
        let (what, help) = (format!("`{name}` is missing"), help.to_owned());
        self.problem_at(&table.span, &table.path, what, help);
    }

    /// Takes over the problems of other files that this one names.
    pub(super) fn adopt(&mut self, problems: Vec<(PathBuf, Problem)>) {
        self.problems.extend(problems);
    }

    /// Reports what the TOML parser found.
    pub(super) fn syntax(&mut self, error: &toml::de::Error) {
        let span = error.span().unwrap_or(0..0);
        let what = error.message().lines().collect::<Vec<_>>().join(", ");
        let help = if what.starts_with("duplicate key") {
            "write each key once in a table"
        } else {
            "write TOML: `name = \"text\"`, `list = [\"a\", \"b\"]`, `[table]`, `[[list of tables]]`"
        };
        self.problem_at(&span, "", what, help.to_owned());
    }

    /// The document itself.
    pub(super) fn document(&mut self, table: &'d DeTable<'d>, known: &[&str]) -> Table<'d> {
        let table = Table {
            path: String::new(),
            span: 0..0,
            table,
        };
        self.check_names(&table, known);
        table
    }

    fn check_names(&mut self, table: &Table<'d>, known: &[&str]) {
        for key in table.table.keys() {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                continue;
            }
            let help = match nearest(name, known) {
                Some(near) => format!("write `{near}`, or remove it"),
                None => format!("remove it, or write one of `{}`", known.join("`, `")),
            };
            let what = format!("unknown field {}", quoted(name));
            self.problem_at(&key.span(), &table.path, what, help);
        }
    }

    /// A table inside a table, if it is there.
    pub(super) fn table(
        &mut self,
        parent: &Table<'d>,
        name: &str,
        known: &[&str],
    ) -> Option<Table<'d>> {
        let field = parent.field(name)?;
        self.as_table(&field, known)
    }

    /// A table that must be there.
    pub(super) fn needed_table(
        &mut self,
        parent: &Table<'d>,
        name: &str,
        known: &[&str],
        help: &str,
    ) -> Option<Table<'d>> {
        if parent.field(name).is_none() {
            self.lacks(parent, &format!("[{name}]"), help);
        }
        self.table(parent, name, known)
    }

    /// The tables of `[[name]]`.
    pub(super) fn tables(
        &mut self,
        parent: &Table<'d>,
        name: &str,
        known: &[&str],
    ) -> Vec<Table<'d>> {
        let Some(field) = parent.field(name) else {
            return Vec::new();
        };
        let Some(array) = field.value.as_array() else {
            let help = format!("write `[[{name}]]` with two brackets");
            self.problem(&field, "a list of tables is expected here", help);
            return Vec::new();
        };
        let fields: Vec<_> = (0..)
            .zip(array.iter())
            .map(|item| element(&field, item))
            .collect();
        fields
            .iter()
            .filter_map(|field| self.as_table(field, known))
            .collect()
    }

    fn as_table(&mut self, field: &Field<'d>, known: &[&str]) -> Option<Table<'d>> {
        let Some(table) = field.value.as_table() else {
            let what = format!("a table is expected here, not {}", type_of(field.value));
            self.problem(field, what, format!("write `[{}]`", field.path));
            return None;
        };
        let table = Table {
            path: field.path.clone(),
            span: field.span.clone(),
            table,
        };
        self.check_names(&table, known);
        Some(table)
    }

    /// A field that must be there.
    pub(super) fn needed(
        &mut self,
        table: &Table<'d>,
        name: &str,
        help: &str,
    ) -> Option<Field<'d>> {
        let field = table.field(name);
        if field.is_none() {
            self.lacks(table, name, help);
        }
        field
    }

    /// A value as text that is not empty.
    pub(super) fn text(&mut self, field: &Field<'d>) -> Option<&'d str> {
        match field.value.as_str() {
            Some(text) if !text.trim().is_empty() => Some(text),
            Some(_) => {
                self.problem(
                    field,
                    "an empty text",
                    "write something, or remove the field",
                );
                None
            }
            None => {
                let what = format!("a text is expected here, not {}", type_of(field.value));
                self.problem(field, what, "write it in quotes: `\"…\"`");
                None
            }
        }
    }

    /// The text of a field that must be there.
    pub(super) fn needed_text(
        &mut self,
        table: &Table<'d>,
        name: &str,
        help: &str,
    ) -> Option<(Field<'d>, &'d str)> {
        let field = self.needed(table, name, help)?;
        let text = self.text(&field)?;
        Some((field, text))
    }

    /// The text of a field that may be there.
    pub(super) fn optional_text(
        &mut self,
        table: &Table<'d>,
        name: &str,
    ) -> Option<(Field<'d>, &'d str)> {
        let field = table.field(name)?;
        let text = self.text(&field)?;
        Some((field, text))
    }

    /// The texts of a list; one text stands for a list of itself. Nothing when the field is absent.
    pub(super) fn texts(&mut self, table: &Table<'d>, name: &str) -> Vec<(Field<'d>, &'d str)> {
        let Some(field) = table.field(name) else {
            return Vec::new();
        };
        let fields: Vec<_> = match field.value.as_array() {
            Some(array) => (0..)
                .zip(array.iter())
                .map(|item| element(&field, item))
                .collect(),
            None => vec![field],
        };
        fields
            .into_iter()
            .filter_map(|field| {
                let text = self.text(&field)?;
                Some((field, text))
            })
            .collect()
    }

    /// A whole number within bounds, if the field is there.
    pub(super) fn number(
        &mut self,
        table: &Table<'d>,
        name: &str,
        bounds: Range<u64>,
    ) -> Option<u64> {
        let field = table.field(name)?;
        let number = field
            .value
            .as_integer()
            .and_then(|integer| u64::from_str_radix(integer.as_str(), integer.radix()).ok())
            .filter(|number| bounds.contains(number));
        if number.is_none() {
            let last = bounds.end.saturating_sub(1);
            self.problem(
                &field,
                "not a number in range",
                format!("write a whole number from {} to {last}", bounds.start),
            );
        }
        number
    }

    /// `true` or `false`, if the field is there.
    pub(super) fn boolean(&mut self, table: &Table<'d>, name: &str) -> Option<bool> {
        let field = table.field(name)?;
        let value = field.value.as_bool();
        if value.is_none() {
            self.problem(&field, "neither true nor false", "write `true` or `false`");
        }
        value
    }

    /// A duration such as `"90s"`, if the field is there.
    pub(super) fn duration(&mut self, table: &Table<'d>, name: &str) -> Option<Duration> {
        let field = table.field(name)?;
        let duration = field.value.as_str().and_then(duration);
        if duration.is_none() {
            self.problem(
                &field,
                "not a duration between 1 ms and 24 h",
                "write a number and its unit: `\"500ms\"`, `\"90s\"`, `\"2m\"` or `\"1h\"`",
            );
        }
        duration
    }

    /// A moment with its offset from UTC, since 1970, if the field is there: a date and time of TOML, or the same as text.
    pub(super) fn moment(&mut self, table: &Table<'d>, name: &str, help: &str) -> Option<Duration> {
        let field = table.field(name)?;
        let text = match field.value.as_datetime() {
            Some(moment) => moment.to_string(),
            None => self.text(&field)?.to_owned(),
        };
        let moment = text.parse::<jiff::Timestamp>().ok();
        let seconds = moment.and_then(|moment| u64::try_from(moment.as_second()).ok());
        if seconds.is_none() {
            self.problem(&field, format!("{} is no moment", quoted(&text)), help);
        }
        seconds.map(Duration::from_secs)
    }

    /// A table of texts, if the field is there.
    pub(super) fn text_map(&mut self, table: &Table<'d>, name: &str) -> BTreeMap<String, String> {
        let Some(field) = table.field(name) else {
            return BTreeMap::new();
        };
        let Some(entries) = field.value.as_table() else {
            self.problem(
                &field,
                "a table is expected here",
                "write `{ name = \"value\" }`",
            );
            return BTreeMap::new();
        };
        let mut map = BTreeMap::new();
        for (key, value) in entries.iter() {
            let name: &str = key.get_ref();
            let entry = Field {
                path: format!("{}.{name}", field.path),
                span: value.span(),
                value: value.get_ref(),
            };
            if let Some(text) = self.text(&entry) {
                map.insert(name.to_owned(), text.to_owned());
            }
        }
        map
    }
}

fn element<'d>(list: &Field<'d>, (index, item): (usize, &'d Spanned<DeValue<'d>>)) -> Field<'d> {
    Field {
        path: format!("{}[{index}]", list.path),
        span: item.span(),
        value: item.get_ref(),
    }
}

fn type_of(value: &DeValue<'_>) -> String {
    format!("a value of type {}", value.type_str())
}
