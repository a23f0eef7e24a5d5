//! `transport_client` against the real `sshd`, the real `ssh` against `transport_server`, and the two against each other.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// The longest that a program runs, in seconds. On a loaded machine only what hangs comes near it.
const LIMIT_SECONDS: &str = "300";

/// The longest that `ssh-audit` waits for the other side, in seconds: less than the above, so that it says what it waited for.
const AUDIT_SECONDS: &str = "240";

/// How often another port is tried where somebody else has taken the one that was free.
const PORT_TRIES: usize = 5;

/// A command that is killed after [`LIMIT_SECONDS`].
fn bounded(program: &Path) -> Command {
    let mut command = Command::new("timeout");
    command.args(["-k", "5", LIMIT_SECONDS]).arg(program);
    command
}

/// A folder with a user's key, a host's key, and an `sshd_config` that lets the first in.
struct House {
    folder: tempfile::TempDir,
    ssh: PathBuf,
    sshd: PathBuf,
    user: String,
}

impl House {
    /// `None` when there is no OpenSSH.
    fn new() -> Option<Self> {
        let (ssh, sshd) = (common::tool("ssh")?, common::tool("sshd")?);
        let keygen = common::tool("ssh-keygen")?;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for name in ["user", "host", "stranger"] {
            common::ssh_keygen(&keygen, path, name);
        }
        let config = format!(
            "HostKey {0}/host\nAuthorizedKeysFile {0}/user.pub\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nPidFile none\nBanner {0}/banner\nLoginGraceTime 0\n",
            path.display()
        );
        std::fs::write(path.join("sshd_config"), config).unwrap();
        std::fs::write(path.join("banner"), "Welcome\n").unwrap();
        let user = text(&common::run(Command::new("id").arg("-un")).stdout);
        if user.trim() == "root" {
            // Where sshd confines itself when it starts as root; packages make it when the service starts.
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        let user = user.trim().to_owned();
        Some(Self {
            folder,
            ssh,
            sshd,
            user,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn fingerprint(&self) -> String {
        let key = self.path("host.pub");
        let line = common::run(Command::new("ssh-keygen").arg("-lf").arg(key)).stdout;
        text(&line).split_whitespace().nth(1).unwrap().to_owned()
    }

    /// The port of an sshd for one connection.
    fn sshd(&self) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut command = bounded(&self.sshd);
        command.args(["-i", "-f"]).arg(self.path("sshd_config"));
        std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let output = OwnedFd::from(stream.try_clone().unwrap());
            let _ = command
                .stdin(OwnedFd::from(stream))
                .stdout(output)
                .stderr(Stdio::null())
                .status();
        });
        port
    }

    /// `transport_client` as a person runs it.
    fn client(&self, port: u16, identity: &str, more: &[&str], command: &[&str]) -> Output {
        bounded(&common::example("transport_client"))
            .args(["-p", &port.to_string(), "-i"])
            .arg(self.path(identity))
            .args(more)
            .arg(format!("{}@127.0.0.1", self.user))
            .args(command)
            .output()
            .unwrap()
    }

    /// `ssh` as a person runs it.
    fn ssh(&self, server: &Listening, identity: &str, arguments: &[&str], input: &[u8]) -> Output {
        let mut child = bounded(&self.ssh)
            .args([
                "-F",
                "none",
                "-o",
                "BatchMode=yes",
                "-o",
                "IdentitiesOnly=yes",
                "-o",
                "IdentityAgent=none",
            ])
            .args([
                "-o",
                "LogLevel=ERROR",
                "-o",
                "StrictHostKeyChecking=accept-new",
                "-o",
            ])
            .arg(format!(
                "UserKnownHostsFile={}",
                self.path("known_hosts").display()
            ))
            .args(["-p", &server.port.to_string(), "-i"])
            .arg(self.path(identity))
            .arg("somebody@127.0.0.1")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || {
            let _ = stdin.write_all(&input);
        });
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        output
    }
}

/// A `transport_server`, killed when dropped.
struct Listening {
    child: Child,
    port: u16,
    said: String,
}

impl Listening {
    fn start(authorized_keys: &Path, more: &[&str]) -> Self {
        let mut child = bounded(&common::example("transport_server"))
            .args(["--listen", "127.0.0.1:0", "--authorized-keys"])
            .arg(authorized_keys)
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut said)
            .unwrap();
        let address = said
            .strip_prefix("listening on ")
            .unwrap()
            .split(',')
            .next()
            .unwrap();
        let port = address.rsplit(':').next().unwrap().parse().unwrap();
        Self { child, port, said }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // `timeout` hands the signal on; killed outright it could not.
        let _ = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        let _ = self.child.wait();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_client_runs_a_command_on_sshd_and_exits_with_its_status() {
    let Some(house) = House::new() else { return };
    let fingerprint = house.fingerprint();
    let known_hosts = format!(
        "[127.0.0.1]:22 {}",
        std::fs::read_to_string(house.path("host.pub")).unwrap()
    );
    for expected in [fingerprint.as_str(), known_hosts.trim()] {
        let command = ["echo out; echo err >&2; cat; exit 7"];
        let output = house.client(house.sshd(), "user", &["--host-key", expected], &command);
        assert_eq!(text(&output.stdout), "out\n");
        assert_eq!(text(&output.stderr), "Welcome\nerr\n");
        assert_eq!(output.status.code(), Some(7));
    }
    let many = ["head", "-c", "5000000", "/dev/zero"];
    let output = house.client(house.sshd(), "user", &["--host-key", &fingerprint], &many);
    assert_eq!(output.stdout.len(), 5_000_000, "{}", text(&output.stderr));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn the_client_trusts_no_host_key_that_it_was_not_told() {
    let Some(house) = House::new() else { return };
    let fingerprint = house.fingerprint();
    let output = house.client(house.sshd(), "user", &[], &["true"]);
    assert_eq!(output.status.code(), Some(255));
    let hint = format!("with --host-key {fingerprint}\n");
    assert!(
        text(&output.stderr).ends_with(&hint),
        "{}",
        text(&output.stderr)
    );

    let stranger = std::fs::read_to_string(house.path("stranger.pub")).unwrap();
    for wrong in ["SHA256:AAAA", stranger.trim(), ""] {
        let output = house.client(house.sshd(), "user", &["--host-key", wrong], &["true"]);
        assert_eq!(output.status.code(), Some(255));
        let said = text(&output.stderr);
        assert!(
            said.contains("not the one expected") && said.contains(&fingerprint),
            "{said}"
        );
        assert!(!said.contains("Welcome"), "{said}");
    }
}

#[test]
fn the_client_says_why_it_did_not_get_in() {
    let Some(house) = House::new() else { return };
    let fingerprint = house.fingerprint();
    let output = house.client(
        house.sshd(),
        "stranger",
        &["--host-key", &fingerprint],
        &["true"],
    );
    assert_eq!(output.status.code(), Some(255));
    let said = text(&output.stderr);
    assert!(
        said.contains("may not log in with this key; the server takes: publickey"),
        "{said}"
    );
    let output = house.client(1, "nothing", &[], &["true"]);
    assert!(
        text(&output.stderr).contains("cannot read the private key"),
        "{}",
        text(&output.stderr)
    );
    let output = house.client(1, "user", &[], &["true"]);
    assert!(
        text(&output.stderr).contains("cannot connect to 127.0.0.1 port 1: "),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn ssh_runs_commands_on_the_server() {
    let Some(house) = House::new() else { return };
    let server = Listening::start(&house.path("user.pub"), &[]);
    let output = house.ssh(&server, "user", &["echo out; echo err >&2; exit 9"], b"");
    assert_eq!(
        (text(&output.stdout).as_str(), text(&output.stderr).as_str()),
        ("out\n", "err\n")
    );
    assert_eq!(output.status.code(), Some(9));
    let output = house.ssh(&server, "user", &["kill -9 $$"], b"");
    assert_eq!(output.status.code(), Some(137));
    let output = house.ssh(&server, "user", &["-T"], b"echo from the shell; exit 4\n");
    assert_eq!(
        (text(&output.stdout).as_str(), output.status.code()),
        ("from the shell\n", Some(4))
    );
}

#[test]
fn much_passes_the_server_both_ways() {
    let Some(house) = House::new() else { return };
    let server = Listening::start(&house.path("user.pub"), &[]);
    let data: Vec<u8> = (0..6_000_000_u32).map(|i| (i % 251) as u8).collect();
    let output = house.ssh(&server, "user", &["-o", "RekeyLimit=1M", "cat"], &data);
    assert!(
        output.stdout == data,
        "{} bytes: {}",
        output.stdout.len(),
        text(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(0));
    // A command that does not want its input does not hold up the session.
    let output = house.ssh(&server, "user", &["exec <&-; echo done"], &data);
    assert_eq!(
        (text(&output.stdout).as_str(), output.status.code()),
        ("done\n", Some(0))
    );
}

#[test]
fn the_server_lets_in_nobody_else_and_drops_no_restriction() {
    let Some(house) = House::new() else { return };
    let server = Listening::start(&house.path("user.pub"), &[]);
    let output = house.ssh(&server, "stranger", &["true"], b"");
    assert_eq!(output.status.code(), Some(255));
    assert!(
        text(&output.stderr).contains("Permission denied (publickey)"),
        "{}",
        text(&output.stderr)
    );

    let restricted = house.path("restricted");
    let key = std::fs::read_to_string(house.path("user.pub")).unwrap();
    std::fs::write(&restricted, format!("command=\"true\" {key}")).unwrap();
    let server = Listening::start(&restricted, &[]);
    std::fs::remove_file(house.path("known_hosts")).unwrap();
    let output = house.ssh(&server, "user", &["true"], b"");
    assert!(
        text(&output.stderr).contains("Permission denied (publickey)"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn client_and_server_understand_each_other() {
    let Some(house) = House::new() else { return };
    let host_key = house.path("host");
    let server = Listening::start(
        &house.path("user.pub"),
        &["--host-key", host_key.to_str().unwrap()],
    );
    let fingerprint = house.fingerprint();
    assert!(server.said.contains(&fingerprint), "{}", server.said);
    let output = house.client(
        server.port,
        "user",
        &["--host-key", &fingerprint],
        &["seq", "1", "200000"],
    );
    assert!(
        text(&output.stdout).ends_with("\n199999\n200000\n"),
        "{}",
        text(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(0));
}

/// What `ssh-audit` may warn of, and why it stays in the default list.
const WARNINGS: [(&str, &str); 2] = [
    // For peers that have no ML-KEM, of which there are many.
    (
        "curve25519-sha256",
        "does not provide protection against post-quantum attacks",
    ),
    (
        "curve25519-sha256@libssh.org",
        "does not provide protection against post-quantum attacks",
    ),
];

/// Reads what `ssh-audit` found: no failure, and no warning but those above.
fn check_audit(report: &Output) {
    let said = text(&report.stdout);
    let report: serde_json::Value =
        serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}{}", text(&report.stderr)));
    let mut names = 0;
    for list in ["kex", "key", "enc", "mac"] {
        for algorithm in report[list].as_array().unwrap() {
            names += 1;
            let name = algorithm["algorithm"].as_str().unwrap();
            let notes = &algorithm["notes"];
            assert!(notes["fail"].is_null(), "{list} {name}: {}", notes["fail"]);
            for warning in notes["warn"].as_array().into_iter().flatten() {
                let warning = warning.as_str().unwrap();
                assert!(
                    WARNINGS.contains(&(name, warning)),
                    "{list} {name}: {warning}"
                );
            }
        }
    }
    assert_eq!(report["cves"], serde_json::json!([]));
    // Three of key exchange with the mark of strictness, a host key, three ciphers, two MACs: it has seen our lists.
    assert!(names >= 9, "{report}");
}

#[test]
fn ssh_audit_finds_no_failure_in_what_the_server_offers() {
    let (Some(house), Some(audit)) = (House::new(), common::tool("ssh-audit")) else {
        return;
    };
    let server = Listening::start(&house.path("user.pub"), &[]);
    // How many connections a second are let in is up to who listens, not to the transport.
    let report = bounded(&audit)
        .args([
            "--json",
            "--skip-rate-test",
            "--timeout",
            AUDIT_SECONDS,
            "--port",
            &server.port.to_string(),
            "127.0.0.1",
        ])
        .output()
        .unwrap();
    check_audit(&report);
}

#[test]
fn ssh_audit_finds_no_failure_in_what_the_client_offers() {
    let (Some(house), Some(audit)) = (House::new(), common::tool("ssh-audit")) else {
        return;
    };
    for _ in 0..PORT_TRIES {
        let report = audit_client(&house, &audit);
        if !text(&report.stderr).contains("failed to listen on any IPv4") {
            return check_audit(&report);
        }
    }
    panic!("somebody else took each of {PORT_TRIES} ports");
}

/// Has `ssh-audit` listen to our client.
fn audit_client(house: &House, audit: &Path) -> Output {
    // It must be told where to listen: on a port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut audit = bounded(audit)
        .args(["--json", "--client-audit", "--timeout", AUDIT_SECONDS])
        .args(["--port", &port.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Until it listens there is nobody to connect to. It ends when somebody has come, or nobody has for too long.
    while text(&house.client(port, "user", &[], &["true"]).stderr).contains("cannot connect")
        && audit.try_wait().unwrap().is_none()
    {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    audit.wait_with_output().unwrap()
}
