//! `policy`: one decision among many rules, and loading them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a bench; criterion makes the rest"
)]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use policy::{Decision, Device, Identity, Network, PolicySet, Request, Target, decide, explain};
use toml_parser::decoder::Encoding;
use toml_parser::parser::{EventReceiver, parse_document};
use toml_parser::{ErrorSink, ParseError, Source, Span};

const NOW: Duration = Duration::from_secs(1_800_000_000);
const COUNTS: [usize; 4] = [10, 100, 1_000, 10_000];

/// How many rules are spread over a document.
#[derive(Clone, Copy)]
enum Shape {
    /// Each has its own application, for its own target.
    Applications,
    /// Each is a policy of the one application; the last one allows.
    Policies,
    /// Each is an e-mail address in the one policy's list.
    Addresses,
}

impl Shape {
    const ALL: [(&'static str, Self); 3] = [
        ("applications", Self::Applications),
        ("policies of one application", Self::Policies),
        ("addresses of one policy", Self::Addresses),
    ];

    fn document(self, count: usize) -> String {
        let mut text = String::new();
        let application = |text: &mut String, number: usize| {
            let _ = writeln!(
                text,
                "[[application]]\nname = \"a{number}\"\ntarget = {{ include = [{{ hostname = \"web-{number}\" }}] }}"
            );
        };
        let policy = |text: &mut String, number: usize, include: &str| {
            let _ = writeln!(
                text,
                "[[application.policy]]\nname = \"p{number}\"\naction = \"allow\"\ninclude = [{include}]\nusernames = [\"deploy\"]"
            );
        };
        let address = |number: usize| format!("{{ email = \"user-{number}@example.com\" }}");
        match self {
            Self::Applications => (0..count).for_each(|number| {
                application(&mut text, number);
                policy(&mut text, number, &address(number));
            }),
            Self::Policies => {
                application(&mut text, count - 1);
                (0..count).for_each(|number| policy(&mut text, number, &address(number)));
            }
            Self::Addresses => {
                application(&mut text, count - 1);
                let addresses: Vec<String> = (0..count).map(address).collect();
                policy(&mut text, 0, &addresses.join(", "));
            }
        }
        text
    }
}

/// Who the last rule is about, and where it leads.
struct Facts {
    identity: Identity,
    device: Device,
    network: Network,
    target: Target,
}

impl Facts {
    fn of_last(count: usize) -> Self {
        Self::of(count - 1, count - 1)
    }

    fn of(person: usize, host: usize) -> Self {
        let email = Some(format!("user-{person}@example.com"));
        let hostname = format!("web-{host}");
        Self {
            identity: Identity {
                email,
                ..Identity::default()
            },
            device: Device::default(),
            network: Network {
                client_addr: Some([10, 1, 2, 3].into()),
                ..Network::default()
            },
            target: Target {
                hostname,
                port: 22,
                ..Target::default()
            },
        }
    }

    fn request<'a>(&'a self, user: &'a str) -> Request<'a> {
        let Self {
            identity,
            device,
            network,
            target,
        } = self;
        Request {
            identity,
            device,
            network,
            target,
            user: Some(user),
            now: NOW,
        }
    }
}

fn decisions(c: &mut Criterion) {
    for (name, shape) in Shape::ALL {
        for count in COUNTS {
            let set = PolicySet::from_toml(&shape.document(count)).unwrap();
            let facts = Facts::of_last(count);
            let (allowed, denied) = (facts.request("deploy"), facts.request("root"));
            assert!(matches!(decide(&set, &allowed), Decision::Allow(_)));
            let mut group = c.benchmark_group(format!("decide, {count} {name}"));
            if let Shape::Applications = shape {
                floor_and_alternative(&mut group, count, &facts);
            }
            group.bench_function("allow", |b| b.iter(|| decide(&set, black_box(&allowed))));
            group.bench_function("deny", |b| b.iter(|| decide(&set, black_box(&denied))));
            let mix = mix(shape, count);
            let requests: Vec<_> = mix
                .iter()
                .map(|(facts, user)| facts.request(user))
                .collect();
            let mut next = requests.iter().cycle();
            group.bench_function("nine allowed to one denied", |b| {
                b.iter(|| decide(&set, black_box(next.next().unwrap())));
            });
            if count == 10 {
                group.bench_function("explain", |b| b.iter(|| explain(&set, black_box(&allowed))));
            }
            group.finish();
        }
    }
}

/// Requests of people all over the document; every tenth is refused.
fn mix(shape: Shape, count: usize) -> Vec<(Facts, &'static str)> {
    const REQUESTS: usize = 1000;
    let request = |number: usize| {
        let person = number.wrapping_mul(7919) % count;
        let host = match shape {
            Shape::Applications => person,
            Shape::Policies | Shape::Addresses => count - 1,
        };
        let user = if number.is_multiple_of(10) {
            "root"
        } else {
            "deploy"
        };
        (Facts::of(person, host), user)
    };
    (0..REQUESTS).map(request).collect()
}

/// What a program that knows nothing but host names, addresses and users would do.
fn floor_and_alternative(
    group: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>,
    count: usize,
    facts: &Facts,
) {
    let rule = |number: usize| {
        (
            format!("web-{number}"),
            format!("user-{number}@example.com"),
            "deploy",
        )
    };
    let index: HashMap<_, _> = (0..count)
        .map(rule)
        .map(|(host, email, user)| (host, (email, user)))
        .collect();
    let list: Vec<_> = (0..count).map(rule).collect();
    let (host, email) = (
        facts.target.hostname.as_str(),
        facts.identity.email.as_deref().unwrap(),
    );
    group.bench_function("floor: a hash map and lower case", |b| {
        b.iter(|| {
            let (host, email) = (
                black_box(host).to_ascii_lowercase(),
                black_box(email).to_ascii_lowercase(),
            );
            index
                .get(&host)
                .is_some_and(|(allowed, user)| *allowed == email && *user == "deploy")
        });
    });
    group.bench_function("alternative: a list", |b| {
        b.iter(|| {
            let (host, email) = (
                black_box(host).to_ascii_lowercase(),
                black_box(email).to_ascii_lowercase(),
            );
            list.iter()
                .any(|rule| rule.0 == host && rule.1 == email && rule.2 == "deploy")
        });
    });
}

fn loading(c: &mut Criterion) {
    for (name, shape) in Shape::ALL {
        let toml = shape.document(10_000);
        let tree: serde_json::Value = toml::from_str(&toml).unwrap();
        let json = tree.to_string();
        let mut group = c.benchmark_group(format!("load 10000 {name}"));
        group.bench_function("floor: the events of toml_parser", |b| {
            b.iter(|| count_scalars(black_box(&toml)));
        });
        group.bench_function("TOML", |b| b.iter(|| PolicySet::from_toml(&toml).unwrap()));
        group.bench_function("alternative: toml::Table", |b| {
            b.iter(|| toml.parse::<toml::Table>().unwrap());
        });
        group.bench_function("JSON", |b| b.iter(|| PolicySet::from_json(&json).unwrap()));
        group.bench_function("alternative: serde_json::Value", |b| {
            b.iter(|| json.parse::<serde_json::Value>().unwrap());
        });
        group.finish();
    }
}

/// Reads a document and does nothing about it but count.
fn count_scalars(text: &str) -> usize {
    struct Count(usize);
    impl EventReceiver for Count {
        fn scalar(&mut self, _: Span, _: Option<Encoding>, _: &mut dyn ErrorSink) {
            self.0 += 1;
        }
    }
    let tokens = Source::new(text).lex().into_vec();
    let (mut count, mut errors) = (Count(0), None::<ParseError>);
    parse_document(&tokens, &mut count, &mut errors);
    assert!(errors.is_none());
    count.0
}

criterion_group! { name = all; config = benches::criterion(); targets = decisions, loading }
criterion_main!(all);
