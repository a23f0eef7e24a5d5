//! Counts what a decision looks at, in the tests of this crate alone: time tells little on a busy machine.

#[cfg(test)]
std::thread_local! {
    static STEPS: core::cell::Cell<u64> = const { core::cell::Cell::new(0) };
}

/// One rule or range is looked at.
#[inline]
pub(crate) fn step() {
    #[cfg(test)]
    STEPS.with(|steps| steps.set(steps.get().saturating_add(1)));
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;
    use core::fmt::Write as _;
    use core::time::Duration;

    use super::STEPS;
    use crate::{Decision, Device, Identity, Network, PolicySet, Request, Target, decide};

    const HEAD: &str =
        "[[application]]\nname = \"a\"\ntarget = { include = [{ any_target = true }] }\n";

    fn policy(number: u32, include: &str) -> String {
        format!(
            "[[application.policy]]\nname = \"p{number}\"\naction = \"allow\"\nusernames = [\"deploy\"]\ninclude = [{include}]\n"
        )
    }

    /// Ranges of which none lies in another.
    fn range(number: u32) -> String {
        format!("\"10.{}.{}.0/24\"", number / 256, number % 256)
    }

    /// What a decision looks at that lets in who comes from range 7 with the address number 7.
    fn steps(text: &str, user: &str) -> (bool, u64) {
        let set = PolicySet::from_toml(text).unwrap();
        let identity = Identity {
            email: Some("u7@example.com".into()),
            ..Identity::default()
        };
        let network = Network {
            client_addr: Some([10, 0, 7, 9].into()),
            ..Network::default()
        };
        let (device, mut target) = (Device::default(), Target::default());
        target.port = 22;
        target.hostname = "h7".into();
        let request = Request {
            identity: &identity,
            device: &device,
            network: &network,
            target: &target,
            user: Some(user),
            now: Duration::ZERO,
        };
        STEPS.set(0);
        let decision = decide(&set, &request);
        (matches!(decision, Decision::Allow(_)), STEPS.get())
    }

    #[test]
    fn what_cannot_match_is_not_looked_at() {
        let email = |number| format!("{{ email = \"u{number}@example.com\" }}");
        let joined = |count: u32, one: &dyn Fn(u32) -> String| {
            let all = (0..count).map(one);
            all.fold(String::new(), |mut text, one| {
                let _ = write!(text, "{one}, ");
                text
            })
        };
        let applications = |count: u32| {
            let one = |number| {
                let target = format!("{{ hostname = \"h{number}\" }}");
                let head = HEAD.replace("\"a\"", &format!("\"a{number}\""));
                head.replace("{ any_target = true }", &target) + &policy(number, &email(number))
            };
            (0..count).map(one).collect::<String>()
        };
        let policies = |count: u32, include: &dyn Fn(u32) -> String| {
            let policies = (0..count).map(|number| policy(number, &include(number)));
            HEAD.chars()
                .chain(policies.flat_map(|it| it.chars().collect::<alloc::vec::Vec<_>>()))
                .collect()
        };
        let shapes: [(&str, &dyn Fn(u32) -> String); 6] = [
            ("applications", &applications),
            ("policies by address", &|count| policies(count, &email)),
            ("policies by range", &|count| {
                policies(count, &|number| format!("{{ ip = {} }}", range(number)))
            }),
            ("rules by address", &|count| {
                format!("{HEAD}{}", policy(0, &joined(count, &email)))
            }),
            ("rules by range", &|count| {
                let rule = |number| format!("{{ ip = {} }}", range(number));
                format!("{HEAD}{}", policy(0, &joined(count, &rule)))
            }),
            ("ranges of one rule", &|count| {
                let rule = format!("{{ ip = [{}] }}", joined(count, &range));
                format!("{HEAD}{}", policy(0, &rule))
            }),
        ];
        for (name, shape) in shapes {
            let ((few_let_in, few), (many_let_in, many)) =
                (steps(&shape(20), "deploy"), steps(&shape(10_000), "deploy"));
            assert!(few_let_in && many_let_in, "{name}");
            assert!(
                few >= 1 && many <= few,
                "{name}: {few} of 20, {many} of 10000"
            );
        }
    }

    #[test]
    fn a_range_is_found_inside_many_others() {
        let nested = |inner: &str| {
            let ranges: String = (8..=31)
                .map(|bits| {
                    let mask = u32::MAX << (32 - bits);
                    let base = core::net::Ipv4Addr::from(u32::from_be_bytes([10, 0, 7, 9]) & mask);
                    format!("\"{base}/{bits}\", ")
                })
                .collect();
            format!(
                "{HEAD}{}",
                policy(0, &format!("{{ ip = [{ranges}{inner}] }}"))
            )
        };
        assert!(steps(&nested("\"10.0.7.4/32\""), "deploy").0);
        // The last range that begins before the address is a narrow one beside it: the way out leads to the wide ones.
        let beside = format!(
            "{HEAD}{}",
            policy(
                0,
                "{ ip = [\"10.0.0.0/8\", \"10.0.7.0/30\", \"10.0.7.4/30\", \"10.0.7.8/32\", \"10.1.0.0/16\", \"10.2.0.0/16\", \"10.3.0.0/16\", \"10.4.0.0/16\", \"2001:db8::/32\", \"64:ff9b::/96\"] }"
            )
        );
        // The rule and two ranges.
        assert_eq!(steps(&beside, "deploy"), (true, 3));
        assert!(!steps(&beside.replace("10.0.0.0/8", "11.0.0.0/8"), "deploy").0);
    }
}
