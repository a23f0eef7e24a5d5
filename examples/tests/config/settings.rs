//! What is written in a sound configuration is what the proxy gets.

use std::time::Duration;

use examples::arrival::ListenerKind;
use examples::audit_proxy::admission;
use examples::log_store::Sync;
use ssh_transport::Algorithms;

use crate::lab::{Folder, GOOD};

#[test]
fn a_good_configuration_is_understood() {
    let Some(folder) = Folder::new() else { return };
    let config = folder.load(GOOD).map_err(|e| e.to_string()).ok().unwrap();
    assert_eq!(
        config.listeners[0].kind,
        ListenerKind::Plain {
            identity: 0,
            target: 0
        }
    );
    assert_eq!(
        config.listeners[1].kind,
        ListenerKind::Connect { identity: None }
    );
    assert_eq!(config.listeners[1].proxy_protocol_from.len(), 2);
    let target = &config.targets[0];
    assert_eq!(
        (target.facts.port, &*target.facts.tags["env"]),
        (22, "prod")
    );
    assert_eq!(target.host_keys.as_ref().unwrap().as_slice().len(), 2);
    assert_eq!(target.host_authorities.len(), 1);
    let alice = &config.identities[0];
    assert_eq!(alice.identity.groups[0].provider, "okta");
    assert_eq!(
        alice.device_at(Duration::from_secs(7)).posture[0]
            .checked_at
            .as_secs(),
        7
    );
    assert_eq!(
        examples::token::find(&config.directory.tokens, "abc"),
        Some(0)
    );
    assert_eq!(config.log_directory, folder.path("logs"));
    assert_eq!(config.log_sync, Sync::Write);
    assert_eq!(config.events_file, None);
    assert_eq!(config.admission, admission::Limits::default());
    assert_eq!(config.session_limits, proxy_core::Limits::default());
    assert_eq!(config.client_algorithms, Algorithms::default());
    assert_eq!(config.targets[0].algorithms, Algorithms::default());
    assert_eq!(config.timeouts.login_grace, Duration::from_secs(120));
    assert_eq!(config.arrival_timeout, Duration::from_secs(10));
}

#[test]
fn settings_replace_the_defaults() {
    let Some(folder) = Folder::new() else { return };
    let text = GOOD.replace(
        "[[target]]",
        "[events]\nfile = \"events.jsonl\"\n[limits]\nmax_connections = 2\nmax_unauthenticated = 3\n[limits.source]\nconnections = 4\nunauthenticated = 5\nper_minute = 6\nipv4_prefix = 24\nipv6_prefix = 48\n[limits.identity]\nconnections = 7\nper_minute = 8\nopen_questions = 9\n[limits.session]\nbacklog_bytes = 65536\nchannels = 9\n[timeouts]\nlog = \"5s\"\narrival = \"1s\"\nlogin_grace = \"2m\"\nconnect = \"3s\"\ntarget_login = \"4s\"\nfarewell = \"500ms\"\nshutdown = \"1h\"\n[[target]]",
    );
    let text = text.replace(
        "[[target]]",
        "[clients]\nalgorithms = \"compatible\"\n[[target]]\nalgorithms = \"legacy\"",
    );
    let text = text.replace("signing_key_file", "sync = \"fsync\"\nsigning_key_file");
    let config = folder.load(&text).map_err(|e| e.to_string()).ok().unwrap();
    assert_eq!(config.events_file, Some(folder.path("events.jsonl")));
    let limits = admission::Limits {
        connections: 2,
        unauthenticated: 3,
        source: admission::Rule {
            connections: 4,
            unauthenticated: 5,
            per_minute: 6,
        },
        identity: admission::Rule {
            connections: 7,
            unauthenticated: usize::MAX,
            per_minute: 8,
        },
        ipv4_prefix: 24,
        ipv6_prefix: 48,
    };
    assert_eq!(config.admission, limits);
    let limits = proxy_core::Limits {
        backlog_bytes: 65_536,
        channels: 9,
        ..proxy_core::Limits::default()
    };
    assert_eq!(config.session_limits, limits);
    assert_eq!(config.open_questions, 9);
    assert_eq!(config.timeouts.log, Duration::from_secs(5));
    assert_eq!(config.client_algorithms, Algorithms::compatible());
    assert_eq!(config.targets[0].algorithms, Algorithms::legacy());
    assert_eq!(config.log_sync, Sync::Fsync);
    assert_eq!(config.timeouts.login_grace, Duration::from_secs(120));
    assert_eq!(config.timeouts.connect, Duration::from_secs(3));
    assert_eq!(config.timeouts.target_login, Duration::from_secs(4));
    assert_eq!(config.timeouts.farewell, Duration::from_millis(500));
    assert_eq!(config.arrival_timeout, Duration::from_secs(1));
    assert_eq!(config.shutdown_timeout, Duration::from_secs(3600));
    let stdout = text.replace("events.jsonl", "-");
    assert_eq!(folder.load(&stdout).ok().unwrap().events_file, None);
}

#[test]
fn secrets_are_rotated_and_host_keys_certified_as_the_file_says() {
    let Some(folder) = Folder::new() else { return };
    folder.write("older", &"5b".repeat(32), 0o600);
    folder.write("oldest", &"5c".repeat(32), 0o600);
    let with = |account: &str| GOOD.replace("\n[ca]", &format!("{account}\n\n[ca]"));
    let text = with(
        "host_key_algorithms = [\"ecdsa-sha2-nistp384\", \"ssh-ed25519\"]\nhost_ca_key_file = \"ca\"\n\
         [[account.previous]]\nsecret_file = \"oldest\"\nuntil = 2001-01-01T00:00:00Z\n\
         [[account.previous]]\nsecret_file = \"older\"\nuntil = \"2100-01-01T00:00:00+02:00\"",
    );
    let config = folder.load(&text).unwrap_or_else(|error| panic!("{error}"));
    let secrets = |unix_secs| -> Vec<u8> {
        let live = config.secrets.live(Duration::from_secs(unix_secs));
        live.map(|secret| secret.secret_bytes()[0]).collect()
    };
    assert_eq!(secrets(900_000_000), [0x5a, 0x5b, 0x5c]);
    assert_eq!(secrets(1_800_000_000), [0x5a, 0x5b]);
    assert_eq!(secrets(4_102_437_599), [0x5a, 0x5b]);
    assert_eq!(secrets(4_102_437_600), [0x5a]);
    let algorithms = config.host_key_algorithms.iter().map(|a| a.name());
    let algorithms: Vec<_> = algorithms.collect();
    assert_eq!(algorithms, ["ecdsa-sha2-nistp384", "ssh-ed25519"]);
    assert!(config.host_ca.is_some());

    let previous = |lines: &str| with(&format!("[[account.previous]]\n{lines}"));
    for (bad, expected) in [
        (
            with("host_key_algorithms = [\"ssh-rsa\"]"),
            &["no key is derived for `ssh-rsa`", "`ssh-ed25519`"][..],
        ),
        (with("host_key_algorithms = []"), &["no algorithm"]),
        (
            with("host_key_algorithms = [\"ssh-ed25519\", \"ssh-ed25519\"]"),
            &["`ssh-ed25519` twice"],
        ),
        (
            with("host_ca_key_file = \"ca.pub\""),
            &["without `.pub`: `ca`"],
        ),
        (
            previous("secret_file = \"older\""),
            &["`until` is missing", "2027-01-31T00:00:00Z"],
        ),
        (
            previous("secret_file = \"older\"\nuntil = 2027-01-31"),
            &["`2027-01-31` is no moment"],
        ),
        (
            previous("secret_file = \"account-secret\"\nuntil = 2100-01-31T00:00:00Z"),
            &["secret is in the ring already", "each secret once"],
        ),
        (
            previous("until = 2100-01-31T00:00:00Z"),
            &["`secret_file` is missing"],
        ),
    ] {
        let error = folder.load(&bad).err().unwrap().to_string();
        for part in expected {
            assert!(error.contains(part), "{part} is not in: {error}");
        }
    }
}

#[test]
fn operators_are_users_of_the_machine_and_their_socket_is_the_owners() {
    let Some(folder) = Folder::new() else { return };
    let config = folder.load(GOOD).map_err(|e| e.to_string()).ok().unwrap();
    assert_eq!(config.admin, None);
    assert_eq!(config.drain, Duration::ZERO);
    let text = format!(
        "{GOOD}\n[timeouts]\ndrain = \"10m\"\n\n[admin]\nsocket = \"admin.sock\"\n\n[[admin.operator]]\nuid = 0\nidentity = \"alice\"\n"
    );
    let config = folder.load(&text).map_err(|e| e.to_string()).ok().unwrap();
    assert_eq!(config.drain, Duration::from_secs(600));
    let admin = config.admin.unwrap();
    assert_eq!(admin.socket, folder.path("admin.sock"));
    assert_eq!((admin.mode, &admin.operators[..]), (0o600, &[(0, 0)][..]));
    let text = text.replace("\"admin.sock\"", "\"admin.sock\"\nmode = 0o660");
    let admin = folder.load(&text).map_err(|e| e.to_string()).ok().unwrap();
    assert_eq!(admin.admin.unwrap().mode, 0o660);
}

/// The lines of the documentation of `config.rs` that show these tables.
fn documented(tables: &[&str]) -> String {
    let lines = include_str!("../../src/config.rs").lines();
    let mut is_wanted = false;
    let lines = lines
        .filter_map(|line| line.strip_prefix("//!"))
        .map(str::trim_start)
        .filter(|line| {
            if let Some(table) = line.strip_prefix('[') {
                is_wanted = tables.iter().any(|it| table.starts_with(it));
            }
            is_wanted && !line.starts_with("drain")
        });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_documented_limits_and_times_are_the_defaults_each_once_and_all() {
    let Some(folder) = Folder::new() else { return };
    let shown = documented(&["limits]", "limits.", "timeouts]"]);
    let text = format!("{GOOD}\n{shown}\n");
    let config = folder.load(&text).unwrap_or_else(|error| panic!("{error}"));
    let plain = folder.load(GOOD).map_err(|e| e.to_string()).ok().unwrap();
    assert_eq!(config.admission, plain.admission);
    assert_eq!(config.session_limits, proxy_core::Limits::default());
    assert_eq!(config.timeouts, proxy_core::Timeouts::default());
    assert_eq!(config.arrival_timeout, plain.arrival_timeout);
    assert_eq!(config.shutdown_timeout, plain.shutdown_timeout);
    let mut limits = proxy_core::Limits::default();
    let mut timeouts = proxy_core::Timeouts::default();
    let names = limits.settings().map(|(name, ..)| name).into_iter();
    let times = timeouts.settings().map(|(name, _)| name).into_iter();
    // Nobody is asked to sign here.
    for name in names.chain(times).filter(|name| *name != "signing") {
        assert!(shown.contains(&format!("\n{name} = ")), "{name}");
    }
}
