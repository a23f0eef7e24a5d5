//! From a TOML document to a [`PolicySet`], or to the list of all that is wrong with it.

mod applications;
mod contradictions;
mod env;
mod groups;
mod permissions;
mod policies;
mod reader;
mod rules;
mod targets;
mod values;

use alloc::format;
use alloc::string::ToString as _;
use alloc::vec::Vec;

use toml::de::DeTable;

use crate::error::{LoadError, Problem};
use crate::limits::MAX_DOCUMENT_BYTES;
use crate::set::PolicySet;
use groups::GroupNames;
use policies::Durations;
use reader::Reader;

const DOCUMENT_FIELDS: &[&str] = &[
    "application",
    "idle_timeout",
    "max_session",
    "policy",
    "rule_group",
];

pub(crate) fn from_toml(text: &str) -> Result<PolicySet, LoadError> {
    if text.len() > MAX_DOCUMENT_BYTES {
        let what = format!(
            "the document has {} bytes, more than {MAX_DOCUMENT_BYTES}",
            text.len()
        );
        let help = "write long lists of people as groups of your identity provider".to_string();
        let problem = Problem {
            line: 1,
            column: None,
            path: "".to_string(),
            what,
            help,
        };
        return Err(LoadError::new(alloc::vec![problem], 0));
    }
    let mut reader = Reader::new(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        reader.syntax(error);
    }
    // What could not be parsed would only give rise to further, misleading problems.
    if !errors.is_empty() {
        return Err(reader.into_error());
    }
    let set = read(&mut reader, document.get_ref());
    match set {
        Some(mut set) if !reader.has_problems() => {
            set.warnings = reader.into_warnings();
            Ok(set)
        }
        _ => Err(reader.into_error()),
    }
}

/// Nothing only where a problem was reported.
fn read(reader: &mut Reader<'_>, table: &DeTable<'_>) -> Option<PolicySet> {
    let document = reader.document(table, DOCUMENT_FIELDS);
    let mut names = GroupNames::read(reader, &document);
    let groups = names.load(reader, &document);
    let durations = Durations::read(reader, &document);
    let mut policies = policies::load_reusable(reader, &document, &mut names);
    let applications = applications::load(reader, &document, &mut names, &mut policies, durations);
    if let Some(groups) = &groups {
        groups::check_steps(reader, &document, &groups.steps, &applications);
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
    Some(PolicySet {
        applications,
        groups: groups?.groups,
        warnings: Vec::new(),
    })
}
