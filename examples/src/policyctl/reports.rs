//! `check`, `lint`, `diff` and `import-cloudflare`.

use std::path::Path;

use policy::{About, PolicySet, Problem, Strictness};
use serde_json::{Value, json};

use super::ask::target_name;
use super::documents::{self, Notation, PolicyctlError};
use super::output::{Output, Tone};
use super::request;
use super::{Answer, DiffArguments, ImportArguments};

fn problem_json(file: &Path, problem: &Problem) -> Value {
    json!({
        "file": file.display().to_string(), "line": problem.line, "column": problem.column, "path": problem.path, "what": problem.what, "help": problem.help,
    })
}

pub(super) fn check(
    file: &Path,
    notation: Notation,
    revocations: Option<&Path>,
    output: &mut Output,
) -> Result<Answer, PolicyctlError> {
    let loaded = documents::policy_in(file, notation)
        .and_then(|set| documents::revocations(revocations).map(|list| (set, list)));
    let (set, list) = match loaded {
        Err(PolicyctlError::Policy { file, error }) => {
            // Programs read the problems where they read answers.
            let problems = error.problems().iter().map(|it| problem_json(&file, it));
            let value =
                json!({ "problems": problems.collect::<Vec<_>>(), "unlisted": error.unlisted() });
            output.json_of_failure(value)?;
            return Err(PolicyctlError::Policy { file, error });
        }
        loaded => loaded?,
    };
    warnings(&set, file, output);
    let problems: [Value; 0] = [];
    let told = set.warnings().iter().map(|it| problem_json(file, it));
    output.json(json!({ "problems": problems, "warnings": told.collect::<Vec<_>>() }));
    let word = output.toned(Tone::Good, "no problems");
    output.line(format_args!(
        "{}: {word}, {} warning(s)",
        file.display(),
        set.warnings().len()
    ));
    if let Some(file) = revocations {
        let (word, count) = (output.toned(Tone::Good, "no problems"), list.len());
        output.line(format_args!(
            "{}: {word}, {count} revocation(s)",
            file.display()
        ));
    }
    Ok(Answer::Yes)
}

fn warnings(set: &PolicySet, file: &Path, output: &mut Output) {
    for warning in set.warnings() {
        let word = output.toned(Tone::Odd, "warning");
        output.line(format_args!("{word}: {}: {warning}", file.display()));
    }
}

pub(super) fn lint(file: &Path, output: &mut Output) -> Result<Answer, PolicyctlError> {
    let set = documents::policy(file)?;
    warnings(&set, file, output);
    let findings = policy::lint(&set, documents::now());
    for finding in &findings {
        let word = output.toned(Tone::Odd, finding.lint);
        output.line(format_args!("{word}: {}: {}", finding.about, finding.what));
    }
    let is_clean = findings.is_empty() && set.warnings().is_empty();
    if is_clean {
        let word = output.toned(Tone::Good, "nothing to look at");
        output.line(format_args!("{}: {word}", file.display()));
    }
    let told = set.warnings().iter().map(|it| problem_json(file, it));
    let found = findings.iter().map(|finding| {
        let (application, policy, operator) = match &finding.about {
            About::Policy { application, policy } => (Some(&**application), Some(&**policy), None),
            About::Operator(name) => (None, None, Some(&**name)),
        };
        json!({
            "lint": finding.lint.to_string(), "application": application, "policy": policy, "operator": operator, "what": finding.what,
        })
    });
    output.json(
        json!({ "warnings": told.collect::<Vec<_>>(), "findings": found.collect::<Vec<_>>() }),
    );
    Ok(is_clean.into())
}

pub(super) fn diff(
    arguments: &DiffArguments,
    output: &mut Output,
) -> Result<Answer, PolicyctlError> {
    let (old, new) = (
        documents::policy(&arguments.old)?,
        documents::policy(&arguments.new)?,
    );
    let people = request::people(&arguments.identities)?;
    let targets = match &arguments.targets {
        Some(file) => request::targets(file)?,
        None => policy::sample_targets(&[&old, &new]),
    };
    let changes = policy::changes(&old, &new, &people, &targets, documents::now());
    let mut told = Vec::new();
    for change in &changes {
        let (Some(person), Some(target)) = (people.get(change.person), targets.get(change.target))
        else {
            continue;
        };
        let (word, word_in_tone) = gain(change.after.is_some(), output);
        let (name, target) = (request::name(person), target_name(target));
        let by = change.after.as_ref().or(change.before.as_ref());
        let by = by.map_or("", |by| by);
        output.line(format_args!(
            "{name} {word_in_tone} {} on {target} (policy {by:?})",
            change.user
        ));
        told.push(json!({ "identity": name, "change": word, "user": change.user, "target": target, "policy": by }));
    }
    let operator_changes =
        policy::operator_changes(&old, &new, &people, &targets, documents::now());
    for change in &operator_changes {
        let (Some(person), Some(target)) = (people.get(change.person), targets.get(change.target))
        else {
            continue;
        };
        let (word, word_in_tone) = gain(change.after.is_some(), output);
        let (name, target) = (request::name(person), target_name(target));
        let by = change.after.as_ref().or(change.before.as_ref());
        let by = by.map_or("", |by| by);
        output.line(format_args!(
            "{name} {word_in_tone} {} of sessions on {target} (operator {by:?})",
            change.action
        ));
        told.push(json!({ "identity": name, "change": word, "action": change.action.to_string(), "target": target, "operator": by }));
    }
    output.line(format_args!(
        "{} change(s) for {} identities on {} targets{}",
        told.len(),
        people.len(),
        targets.len(),
        if arguments.targets.is_none() {
            " made up from what the policies name"
        } else {
            ""
        }
    ));
    let nothing_changes = told.is_empty();
    output.json(told.into());
    Ok(nothing_changes.into())
}

/// What a change is called, plain and in its colour: whoever gains is what to look at.
fn gain(gains: bool, output: &Output) -> (&'static str, String) {
    let (tone, word) = if gains {
        (Tone::Bad, "gains")
    } else {
        (Tone::Good, "loses")
    };
    (word, output.toned(tone, word))
}

pub(super) fn import(
    arguments: &ImportArguments,
    output: &mut Output,
) -> Result<Answer, PolicyctlError> {
    let mut files = Vec::new();
    for file in &arguments.files {
        files.push((file.display().to_string(), documents::read(file)?));
    }
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let strictness = if arguments.strict_cloudflare {
        Strictness::Strict
    } else {
        Strictness::Lenient
    };
    let imported =
        PolicySet::from_cloudflare(&files, strictness).map_err(PolicyctlError::Import)?;
    for warning in imported.set.warnings() {
        eprintln!("warning: {warning}");
    }
    output.raw(&imported.toml);
    Ok(Answer::Yes)
}
