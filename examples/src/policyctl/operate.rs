//! `operator` and `who-operates`: who may look at and act on running sessions.

use policy::{OperatorAction, OperatorDecision, Request, Target};
use serde_json::{Value, json};

use super::documents::{self, PolicyctlError};
use super::output::{Output, Tone};
use super::request::{self, Action, RequestFile};
use super::{Answer, OperatorArguments, WhoOperatesArguments, ask};

pub(super) fn operator(
    arguments: &OperatorArguments,
    output: &mut Output,
) -> Result<Answer, PolicyctlError> {
    let set = documents::policy(&arguments.policy)?;
    let revocations = documents::revocations(arguments.revocations.as_deref())?;
    let file: RequestFile = documents::document(&arguments.request)?;
    let (person, target) = (file.person(), Target::from(&file.target));
    let request = Request {
        identity: &person.identity,
        device: &person.device,
        network: &person.network,
        target: &target,
        user: None,
        now: file.now(),
    };
    if let Some(revocation) = revocations.find(&request, "") {
        ask::revoked(revocation, output);
        return Ok(Answer::No);
    }
    let asked: Vec<OperatorAction> = match arguments.action {
        Some(Action(action)) => vec![action],
        None => OperatorAction::ALL.to_vec(),
    };
    let mut told: Vec<Value> = Vec::new();
    let mut may_all = true;
    for action in asked {
        let by = match person.decide_operator(&set, &target, action, file.now()) {
            OperatorDecision::Allow { operator } => Some(operator),
            OperatorDecision::Deny => None,
        };
        match &by {
            Some(by) => {
                let word = output.toned(Tone::Good, "allowed");
                output.line(format_args!("{action} {word} by operator {by:?}"));
            }
            None => {
                let word = output.toned(Tone::Bad, "denied");
                output.line(format_args!("{action} {word}"));
            }
        }
        may_all &= by.is_some();
        told.push(json!({ "action": action.to_string(), "operator": by.as_deref() }));
    }
    output.json(told.into());
    Ok(may_all.into())
}

pub(super) fn who_operates(
    arguments: &WhoOperatesArguments,
    output: &mut Output,
) -> Result<Answer, PolicyctlError> {
    let set = documents::policy(&arguments.policy)?;
    let target = ask::target(&arguments.target, arguments.targets.as_deref())?;
    let mut says = policy::who_operates(&set, &target);
    if let Some(Action(action)) = arguments.action {
        says.retain(|say| say.may.contains(&action));
    }
    let mut told: Vec<Value> = Vec::new();
    for say in &says {
        let may: Vec<&str> = say.may.iter().map(|action| action.name()).collect();
        let rules = say.rules.iter();
        let rules = rules.map(|(list, rule)| json!({ "list": list.to_string(), "rule": rule }));
        told.push(
            json!({ "operator": &*say.operator, "may": may, "rules": rules.collect::<Vec<_>>() }),
        );
        output.line(format_args!(
            "operator {:?} may {}",
            say.operator,
            may.join(", ")
        ));
        for (list, rule) in &say.rules {
            output.line(format_args!("    {list} {rule}"));
        }
    }
    if says.is_empty() {
        output.line("nobody");
    }
    let mut identities: Vec<Value> = Vec::new();
    if let Some(file) = &arguments.identities {
        let people = request::people(file)?;
        let now = documents::now();
        for person in &people {
            let may = OperatorAction::ALL.into_iter().filter(|action| {
                let decision = person.decide_operator(&set, &target, *action, now);
                decision != OperatorDecision::Deny
                    && arguments
                        .action
                        .is_none_or(|Action(asked)| asked == *action)
            });
            let may: Vec<&str> = may.map(OperatorAction::name).collect();
            if !may.is_empty() {
                let name = request::name(person);
                output.line(format_args!("{name} now: {}", may.join(", ")));
                identities.push(json!({ "identity": name, "may": may }));
            }
        }
    }
    output.json(json!({
        "operators": told, "identities": arguments.identities.is_some().then_some(identities),
    }));
    Ok((!says.is_empty()).into())
}
