//! The same rules in `policy`, by hand, in cedar-policy and in regorus: the same answers, and what each costs, in one run.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::str::FromStr as _;
use std::time::{Duration, Instant};

use cedar_policy::{Authorizer, Context, Entities, EntityUid, PolicySet as Cedar, Request as Ask};
use policy::{Decision, Device, Identity, Network, PolicySet, Request, Target, decide};

/// Requests in a round; one in ten is refused.
const REQUESTS: usize = 1000;
/// The best of so many rounds counts.
const ROUNDS: usize = 20;
const NOW: Duration = Duration::from_secs(1_800_000_000);

/// Who asks for what: person number, host number, user.
type Question = (usize, usize, &'static str);

/// Every rule lets one person be `deploy` on one host.
fn questions(rules: usize) -> Vec<Question> {
    let question = |number: usize| {
        let rule = number.wrapping_mul(7919) % rules;
        let user = if number % 10 == 0 { "root" } else { "deploy" };
        (rule, rule, user)
    };
    (0..REQUESTS).map(question).collect()
}

fn email(number: usize) -> String {
    format!("user-{number}@example.com")
}

fn host(number: usize) -> String {
    format!("web-{number}")
}

fn main() {
    println!("| rules | | load | one decision |");
    println!("|---|---|---|---|");
    for rules in [10, 100, 1000, 10_000] {
        let questions = questions(rules);
        let expected: Vec<bool> = questions.iter().map(|(_, _, user)| *user == "deploy").collect();
        hand(rules, &questions, &expected);
        ours(rules, &questions, &expected);
        rego(rules, &questions, &expected);
        cedar(rules, &questions, &expected);
    }
}

/// Prints a row; every answer must be the expected one.
fn row(rules: usize, name: &str, load: Duration, expected: &[bool], rounds: usize, mut ask: impl FnMut(usize) -> bool) {
    let mut best = Duration::MAX;
    for _ in 0..rounds {
        let start = Instant::now();
        for (number, expected) in expected.iter().enumerate() {
            assert_eq!(black_box(ask(number)), *expected, "{name}, request {number} of {rules}");
        }
        best = best.min(start.elapsed());
    }
    let one = best / u32::try_from(expected.len()).expect("a few");
    println!("| {rules} | {name} | {load:.1?} | {one:.2?} |");
}

/// Does it a few times, gives the last result and the best time.
fn timed<T>(mut make: impl FnMut() -> T) -> (T, Duration) {
    let mut best = Duration::MAX;
    let mut made = None;
    for _ in 0..5 {
        drop(made.take());
        let start = Instant::now();
        made = Some(make());
        best = best.min(start.elapsed());
    }
    (made.expect("it was made"), best)
}

/// The floor: a program that knows nothing but host names, addresses and users.
fn hand(rules: usize, questions: &[Question], expected: &[bool]) {
    let rule = |number: usize| (host(number), (email(number), "deploy"));
    let (index, load) = timed(|| (0..rules).map(rule).collect::<HashMap<_, _>>());
    let asked: Vec<_> = questions.iter().map(|(person, to, user)| (email(*person), host(*to), *user)).collect();
    row(rules, "floor: a hash map and lower case", load, expected, ROUNDS, |number| {
        let (email, host, user) = &asked[number];
        let (email, host) = (email.to_ascii_lowercase(), host.to_ascii_lowercase());
        index.get(&host).is_some_and(|(allowed, named)| *allowed == email && named == user)
    });
}

fn ours(rules: usize, questions: &[Question], expected: &[bool]) {
    let mut text = String::new();
    for number in 0..rules {
        let _ = writeln!(
            text,
            "[[application]]\nname = \"a{number}\"\ntarget = {{ include = [{{ hostname = \"{}\" }}] }}\n[[application.policy]]\nname = \"p\"\n\
             action = \"allow\"\ninclude = [{{ email = \"{}\" }}]\nusernames = [\"deploy\"]",
            host(number),
            email(number)
        );
    }
    let (set, load) = timed(|| PolicySet::from_toml(&text).expect("it loads"));
    let asked: Vec<_> = questions
        .iter()
        .map(|(person, to, user)| {
            let identity = Identity {
                email: Some(email(*person)),
                ..Identity::default()
            };
            let target = Target {
                hostname: host(*to),
                port: 22,
                ..Target::default()
            };
            (identity, target, *user)
        })
        .collect();
    let (device, network) = (Device::default(), Network::default());
    row(rules, "`policy`", load, expected, ROUNDS, |number| {
        let (identity, target, user) = &asked[number];
        let request = Request {
            identity,
            device: &device,
            network: &network,
            target,
            user: Some(user),
            now: NOW,
        };
        matches!(decide(&set, &request), Decision::Allow(_))
    });
}

/// Data by host, so that one look-up decides.
fn rego(rules: usize, questions: &[Question], expected: &[bool]) {
    const POLICY: &str = "package access\nimport rego.v1\ndefault allow := false\nallow if data.rules[input.host][input.email] == input.user\n";
    let mut data = String::from("{\"rules\": {");
    for number in 0..rules {
        let comma = if number == 0 { "" } else { "," };
        let _ = write!(data, "{comma}\"{}\": {{\"{}\": \"deploy\"}}", host(number), email(number));
    }
    data.push_str("}}");
    let (mut engine, load) = timed(|| {
        let mut engine = regorus::Engine::new();
        engine.add_policy("access.rego".into(), POLICY.into()).expect("it parses");
        engine.add_data(regorus::Value::from_json_str(&data).expect("it is JSON")).expect("it is data");
        engine
    });
    let asked: Vec<_> = questions
        .iter()
        .map(|(person, to, user)| {
            let text = format!("{{\"host\": \"{}\", \"email\": \"{}\", \"user\": \"{user}\"}}", host(*to), email(*person));
            regorus::Value::from_json_str(&text).expect("it is JSON")
        })
        .collect();
    row(rules, "regorus", load, expected, 2, |number| {
        engine.set_input(asked[number].clone());
        let allowed = engine.eval_rule("data.access.allow".into()).expect("it evaluates");
        allowed == regorus::Value::from(true)
    });
}

fn cedar(rules: usize, questions: &[Question], expected: &[bool]) {
    let mut text = String::new();
    for number in 0..rules {
        let _ = writeln!(
            text,
            "permit(principal == User::\"{}\", action == Action::\"deploy\", resource == Host::\"{}\");",
            email(number),
            host(number)
        );
    }
    let (set, load) = timed(|| Cedar::from_str(&text).expect("it parses"));
    let uid = |kind: &str, name: &str| EntityUid::from_str(&format!("{kind}::\"{name}\"")).expect("it is a name");
    let asked: Vec<Ask> = questions
        .iter()
        .map(|(person, to, user)| {
            let (person, to) = (uid("User", &email(*person)), uid("Host", &host(*to)));
            Ask::new(person, uid("Action", user), to, Context::empty(), None).expect("there is no schema")
        })
        .collect();
    let (authorizer, entities) = (Authorizer::new(), Entities::empty());
    // It looks at every policy: a part of the requests is enough to know what one costs.
    let few = if rules > 1000 { 50 } else { REQUESTS };
    row(rules, "cedar-policy", load, &expected[..few], 2, |number| {
        let answer = authorizer.is_authorized(&asked[number], &set, &entities);
        answer.decision() == cedar_policy::Decision::Allow
    });
}
