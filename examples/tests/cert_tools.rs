//! `mint_cert` and `check_cert`, and the help of every command around keys, as their users meet them: the real programs, files in, text and an exit status out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod common;

#[path = "common/lab.rs"]
mod lab;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use common::{Agent, example, run, tool};
use lab::{Lab, outcome};

#[test]
fn every_command_explains_itself_with_examples_and_exit_statuses() {
    for program in [
        "mint_cert",
        "krl",
        "check_cert",
        "sshd_setup",
        "derive_host_key",
    ] {
        let (status, stdout, _) = outcome(Command::new(example(program)).arg("--help"));
        assert_eq!(status, 0, "{program}");
        assert!(stdout.contains("Examples:"), "{program}: {stdout}");
        assert!(stdout.contains("Exit status:"), "{program}: {stdout}");
        let (status, _, stderr) = outcome(Command::new(example(program)).arg("--no-such"));
        assert_eq!(status, 2, "{program}");
        assert!(stderr.contains("--no-such"), "{program}: {stderr}");
    }
}

#[test]
fn minted_certificate_has_what_was_asked_for_and_nothing_else() {
    let Some(lab) = Lab::new() else {
        return;
    };
    lab.mint(&[
        "--principal",
        "deploy",
        "--principal",
        "jdoe@example.com",
        "--ttl",
        "10m",
        "--backdate",
        "0s",
        "--serial",
        "4711",
        "--key-id",
        "jdoe/session-1",
        "--source-address",
        "10.1.2.3/8",
        "--source-address",
        "2001:db8::1",
        "--force-command",
        "uptime -p",
        "--extension",
        "permit-pty",
        "--extension",
        "note@example.com=hello",
        "--extension",
        "flag@example.com",
    ]);
    let (_, listed, _) = lab.ssh_keygen(&["-L", "-f", "id-cert.pub"]);
    let lines: Vec<&str> = listed.lines().map(str::trim).collect();
    let without_times: Vec<&str> = lines[2..]
        .iter()
        .filter(|line| !line.starts_with("Valid: "))
        .filter(|line| !line.starts_with("Signing CA: "))
        // How the unknown ones are called differs from version to version.
        .map(|line| line.split(" UNKNOWN ").next().unwrap())
        .collect();
    assert_eq!(
        without_times,
        [
            lines[2],
            "Key ID: \"jdoe/session-1\"",
            "Serial: 4711",
            "Principals:",
            "deploy",
            "jdoe@example.com",
            "Critical Options:",
            "force-command uptime -p",
            "source-address 10.0.0.0/8,2001:db8::1",
            "Extensions:",
            "flag@example.com",
            "note@example.com",
            "permit-pty",
        ],
        "{listed}"
    );

    // To standard output, for a host, with random serial numbers that differ and are never 0.
    let host = [
        "--ca",
        "ca",
        "--host",
        "--public-key",
        "id.pub",
        "--principal",
        "Web-1.example.com",
        "--ttl",
        "30d",
    ];
    let (one, other) = (lab.good("mint_cert", &host), lab.good("mint_cert", &host));
    assert_ne!(one, other);
    fs::write(lab.path("host-cert.pub"), &one).unwrap();
    let (_, listed, _) = lab.ssh_keygen(&["-L", "-f", "host-cert.pub"]);
    assert!(listed.contains("host certificate"), "{listed}");
    assert!(listed.contains("web-1.example.com"), "{listed}");
    assert!(!listed.contains("Serial: 0\n"), "{listed}");
    let arguments = [
        "--ca",
        "ca.pub",
        "--cert",
        "host-cert.pub",
        "--host",
        "--principal",
        "web-1.example.com",
    ];
    lab.good("check_cert", &arguments);
}

#[test]
fn what_cannot_be_minted_is_refused_with_what_to_write_instead() {
    let Some(lab) = Lab::new() else {
        return;
    };
    run(Command::new(&lab.keygen)
        .args(["-q", "-t", "ed25519", "-N", "secret", "-f"])
        .arg(lab.path("locked")));
    let key = lab.read("id");
    for (program, arguments) in [
        (
            "mint_cert",
            &["--ca", "ca", "--public-key", "id.pub", "--principal", "a"][..],
        ),
        ("krl", &["create"]),
    ] {
        let (status, _, stderr) = lab.outcome(program, &[arguments, &["--out", "id"]].concat());
        assert_eq!(status, 2);
        assert!(
            stderr.contains("id: this is a private key, and is not overwritten"),
            "{stderr}"
        );
    }
    assert_eq!(lab.read("id"), key);
    // A certificate takes the place of a certificate and of nothing else.
    let mint = ["--ca", "ca", "--public-key", "id.pub", "--principal", "a"];
    let public = lab.read("id.pub");
    let (status, _, stderr) = lab.outcome("mint_cert", &[&mint[..], &["--out", "id.pub"]].concat());
    assert_eq!(status, 2);
    assert!(
        stderr.contains("id.pub: there is something else than a certificate in it"),
        "{stderr}"
    );
    assert_eq!(lab.read("id.pub"), public);
    for _ in 0..2 {
        lab.good("mint_cert", &[&mint[..], &["--out", "a-cert.pub"]].concat());
    }
    lab.good("mint_cert", &[&mint[..], &["--out", "/dev/null"]].concat());
    fs::copy(lab.path("ca"), lab.path("open")).unwrap();
    fs::set_permissions(lab.path("open"), fs::Permissions::from_mode(0o640)).unwrap();
    let fixed = ["--public-key", "id.pub", "--principal", "deploy"];
    for (arguments, expected) in [
        (
            &["--ca", "ca", "--ttl", "25h"][..],
            "--ttl: certificate would be valid for 90000 seconds: at most 86400",
        ),
        (
            &["--ca", "ca", "--ttl", "soon"],
            "`soon` is not a length of time; write it as 90s, 3m, 12h or 7d",
        ),
        (&["--ca", "ca", "--ttl", "0"], "less than a second"),
        (
            &["--ca", "ca", "--backdate", "2h"],
            "backdated by 7200 seconds",
        ),
        (
            &["--ca", "ca", "--principal", "a,b"],
            "--principal: principal has a character at byte 1",
        ),
        (
            &["--ca", "ca", "--principal", "deploy"],
            "--principal: principal was given twice",
        ),
        (
            &["--ca", "ca", "--extension", "permit-everything"],
            "`permit-everything` is not known here",
        ),
        (
            &["--ca", "ca", "--source-address", "here"],
            "`here` is neither an address nor a range",
        ),
        (
            &["--ca", "ca", "--key-id", "two words"],
            "--key-id: key id has a character at byte 3",
        ),
        (
            &["--ca", "ca", "--force-command", ""],
            "--force-command: option value is empty",
        ),
        (&["--ca", "ca", "--fips"], "outside the profile"),
        (
            &["--ca", "ca.pub"],
            "ca.pub: this is a public key: name the private one, or add --agent",
        ),
        (
            &["--ca", "locked"],
            "locked: it is protected by a passphrase: `ssh-add` it",
        ),
        (
            &["--ca", "open"],
            "open: a private key that others can use (its mode is 0640); chmod 600 it",
        ),
        (&["--ca", "ca", "--serial", "0"], "0 is not in 1.."),
        (
            &["--ca", "ca", "--serial", "18446744073709551616"],
            "--serial",
        ),
        (&["--ca", "nothing"], "cannot read nothing: "),
        (&["--ca", "id-cert.pub"], "cannot read id-cert.pub: "),
    ] {
        let (status, stdout, stderr) = lab.outcome("mint_cert", &[&fixed, arguments].concat());
        assert_eq!((status, stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
    }
    let (status, _, stderr) = lab.outcome("mint_cert", &["--ca", "ca", "--public-key", "id.pub"]);
    assert_eq!(status, 2);
    assert!(stderr.contains("--principal"), "{stderr}");
    let host = ["--ca", "ca", "--host", "--force-command", "x"];
    let (status, ..) = lab.outcome("mint_cert", &[&fixed, &host[..]].concat());
    assert_eq!(status, 2);
}

#[test]
fn key_that_is_only_in_an_agent_signs() {
    let (Some(lab), Some(agent), Some(add)) = (Lab::new(), tool("ssh-agent"), tool("ssh-add"))
    else {
        return;
    };
    run(Command::new(&lab.keygen)
        .args(["-q", "-t", "rsa", "-b", "2048", "-N", "", "-f"])
        .arg(lab.path("rsa")));
    let socket = lab.path("agent");
    let _agent = Agent::start(&agent, &socket);
    let mint = |ca: &str| {
        let arguments = [
            "--ca",
            ca,
            "--agent",
            "--public-key",
            "id.pub",
            "--principal",
            "deploy",
            "--out",
            "id-cert.pub",
        ];
        outcome(
            lab.command("mint_cert", &arguments)
                .env("SSH_AUTH_SOCK", &socket),
        )
    };
    let (status, _, stderr) = mint("ca.pub");
    assert_eq!(status, 2);
    assert!(stderr.contains("is it in `ssh-add -L`?"), "{stderr}");
    for name in ["ca", "rsa"] {
        run(Command::new(&add)
            .arg(lab.path(name))
            .env("SSH_AUTH_SOCK", &socket));
        fs::remove_file(lab.path(name)).unwrap();
        let public = format!("{name}.pub");
        assert_eq!(mint(&public), (0, String::new(), String::new()));
        let (_, listed, _) = lab.ssh_keygen(&["-L", "-f", "id-cert.pub"]);
        assert!(listed.contains("deploy"), "{listed}");
        let check = [
            "--ca",
            &public,
            "--cert",
            "id-cert.pub",
            "--principal",
            "deploy",
        ];
        lab.good("check_cert", &check);
    }
    let arguments = [
        "--ca",
        "ca.pub",
        "--agent",
        "--public-key",
        "id.pub",
        "--principal",
        "a",
    ];
    let (status, _, stderr) = outcome(
        lab.command("mint_cert", &arguments)
            .env_remove("SSH_AUTH_SOCK"),
    );
    assert_eq!(status, 2);
    assert!(stderr.contains("SSH_AUTH_SOCK is not set"), "{stderr}");
}

#[test]
fn check_names_the_first_thing_that_is_wrong_and_its_status_is_the_verdict() {
    let Some(lab) = Lab::new() else {
        return;
    };
    lab.mint(&[
        "--principal",
        "deploy",
        "--ttl",
        "12h",
        "--serial",
        "7",
        "--key-id",
        "jdoe",
        "--source-address",
        "10.0.0.0/8",
        "--force-command",
        "uptime",
        "--extension",
        "permit-pty",
    ]);
    let good = ["--principal", "deploy", "--address", "10.1.2.3"];
    let (status, stdout, stderr) = lab.check(&good);
    assert_eq!((status, stderr.as_str()), (0, ""), "{stdout}");
    assert!(
        stdout.contains("serial 7\nkey id jdoe\nprincipals deploy\n"),
        "{stdout}"
    );
    assert!(
        stdout.ends_with("\naccepted\n  runs only: uptime\n  permits permit-pty\n"),
        "{stdout}"
    );
    assert_eq!(stdout.matches("  ok  ").count(), 10, "{stdout}");

    fs::write(
        lab.path("line"),
        "no-pty jdoe\nno-pty,command=\"uptime\" deploy\n",
    )
    .unwrap();
    let on_server = [
        "--principal",
        "root",
        "--address",
        "10.1.2.3",
        "--principals-file",
        "line",
    ];
    let (status, stdout, _) = lab.check(&on_server);
    assert_eq!(status, 0, "{stdout}");
    assert!(
        stdout.ends_with(
            "accepted\n  by line 2 of the principals file: deploy\n  runs only: uptime\n  permits nothing but running commands\n"
        ),
        "{stdout}"
    );

    lab.good(
        "krl",
        &[
            "create", "--out", "serials", "--ca", "ca.pub", "--serial", "5-9",
        ],
    );
    lab.good("krl", &["create", "--out", "empty"]);
    fs::write(lab.path("keys"), lab.read("id.pub")).unwrap();
    let with = |more: &[&str]| lab.check(&[&good[..], more].concat());
    let (status, ..) = with(&["--krl", "empty"]);
    assert_eq!(status, 0);
    for (outcome, step, why) in [
        (
            lab.check(&["--principal", "root", "--address", "10.1.2.3"]),
            "is for that name",
            "user name is not one of the principals",
        ),
        (
            lab.check(&["--principal", "deploy", "--address", "11.1.2.3"]),
            "has options that are met",
            "not valid from this address",
        ),
        (
            lab.check(&["--principal", "deploy"]),
            "has options that are met",
            "not valid from this address",
        ),
        (
            with(&["--at", "2099-01-01T00:00:00Z"]),
            "is valid at that time",
            "certificate expired at",
        ),
        (
            with(&["--at", "86400"]),
            "is valid at that time",
            "certificate is valid from",
        ),
        (
            with(&["--krl", "empty", "--krl", "serials"]),
            "is not revoked",
            "revoked by its serial number",
        ),
        (
            with(&["--krl", "keys"]),
            "is not revoked",
            "revoked by its key",
        ),
        (
            with(&["--fips"]),
            "has algorithms that are allowed",
            "outside the profile",
        ),
        (
            with(&["--host"]),
            "is of the right kind",
            "of the wrong kind",
        ),
        (
            lab.outcome(
                "check_cert",
                &[&["--ca", "other.pub", "--cert", "id-cert.pub"], &good[..]].concat(),
            ),
            "names a trusted authority",
            "not from a trusted authority",
        ),
        (
            lab.outcome(
                "check_cert",
                &[&["--ca", "ca.pub", "--cert", "id.pub"], &good[..]].concat(),
            ),
            "is a well-formed certificate",
            "not a certificate of a known algorithm",
        ),
    ] {
        let (status, stdout, stderr) = outcome;
        assert_eq!((status, stderr.as_str()), (1, ""), "{step}");
        assert!(
            stdout.contains(&format!("  NO  {step}\n")),
            "{step}: {stdout}"
        );
        let last = stdout.lines().last().unwrap();
        assert!(
            last.starts_with("refused: ") && last.contains(why),
            "{stdout}"
        );
    }

    fs::write(lab.path("broken"), "SSHKRL").unwrap();
    for (arguments, expected) in [
        (&["--krl", "broken"][..], "broken: line 1 is no public key"),
        (&["--krl", "absent"], "cannot read absent: "),
        (
            &["--at", "tomorrow"],
            "`tomorrow` is not a time; write it as 2026-01-31T12:00:00Z",
        ),
    ] {
        let (status, _, stderr) = with(arguments);
        assert_eq!(status, 2);
        assert!(stderr.contains(expected), "{stderr}");
    }
}
