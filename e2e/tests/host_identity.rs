//! The whole identity of a target behind the proxy, as OpenSSH's client sees it: every key, rotations, certificates.

use std::fs;
use std::time::Duration;

use e2e::client::{Client, Door};
use e2e::house::{House, Plan, through_the_proxy_with};
use e2e::need;
use e2e::process::{PATIENCE, wait_until};
use e2e::proxy::{Proxy, ProxyPlan};
use e2e::sshd::{Sshd, SshdPlan};

/// The name under which the client knows the target, whatever port the proxy has.
const ALIAS: &str = "HostKeyAlias=the-target";
const STRICT: &str = "StrictHostKeyChecking=yes";

/// Every kind of key that OpenSSH makes for a host.
const KINDS: [&str; 3] = ["ed25519", "ecdsa", "rsa"];

/// What the client knows: the keys of the target, as they stand in its file.
fn known_keys(house: &House) -> Vec<String> {
    let text = fs::read_to_string(house.path("known_hosts")).unwrap_or_default();
    let lines = text.lines().filter(|line| line.starts_with("the-target "));
    let mut keys: Vec<_> = lines
        .filter_map(|line| line.rsplit(' ').next())
        .map(str::to_owned)
        .collect();
    keys.sort();
    keys
}

/// The first contact, from which OpenSSH takes no further keys unless a person has looked at the first one.
fn meet(house: &House) {
    house.ssh().option(ALIAS).run("true").expect_code(0);
    assert_eq!(known_keys(house).len(), 1);
}

/// A client that stays until it knows so many keys.
fn learn(house: &House, client: &Client, count: usize) {
    let client = client.clone().option(ALIAS).option("UpdateHostKeys=yes");
    let mut live = client.live("cat");
    live.say("here\n");
    live.hear("here");
    wait_until(&format!("{count} known keys"), PATIENCE, || {
        known_keys(house).len() == count
    });
    live.end_input();
    assert_eq!(live.end(PATIENCE).code(), Some(0));
}

/// The proxy once more, with the same folder, in front of `target`.
fn again(house: &House, before: &Proxy, plan: &ProxyPlan, target: &Sshd) -> (Proxy, Door) {
    before.terminate();
    before.end(Duration::from_secs(15));
    let proxy = before.start_again(&house.room, plan, target, &house.door.user);
    let door = Door::new(
        &house.room,
        "again_config",
        proxy.port,
        &house.door.user,
        &[],
    );
    (proxy, door)
}

#[test]
fn a_strict_client_goes_through_a_rotation_of_the_secret_and_notices_another_target() {
    need!("ssh", "sshd");
    through_the_proxy_with(
        |plan| plan.sshd.host_keys = KINDS.to_vec(),
        |house| {
            meet(house);
            // Two derived keys of each key of the target.
            learn(house, &house.ssh(), 6);
            let first = known_keys(house);
            let proven = house.proxy().wait_for("host_keys.proven");
            assert_eq!(proven.number("keys"), 5, "all but the one it came with");

            let secret = house.proxy().folder().join("account_secret");
            let older = house.proxy().folder().join("older_secret");
            fs::copy(&secret, &older).expect("a copy of the secret");
            fs::write(&secret, "6b".repeat(32)).expect("a new secret");
            let overlap = ProxyPlan {
                more_tables: "[[account.previous]]\nsecret_file = \"older_secret\"\nuntil = 2100-01-01T00:00:00Z\n"
                    .to_owned(),
                ..ProxyPlan::default()
            };
            let (proxy, door) = again(house, house.proxy(), &overlap, &house.sshd);
            learn(house, &door.ssh().option(STRICT), 12);
            let both = known_keys(house);
            assert!(first.iter().all(|key| both.contains(key)));

            fs::remove_file(&older).expect("the end of the older secret");
            let (proxy, door) = again(house, &proxy, &ProxyPlan::default(), &house.sshd);
            learn(house, &door.ssh().option(STRICT), 6);
            let second = known_keys(house);
            assert!(second.iter().all(|key| !first.contains(key)));

            let plan = SshdPlan {
                trusts: Some(house.path("ca.pub")),
                host_keys: KINDS.to_vec(),
                ..SshdPlan::default()
            };
            let other = Sshd::start(&house.room, "other", &plan);
            let (proxy, door) = again(house, &proxy, &ProxyPlan::default(), &other);
            let warned = door
                .ssh()
                .option(ALIAS)
                .option(STRICT)
                .run("true")
                .expect_code(255);
            assert!(
                warned
                    .err()
                    .contains("REMOTE HOST IDENTIFICATION HAS CHANGED"),
                "{warned:?}"
            );
            proxy.expect_sound_sessions();
        },
    );
}

#[test]
fn a_client_that_learnt_all_keys_is_not_warned_when_the_target_drops_one() {
    need!("ssh", "sshd");
    through_the_proxy_with(
        |plan| plan.sshd.host_keys = KINDS.to_vec(),
        |house| {
            meet(house);
            learn(house, &house.ssh(), 6);
            // As if the machine were started with two of its three keys.
            let plan = SshdPlan {
                trusts: Some(house.path("ca.pub")),
                host_keys: Vec::new(),
                lines: ["ecdsa", "rsa"]
                    .map(|kind| {
                        let key = house.path(&format!("target/host_{kind}"));
                        format!("HostKey {}", key.display())
                    })
                    .to_vec(),
                ..SshdPlan::default()
            };
            let poorer = Sshd::start(&house.room, "poorer", &plan);
            let (proxy, door) = again(house, house.proxy(), &ProxyPlan::default(), &poorer);
            learn(house, &door.ssh().option(STRICT), 4);
            proxy.expect_sound_sessions();
        },
    );
}

/// For the account and the target of the proxy's configuration.
const HOST_CA: &str = "host_ca_key_file = \"../host_ca\"";
const PIN: &str = "host_keys = [\"../target/host_ed25519.pub\"]";

/// Has the proxy certify the keys that it shows.
fn certify(plan: &mut Plan) {
    plan.room.key("host_ca", "ed25519");
    plan.proxy.account = vec![HOST_CA.to_owned()];
}

/// As [`certify`], of a target that has one known key.
fn certify_pinned(plan: &mut Plan) {
    certify(plan);
    plan.proxy.target_lines.push(PIN.to_owned());
}

/// A client that knows no host but the authority of all.
fn trusting(house: &House, door: &Door) -> Client {
    let line = format!(
        "@cert-authority target-* {}\n",
        house.room.public_key("host_ca")
    );
    let trusted = house.room.write("trusted_hosts", line);
    let file = format!("UserKnownHostsFile={}", trusted.display());
    door.ssh().option(STRICT).option(file)
}

#[test]
fn a_key_that_nothing_vouches_for_is_not_certified() {
    need!("ssh", "sshd");
    through_the_proxy_with(certify, |house| {
        let client = trusting(house, &house.door).option("HostKeyAlias=target-1");
        let refused = client.run("true").expect_code(255);
        assert!(
            refused.err().contains("Host key verification failed"),
            "{refused:?}"
        );
    });
}

#[test]
fn a_client_that_trusts_the_host_authority_is_never_asked() {
    need!("ssh", "sshd");
    through_the_proxy_with(certify_pinned, |house| {
        let trusting = || trusting(house, &house.door);
        let named = |name: &str| trusting().option(format!("HostKeyAlias={name}"));
        for algorithm in ["ssh-ed25519", "ecdsa-sha2-nistp256"] {
            let algorithm = format!("HostKeyAlgorithms={algorithm}-cert-v01@openssh.com");
            let came = named("target-1").option(algorithm).run("echo in");
            assert_eq!(came.expect_code(0).out(), "in\n");
        }
        let stranger = named("target-2").run("true").expect_code(255);
        assert!(
            stranger.err().contains("not a listed principal"),
            "{stranger:?}"
        );
        // Who does not know the authority is shown the same key as ever.
        house.ssh().option(ALIAS).run("true").expect_code(0);
        house
            .ssh()
            .option(ALIAS)
            .option(STRICT)
            .option("HostKeyAlgorithms=ssh-ed25519")
            .run("true")
            .expect_code(0);
    });
}

#[test]
fn only_who_trusts_the_host_authority_goes_through_a_rotation_without_overlap() {
    need!("ssh", "sshd");
    through_the_proxy_with(certify_pinned, |house| {
        meet(house);
        let named = |door: &Door| trusting(house, door).option("HostKeyAlias=target-1");
        named(&house.door).run("true").expect_code(0);
        let secret = house.proxy().folder().join("account_secret");
        fs::write(&secret, "6b".repeat(32)).expect("a new secret");
        let mut plan = ProxyPlan {
            account: vec![HOST_CA.to_owned()],
            ..ProxyPlan::default()
        };
        plan.target_lines.push(PIN.to_owned());
        let (proxy, door) = again(house, house.proxy(), &plan, &house.sshd);
        named(&door).run("true").expect_code(0);
        let warned = door.ssh().option(ALIAS).option(STRICT).run("true");
        let warned = warned.expect_code(255);
        assert!(
            warned
                .err()
                .contains("REMOTE HOST IDENTIFICATION HAS CHANGED"),
            "{warned:?}"
        );
        proxy.expect_sound_sessions();
    });
}

#[test]
fn a_third_algorithm_is_derived_where_it_is_configured() {
    need!("ssh", "sshd");
    through_the_proxy_with(
        |plan| {
            plan.proxy.account = vec![
                "host_key_algorithms = [\"ecdsa-sha2-nistp384\", \"ecdsa-sha2-nistp256\"]"
                    .to_owned(),
            ];
        },
        |house| {
            let with = |algorithm: &str| {
                let only = format!("HostKeyAlgorithms={algorithm}");
                house.ssh().option(ALIAS).option(only)
            };
            with("ecdsa-sha2-nistp384").run("true").expect_code(0);
            let refused = with("ssh-ed25519").run("true").expect_code(255);
            assert!(
                refused.err().contains("no matching host key type"),
                "{refused:?}"
            );
            // The client was refused before a session began.
            house.proxy().wait_for("access.denied");
        },
    );
}
