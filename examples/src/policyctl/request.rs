//! Requests, people and targets as files write them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use policy::{
    Device, Group, Identity, IdentityKind, Network, OperatorAction, Person, PostureResult, Target,
};
use serde::{Deserialize, Deserializer};

use super::documents::{self, PolicyctlError};

/// One request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RequestFile {
    /// Not written: as anyone at all.
    pub(super) user: Option<String>,
    /// Not written: now.
    pub(super) at: Option<Moment>,
    #[serde(default)]
    identity: IdentityFile,
    #[serde(default)]
    device: DeviceFile,
    #[serde(default)]
    network: NetworkFile,
    #[serde(default)]
    pub(super) target: TargetFile,
}

impl RequestFile {
    pub(super) fn now(&self) -> Duration {
        self.at.map_or_else(documents::now, |at| at.0)
    }

    pub(super) fn person(&self) -> Person {
        person(&self.identity, &self.device, &self.network, self.now())
    }
}

/// People that a policy can be asked about.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PeopleFile {
    person: Vec<PersonFile>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PersonFile {
    identity: IdentityFile,
    #[serde(default)]
    device: DeviceFile,
    #[serde(default)]
    network: NetworkFile,
}

/// The people of a file.
pub(super) fn people(file: &Path) -> Result<Vec<Person>, PolicyctlError> {
    let people: PeopleFile = documents::document(file)?;
    let now = documents::now();
    let people = people.person.iter();
    Ok(people
        .map(|it| person(&it.identity, &it.device, &it.network, now))
        .collect())
}

/// How a person is called in an answer.
pub(super) fn name(person: &Person) -> &str {
    let identity = &person.identity;
    match (&identity.email, &identity.kind) {
        (Some(email), _) => email,
        (None, IdentityKind::ServiceToken { name }) => name,
        (None, IdentityKind::Person) => &identity.subject,
    }
}

/// Targets that a policy can be asked about.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetsFile {
    target: Vec<TargetFile>,
}

/// The targets of a file.
pub(super) fn targets(file: &Path) -> Result<Vec<Target>, PolicyctlError> {
    let targets: TargetsFile = documents::document(file)?;
    Ok(targets.target.iter().map(Target::from).collect())
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentityFile {
    email: Option<String>,
    #[serde(default)]
    subject: String,
    #[serde(default)]
    issuer: String,
    service_token: Option<String>,
    #[serde(default)]
    groups: Vec<GroupFile>,
    #[serde(default)]
    authentication_methods: Vec<String>,
    login_method: Option<String>,
    authenticated_at: Option<Moment>,
    country: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupFile {
    provider: String,
    name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeviceFile {
    id: Option<String>,
    #[serde(default)]
    managed: bool,
    #[serde(default)]
    posture: Vec<PostureFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PostureFile {
    check: String,
    passed: bool,
    /// Not written: at the time of the request.
    checked_at: Option<Moment>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct NetworkFile {
    address: Option<IpAddr>,
    virtual_network: Option<String>,
    country: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TargetFile {
    id: String,
    hostname: String,
    address: Option<IpAddr>,
    virtual_network: Option<String>,
    port: u16,
    tags: BTreeMap<String, String>,
}

impl Default for TargetFile {
    fn default() -> Self {
        Self {
            id: String::new(),
            hostname: String::new(),
            address: None,
            virtual_network: None,
            port: 22,
            tags: BTreeMap::new(),
        }
    }
}

impl From<&TargetFile> for Target {
    fn from(file: &TargetFile) -> Self {
        Self {
            id: file.id.clone(),
            hostname: file.hostname.clone(),
            address: file.address,
            virtual_network: file.virtual_network.clone(),
            port: file.port,
            tags: file.tags.clone(),
        }
    }
}

fn person(
    identity: &IdentityFile,
    device: &DeviceFile,
    network: &NetworkFile,
    now: Duration,
) -> Person {
    let group = |group: &GroupFile| Group {
        provider: group.provider.clone(),
        name: group.name.clone(),
    };
    let result = |result: &PostureFile| PostureResult {
        check: result.check.clone(),
        passed: result.passed,
        checked_at: result.checked_at.map_or(now, |at| at.0),
    };
    Person {
        identity: Identity {
            email: identity.email.clone(),
            subject: identity.subject.clone(),
            issuer: identity.issuer.clone(),
            kind: match &identity.service_token {
                None => IdentityKind::Person,
                Some(name) => IdentityKind::ServiceToken { name: name.clone() },
            },
            groups: identity.groups.iter().map(group).collect(),
            authentication_methods: identity.authentication_methods.clone(),
            login_method: identity.login_method.clone(),
            authenticated_at: identity.authenticated_at.map(|at| at.0),
            country: identity.country.clone(),
        },
        device: Device {
            id: device.id.clone(),
            managed: device.managed,
            posture: device.posture.iter().map(result).collect(),
        },
        network: Network {
            client_addr: network.address,
            virtual_network: network.virtual_network.clone(),
            country: network.country.clone(),
        },
    }
}

/// What an operator does, by its word in documents.
#[derive(Clone, Copy, Debug)]
pub(super) struct Action(pub(super) OperatorAction);

impl FromStr for Action {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        OperatorAction::from_name(text).map(Self).ok_or_else(|| {
            let words = OperatorAction::ALL.map(OperatorAction::name);
            format!("an action is one of {}", words.join(", "))
        })
    }
}

impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A point in time as RFC 3339 writes it, since the Unix epoch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment(pub(super) Duration);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let moment = policy::parse_moment(&text);
        moment.map(Self).ok_or_else(|| {
            serde::de::Error::custom("a time is written as in \"2027-01-31T08:00:00Z\"")
        })
    }
}
