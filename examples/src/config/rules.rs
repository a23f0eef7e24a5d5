//! `policy` and `revocations`: the files that decide who may do what, and that may change while the proxy runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use policy::{Feature, Features, PolicySet, Problem, Revocations};
use proxy_core::{ENFORCED, Rules};
use sha2::{Digest as _, Sha256};

use super::ConfigError;
use super::files;
use super::keys::{public_file, resolve};
use super::reader::{Reader, Table};
use crate::tool::hex;

/// Hex digits of a document's SHA-256 in the version of the rules.
const VERSION_DIGITS: usize = 16;

/// The files that decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFiles {
    /// The policy.
    pub policy: PathBuf,
    /// The revocations, where there are any.
    pub revocations: Option<PathBuf>,
}

/// A file's name and what stands in it.
struct Document {
    file: PathBuf,
    text: String,
}

impl RuleFiles {
    /// Reads the files as they are now. The version of the rules is the first 16 hex digits of the policy file's SHA-256 and, after a
    /// `+`, those of the revocations.
    ///
    /// # Errors
    /// With everything that is wrong.
    pub fn load(&self) -> Result<Rules, ConfigError> {
        let policy = read(&self.policy);
        let revocations = self.revocations.as_deref().map(read).transpose();
        match (policy, revocations) {
            (Ok(policy), Ok(revocations)) => {
                parse(&policy, revocations.as_ref()).map_err(|problems| ConfigError { problems })
            }
            (policy, revocations) => Err(ConfigError {
                problems: policy.err().into_iter().chain(revocations.err()).collect(),
            }),
        }
    }
}

fn read(file: &Path) -> Result<Document, (PathBuf, Problem)> {
    match files::read(file) {
        Ok(text) => Ok(Document {
            file: file.to_owned(),
            text,
        }),
        Err(error) => Err((
            file.to_owned(),
            Problem {
                line: 0,
                column: None,
                path: String::new(),
                what: format!("cannot be read: {error}"),
                help: "put the file back; an empty list of revocations is an empty file".to_owned(),
            },
        )),
    }
}

fn parse(
    policy: &Document,
    revocations: Option<&Document>,
) -> Result<Rules, Vec<(PathBuf, Problem)>> {
    // Nobody here tells when a person logged in, so a limit on that would let nobody in.
    let enforced = ENFORCED.without(Features::NONE.with(Feature::LoginAge));
    let set = PolicySet::from_toml(&policy.text).and_then(|set| set.refuse_beyond(enforced));
    let list = revocations.map_or_else(
        || Ok(Revocations::default()),
        |document| Revocations::from_toml(&document.text),
    );
    let problems_in = |document: Option<&Document>, error: &policy::LoadError| {
        let file = document.map(|document| document.file.clone());
        let file = file.unwrap_or_default();
        let problems = error.problems().iter();
        problems
            .map(|problem| (file.clone(), problem.clone()))
            .collect::<Vec<_>>()
    };
    match (set, list) {
        (Ok(set), Ok(list)) => {
            for warning in set.warnings() {
                tracing::warn!("{}: {warning}", policy.file.display());
            }
            let mut version = digest(&policy.text);
            if let Some(document) = revocations {
                version = format!("{version}+{}", digest(&document.text));
            }
            Ok(Rules {
                policy: Arc::new(set),
                revocations: Arc::new(list),
                version: version.into(),
            })
        }
        (set, list) => {
            let mut problems = Vec::new();
            if let Err(error) = &set {
                problems.extend(problems_in(Some(policy), error));
            }
            if let Err(error) = &list {
                problems.extend(problems_in(revocations, error));
            }
            Err(problems)
        }
    }
}

fn digest(text: &str) -> String {
    let hash = Sha256::digest(text);
    let digits = hex(&hash);
    digits.chars().take(VERSION_DIGITS).collect()
}

/// The fields of the configuration.
pub(super) fn rules<'d>(
    reader: &mut Reader<'d>,
    document: &Table<'d>,
) -> Option<(RuleFiles, Arc<Rules>)> {
    let help = "write `policy = \"policy.toml\"` at the top, before any `[table]`";
    let (field, name) = reader.needed_text(document, "policy", help)?;
    let policy = Document {
        text: public_file(reader, &field, name, "name the policy file")?,
        file: resolve(reader, name),
    };
    let revocations = match document.field("revocations") {
        None => None,
        Some(field) => {
            let name = reader.text(&field)?;
            let help = "name a list of revocations; an empty file is an empty one";
            Some(Document {
                text: public_file(reader, &field, name, help)?,
                file: resolve(reader, name),
            })
        }
    };
    match parse(&policy, revocations.as_ref()) {
        Ok(rules) => {
            let files = RuleFiles {
                policy: policy.file,
                revocations: revocations.map(|document| document.file),
            };
            Some((files, Arc::new(rules)))
        }
        Err(problems) => {
            reader.adopt(problems);
            None
        }
    }
}
