//! The configurations of a session, and who signs for it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use policy::{PolicySet, Revocations};
use proxy_core::{
    Ca, ConnectionInfo, Current, Gateway, Now, Rules, Session, SigningRequest, Target,
};
use rand_core::SeedableRng as _;
use session_log::{Identity, Kem, SigningIdentity};
use ssh_transport::Ed25519Key;

use super::super::choices::Choices;
use super::super::grants::GRANTS;

/// What a run is made of besides its operations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Of [`GRANTS`].
    pub grant: usize,
    /// In how many of 256 cases a peer keeps to no rule.
    pub mischief: u32,
    /// The policy knows the person, and the user that they ask for.
    pub is_known: bool,
    pub is_user_known: bool,
    pub target_lets_in: bool,
    /// The authority is asked for each signature.
    pub is_authority_remote: bool,
    /// Another person is asked whether they may come in.
    pub needs_approval: bool,
    /// The session may last ten minutes, be silent for five, and is asked about every two.
    pub is_short: bool,
    /// Keys are exchanged again after so many bytes.
    pub rekey_bytes: u64,
}

/// Rules that come while a session runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Law {
    /// As at the beginning.
    Same,
    /// Nobody may do anything.
    Nothing,
    /// The person is revoked.
    Revoked,
}

impl Law {
    pub fn choose(choices: &mut Choices<'_>) -> Self {
        let all = [Self::Same, Self::Same, Self::Nothing, Self::Revoked];
        choices.pick(&all).unwrap_or(Self::Same)
    }

    pub const fn allows_all(self) -> bool {
        matches!(self, Self::Same)
    }
}

const ACCOUNT_SECRET: [u8; 32] = [0xa2; 32];
const CA_SEED: [u8; 32] = [0xa3; 32];
const LOG_SEED: [u8; 32] = [0xa4; 32];
const SESSION_SEED: [u8; 32] = [0xa5; 32];
const READER_SEED: [u8; 32] = [0xa6; 32];

/// I10: what must never be seen anywhere.
pub const SECRETS: [[u8; 32]; 5] = [ACCOUNT_SECRET, CA_SEED, LOG_SEED, SESSION_SEED, READER_SEED];

const REVOKED: &str = "[[revocation]]\nidentity = \"ada@example.com\"\nreason = \"left\"\n";

impl Default for Config {
    /// The one in which all goes well.
    fn default() -> Self {
        Self {
            grant: 0,
            mischief: 0,
            is_known: true,
            is_user_known: true,
            target_lets_in: true,
            is_authority_remote: false,
            needs_approval: false,
            is_short: false,
            rekey_bytes: 1 << 30,
        }
    }
}

impl Config {
    pub fn choose(choices: &mut Choices<'_>) -> Self {
        Self {
            grant: choices.below(GRANTS.len()),
            mischief: choices.pick(&[0, 0, 0, 1, 4, 60]).unwrap_or(0),
            is_known: !choices.chance(8),
            is_user_known: !choices.chance(8),
            target_lets_in: !choices.chance(8),
            is_authority_remote: choices.chance(64),
            needs_approval: choices.chance(32),
            is_short: choices.chance(64),
            rekey_bytes: choices.pick(&[1 << 30, 1 << 30, 20_000]).unwrap_or(1 << 30),
        }
    }

    pub const fn user(&self) -> &'static str {
        if self.is_user_known { "deploy" } else { "root" }
    }

    fn policy(&self) -> String {
        let mut text = GRANTS[self.grant % GRANTS.len()].policy();
        if self.is_short {
            text.push_str("max_session = \"10m\"\nidle_timeout = \"5m\"\nreevaluate = \"2m\"\n");
        }
        if self.needs_approval {
            text.push_str("step_up = [\"approval\"]\napprovers = [\"ann@example.com\"]\n");
        }
        text.replace("{ everyone = true }", "{ email = \"ada@example.com\" }")
    }
}

/// The rules in force, made once for each configuration that has them.
pub fn rules(config: &Config, law: Law) -> Arc<Rules> {
    static RULES: OnceLock<Vec<Arc<Rules>>> = OnceLock::new();
    const LAWS: [Law; 3] = [Law::Same, Law::Nothing, Law::Revoked];
    let all = RULES.get_or_init(|| {
        let mut all = Vec::new();
        for grant in 0..GRANTS.len() {
            for choice in 0..4 {
                let config = Config {
                    grant,
                    is_short: choice & 1 == 1,
                    needs_approval: choice & 2 == 2,
                    ..Config::default()
                };
                all.extend(LAWS.map(|law| Arc::new(make_rules(&config, law))));
            }
        }
        all
    });
    let law = LAWS.iter().position(|it| *it == law).unwrap_or(0);
    let choice = usize::from(config.is_short) + 2 * usize::from(config.needs_approval);
    let at = (config.grant % GRANTS.len() * 4 + choice) * LAWS.len() + law;
    Arc::clone(&all[at])
}

fn make_rules(config: &Config, law: Law) -> Rules {
    let policy = match law {
        Law::Nothing => String::new(),
        _ => config.policy(),
    };
    let revocations = if law == Law::Revoked { REVOKED } else { "" };
    Rules {
        policy: Arc::new(PolicySet::from_toml(&policy).expect("the policy is well-formed")),
        revocations: Arc::new(Revocations::from_toml(revocations).expect("well-formed")),
        version: format!("{law:?}").into(),
    }
}

/// The auditor of every log here.
pub fn auditor() -> Identity {
    let mut rng = rand_chacha::ChaCha20Rng::from_seed(READER_SEED);
    Identity::generate(Kem::X25519, &mut rng)
}

fn ca() -> ssh_key::PrivateKey {
    ssh_key::private::Ed25519Keypair::from_seed(&CA_SEED).into()
}

/// What the authority says, or somebody else in its place.
pub fn sign(request: &SigningRequest, is_authority: bool) -> Vec<u8> {
    let seed = if is_authority { CA_SEED } else { [0x77; 32] };
    Ed25519Key::from_seed(seed.into()).sign(&request.to_be_signed)
}

pub fn session(config: &Config) -> (Session, Current, Now) {
    let authority = if config.is_authority_remote {
        Ca::Remote(sshcert::CaPublicKey::from_public_key(ca().public_key()).expect("it will do"))
    } else {
        Ca::Local(sshcert::CaKey::from_private_key(ca()).expect("it will do"))
    };
    let mut gateway = Gateway::new(
        hostkey_derive::AccountSecret::from_bytes(&ACCOUNT_SECRET).expect("it is long enough"),
        authority,
        vec![auditor().recipient()],
        SigningIdentity::from_seed(LOG_SEED),
    );
    gateway.rekey.max_bytes = config.rekey_bytes;
    // Peers here begin key exchanges without end, and time hardly passes.
    gateway.limits.peer_exchanges = 65_536;
    let facts = policy::Target {
        id: "t1".into(),
        hostname: "web-1".into(),
        port: 22,
        ..policy::Target::default()
    };
    let email = if config.is_known {
        "ada@example.com"
    } else {
        "eve@example.com"
    };
    let identity = policy::Identity {
        email: Some(email.into()),
        ..policy::Identity::default()
    };
    let address = ([198, 51, 100, 7], 50_000).into();
    let info = ConnectionInfo::new(identity.clone(), address, Target::new(facts));
    let now = Now {
        mono: Duration::ZERO,
        unix: Duration::from_secs(1_800_000_000),
    };
    let current = Current {
        rules: rules(config, Law::Same),
        identity,
        device: policy::Device::default(),
    };
    let rules = Arc::clone(&current.rules);
    let session = Session::new(Arc::new(gateway), rules, info, &SESSION_SEED, now);
    (session, current, now)
}
