//! Who may do what here, and who reads the logs.

use std::sync::{Arc, OnceLock};

use proxy_core::{Directory, Rules, Target};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use session_log::{Identity, Kem, Reader, ReaderConfig};

const POLICY: &str = r#"
[[application]]
name = "lab"
target = { include = [{ hostname = "web-1" }, { hostname = "h" }] }
[[application.policy]]
name = "engineers"
action = "allow"
include = [{ email = "ada@example.com" }]
usernames = ["deploy"]
max_session = "1h"
"#;

const REVOKED: &str = "[[revocation]]\nidentity = \"ada@example.com\"\nreason = \"left\"\n";

/// Whether sessions inside others may be, whose words are not in the log of the outer one.
pub(super) fn has_sessions(grant: usize) -> bool {
    ["jump", "local_forward"]
        .iter()
        .any(|word| GRANTS[grant].contains(word))
}

/// What the policy grants and asks for besides.
pub(super) const GRANTS: [&str; 4] = [
    "",
    "local_forward = [{ host = \"h\", port = \"any\" }]\n",
    "step_up = [\"approval\"]\napprovers = [\"ann@example.com\"]\n",
    "idle_timeout = \"5m\"\nreevaluate = \"2m\"\njump = [{ host = \"h\", port = \"any\" }]\n",
];

/// Rules that come while a session runs.
#[derive(Clone, Copy)]
pub(super) enum Law {
    Same,
    /// Nobody may do anything.
    Nothing,
    /// The person is revoked.
    Revoked,
}

/// Every machine is known.
pub(super) struct Machines;

impl Directory for Machines {
    fn find(&self, host: &str, port: u16) -> Option<Target> {
        Some(Target {
            any_host_key_inside: true,
            ..target(host, port)
        })
    }
}

pub(super) fn target(hostname: &str, port: u16) -> Target {
    Target::new(policy::Target {
        hostname: hostname.into(),
        port,
        ..policy::Target::default()
    })
}

pub(super) fn reader() -> Reader {
    Reader::new(ReaderConfig {
        identities: vec![Identity::from_text(&auditor().to_text()).expect("it is our own")],
        ..ReaderConfig::default()
    })
}

pub(super) fn auditor() -> &'static Identity {
    static AUDITOR: OnceLock<Identity> = OnceLock::new();
    AUDITOR.get_or_init(|| Identity::generate(Kem::X25519, &mut ChaCha20Rng::from_seed([8; 32])))
}

/// The rules of each grant under each law, read once.
pub(super) fn rules(grant: usize, law: Law) -> Arc<Rules> {
    static RULES: OnceLock<Vec<[Arc<Rules>; 3]>> = OnceLock::new();
    let all = RULES.get_or_init(|| {
        let of_grant = |grant: &&str| {
            let text = POLICY.to_owned() + grant;
            [(&*text, ""), ("", ""), (&*text, REVOKED)].map(|(policy, revocations)| {
                let policy = policy::PolicySet::from_toml(policy).expect("it is well-formed");
                let revocations = policy::Revocations::from_toml(revocations);
                let mut rules = Rules::new(policy);
                rules.revocations = Arc::new(revocations.expect("they are well-formed"));
                Arc::new(rules)
            })
        };
        GRANTS.iter().map(of_grant).collect()
    });
    Arc::clone(&all[grant][law as usize])
}
