//! What a grant holds (rules G1 to G5 of SPEC.md).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::sync::Arc;
use std::time::Duration;

use policy::{
    Decision, Device, Identity, Network, Permissions, PolicySet, Recording, Request, Target, decide,
};

fn document(fields: &str) -> String {
    format!(
        r#"[[application]]
name = "a"
target = {{ include = [{{ any_target = true }}] }}
[[application.policy]]
name = "p"
action = "allow"
include = [{{ everyone = true }}]
usernames = ["deploy"]
{fields}
"#
    )
}

#[track_caller]
fn granted(fields: &str) -> Arc<Permissions> {
    let set = PolicySet::from_toml(&document(fields)).unwrap_or_else(|error| panic!("{error}"));
    let (identity, device, network) = (Identity::default(), Device::default(), Network::default());
    let target = Target {
        port: 22,
        ..Target::default()
    };
    let (user, now) = (Some("deploy"), Duration::ZERO);
    match decide(
        &set,
        &Request {
            identity: &identity,
            device: &device,
            network: &network,
            target: &target,
            user,
            now,
        },
    ) {
        Decision::Allow(grant) => {
            assert_eq!(grant.recording, Recording::Strict);
            grant.permissions
        }
        Decision::Deny(denial) => panic!("{}", denial.for_log()),
    }
}

#[test]
fn a_login_for_this_connection_is_fresh_however_long_the_way_to_the_user_takes() {
    let set = PolicySet::from_toml(&document("max_login_age = \"0m\"")).unwrap();
    let (device, network) = (Device::default(), Network::default());
    let target = Target {
        port: 22,
        ..Target::default()
    };
    let fresh = |login_ms: u64, connected_ms, now_ms| {
        let [login, connected, now] = [login_ms, connected_ms, now_ms].map(Duration::from_millis);
        let identity = Identity {
            authenticated_at: Some(login),
            ..Identity::default()
        };
        let request = Request {
            identity: &identity,
            device: &device,
            network: &network,
            target: &target,
            user: Some("deploy"),
            now,
        };
        match decide(&set, &request) {
            Decision::Allow(grant) => grant.login_is_fresh(&identity, connected, now),
            Decision::Deny(denial) => panic!("{}", denial.for_log()),
        }
    };
    // Providers cut the time of a login down to whole seconds.
    assert!(fresh(100_000, 100_900, 130_000));
    assert!(fresh(115_000, 100_900, 130_000));
    assert!(!fresh(99_999, 100_000, 100_000));
    assert!(fresh(190_000, 100_000, 130_000));
    assert!(!fresh(190_001, 100_000, 130_000));
}

#[track_caller]
fn refused(field: &str, expected: &str) {
    let error = PolicySet::from_toml(&document(field)).expect_err("it must not load");
    assert_eq!(
        error.to_string(),
        format!("line 9: application[0].policy[0].{expected}")
    );
}

#[test]
fn a_silent_policy_grants_an_ordinary_session() {
    let permissions = granted("");
    assert_eq!(*permissions, Permissions::default());
    assert!(permissions.shell && permissions.exec && permissions.pty);
    assert!(permissions.allows_subsystem("sftp"));
    assert_eq!(permissions.subsystems.iter().collect::<Vec<_>>(), ["sftp"]);
    assert_eq!(permissions.max_channels, 64);
    for name in [
        "LANG",
        "LC_ALL",
        "LC_",
        "TERM",
        "COLORTERM",
        "NO_COLOR",
        "GIT_PROTOCOL",
    ] {
        assert!(permissions.allows_env(name.as_bytes()), "{name}");
    }
}

#[test]
fn nothing_else_is_granted() {
    let permissions = granted("");
    for name in [
        "", "SFTP", "sftp ", "sftp\0", "sft", "sftp2", "netconf", "*",
    ] {
        assert!(!permissions.allows_subsystem(name), "{name:?}");
    }
    let names: [&[u8]; 13] = [
        b"",
        b"LD_PRELOAD",
        b"PATH",
        b"SHELL",
        b"LANGUAGE",
        b"lang",
        b"LC",
        b"LANG\0",
        b"TERMINFO",
        b"xLC_ALL",
        b"BASH_ENV",
        b"\xff",
        b"*",
    ];
    for name in names {
        assert!(!permissions.allows_env(name), "{name:?}");
    }
}

#[test]
fn a_written_permit_is_all_there_is() {
    let permissions = granted("permit = [\"exec\"]");
    assert!(
        permissions.exec
            && !permissions.shell
            && !permissions.pty
            && !permissions.allows_subsystem("sftp")
    );
    let permissions = granted("permit = [\"shell\", \"pty\", \"sftp\"]");
    assert!(
        !permissions.exec
            && permissions.shell
            && permissions.pty
            && permissions.allows_subsystem("sftp")
    );
    let permissions = granted("permit = []");
    assert!(
        !permissions.exec
            && !permissions.shell
            && !permissions.pty
            && !permissions.allows_subsystem("sftp")
    );
}

#[test]
fn written_subsystems_are_all_there_are_but_for_sftp_in_permit() {
    let names = |fields| {
        granted(fields)
            .subsystems
            .iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(names("subsystems = [\"netconf\"]"), ["netconf"]);
    assert_eq!(names("subsystems = []"), [""; 0]);
    assert_eq!(
        names("subsystems = [\"netconf\", \"sftp\"]"),
        ["netconf", "sftp"]
    );
    assert_eq!(
        names("subsystems = [\"netconf\"]\npermit = [\"sftp\"]"),
        ["netconf", "sftp"]
    );
    assert_eq!(
        names("subsystems = [\"netconf\"]\npermit = [\"shell\"]"),
        ["netconf"]
    );
}

#[test]
fn written_env_is_all_there_is() {
    let permissions = granted("env = [\"MY_*\", \"TZ\"]");
    assert!(permissions.allows_env(b"MY_APP") && permissions.allows_env(b"TZ"));
    assert!(
        !permissions.allows_env(b"LANG")
            && !permissions.allows_env(b"MY")
            && !permissions.allows_env(b"TZDIR")
    );
    assert_eq!(permissions.env.iter().collect::<Vec<_>>(), ["MY_*", "TZ"]);
    assert!(!granted("env = []").allows_env(b"LANG"));
    assert_eq!(granted("max_channels = 1").max_channels, 1);
    assert_eq!(granted("max_channels = 1024").max_channels, 1024);
}

#[test]
fn what_is_no_permission_is_refused_by_name() {
    for name in ["tun", "tunnel"] {
        refused(
            &format!("permit = [\"{name}\"]"),
            &format!("permit[0]: `{name}` is never granted; remove `{name}`"),
        );
    }
    let (destination, server) = (
        "{ host = \"db-1\", port = 5432 }",
        "{ host = \"bastion-2\", port = 22 }",
    );
    for (name, field, example) in [
        ("local_forwarding", "local_forward", destination),
        ("remote_forwarding", "remote_forward", destination),
        ("port-forwarding", "local_forward", destination),
        ("streamlocal", "stream_local", "\"/run/app.sock\""),
        ("jump", "jump", server),
        ("ProxyJump", "jump", server),
    ] {
        refused(
            &format!("permit = [\"{name}\"]"),
            &format!(
                "permit[0]: `{name}` needs to know where to; write `{field} = [{example}]` beside `permit`"
            ),
        );
    }
    refused(
        "permit = [\"shell\", \"scp\"]",
        "permit[1]: `scp` is no permission of its own; write `exec`, and `sftp` for a modern scp",
    );
    refused(
        "permit = [\"sheel\"]",
        "permit[0]: there is no permission `sheel`; write `shell`",
    );
    refused(
        "permit = [\"netconf\"]",
        "permit[0]: there is no permission `netconf`; write some of `agent_forwarding`, `exec`, `pty`, `sftp`, `shell`, `x11_forwarding`; a subsystem goes into `subsystems`",
    );
    refused(
        "recording = \"none\"",
        "recording: there is no recording `none`; write `strict`, `bounded` or `metadata_only`",
    );
}

#[test]
fn variables_that_make_programs_run_other_code_cannot_be_granted() {
    let why = "which can make programs on the target run other code; write only names that programs read as plain values";
    for (pattern, covered) in [
        ("LD_PRELOAD", "LD_*"),
        ("LD_*", "LD_*"),
        ("L*", "LD_*"),
        ("SHELL", "SHELL"),
        ("S*", "SHELL"),
        ("PATH", "PATH"),
        ("PYTHONSTARTUP", "PYTHON*"),
        ("PY*", "PYTHON*"),
        ("BASH_FUNC_x*", "BASH*"),
        ("BASHOPTS", "BASH*"),
        ("GIT_PROTOCOL*", "GIT_PROTOCOL_FROM_USER"),
        ("GIT_*", "GIT_ALLOW_PROTOCOL"),
        ("TERM*", "TERMCAP"),
        ("TERMINFO_DIRS", "TERMINFO*"),
        ("LESSOPEN", "LESS*"),
        ("LUA_INIT_5_4", "LUA_*"),
        ("OPENSSL_CONF", "OPENSSL_*"),
        ("SUDO_ASKPASS", "SUDO_*"),
        ("XDG_CONFIG_HOME", "XDG_*"),
        ("_*", "_JAVA_OPTIONS"),
        ("GIT_SSH_COMMAND", "GIT_SSH*"),
    ] {
        refused(
            &format!("env = [\"{pattern}\"]"),
            &format!("env[0]: `{pattern}` covers `{covered}`, {why}"),
        );
    }
    for name in ["", "*", "A B", "A=B", "1A", "A**", "*A", "Ä", "A-B"] {
        refused(
            &format!("env = [\"{name}\"]"),
            &format!(
                "env[0]: `{name}` is no name of an environment variable; write a name, or the beginning of names as in `LC_*`"
            ),
        );
    }
}

#[test]
fn every_variable_that_the_specification_lists_is_refused() {
    let text = include_str!("../SPEC.md");
    let (_, rest) = text.split_once("The list:\n").unwrap();
    let (list, _) = rest.split_once("\n- **G4**").unwrap();
    let names: Vec<_> = list.split('`').skip(1).step_by(2).collect();
    assert!(names.len() > 60 && names.contains(&"ZDOTDIR"), "{names:?}");
    for name in names {
        let error = PolicySet::from_toml(&document(&format!("env = [\"{name}\"]")))
            .expect_err("it must not load");
        assert!(
            error
                .to_string()
                .contains(&format!("`{name}` covers `{name}`, ")),
            "{error}"
        );
    }
}

#[test]
fn no_default_variable_would_be_refused_if_it_were_written() {
    let names: Vec<_> = Permissions::default()
        .env
        .iter()
        .map(str::to_owned)
        .collect();
    assert_eq!(
        granted(&format!("env = {names:?}")).env,
        Permissions::default().env
    );
}
