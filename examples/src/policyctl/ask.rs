//! `decide`, `who-can` and `access`.

use std::path::Path;

use policy::{Action, Decision, Denial, Explanation, Grant, Person, Request, Revocation, Target};
use serde_json::{Value, json};

use super::documents::{self, Notation, PolicyctlError};
use super::output::{Output, Tone};
use super::request::{self, RequestFile};
use super::{AccessArguments, Answer, DecideArguments, WhoCanArguments};

pub(super) fn decide(
    arguments: &DecideArguments,
    output: &mut Output,
) -> Result<Answer, PolicyctlError> {
    let notation = Notation::new(arguments.strict_cloudflare);
    let set = documents::policy_in(&arguments.policy, notation)?;
    let revocations = documents::revocations(arguments.revocations.as_deref())?;
    let file: RequestFile = documents::document(&arguments.request)?;
    let (person, target) = (file.person(), Target::from(&file.target));
    let request = Request {
        identity: &person.identity,
        device: &person.device,
        network: &person.network,
        target: &target,
        user: file.user.as_deref(),
        now: file.now(),
    };
    // No session has begun, so none of those that are revoked by name is meant.
    if let Some(revocation) = revocations.find(&request, "") {
        revoked(revocation, output);
        return Ok(Answer::No);
    }
    let decision = policy::decide(&set, &request);
    let explanation = arguments.explain.then(|| policy::explain(&set, &request));
    let mut value = decision_json(&decision);
    match &decision {
        Decision::Allow(grant) => {
            allowed(grant, output);
            let is_fresh = grant.login_is_fresh(&person.identity, request.now, request.now);
            if !is_fresh {
                output.line(
                    "this login is too old, or of unknown age: the person is asked to log in again",
                );
            }
            if let Some(fields) = value.as_object_mut() {
                fields.insert("login_is_fresh".into(), is_fresh.into());
            }
        }
        Decision::Deny(denial) => denied(denial, output),
    }
    if let Some(explanation) = &explanation {
        for line in explanation.to_string().lines().skip(1) {
            output.line(line);
        }
        if let Some(fields) = value.as_object_mut() {
            fields.insert("explanation".into(), explanation_json(explanation));
        }
    }
    output.json(value);
    Ok(matches!(decision, Decision::Allow(_)).into())
}

fn allowed(grant: &Grant, output: &mut Output) {
    let word = output.toned(Tone::Good, "allowed");
    output.line(format_args!(
        "{word} by policy {:?} of application {:?}",
        grant.policy, grant.application
    ));
    let permissions = &grant.permissions;
    let mut may = Vec::new();
    for (name, granted) in [
        ("shell", permissions.shell),
        ("exec", permissions.exec),
        ("pty", permissions.pty),
    ] {
        may.extend(granted.then_some(name));
    }
    may.extend(permissions.subsystems.iter());
    output.line(format_args!("may {}", may.join(", ")));
    output.line(format_args!("recording {}", grant.recording));
    let asked: Vec<&str> = grant.asks_for().iter().map(policy::Feature::name).collect();
    if !asked.is_empty() {
        output.line(format_args!("asks for {}", asked.join(", ")));
    }
    for (what, limit) in [
        ("ends after", grant.max_session),
        ("ends when silent for", grant.idle_timeout),
        ("asks for a login no older than", grant.max_login_age),
    ] {
        if let Some(limit) = limit {
            output.line(format_args!("{what} {} s", limit.as_secs()));
        }
    }
}

pub(super) fn revoked(revocation: &Revocation, output: &mut Output) {
    let word = output.toned(Tone::Bad, "revoked");
    output.line(format_args!("{word}: {}", revocation.for_log()));
    output.line(format_args!(
        "the person reads: {}",
        revocation.for_person()
    ));
    output.json(json!({
        "decision": "deny",
        "reason": "revoked",
        "revocation": revocation.for_log(),
        "person_reads": revocation.for_person(),
    }));
}

fn denied(denial: &Denial, output: &mut Output) {
    let word = output.toned(Tone::Bad, "denied");
    output.line(format_args!("{word}: {}", denial.for_log()));
    output.line(format_args!("the person reads: {}", denial.for_person()));
}

/// A decision for programs.
pub(super) fn decision_json(decision: &Decision) -> Value {
    match decision {
        Decision::Allow(grant) => json!({
            "decision": "allow",
            "application": &*grant.application,
            "policy": &*grant.policy,
            "shell": grant.permissions.shell,
            "exec": grant.permissions.exec,
            "pty": grant.permissions.pty,
            "subsystems": grant.permissions.subsystems.iter().collect::<Vec<_>>(),
            "env": grant.permissions.env.iter().collect::<Vec<_>>(),
            "max_channels": grant.permissions.max_channels,
            "recording": grant.recording.to_string(),
            "max_session_secs": grant.max_session.map(|limit| limit.as_secs()),
            "idle_timeout_secs": grant.idle_timeout.map(|limit| limit.as_secs()),
            "max_login_age_secs": grant.max_login_age.map(|limit| limit.as_secs()),
            "asks_for": grant.asks_for().iter().map(policy::Feature::name).collect::<Vec<_>>(),
        }),
        Decision::Deny(denial) => json!({
            "decision": "deny",
            "reason": denial.reason.to_string(),
            "application": denial.application.as_deref(),
            "policy": denial.policy.as_deref(),
            "closest": denial.closest.as_ref().map(|closest| json!({
                "application": &*closest.application,
                "policy": &*closest.policy,
                "unmet": closest.unmet.iter().map(|unmet| json!({
                    "list": unmet.list.to_string(), "rule": unmet.rule, "outcome": unmet.outcome.to_string(),
                })).collect::<Vec<_>>(),
            })),
            "advice": denial.advice.to_string(),
            "person_reads": denial.for_person(),
        }),
    }
}

fn explanation_json(explanation: &Explanation) -> Value {
    fn rules(traces: &[policy::RuleTrace]) -> Vec<Value> {
        let trace = |trace: &policy::RuleTrace| {
            json!({
                "list": trace.list.to_string(), "rule": trace.rule, "outcome": trace.outcome.to_string(), "counted": trace.counted,
                "within": rules(&trace.within),
            })
        };
        traces.iter().map(trace).collect()
    }
    let application = |application: &policy::ApplicationTrace| {
        let policies = application.policies.iter().map(|policy| {
            json!({
                "name": &*policy.name, "action": policy.action.to_string(), "outcome": policy.outcome.to_string(), "rules": rules(&policy.rules),
            })
        });
        json!({
            "name": &*application.name, "governs_target": application.governs_target, "policies": policies.collect::<Vec<_>>(),
        })
    };
    explanation.applications.iter().map(application).collect()
}

/// The target of that id or host name; what else is known of it stands in the file.
pub(super) fn target(wanted: &str, targets: Option<&Path>) -> Result<Target, PolicyctlError> {
    let known = match targets {
        Some(file) => request::targets(file)?,
        None => Vec::new(),
    };
    let found = known
        .into_iter()
        .find(|target| target.id == wanted || target.hostname.eq_ignore_ascii_case(wanted));
    Ok(found.unwrap_or_else(|| Target {
        id: wanted.into(),
        hostname: wanted.into(),
        port: 22,
        ..Target::default()
    }))
}

pub(super) fn who_can(
    arguments: &WhoCanArguments,
    output: &mut Output,
) -> Result<Answer, PolicyctlError> {
    let set = documents::policy(&arguments.policy)?;
    let target = target(&arguments.target, arguments.targets.as_deref())?;
    let user = arguments.user.as_deref();
    let says = policy::who_can(&set, &target, user);
    for say in &says {
        let tone = match say.action {
            Action::Allow => Tone::Good,
            Action::Block => Tone::Bad,
        };
        let action = output.toned(tone, say.action);
        let alias = if say.by_alias {
            ", whose alias it is"
        } else {
            ""
        };
        output.line(format_args!(
            "{action} policy {:?} of application {:?}{alias}",
            say.policy, say.application
        ));
        for (list, rule) in &say.rules {
            output.line(format_args!("    {list} {rule}"));
        }
    }
    let people = match &arguments.identities {
        Some(file) => request::people(file)?,
        None => Vec::new(),
    };
    let now = documents::now();
    let is_let_in = |person: &&Person| {
        let decision = person.decide(&set, &target, user, now);
        matches!(decision, Decision::Allow(_))
    };
    let let_in: Vec<&str> = people.iter().filter(is_let_in).map(request::name).collect();
    if arguments.identities.is_some() {
        output.line(format_args!(
            "of {} known, {} now:",
            people.len(),
            let_in.len()
        ));
        for name in &let_in {
            output.line(format_args!("    {name}"));
        }
    }
    let somebody = says.iter().any(|say| say.action == Action::Allow);
    if !somebody {
        output.line("nobody");
    }
    let says: Vec<Value> = says
        .iter()
        .map(|say| {
            let rules = say.rules.iter().map(|(list, rule)| json!({ "list": list.to_string(), "rule": rule }));
            json!({
                "application": &*say.application, "policy": &*say.policy, "action": say.action.to_string(), "by_alias": say.by_alias,
                "rules": rules.collect::<Vec<_>>(),
            })
        })
        .collect();
    output.json(
        json!({ "policies": says, "identities": arguments.identities.is_some().then_some(let_in) }),
    );
    Ok(somebody.into())
}

pub(super) fn access(
    arguments: &AccessArguments,
    output: &mut Output,
) -> Result<Answer, PolicyctlError> {
    let set = documents::policy(&arguments.policy)?;
    let known = match &arguments.identities {
        Some(file) => request::people(file)?,
        None => Vec::new(),
    };
    let wanted = &arguments.identity;
    let found = known
        .into_iter()
        .find(|person| request::name(person).eq_ignore_ascii_case(wanted));
    let person = found.unwrap_or_else(|| {
        let mut person = Person::default();
        person.identity.email = Some(wanted.clone());
        person
    });
    let now = documents::now();
    if let Some(file) = &arguments.targets {
        return targets_of(&set, &person, &request::targets(file)?, output);
    }
    let found = policy::access(&set, &person, now);
    let somewhere = found.iter().any(|access| !access.users.is_empty());
    for access in &found {
        output.line(format_args!("application {:?}", access.application));
        for (user, by) in &access.users {
            let user = output.toned(Tone::Good, user);
            output.line(format_args!("    {user} by policy {by:?}"));
        }
        if let Some(by) = &access.blocked_by {
            let word = output.toned(Tone::Bad, "blocked");
            output.line(format_args!("    {word} by policy {by:?}"));
        }
    }
    if !somewhere {
        output.line("nothing");
    }
    let value = found.iter().map(|access| {
        let users = access.users.iter().map(|(user, by)| json!({ "user": user, "policy": &**by }));
        json!({
            "application": &*access.application, "users": users.collect::<Vec<_>>(), "blocked_by": access.blocked_by.as_deref(),
        })
    });
    output.json(value.collect());
    Ok(somewhere.into())
}

/// What a person can reach of the targets given, all applications taken together.
fn targets_of(
    set: &policy::PolicySet,
    person: &Person,
    targets: &[Target],
    output: &mut Output,
) -> Result<Answer, PolicyctlError> {
    let now = documents::now();
    let users = policy::users(&[set], person);
    let mut found = Vec::new();
    for target in targets {
        for user in &users {
            if let Decision::Allow(grant) = person.decide(set, target, Some(user), now) {
                let name = target_name(target);
                let colour = output.toned(Tone::Good, user);
                output.line(format_args!(
                    "{colour} on {name} by policy {:?}",
                    grant.policy
                ));
                found.push(json!({ "target": name, "user": user, "policy": &*grant.policy }));
            }
        }
    }
    if found.is_empty() {
        output.line("nothing");
    }
    let somewhere = !found.is_empty();
    output.json(found.into());
    Ok(somewhere.into())
}

/// How a target is called in an answer.
pub(super) fn target_name(target: &Target) -> String {
    let name = if target.hostname.is_empty() {
        &target.id
    } else {
        &target.hostname
    };
    let tags = target
        .tags
        .iter()
        .map(|(key, value)| format!(" {key}={value}"));
    format!("{name}:{}{}", target.port, tags.collect::<String>())
}
