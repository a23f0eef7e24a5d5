//! Revocation lists of anybody, and the files of a server that say who may log in as whom.

use std::sync::OnceLock;
use std::time::Duration;

use sshcert::{
    AuthorizedPrincipals, CheckContext, Issuer, KeyHash, Krl, LoginRule, Unverified,
    parse_trusted_user_ca_keys,
};

use crate::input::text;

const NOW: Duration = Duration::from_secs(1_800_000_000);

/// Reads `data` as each of them.
pub fn run(data: &[u8]) {
    if let Ok(krl) = Krl::parse(data) {
        let written = krl.to_bytes();
        let again = Krl::parse(&written).expect("what is written reads");
        assert_eq!(again, krl, "a list reads back as another");
        for blob in crate::certificate::genuine() {
            assert_eq!(again.find(blob), krl.find(blob));
        }
        for (_, revoked) in krl.certificates() {
            let mut last = None;
            for range in revoked.serials() {
                assert!(*range.start() > 0, "serial 0 is revoked");
                assert!(
                    last.is_none_or(|last| last < range.start() - 1),
                    "ranges touch"
                );
                last = Some(*range.end());
            }
        }
    }
    let text = text(data);
    let _ = Krl::from_key_list(text);
    let _ = parse_trusted_user_ca_keys(text);
    if let Ok(list) = AuthorizedPrincipals::parse(text) {
        let again = AuthorizedPrincipals::parse(&list.to_text()).expect("it is shorter");
        let names = |list: &AuthorizedPrincipals| -> Vec<String> {
            let lines = list.lines().iter();
            lines.map(|line| line.principal().to_owned()).collect()
        };
        assert_eq!(
            names(&again),
            names(&list),
            "a list lets in others when written"
        );
        let context = CheckContext::new("deploy", NOW).address([10, 1, 2, 3].into());
        let rule = LoginRule::user_name().principals_file(list.clone());
        for name in names(&list) {
            let _ = rule.find(&[name], &context);
        }
        assert!(
            rule.find(&["\n"], &context).is_err(),
            "a line break is a name"
        );
    }
    let _ = AuthorizedPrincipals::of_echo_command(text, "deploy");
}

/// Lists with every kind of entry.
pub fn genuine() -> &'static [Vec<u8>] {
    static LISTS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    LISTS.get_or_init(|| {
        let blob = crate::certificate::genuine().first().expect("there is one");
        let certificate = Unverified::parse(blob).expect("it is genuine");
        let mut krl = Krl::new(3, NOW).comment("seed");
        krl.revoke_certificate(&certificate)
            .expect("it has an authority");
        krl.revoke_key_id(Issuer::Any, "id").expect("no NUL");
        for serial in (1..200).step_by(3).chain([u64::MAX]) {
            let serials = serial..=serial;
            krl.revoke_serials(Issuer::Any, serials).expect("not 0");
        }
        krl.revoke_serials(Issuer::Any, 5_000..=9_000)
            .expect("not 0");
        krl.revoke_key(certificate.subject()).expect("a key");
        krl.revoke_fingerprint(&KeyHash::Sha1([1; 20]));
        krl.revoke_fingerprint(&KeyHash::Sha256([2; 32]));
        vec![Krl::new(1, NOW).to_bytes(), krl.to_bytes()]
    })
}
