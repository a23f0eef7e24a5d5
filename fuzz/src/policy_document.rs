//! Policy documents of anybody. What loads decides without failing, and explains what it decides.

use std::time::Duration;

use policy::limits::MAX_PROBLEMS;
use policy::{
    Decision, Device, Group, Identity, Network, PolicySet, PostureResult, Request, Target, decide,
    explain,
};

use crate::input::text;

/// Loads `data` and asks it.
pub fn run(data: &[u8]) {
    let text = text(data);
    let set = match PolicySet::from_toml(text) {
        Ok(set) => set,
        Err(error) => {
            assert!(
                (1..=MAX_PROBLEMS).contains(&error.problems().len()),
                "an error without a problem, or a flood"
            );
            let lines = text.lines().count() + 1;
            assert!(
                error.problems().iter().all(|problem| problem.line <= lines),
                "a problem outside the document"
            );
            let _ = error.to_string();
            return;
        }
    };
    let now = Duration::from_secs(1_800_000_000);
    let identity = Identity {
        email: Some("ann@example.com".into()),
        groups: vec![Group {
            provider: "okta".into(),
            name: "ops".into(),
        }],
        authentication_methods: vec!["hwk".into()],
        country: Some("PT".into()),
        ..Identity::default()
    };
    let device = Device {
        managed: true,
        posture: vec![PostureResult {
            check: "disk".into(),
            passed: true,
            checked_at: now,
        }],
        ..Device::default()
    };
    let network = Network {
        client_addr: Some([10, 1, 2, 3].into()),
        ..Network::default()
    };
    let mut target = Target {
        hostname: "web-1".into(),
        port: 22,
        ..Target::default()
    };
    target.tags.insert("env".into(), "prod".into());
    let stranger = Identity::default();
    for identity in [&identity, &stranger] {
        for user in [None, Some("deploy"), Some("root")] {
            let request = Request {
                identity,
                device: &device,
                network: &network,
                target: &target,
                user,
                now,
            };
            let decision = decide(&set, &request);
            assert_eq!(
                decision,
                explain(&set, &request).decision,
                "the explanation is of another decision"
            );
            if let Decision::Deny(denial) = &decision {
                assert!(!denial.for_person().is_empty() && !denial.for_log().is_empty());
            }
        }
    }
}
