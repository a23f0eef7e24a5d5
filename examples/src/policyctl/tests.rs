//! `test`: files of requests with the decisions that must come out.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use policy::{Decision, OperatorDecision, PolicySet, Target};
use serde::Deserialize;
use serde_json::json;

use super::Answer;
use super::documents::{self, PolicyctlError};
use super::output::{Output, Tone};
use super::request::{Action, RequestFile};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TestFile {
    /// Beside the test file.
    policy: PathBuf,
    case: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    request: RequestFile,
    /// `allow`, `deny` or a reason such as `user_not_allowed`.
    expect: String,
    /// What is asked about sessions on the target, instead of for a session.
    action: Option<Action>,
    /// The policy, or the operator, that must decide.
    by: Option<String>,
}

/// Every TOML file of the folder that has cases; or the one file.
pub(super) fn run(folder: &Path, output: &mut Output) -> Result<Answer, PolicyctlError> {
    let mut told = Vec::new();
    let (mut passed, mut failed) = (0_usize, 0_usize);
    let files = files(folder)?;
    if files.is_empty() {
        return Err(PolicyctlError::NoTests(folder.into()));
    }
    for file in files {
        let tests: TestFile = documents::document(&file)?;
        let set = documents::policy(&file.with_file_name(&tests.policy))?;
        for case in &tests.case {
            let fault = fault(&set, case);
            match &fault {
                None => passed = passed.saturating_add(1),
                Some(fault) => {
                    failed = failed.saturating_add(1);
                    let word = output.toned(Tone::Bad, "FAILED");
                    output.line(format_args!(
                        "{word} {}: {}: {fault}",
                        file.display(),
                        case.name
                    ));
                }
            }
            told.push(
                json!({ "file": file.display().to_string(), "name": case.name, "failure": fault }),
            );
        }
    }
    let word = if failed == 0 {
        output.toned(Tone::Good, "ok")
    } else {
        output.toned(Tone::Bad, "failed")
    };
    output.line(format_args!("{word}: {passed} passed, {failed} failed"));
    output.json(told.into());
    Ok((failed == 0).into())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, PolicyctlError> {
    let unreadable = |error| PolicyctlError::Read {
        file: folder.into(),
        error,
    };
    if fs::metadata(folder).map_err(unreadable)?.is_file() {
        return Ok(vec![folder.into()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
            && has_cases(&path)?
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// A policy may stand in the same folder.
fn has_cases(file: &Path) -> Result<bool, PolicyctlError> {
    let text = documents::read(file)?;
    Ok(text.lines().any(|line| line.trim() == "[[case]]"))
}

/// What came out of a case.
struct Outcome {
    /// `allow` or `deny`.
    word: &'static str,
    /// The same, or why it was denied.
    reason: String,
    /// What decided, by its name.
    by: Option<Arc<str>>,
    /// For people.
    text: String,
}

impl Outcome {
    fn of_session(decision: &Decision) -> Self {
        match decision {
            Decision::Allow(grant) => Self {
                word: "allow",
                reason: "allow".into(),
                by: Some(Arc::clone(&grant.policy)),
                text: format!("allowed by policy {:?}", grant.policy),
            },
            Decision::Deny(denial) => Self {
                word: "deny",
                reason: denial.reason.to_string(),
                by: denial.policy.clone(),
                text: format!("denied: {}", denial.for_log()),
            },
        }
    }

    fn of_action(decision: &OperatorDecision) -> Self {
        match decision {
            OperatorDecision::Allow { operator } => Self {
                word: "allow",
                reason: "allow".into(),
                by: Some(Arc::clone(operator)),
                text: format!("allowed by operator {operator:?}"),
            },
            OperatorDecision::Deny => Self {
                word: "deny",
                reason: "deny".into(),
                by: None,
                text: "denied to operators".into(),
            },
        }
    }
}

/// What came out, where it is not what must.
fn fault(set: &PolicySet, case: &Case) -> Option<String> {
    let request = &case.request;
    let target = Target::from(&request.target);
    let person = request.person();
    let outcome = match case.action {
        Some(Action(action)) => {
            Outcome::of_action(&person.decide_operator(set, &target, action, request.now()))
        }
        None => {
            let user = request.user.as_deref();
            Outcome::of_session(&person.decide(set, &target, user, request.now()))
        }
    };
    let Outcome {
        word,
        reason,
        by,
        text,
    } = outcome;
    if case.expect != word && case.expect != reason {
        return Some(format!("expected {}, but it is {text}", case.expect));
    }
    let wanted = case.by.as_deref();
    let kind = if case.action.is_some() {
        "operator"
    } else {
        "policy"
    };
    (wanted.is_some() && by.as_deref() != wanted).then(|| {
        format!(
            "expected {kind} {:?} to decide, but it is {text}",
            wanted.unwrap_or_default()
        )
    })
}
