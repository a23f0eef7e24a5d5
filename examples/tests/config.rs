//! Configurations: the sample works, and every wrong one is told with file, line and what to write.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use examples::arrival::ListenerKind;
use examples::config::{Config, ConfigError};
use examples::log_store::Sync;
use session_log::{Identity, Kem};
use ssh_transport::Algorithms;

/// A folder with the keys and secrets that the configuration below names.
struct Folder {
    folder: tempfile::TempDir,
}

const GOOD: &str = r#"policy = "policy.toml"

[account]
secret_file = "account-secret"

[ca]
key_file = "ca"

[log]
directory = "logs"
recipients = ["auditor.pub"]
signing_key_file = "signing"

[[listen]]
address = "127.0.0.1:2222"
kind = "plain"
identity = "alice"
target = "web-1"

[[listen]]
address = "[::1]:8443"
kind = "connect"
proxy_protocol_from = ["10.0.0.0/8", "192.0.2.1"]

[[target]]
id = "web-1"
hostname = "web1.example.com"
address = "192.0.2.10"
tags = { env = "prod" }
host_keys = ["host.pub", "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]
host_ca = "ca.pub"

[[identity]]
name = "alice"
email = "alice@example.com"
groups = ["okta:ops"]
amr = ["hwk"]
posture = ["disk_encryption"]
country = "PT"
token_sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
"#;

const POLICY: &str = r#"[[application]]
name = "lab"
target = [{ include = [{ tag = { env = "prod" } }] }]

[[application.policy]]
name = "ops"
action = "allow"
include = [{ group = { provider = "okta", name = "ops" } }]
usernames = ["deploy"]
"#;

impl Folder {
    fn new() -> Option<Self> {
        let keygen = common::tool("ssh-keygen")?;
        let folder = tempfile::tempdir().unwrap();
        for name in ["ca", "signing", "host"] {
            common::ssh_keygen(&keygen, folder.path(), name);
        }
        let auditor = Identity::generate(
            Kem::X25519,
            &mut getrandom::rand_core::UnwrapErr(getrandom::SysRng),
        );
        let new = Self { folder };
        new.write("auditor.pub", &auditor.recipient().to_text(), 0o644);
        new.write("auditor", &auditor.to_text(), 0o600);
        new.write("account-secret", &"5a".repeat(32), 0o600);
        new.write("policy.toml", POLICY, 0o644);
        fs::create_dir(new.path("logs")).unwrap();
        Some(new)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn load(&self, text: &str) -> Result<Config, ConfigError> {
        Config::from_toml(&self.path("proxy.toml"), text)
    }

    /// The problems of a configuration, as they are shown without the folder.
    fn refused(&self, text: &str) -> String {
        let Err(error) = self.load(text) else {
            panic!("accepted:\n{text}");
        };
        let folder = format!("{}/", self.folder.path().display());
        error.to_string().replace(&folder, "")
    }
}

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
    assert_eq!(config.max_connections, 1000);
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
        "[events]\nfile = \"events.jsonl\"\n[limits]\nmax_connections = 2\n[timeouts]\narrival = \"1s\"\nlogin_grace = \"2m\"\nconnect = \"3s\"\ntarget_login = \"4s\"\nfarewell = \"500ms\"\nshutdown = \"1h\"\n[[target]]",
    );
    let text = text.replace(
        "[[target]]",
        "[clients]\nalgorithms = \"compatible\"\n[[target]]\nalgorithms = \"legacy\"",
    );
    let text = text.replace("signing_key_file", "sync = \"fsync\"\nsigning_key_file");
    let config = folder.load(&text).map_err(|e| e.to_string()).ok().unwrap();
    assert_eq!(config.events_file, Some(folder.path("events.jsonl")));
    assert_eq!(config.max_connections, 2);
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

/// Each case: what is replaced, by what, and what is said about it: place, problem, help.
#[test]
fn every_mistake_is_told_with_its_line_and_a_remedy() {
    let Some(folder) = Folder::new() else { return };
    folder.write("empty.pub", "# nothing\n", 0o644);
    for (good, bad, expected) in [
        (
            "[log]",
            "[lgo]",
            &["lgo", "write `log`", "`[log]` is missing"][..],
        ),
        ("[account]", "[accounts]", &["write `account`"]),
        ("policy = \"policy.toml\"", "", &["`policy` is missing"]),
        (
            "key_file = \"ca\"",
            "key_file = 7",
            &["line 7: ca.key_file: a text is expected here, not a value of type integer"],
        ),
        (
            "key_file = \"ca\"",
            "key_file = \"\"",
            &["line 7: ca.key_file: an empty text"],
        ),
        (
            "key_file = \"ca\"",
            "key_file = \"gone\"",
            &[
                "line 7: ca.key_file: `gone` cannot be used",
                "No such file",
                "ssh-keygen",
            ],
        ),
        (
            "key_file = \"ca\"",
            "key_file = \"auditor\"",
            &["line 7: ca.key_file: not an OpenSSH key file"],
        ),
        (
            "key_file = \"ca\"",
            "key_file = \"ca.pub\"",
            &["line 7: ca.key_file:", "without `.pub`: `ca`"],
        ),
        (
            "secret_file = \"account-secret\"",
            "secret_file = \"signing\"",
            &["line 4: account.secret_file:", "openssl rand -hex 32"],
        ),
        (
            "[\"auditor.pub\"]",
            "[]",
            &[
                "line 11: log.recipients: nobody could read the logs",
                "sshlog keygen",
            ],
        ),
        (
            "[\"auditor.pub\"]",
            "[\"auditor\"]",
            &["line 11: log.recipients[0]:", "private key file"],
        ),
        (
            "[\"auditor.pub\"]",
            "[\"gone.pub\"]",
            &["line 11: log.recipients[0]: `gone.pub` cannot be used"],
        ),
        (
            "directory = \"logs\"",
            "sync = \"later\"",
            &["unknown way `later`", "`directory` is missing"],
        ),
        (
            "[[target]]",
            "[clients]\nalgorithms = \"all\"\n[[target]]\nalgorithms = \"old\"",
            &[
                "clients.algorithms: unknown set of algorithms `all`",
                "target[0].algorithms: unknown set of algorithms `old`",
                "`\"default\"`, `\"compatible\"` or `\"legacy\"`",
            ],
        ),
        (
            "\"plain\"",
            "\"plane\"",
            &[
                "line 16: listen[0].kind: unknown kind `plane`",
                "kind = \"plain\"",
            ],
        ),
        (
            "identity = \"alice\"",
            "",
            &["listen[0]: `identity` is missing"],
        ),
        (
            "identity = \"alice\"",
            "identity = \"bob\"",
            &[
                "line 17: listen[0].identity: there is no identity `bob`",
                "`alice`",
            ],
        ),
        (
            "target = \"web-1\"",
            "target = \"web-2\"",
            &[
                "line 18: listen[0].target: there is no target `web-2`",
                "`web-1`",
            ],
        ),
        (
            "\"connect\"",
            "\"connect\"\ntarget = \"web-1\"",
            &["a connect listener has no target"],
        ),
        (
            "\"127.0.0.1:2222\"",
            "\"localhost:2222\"",
            &["line 15: listen[0].address: `localhost:2222` is no address"],
        ),
        (
            "\"[::1]:8443\"",
            "\"127.0.0.1:2222\"",
            &["two listeners have the address"],
        ),
        (
            "10.0.0.0/8",
            "10.0.0.1/8",
            &[
                "line 23: listen[1].proxy_protocol_from[0]:",
                "write `\"10.0.0.0/8\"`",
            ],
        ),
        ("10.0.0.0/8", "10.0.0.0/33", &["no range of addresses"]),
        (
            "\"192.0.2.10\"",
            "\"web1\"",
            &["line 28: target[0].address: `web1` is no IP address"],
        ),
        (
            "\"192.0.2.10\"",
            "\"192.0.2.10\"\nport = 0",
            &["line 29: target[0].port:", "from 1 to 65535"],
        ),
        (
            "\"192.0.2.10\"",
            "\"192.0.2.10\"\nprot = 22",
            &["line 29: target[0]: unknown field `prot`; write `port`"],
        ),
        (
            "{ env = \"prod\" }",
            "[\"prod\"]",
            &["line 29: target[0].tags: a table is expected"],
        ),
        (
            "\"web1.example.com\"",
            "\"web 1\"",
            &["`web 1` is no host name"],
        ),
        (
            "id = \"web-1\"",
            "id = \"web-1\"\nid = \"web-2\"",
            &["duplicate key", "write each key once"],
        ),
        (
            "\"host.pub\"",
            "\"gone.pub\"",
            &["line 30: target[0].host_keys[0]: `gone.pub` cannot be used"],
        ),
        ("\"host.pub\"", "\"empty.pub\"", &["no key in the file"]),
        (
            "\"host.pub\"",
            "\"ssh-ed25519 AAAA\"",
            &["line 30: target[0].host_keys[0]:", "SHA256"],
        ),
        (
            "host_ca = \"ca.pub\"",
            "host_ca = []",
            &["line 31: target[0].host_ca: an empty list"],
        ),
        (
            "alice@example.com",
            "alice",
            &["`alice` is no e-mail address"],
        ),
        (
            "okta:ops",
            "ops",
            &[
                "line 36: identity[0].groups[0]: `ops` does not say whose group it is",
                "okta:ops",
            ],
        ),
        ("\"PT\"", "\"Portugal\"", &["no country code"]),
        (
            "ba7816bf",
            "xa7816bf",
            &[
                "line 40: identity[0].token_sha256: not the SHA-256",
                "audit_proxy token",
            ],
        ),
        (
            "amr = [\"hwk\"]",
            "kind = \"robot\"",
            &["unknown kind `robot`"],
        ),
        (
            "[[target]]",
            "[target]",
            &["a list of tables is expected here", "[[target]]"],
        ),
        (
            "[[target]]",
            "[timeouts]\nconnect = 10\n[[target]]",
            &["timeouts.connect: not a duration", "90s"],
        ),
        (
            "[[target]]",
            "[timeouts]\nidle = \"10s\"\n[[target]]",
            &["unknown field `idle`"],
        ),
        (
            "[[target]]",
            "[limits]\nmax_connections = 0\n[[target]]",
            &["limits.max_connections: not a number in range"],
        ),
        ("[account]", "[account", &["line 3"]),
    ] {
        let text = GOOD.replacen(good, bad, 1);
        assert_ne!(text, GOOD, "{good}");
        let said = folder.refused(&text);
        assert!(said.starts_with("proxy.toml: line "), "{bad}: {said}");
        for part in expected {
            assert!(said.contains(part), "{bad}: `{part}` is not in\n{said}");
        }
    }
}

#[test]
fn all_problems_are_told_at_once_in_the_order_of_the_lines() {
    let Some(folder) = Folder::new() else { return };
    let text = GOOD
        .replace("\"ca\"", "\"gone\"")
        .replace("\"plain\"", "\"plane\"")
        .replace("\"PT\"", "\"pt\"")
        .replace("192.0.2.10", "x");
    folder.write(
        "policy.toml",
        &POLICY.replace("usernames", "user_names"),
        0o644,
    );
    let said = folder.refused(&text);
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), 6, "{said}");
    for (line, start) in lines.iter().zip([
        "proxy.toml: line 7:",
        "proxy.toml: line 16:",
        "proxy.toml: line 28:",
        "proxy.toml: line 39:",
        "policy.toml: line 5:",
        "policy.toml: line 9:",
    ]) {
        assert!(line.starts_with(start), "{said}");
    }
    assert!(lines[5].contains("usernames"), "{said}");
}

#[test]
fn names_and_tokens_must_be_told_apart() {
    let Some(folder) = Folder::new() else { return };
    let (_, identity) = GOOD.split_once("[[identity]]").unwrap();
    let said = folder.refused(&format!("{GOOD}[[identity]]{identity}"));
    assert!(said.contains("two identities are called `alice`"), "{said}");
    assert!(said.contains("the same token twice"), "{said}");
    let target = "[[target]]\nid = \"WEB-1\"\nhostname = \"web2\"\n";
    let said = folder.refused(&format!("{GOOD}{target}"));
    assert!(said.contains("two targets have the id `WEB-1`"), "{said}");
}

#[test]
fn secrets_that_others_can_use_are_refused() {
    let Some(folder) = Folder::new() else { return };
    for (name, line) in [("account-secret", 4), ("ca", 7), ("signing", 12)] {
        let path = folder.path(name);
        for mode in [0o644, 0o640, 0o606, 0o660] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let said = folder.refused(GOOD);
            assert!(
                said.starts_with(&format!("proxy.toml: line {line}: ")),
                "{said}"
            );
            assert!(said.contains(&format!("{mode:04o}")), "{said}");
            assert!(said.contains("chmod 600"), "{said}");
            assert_eq!(said.lines().count(), 1, "{said}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    }
    assert!(folder.load(GOOD).is_ok());
}

#[test]
fn nothing_of_a_secret_is_in_a_message() {
    let Some(folder) = Folder::new() else { return };
    folder.write("account-secret", "hunter2-hunter2-hunter2-hunter2!", 0o600);
    folder.write("ca", "hunter2", 0o600);
    assert!(!folder.refused(GOOD).contains("hunter2"));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Config::load(Path::new("/nonexistent/proxy.toml"))
        .err()
        .unwrap();
    let said = error.to_string();
    let start = "/nonexistent/proxy.toml: cannot be read: ";
    assert!(said.starts_with(start), "{said}");
    assert!(said.contains("--config"), "{said}");
}

#[test]
fn cut_anywhere_it_is_refused_and_never_panics() {
    let Some(folder) = Folder::new() else { return };
    for length in (0..GOOD.len() - 1).step_by(3) {
        // Cut within the last tables it may still be sound.
        if let Err(error) = folder.load(&GOOD[..length]) {
            assert!(!error.problems().is_empty());
            for (_, problem) in error.problems() {
                assert!(problem.line >= 1 && !problem.what.is_empty() && !problem.help.is_empty());
            }
        } else {
            assert!(length > GOOD.find("name = \"alice\"").unwrap());
        }
    }
}

#[test]
fn the_starter_folder_is_sound_and_everything_in_it_is_where_it_belongs() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("starter");
    let output = Command::new(common::example("audit_proxy"))
        .arg("init")
        .arg(&program)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let config = Config::load(&program.join("proxy.toml"))
        .map_err(|error| error.to_string())
        .ok()
        .unwrap();
    let token = fs::read_to_string(program.join("token")).unwrap();
    assert_eq!(
        examples::token::find(&config.directory.tokens, token.trim()),
        Some(0)
    );
    for entry in fs::read_dir(&program).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        let open = [
            "ca.pub",
            "signing.pub",
            "auditor.pub",
            "allowed_signers",
            "proxy.toml",
            "policy.toml",
        ];
        let name = entry.file_name();
        let is_open = open.iter().any(|open| **open == name);
        assert_eq!(mode & 0o077 == 0, !is_open, "{name:?} {mode:o}");
    }
    let again = Command::new(common::example("audit_proxy"))
        .arg("init")
        .arg(&program)
        .output()
        .unwrap();
    assert!(!again.status.success());
    let said = String::from_utf8_lossy(&again.stderr);
    assert!(
        said.contains("choose another name, nothing is overwritten"),
        "{said}"
    );
}

#[test]
fn places_that_cannot_be_written_are_told_with_their_line_and_are_left_as_they_are() {
    let Some(folder) = Folder::new() else { return };
    folder.write("file", "text", 0o600);
    let cannot = [
        ("missing", "there is no folder", "mkdir -p -m 700 missing"),
        ("file", "`file` is no folder", "name another place"),
        (
            "/proc",
            "`/proc` cannot be written",
            "let the user of this program write",
        ),
    ];
    for (name, what, help) in cannot {
        let said = folder.refused(&GOOD.replace("\"logs\"", &format!("\"{name}\"")));
        assert!(
            said.starts_with("proxy.toml: line 10: log.directory: "),
            "{said}"
        );
        assert!(said.contains(what) && said.contains(help), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");

        let events = format!("[events]\nfile = \"{name}/events\"\n");
        let said = folder.refused(&format!("{GOOD}{events}"));
        let line = GOOD.lines().count() + 2;
        let start = format!("proxy.toml: line {line}: events.file: ");
        assert!(said.starts_with(&start), "{said}");
        assert!(said.contains(help), "{said}");
    }
    for (name, fine) in [
        ("logs", false),
        ("file", true),
        ("new", true),
        ("/dev/null", true),
    ] {
        let events = format!("[events]\nfile = \"{name}\"\n");
        let loaded = folder.load(&format!("{GOOD}{events}"));
        assert_eq!(loaded.is_ok(), fine, "{name}");
    }
    assert_eq!(fs::read_to_string(folder.path("file")).unwrap(), "text");
    assert_eq!(fs::read_dir(folder.path("logs")).unwrap().count(), 0);
    assert!(!folder.path("new").exists());
}

#[test]
fn the_public_half_of_a_key_is_not_to_be_hidden_but_to_be_replaced() {
    let Some(folder) = Folder::new() else { return };
    for (name, line) in [("ca", 7), ("signing", 12)] {
        let said = folder.refused(&GOOD.replace(
            &format!("key_file = \"{name}\""),
            &format!("key_file = \"{name}.pub\""),
        ));
        assert!(
            said.starts_with(&format!("proxy.toml: line {line}: ")),
            "{said}"
        );
        assert!(said.contains("is the public half of a key"), "{said}");
        assert!(
            said.contains(&format!("without `.pub`: `{name}`")),
            "{said}"
        );
    }
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
