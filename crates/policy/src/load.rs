//! From a TOML document to a [`PolicySet`], or to the list of all that is wrong with it.

mod applications;
mod cloudflare;
mod constraints;
mod contradictions;
mod env;
mod groups;
mod operators;
mod permissions;
mod policies;
mod reader;
mod revocations;
mod rules;
mod targets;
mod values;
mod windows;

use alloc::format;
use alloc::string::ToString as _;
use alloc::vec::Vec;

use crate::document::{Item, Pieces, SyntaxFault, Table, Value, parse_json, parse_toml};
use crate::error::{LoadError, Problem};
use crate::index::{Index, place};
use crate::limits::MAX_DOCUMENT_BYTES;
use crate::revocations::Revocations;
use crate::set::PolicySet;
use applications::{Applications, NoGood};
use groups::{GroupNames, Groups};
use reader::Reader;

pub(crate) const DOCUMENT_FIELDS: &[&str] = &[
    "application",
    "idle_timeout",
    "max_login_age",
    "max_session",
    "operator",
    "policy",
    "rule_group",
];

const TOML_EXAMPLE: &str =
    "write TOML: `name = \"text\"`, `names = [\"a\", \"b\"]`, `[[application]]`";

/// What an entry of a list of revocations looks like.
const TOML_REVOCATION: &str = "name an `identity`, `device`, `session` or `target`: `[[revocation]]`, `identity = \"ann@example.com\"`, `reason = \"…\"`";

const JSON_EXAMPLE: &str = "write JSON: `{\"name\": \"text\", \"names\": [\"a\", \"b\"]}`";

/// The fields of a document, for whoever describes it.
pub(crate) mod fields {
    pub(crate) use super::DOCUMENT_FIELDS;
    pub(crate) use super::applications::APPLICATION_FIELDS;
    pub(crate) use super::groups::GROUP_FIELDS;
    pub(crate) use super::operators::OPERATOR_FIELDS;
    pub(crate) use super::permissions::GRANTABLE;
    pub(crate) use super::policies::POLICY_FIELDS;
    pub(crate) use super::rules::SELECTORS;
    pub(crate) use super::targets::{CRITERION_FIELDS, SELECTORS as TARGET_SELECTORS};
}

pub use cloudflare::{Imported, Strictness};

pub(crate) fn from_toml(text: &str) -> Result<PolicySet, LoadError> {
    let mut reader = open(text)?;
    if let Some(result) = Pieces::of_toml(text).and_then(|pieces| in_pieces(text, pieces)) {
        return result;
    }
    let (document, faults) = parse_toml(text);
    for fault in &faults {
        reader.syntax(fault, TOML_EXAMPLE);
    }
    // What could not be parsed would only give rise to further, misleading problems.
    if !faults.is_empty() {
        return Err(reader.into_error());
    }
    finish(reader, &document)
}

pub(crate) fn revocations_from_toml(text: &str) -> Result<Revocations, LoadError> {
    let mut reader = open(text)?;
    let (document, faults) = parse_toml(text);
    for fault in &faults {
        reader.syntax(fault, TOML_REVOCATION);
    }
    if !faults.is_empty() {
        return Err(reader.into_error());
    }
    let revocations = revocations::read(&mut reader, &document);
    if reader.has_problems() {
        return Err(reader.into_error());
    }
    Ok(revocations)
}

pub(crate) fn from_json(text: &str) -> Result<PolicySet, LoadError> {
    let mut reader = open(text)?;
    if let Some(result) = Pieces::of_json(text).and_then(|pieces| in_pieces(text, pieces)) {
        return result;
    }
    match parse_json(text) {
        Ok(Item {
            value: Value::Table(document),
            ..
        }) => finish(reader, &document),
        Ok(item) => {
            let fault = SyntaxFault::new(place(item.at), "the document is no object");
            reader.syntax(&fault, JSON_EXAMPLE);
            Err(reader.into_error())
        }
        Err(fault) => {
            reader.syntax(&fault, JSON_EXAMPLE);
            Err(reader.into_error())
        }
    }
}

/// A reader for the text, if it is not too long.
fn open(text: &str) -> Result<Reader<'_>, LoadError> {
    if text.len() <= MAX_DOCUMENT_BYTES {
        return Ok(Reader::new(text));
    }
    let what = format!(
        "the document has {} bytes, more than {MAX_DOCUMENT_BYTES}",
        text.len()
    );
    let problem = Problem {
        line: 1,
        column: None,
        path: "".to_string(),
        what,
        help: "write long lists of people as groups of your identity provider".to_string(),
    };
    Err(LoadError::new(alloc::vec![problem], 0))
}

/// Nothing if an application is no good; then the whole document must be read to say what is wrong.
fn in_pieces(text: &str, pieces: Pieces<'_>) -> Option<Result<PolicySet, LoadError>> {
    let mut reader = Reader::new(text);
    let source = if pieces.applications.len() == 0 {
        Applications::InDocument
    } else {
        Applications::AsText(pieces.applications)
    };
    let set = read(&mut reader, &pieces.head, source).ok()?;
    Some(conclude(reader, set))
}

fn finish(mut reader: Reader<'_>, document: &Table<'_>) -> Result<PolicySet, LoadError> {
    let set = read(&mut reader, document, Applications::InDocument);
    conclude(reader, set.ok().flatten())
}

fn conclude(reader: Reader<'_>, set: Option<PolicySet>) -> Result<PolicySet, LoadError> {
    match set {
        Some(mut set) if !reader.has_problems() => {
            (set.warnings, set.demands) = reader.into_warnings_and_demands();
            Ok(set)
        }
        _ => Err(reader.into_error()),
    }
}

/// No set only where a problem was reported.
fn read(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    source: Applications<'_>,
) -> Result<Option<PolicySet>, NoGood> {
    let document = reader.document(table, DOCUMENT_FIELDS);
    let mut names = GroupNames::read(reader, &document);
    let groups = names.load(reader, &document);
    let durations = policies::durations(reader, &document);
    let mut policies = policies::load_reusable(reader, &document, &mut names);
    let operators = operators::load(reader, &document, &mut names);
    let mut loader = applications::Loader {
        names: &mut names,
        reusable: &mut policies,
        durations,
    };
    let applications = loader.load(reader, &document, source)?;
    if let Some(groups) = &groups {
        let own = applications.iter().flat_map(|it| &it.policies);
        let own = own.map(|attached| &attached.policy.rules);
        let all = own.chain(operators.iter().map(|operator| &operator.rules));
        groups::check_steps(reader, &document, &groups.steps, all);
    }
    names.warn_unused(reader, &document);
    policies.warn_unused(reader, &document);
    if document.get("application").is_none() {
        reader.warn(
            &document.node(),
            "there is no application, so everybody is denied everything",
            "add an `[[application]]`",
        );
    }
    Ok(groups.map(|Groups { groups, .. }| PolicySet {
        index: Index::new(&applications, &groups),
        applications,
        operators,
        groups,
        warnings: Vec::new(),
        demands: Vec::new(),
    }))
}
