//! Certificates of anybody: none is good but those that the authority signed, byte for byte.

use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

use ssh_key::PrivateKey;
use ssh_key::private::Ed25519Keypair;
use sshcert::{
    CaKey, CheckContext, EnforcedOption, Extension, HostCertificate, KeyId, KeyIdParts, Principals,
    Unverified, UserCertificate, Validity, check_host_certificate, check_user_certificate,
};

use crate::input::text;

const NOW: Duration = Duration::from_secs(1_800_000_000);
/// For whom the genuine ones are.
const USER: &str = "deploy";
const HOST: &str = "web-1.example.com";

/// Reads `data` as a certificate, and as a key id.
pub fn run(data: &[u8]) {
    if let Ok(certificate) = Unverified::parse(data) {
        assert_eq!(certificate.blob(), data);
        assert!(certificate.principals().len() <= sshcert::MAX_PRINCIPALS);
        let again = Unverified::parse(certificate.blob()).expect("it was read before");
        assert_eq!(format!("{certificate:?}"), format!("{again:?}"));
    }
    let trusted = [world().ca.public().clone()];
    let enforced = [EnforcedOption::ForceCommand, EnforcedOption::VerifyRequired];
    let user = CheckContext::new(USER, NOW)
        .address([10, 1, 2, 3].into())
        .enforcing(&enforced);
    let host = CheckContext::new(HOST, NOW);
    let good = [
        check_user_certificate(data, &trusted, &user).is_ok(),
        check_host_certificate(data, &trusted, &host).is_ok(),
    ];
    let is_genuine = world().genuine.iter().any(|blob| blob == data);
    assert_eq!(
        good.contains(&true),
        is_genuine,
        "a forged certificate is good, or a good one is not"
    );
    if let Some(parts) = KeyIdParts::parse(text(data)) {
        let again = KeyId::new(&parts.identity, &parts.session, &parts.decision)
            .expect("it was written once");
        assert_eq!(again.as_str(), text(data), "a key id has two spellings");
    }
}

struct World {
    ca: CaKey,
    genuine: Vec<Vec<u8>>,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let ca = CaKey::from_private_key(key(1)).expect("an Ed25519 key will do");
        World {
            genuine: genuine_with(&ca),
            ca,
        }
    })
}

fn key(seed: u8) -> PrivateKey {
    Ed25519Keypair::from_seed(&[seed; 32]).into()
}

/// What the authority signed.
pub fn genuine() -> &'static [Vec<u8>] {
    &world().genuine
}

fn genuine_with(ca: &CaKey) -> Vec<Vec<u8>> {
    let subject = || key(2).public_key().clone();
    let validity = || {
        Validity::starting(NOW, sshcert::DEFAULT_TTL, sshcert::DEFAULT_BACKDATE)
            .expect("within limits")
    };
    let one = |name: &str| Principals::one(name).expect("a plain name");
    let plain = UserCertificate::new(subject(), one(USER), validity())
        .serial(7)
        .key_id(KeyId::new("ann@example.com", "5f3a", "rule 12").expect("short"))
        .extension(Extension::PermitPty)
        .prepare(ca.public(), [3; 32]);
    let narrow = UserCertificate::new(subject(), one(USER), validity())
        .extension(Extension::PermitPortForwarding)
        .extension(Extension::PermitPty)
        .force_command("uptime")
        .and_then(|certificate| certificate.source_address([IpAddr::from([10, 1, 2, 3])]))
        .expect("within limits")
        .prepare(ca.public(), [4; 32]);
    let host =
        sshcert::HostValidity::starting(NOW, sshcert::DEFAULT_TTL, sshcert::DEFAULT_BACKDATE)
            .expect("within limits");
    let host = HostCertificate::new(subject(), one(HOST), host).prepare(ca.public(), [5; 32]);
    [plain, narrow, host]
        .into_iter()
        .map(|prepared| {
            let prepared = prepared.expect("the settings are good");
            let signature = ca.sign(&prepared).expect("its own");
            prepared
                .complete(&signature)
                .expect("its own")
                .blob()
                .to_vec()
        })
        .collect()
}
