//! What a document must not say, with the line, the place and the fix in the message (rules L1 to L6 of SPEC.md).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod json;
mod messages;
mod pieces;
mod structure;
mod toml_syntax;
mod values;

use policy::{LoadError, PolicySet};

/// A document around the fields of one policy, which begin on line 9.
fn with_policy(fields: &str) -> String {
    format!(
        r#"[[rule_group]]
name = "staff"
include = [{{ email_domain = "example.com" }}]

[[application]]
name = "a"
target = {{ include = [{{ any_target = true }}] }}
[[application.policy]]
{fields}
[[application.policy]]
name = "uses the group"
action = "allow"
include = [{{ rule_group = "staff" }}]
usernames = ["deploy"]
"#
    )
}

fn load(text: &str) -> Result<PolicySet, LoadError> {
    PolicySet::from_toml(text)
}

/// Checks that `text` has exactly one problem: `line 9: place: what; help`, where `expected` is the whole of it.
#[track_caller]
fn refused(text: &str, expected: &str) {
    let error = load(text).expect_err("it must not load");
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.problems().len(), 1);
}

/// Checks the one problem of a policy with the line `field` after a good beginning of three lines.
#[track_caller]
fn refused_in_policy(field: &str, expected: &str) {
    let good = "name = \"p\"\naction = \"allow\"\nusernames = [\"deploy\"]\n";
    let include = if field.starts_with("include") {
        ""
    } else {
        "\ninclude = [{ everyone = true }]"
    };
    refused(&with_policy(&format!("{good}{field}{include}")), expected);
}

/// `text` for between the quotes of a TOML string.
fn toml_escaped(text: &str) -> String {
    let escape = |character: char| match character {
        '"' | '\\' => format!("\\{character}"),
        _ if character.is_control() => format!("\\u{:04x}", u32::from(character)),
        _ => character.to_string(),
    };
    text.chars().map(escape).collect()
}

#[track_caller]
fn refused_rule(rule: &str, expected: &str) {
    refused_in_policy(&format!("require = [{rule}]"), expected);
}

#[track_caller]
fn warned(text: &str, expected: &[&str]) {
    let set = load(text).unwrap_or_else(|error| panic!("{error}"));
    let warnings: Vec<_> = set.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(warnings, expected);
}
