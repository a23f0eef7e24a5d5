//! The commands around keys and certificates as their users meet them: the real programs, files in, text and an exit status out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{example, run, ssh_keygen, tool};

/// Exit status, standard output, standard error.
type Outcome = (i32, String, String);

struct Lab {
    folder: tempfile::TempDir,
    keygen: PathBuf,
}

impl Lab {
    /// With a CA, another one, and a key to certify.
    fn new() -> Option<Self> {
        let keygen = tool("ssh-keygen")?;
        let folder = tempfile::tempdir().unwrap();
        for name in ["ca", "other", "id"] {
            ssh_keygen(&keygen, folder.path(), name);
        }
        Some(Self { folder, keygen })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(example(program));
        command.args(arguments).current_dir(self.folder.path());
        command
    }

    fn outcome(&self, program: &str, arguments: &[&str]) -> Outcome {
        outcome(&mut self.command(program, arguments))
    }

    /// Expects success without a word on standard error, and gives what was printed.
    fn good(&self, program: &str, arguments: &[&str]) -> String {
        let (status, stdout, stderr) = self.outcome(program, arguments);
        assert_eq!(
            (status, stderr.as_str()),
            (0, ""),
            "{program} {arguments:?}"
        );
        stdout
    }

    fn ssh_keygen(&self, arguments: &[&str]) -> Outcome {
        let mut command = Command::new(&self.keygen);
        command.args(arguments).current_dir(self.folder.path());
        outcome(command.env("TZ", "UTC"))
    }

    fn mint(&self, arguments: &[&str]) {
        let fixed = [
            "--ca",
            "ca",
            "--public-key",
            "id.pub",
            "--out",
            "id-cert.pub",
        ];
        self.good("mint_cert", &[&fixed, arguments].concat());
    }

    fn check(&self, arguments: &[&str]) -> Outcome {
        let fixed = ["--ca", "ca.pub", "--cert", "id-cert.pub"];
        self.outcome("check_cert", &[&fixed, arguments].concat())
    }
}

fn outcome(command: &mut Command) -> Outcome {
    let output = command.stdin(Stdio::null()).output().unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

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

struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start_agent(program: &Path, socket: &Path) -> Agent {
    let mut command = Command::new(program);
    command.arg("-D").arg("-a").arg(socket);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let agent = Agent(command.spawn().unwrap());
    for _ in 0..500 {
        if UnixStream::connect(socket).is_ok() {
            return agent;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("ssh-agent did not open its socket");
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
    let _agent = start_agent(&agent, &socket);
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

#[test]
fn lists_are_made_extended_and_queried_and_ssh_keygen_agrees() {
    let Some(lab) = Lab::new() else {
        return;
    };
    lab.mint(&["--principal", "a", "--serial", "150", "--key-id", "mine"]);
    let agrees = |files: &[&str], expected: &[bool]| {
        let (status, stdout, stderr) = lab.outcome("krl", &[&["query", "list"], files].concat());
        let is_any = expected.contains(&true);
        assert_eq!((status, stderr.as_str()), (i32::from(is_any), ""));
        let (theirs, listed, _) = lab.ssh_keygen(&[&["-Q", "-f", "list"], files].concat());
        assert_eq!(theirs == 0, !is_any, "{listed}");
        for ((file, is_revoked), line) in files.iter().zip(expected).zip(stdout.lines()) {
            let start = format!("{file}: {}", if *is_revoked { "revoked" } else { "ok" });
            assert!(line.starts_with(&start), "{stdout}");
        }
    };
    let files = ["id-cert.pub", "id.pub", "other.pub"];
    lab.good(
        "krl",
        &["create", "--out", "list", "--comment", "of a test"],
    );
    agrees(&files, &[false, false, false]);
    lab.good(
        "krl",
        &["update", "list", "--ca", "other.pub", "--serial", "100-199"],
    );
    agrees(&files, &[false, false, false]);
    lab.good(
        "krl",
        &[
            "update", "list", "--ca", "ca.pub", "--serial", "100-199", "--key-id", "x y",
        ],
    );
    agrees(&files, &[true, false, false]);
    lab.good(
        "krl",
        &[
            "update",
            "list",
            "--sha256",
            "other.pub",
            "--sha1",
            "id.pub",
        ],
    );
    agrees(&files, &[true, true, true]);
    let shown = lab.good("krl", &["show", "list"]);
    assert!(shown.starts_with("version: 4\ngenerated: 20"), "{shown}");
    assert!(shown.contains("\ncomment: of a test\n"), "{shown}");
    assert!(
        shown.contains("\n  serial: 100-199\n  key id: x y\n"),
        "{shown}"
    );
    assert!(
        shown.contains("\nhash: SHA256:") && shown.contains("\nhash: SHA1:"),
        "{shown}"
    );

    // What `ssh-keygen -k` makes is read as well.
    let (status, ..) = lab.ssh_keygen(&["-q", "-k", "-f", "theirs", "id-cert.pub", "id.pub"]);
    assert_eq!(status, 0);
    let (status, stdout, _) = lab.outcome("krl", &["query", "theirs", "id.pub", "other.pub"]);
    assert_eq!(
        (status, stdout.as_str()),
        (1, "id.pub: revoked by its key\nother.pub: ok\n")
    );

    for (arguments, expected) in [
        (
            &["create", "--out", "x", "--serial", "7"][..],
            "--ca <FILE|any>",
        ),
        (
            &["create", "--out", "x", "--ca", "any", "--serial", "0"],
            "`0`: serial numbers run from 1 up",
        ),
        (
            &["create", "--out", "x", "--ca", "any", "--serial", "9-3"],
            "`9-3`: serial numbers run from 1 up",
        ),
        (
            &["create", "--out", "x", "--ca", "any", "--serial", "many"],
            "`many` is no serial number; write 7 or 100-199",
        ),
        (
            &["create", "--out", "x", "--sha256", "SHA256:short"],
            "not of the form `SHA256:…`",
        ),
        (
            &["create", "--out", "x", "--certificate", "id.pub"],
            "id.pub: not a certificate",
        ),
        (&["query", "id.pub", "absent"], "cannot read absent"),
        (&["update", "id.pub"], "id.pub: not a key revocation list"),
        (
            &["create", "--out", "no/such/x"],
            "cannot write no/such/x.new",
        ),
    ] {
        let (status, _, stderr) = lab.outcome("krl", arguments);
        assert_eq!(status, 2, "{arguments:?}");
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
    }
    assert!(!lab.path("x").exists());
}

#[test]
fn setup_is_what_sshd_reads_and_answers_are_its_own() {
    let (Some(lab), Some(sshd)) = (Lab::new(), tool("sshd")) else {
        return;
    };
    // Where sshd confines itself when it is started by root; packages make it at boot.
    let _ = fs::create_dir_all("/run/sshd");
    let plain = lab.good("sshd_setup", &["--ca", "ca.pub"]);
    assert!(
        plain.contains("\nPubkeyAuthentication yes\nTrustedUserCAKeys /etc/ssh/portreeve_ca.pub\n"),
        "{plain}"
    );
    let key = lab.read("ca.pub");
    let key: Vec<&str> = key.split(' ').take(2).collect();
    assert!(
        plain.ends_with(&format!(
            "\n# /etc/ssh/portreeve_ca.pub\n{}\n",
            key.join(" ")
        )),
        "{plain}"
    );

    for how in ["files", "command"] {
        let arguments = [
            "--ca",
            "ca.pub",
            "--how",
            how,
            "--allow",
            "johndoe=jdoe@example.com",
            "--allow",
            "root=ops",
            "--write",
            "root",
            "--ask",
            "jdoe@example.com=johndoe",
        ];
        let printed = lab.good("sshd_setup", &arguments);
        let config = printed.replace("yes: ", "# yes: ");
        assert!(
            printed.contains("yes: jdoe@example.com may log in as johndoe, by line 1"),
            "{printed}"
        );
        fs::write(lab.path("config"), config).unwrap();
        let shown = run(Command::new(&sshd)
            .args(["-T", "-C", "user=johndoe,host=h,addr=10.1.2.3", "-h"])
            .arg(lab.path("id"))
            .arg("-f")
            .arg(lab.path("config")));
        let shown = String::from_utf8(shown.stdout).unwrap();
        let expected = match how {
            "files" => "authorizedprincipalsfile /etc/ssh/auth_principals/%u\n",
            _ => "authorizedprincipalscommand /bin/echo jdoe@example.com\n",
        };
        assert!(
            shown.contains("trustedusercakeys /etc/ssh/portreeve_ca.pub\n"),
            "{shown}"
        );
        assert!(shown.contains(expected), "{shown}");
    }
    assert_eq!(
        lab.read("root/etc/ssh/auth_principals/johndoe"),
        "jdoe@example.com\n"
    );
    assert_eq!(lab.read("root/etc/ssh/auth_principals/root"), "ops\n");
    assert!(
        lab.read("root/etc/ssh/portreeve_ca.pub")
            .starts_with("ssh-ed25519 ")
    );

    fs::write(
        lab.path("mapped"),
        "from=\"10.0.0.0/8\" jdoe@example.com\nops\n",
    )
    .unwrap();
    let file = ["--principals-file", "mapped"];
    let echo = ["--principals-command", "/bin/echo %u@example.com"];
    for (of, question, more, expected) in [
        (&file[..], "ops=johndoe", &[][..], Ok("by line 2")),
        (
            &file,
            "jdoe@example.com=johndoe",
            &["--address", "10.1.2.3"],
            Ok("by line 1"),
        ),
        (
            &file,
            "jdoe@example.com=johndoe",
            &["--address", "11.1.2.3"],
            Err("line 1 of the server's principals is not for this address"),
        ),
        (
            &file,
            "johndoe=johndoe",
            &[],
            Err("lists none of the principals"),
        ),
        (&echo, "johndoe@example.com=johndoe", &[], Ok("by line 1")),
        (
            &echo,
            "jdoe@example.com=johndoe",
            &[],
            Err("lists none of the principals"),
        ),
        (&[], "johndoe=johndoe", &[], Ok("whose name it is")),
        (
            &[],
            "jdoe@example.com=johndoe",
            &[],
            Err("user name is not one of the principals"),
        ),
    ] {
        let arguments = [of, &["--ask", question], more].concat();
        let (status, stdout, stderr) = lab.outcome("sshd_setup", &arguments);
        let (wanted, start, text) = match expected {
            Ok(text) => (0, "yes: ", text),
            Err(text) => (1, "no: ", text),
        };
        assert_eq!((status, stderr.as_str()), (wanted, ""), "{arguments:?}");
        assert!(
            stdout.starts_with(start) && stdout.contains(text),
            "{stdout}"
        );
    }

    for (arguments, expected) in [
        (
            &[][..],
            "--ca: name the authority that the server is to trust",
        ),
        (
            &["--ca", "ca.pub", "--allow", "johndoe"],
            "write USER=PRINCIPAL",
        ),
        (
            &["--ca", "ca.pub", "--ask", "johndoe"],
            "write PRINCIPAL=USER",
        ),
        (
            &["--ca", "ca.pub", "--allow", "a=b"],
            "need files or commands",
        ),
        (
            &["--ca", "ca.pub", "--how", "command", "--allow", "a=b,c"],
            "use files for more",
        ),
        (
            &["--ca", "ca.pub", "--how", "files", "--allow", "../a=b"],
            "user name has a slash",
        ),
        (
            &["--ca", "ca.pub", "--path", "ca.pub"],
            "--path: path is not absolute",
        ),
        (&["--ca", "ca"], "ca: not an OpenSSH key file"),
        (
            &["--principals-command", "/bin/ls", "--ask", "a=b"],
            "not `/bin/echo` with plain words",
        ),
    ] {
        let (status, _, stderr) = lab.outcome("sshd_setup", arguments);
        assert_eq!(status, 2, "{arguments:?}");
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
    }
}

const SECRET: &str = "f86dde72575a4a0c6cb106738681a3e261f2db7e5b9ebbb7d6b7b5aabe93280e";
const TARGET: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKPLbwIb/AKIimkixOea3Wa08JGJhFvoyTa+Cu38qu4N";

#[test]
fn derived_keys_are_those_of_the_vectors_and_openssh_can_use_them() {
    let Some(lab) = Lab::new() else {
        return;
    };
    let vectors: serde_json::Value = serde_json::from_str(include_str!(
        "../../crates/hostkey-derive/tests/vectors/derive.json"
    ))
    .unwrap();
    for vector in vectors["vectors"].as_array().unwrap() {
        let text = |name: &str| vector[name].as_str().unwrap();
        let arguments = [
            "--secret-hex",
            text("account_secret_hex"),
            "--target",
            text("target_host_key"),
            "--algorithm",
            text("algorithm"),
        ];
        let printed = lab.good("derive_host_key", &arguments);
        assert_eq!(printed.trim_end(), text("derived_public_key"));
    }

    fs::write(lab.path("secret"), format!("{SECRET}\n")).unwrap();
    for algorithm in ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384"] {
        let arguments = [
            "--secret",
            "secret",
            "--target",
            TARGET,
            "--algorithm",
            algorithm,
            "--private-out",
            algorithm,
        ];
        let public = lab.good("derive_host_key", &arguments);
        let mode = fs::metadata(lab.path(algorithm)).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        let (_, theirs, _) = lab.ssh_keygen(&["-y", "-f", algorithm]);
        assert_eq!(theirs.trim(), public.trim());
        // A private key is never overwritten.
        let (status, stdout, stderr) = lab.outcome("derive_host_key", &arguments);
        assert_eq!((status, stdout.as_str()), (2, ""));
        assert!(stderr.contains("cannot write"), "{stderr}");

        for (name, found_as) in [
            ("web-1.example.com", "web-1.example.com"),
            ("Web-1.example.com:2222", "[web-1.example.com]:2222"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]:2222", "[2001:db8::1]:2222"),
        ] {
            for hashed in [&[][..], &["--hashed"]] {
                let more = [&["--known-hosts", name], hashed].concat();
                let line = lab.good("derive_host_key", &[&arguments[..6], &more].concat());
                assert!(line.trim_end().ends_with(public.trim_end()), "{line}");
                fs::write(lab.path("known_hosts"), line).unwrap();
                let find = ["-F", found_as, "-f", "known_hosts"];
                let (status, found, _) = lab.ssh_keygen(&find);
                assert_eq!(status, 0, "{name}");
                assert!(found.contains(algorithm), "{found}");
            }
        }
    }
}

#[test]
fn what_cannot_be_derived_is_told_without_the_secret() {
    let derive =
        |arguments: &[&str]| outcome(Command::new(example("derive_host_key")).args(arguments));
    let algorithm = ["--algorithm", "ssh-ed25519"];
    for (arguments, expected) in [
        (
            &["--secret-hex", "abcd", "--target", TARGET][..],
            "account secret of 2 bytes: 32 to 64 are needed",
        ),
        (
            &["--secret-hex", "not hex!", "--target", TARGET],
            "not hexadecimal",
        ),
        (
            &["--secret-hex", SECRET, "--target", "ssh-ed25519"],
            "--target: not a public key; write it as in a .pub file",
        ),
        (
            &[
                "--secret-hex",
                SECRET,
                "--target",
                "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIKPLbwIb/AKIimkixOea3Wa08JGJhFvoyTa+Cu38qu4N",
            ],
            "not a public key",
        ),
        (
            &["--secret", "/no/such/file", "--target", TARGET],
            "cannot read /no/such/file",
        ),
        (&["--target", TARGET], "--secret"),
        (
            &[
                "--secret-hex",
                SECRET,
                "--target",
                TARGET,
                "--known-hosts",
                "*",
            ],
            "--known-hosts: host name has a character",
        ),
        (
            &[
                "--secret-hex",
                SECRET,
                "--target",
                TARGET,
                "--known-hosts",
                "a:b",
            ],
            "`b` is not a port",
        ),
        (
            &["--secret-hex", SECRET, "--target", TARGET, "--hashed"],
            "--known-hosts",
        ),
    ] {
        let (status, stdout, stderr) = derive(&[arguments, &algorithm].concat());
        assert_eq!((status, stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
        assert!(!stderr.contains(SECRET), "{stderr}");
    }
    let (status, _, stderr) = derive(&[
        "--secret-hex",
        SECRET,
        "--target",
        TARGET,
        "--algorithm",
        "ssh-rsa",
    ]);
    assert_eq!(status, 2);
    assert!(stderr.contains("ecdsa-sha2-nistp384"), "{stderr}");
}
