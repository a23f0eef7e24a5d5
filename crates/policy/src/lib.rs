#![doc = include_str!("../README.md")]
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod change;
mod closest;
mod constraints;
mod decide;
mod decision;
mod document;
mod email;
mod error;
mod explain;
mod facts;
mod feature;
mod index;
pub mod limits;
mod lint;
mod load;
mod operator;
mod permissions;
mod ranges;
mod reach;
mod request;
mod revocations;
mod rules;
mod schema;
mod selector;
mod set;
mod steps;
mod target;
mod unix_user;
mod window;

pub use change::next_change;
pub use closest::{Closest, Unmet};
pub use constraints::{
    CommandRules, Constraints, Destinations, Direction, FileRule, ForwardRecording, HiddenInput,
    OnLoss, PathRules, Reevaluation, StepUp,
};
pub use decide::decide;
pub use decision::{Advice, Decision, Denial, DenialReason, Grant, Recording};
pub use error::{LoadError, Problem};
pub use explain::{ApplicationTrace, Explanation, PolicyOutcome, PolicyTrace, RuleTrace, explain};
pub use feature::{Feature, Features};
pub use lint::{About, Finding, Lint, lint};
pub use load::{Imported, Strictness};
pub use operator::{
    OperatorAction, OperatorChange, OperatorDecision, OperatorRequest, OperatorSay,
    decide_operator, operator_changes, who_operates,
};
pub use permissions::{NamePatterns, NameSet, Permissions};
pub use reach::{Access, Change, Person, Say, access, changes, sample_targets, users, who_can};
pub use request::{Device, Group, Identity, IdentityKind, Network, PostureResult, Request, Target};
pub use revocations::{Revocation, Revocations};
pub use rules::List;
pub use schema::schema;
pub use selector::RuleOutcome;
pub use set::{Action, PolicySet};
pub use window::parse_moment;
