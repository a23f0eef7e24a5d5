//! Every mistake is told with its place and what to write instead.

use crate::lab::{Folder, GOOD, POLICY};

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
        (
            "[[target]]",
            "[limits.session]\nbacklog_bytes = 1000\n[[target]]",
            &[
                "limits.session.backlog_bytes: not a number in range",
                "from 65536 to 67108864",
            ],
        ),
        (
            "[[target]]",
            "[limits.identity]\nopen_questions = 0\n[[target]]",
            &["limits.identity.open_questions: not a number in range"],
        ),
        (
            "[[target]]",
            "[limits.session]\ninner_window_bytes = 1000\nwatchers = 65\npeer_exchanges = 0\n[[target]]",
            &[
                "limits.session.inner_window_bytes: not a number in range",
                "limits.session.watchers: not a number in range",
                "limits.session.peer_exchanges: not a number in range",
            ],
        ),
        (
            "[[target]]",
            "[admin]\nsocket = \"a.sock\"\nmax_clients = 0\nfeed_bytes = 1000\n[[target]]",
            &[
                "admin.max_clients: not a number in range",
                "admin.feed_bytes: not a number in range",
                "from 65536 to 67108864",
            ],
        ),
        (
            "[[target]]",
            "[limits.source]\nipv4_prefix = 33\n[[target]]",
            &["limits.source.ipv4_prefix: not a number in range"],
        ),
        (
            "[[target]]",
            "[limits.identity]\nunauthenticated = 3\n[[target]]",
            &["unknown field `unauthenticated`"],
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
fn a_policy_that_asks_for_what_nobody_here_can_tell_is_refused_by_name() {
    let Some(folder) = Folder::new() else { return };
    for (name, asked) in [
        ("max_login_age", "max_login_age = \"1h\""),
        ("hidden_input", "hidden_input = \"never\""),
    ] {
        folder.write("policy.toml", &format!("{POLICY}{asked}\n"), 0o644);
        let said = folder.refused(GOOD);
        let expected = format!("it asks for `{name}`, which cannot be enforced here");
        assert!(said.contains(&expected), "{said}");
        assert!(said.starts_with("policy.toml: line 10:"), "{said}");
    }
}

#[test]
fn an_operator_is_one_user_and_a_known_identity_at_a_socket_that_can_be_made() {
    let Some(folder) = Folder::new() else { return };
    let operator = "[[admin.operator]]\nuid = 7\nidentity = \"alice\"\n";
    // What is resolved in the folder may have 97 bytes.
    let room = 97 - folder.path("").as_os_str().len();
    let (longest, long) = ("x".repeat(room), "x".repeat(room + 1));
    let fits = format!("{GOOD}\n[admin]\nsocket = \"{longest}\"\n");
    assert!(folder.load(&fits).is_ok());
    for (lines, expected) in [
        (operator.to_owned(), "`socket` is missing"),
        (
            format!("socket = \"{long}\""),
            "too long for the path of a socket",
        ),
        (
            "socket = \"nowhere/admin.sock\"".to_owned(),
            "there is no folder",
        ),
        (
            "socket = \"s\"\nmode = 0o755".to_owned(),
            "not the permissions of a socket",
        ),
        (
            "socket = \"s\"\nmode = 0o060".to_owned(),
            "not the permissions of a socket",
        ),
        (
            format!("socket = \"s\"\n{operator}{operator}"),
            "user 7 is two identities",
        ),
        (
            format!("socket = \"s\"\n{}", operator.replace("alice", "bob")),
            "there is no identity `bob`",
        ),
        (
            format!(
                "socket = \"s\"\n{}",
                operator.replace("uid = 7", "uid = -1")
            ),
            "not a number in range",
        ),
        (
            format!("socket = \"s\"\n{}", operator.replace("uid = 7", "")),
            "`uid` is missing",
        ),
    ] {
        let said = folder.refused(&format!("{GOOD}\n[admin]\n{lines}\n"));
        assert!(said.contains(expected), "{lines}: {said}");
    }
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
