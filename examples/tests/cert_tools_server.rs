//! `krl`, `sshd_setup` and `derive_host_key` as their users meet them: the real programs, files in, text and an exit status out.
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

use common::{example, run, tool};
use lab::{Lab, outcome};

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

    // Of a key that nobody here knows, and of a list that another run is at, nothing is said or done.
    fs::write(lab.path("unordered"), UNKNOWN_KEY).unwrap();
    lab.good("krl", &["create", "--out", "held"]);
    fs::write(lab.path("held.new"), "").unwrap();
    let held = fs::read(lab.path("held")).unwrap();

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
        (&["query", "list", "id.pub", "absent"], "cannot read absent"),
        (&["query", "list", "id.pub", "ca"], "ca: not a public key"),
        (
            &["query", "list", "other.pub", "unordered"],
            "unordered: neither a key nor a certificate of a known algorithm: whether it is revoked cannot be told",
        ),
        (
            &["update", "held", "--ca", "any", "--serial", "3"],
            "held.new: another run is at it; if none is, remove this file",
        ),
        (&["update", "id.pub"], "id.pub: not a key revocation list"),
        (&["update", "-"], "-: name a file to write to"),
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
    assert_eq!(fs::read(lab.path("held")).unwrap(), held);
}

/// `ssh-new@example.com`, with nothing in it.
const UNKNOWN_KEY: &str = "ssh-new@example.com AAAAE3NzaC1uZXdAZXhhbXBsZS5jb20=\n";

#[test]
fn a_list_is_replaced_in_one_step_and_keeps_its_mode_and_what_is_not_understood() {
    let Some(lab) = Lab::new() else {
        return;
    };
    lab.good("krl", &["create", "--out", "list"]);
    let mode = || fs::metadata(lab.path("list")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode() & 0o600, 0o600);
    fs::set_permissions(lab.path("list"), fs::Permissions::from_mode(0o640)).unwrap();
    let mut list = fs::read(lab.path("list")).unwrap();
    // A section 255 with the extension `x`, not critical, which holds `data`.
    let extension = b"\0\0\0\x01x\0\0\0\0\x04data";
    list.extend([255, 0, 0, 0, extension.len() as u8]);
    list.extend(extension);
    fs::write(lab.path("list"), &list).unwrap();
    lab.good("krl", &["update", "list", "--key", "id.pub"]);
    assert_eq!(mode(), 0o640);
    assert!(!lab.path("list.new").exists());
    let updated = fs::read(lab.path("list")).unwrap();
    assert!(updated.ends_with(extension), "{updated:?}");
    let shown = lab.good("krl", &["show", "list"]);
    assert!(
        shown.ends_with("\nextension: x of 4 bytes, which is not understood and revokes nothing\n"),
        "{shown}"
    );
}

#[test]
fn a_list_that_is_there_goes_only_by_force() {
    let Some(lab) = Lab::new() else {
        return;
    };
    let create = ["create", "--out", "list"];
    lab.good("krl", &[&create[..], &["--key", "id.pub"]].concat());
    let list = fs::read(lab.path("list")).unwrap();
    let (status, _, stderr) = lab.outcome("krl", &create);
    assert_eq!(status, 2);
    assert!(
        stderr.contains("list: this is there already: add to it with `krl update`"),
        "{stderr}"
    );
    assert_eq!(fs::read(lab.path("list")).unwrap(), list);
    assert!(!lab.path("list.new").exists());
    lab.good("krl", &[&create[..], &["--force"]].concat());
    let (status, stdout, _) = lab.outcome("krl", &["query", "list", "id.pub"]);
    assert_eq!((status, stdout.as_str()), (0, "id.pub: ok\n"));
}

#[test]
fn a_list_behind_a_link_is_replaced_where_it_is() {
    let Some(lab) = Lab::new() else {
        return;
    };
    fs::create_dir(lab.path("folder")).unwrap();
    lab.good("krl", &["create", "--out", "folder/list"]);
    std::os::unix::fs::symlink("folder/list", lab.path("link")).unwrap();
    lab.good("krl", &["update", "link", "--key", "id.pub"]);
    assert!(fs::symlink_metadata(lab.path("link")).unwrap().is_symlink());
    let (status, ..) = lab.outcome("krl", &["query", "folder/list", "id.pub"]);
    assert_eq!(status, 1);
    assert!(!lab.path("folder/list.new").exists());
}

#[test]
fn no_revocation_is_lost_when_many_are_made_at_once() {
    let Some(lab) = Lab::new() else {
        return;
    };
    lab.good("krl", &["create", "--out", "list"]);
    let revoke = |serial: u32| {
        let serial = serial.to_string();
        let update = ["update", "list", "--ca", "any", "--serial", &serial];
        lab.outcome("krl", &update).0 == 0
    };
    let done: Vec<u32> = std::thread::scope(|scope| {
        let runs: Vec<_> = (1..=12)
            .map(|serial| scope.spawn(move || revoke(serial * 2).then_some(serial * 2)))
            .collect();
        let runs = runs.into_iter();
        runs.filter_map(|run| run.join().unwrap()).collect()
    });
    assert!(!done.is_empty());
    let shown = lab.good("krl", &["show", "list"]);
    for serial in done {
        assert!(
            shown.contains(&format!("\n  serial: {serial}\n")),
            "{shown}"
        );
    }
}

#[test]
fn files_on_a_server_that_say_something_else_go_only_by_force() {
    let Some(lab) = Lab::new() else {
        return;
    };
    let setup = |principals: &str, more: &[&str]| {
        let allowed = format!("root={principals}");
        let fixed = [
            "--ca", "ca.pub", "--how", "files", "--write", "server", "--allow", &allowed,
        ];
        lab.outcome("sshd_setup", &[&fixed[..], more].concat())
    };
    let file = "server/etc/ssh/auth_principals/root";
    assert_eq!(setup("ops", &[]).0, 0);
    assert_eq!(setup("ops", &[]).0, 0);
    fs::write(lab.path(file), "from=\"10.0.0.0/8\" ops\n").unwrap();
    let (status, _, stderr) = setup("ops", &[]);
    assert_eq!(status, 2);
    assert!(
        stderr.contains("auth_principals/root: this is there already and says something else"),
        "{stderr}"
    );
    assert_eq!(lab.read(file), "from=\"10.0.0.0/8\" ops\n");
    assert_eq!(setup("ops", &["--force"]).0, 0);
    assert_eq!(lab.read(file), "ops\n");
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
        let unmapped = run(Command::new(&sshd)
            .args(["-T", "-C", "user=daemon,host=h,addr=10.1.2.3", "-h"])
            .arg(lab.path("id"))
            .arg("-f")
            .arg(lab.path("config")));
        let unmapped = String::from_utf8(unmapped.stdout).unwrap();
        let expected = match how {
            "files" => expected,
            _ => "authorizedprincipalscommand /bin/echo\n",
        };
        assert!(unmapped.contains(expected), "{unmapped}");
        let asks = ["--ask", "daemon=daemon"];
        let (status, stdout, _) = lab.outcome("sshd_setup", &[&arguments[..8], &asks].concat());
        assert_eq!(status, 1, "{stdout}");
        assert!(
            stdout.ends_with(
                "no: daemon may not log in as daemon: server lists none of the principals for this user\n"
            ),
            "{stdout}"
        );
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
        "from=\"10.0.0.0/8\" jdoe@example.com\nops\nx=y\n",
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
        (
            &file,
            "x=ops=johndoe",
            &[],
            Err("lists none of the principals"),
        ),
        (&file, "x=y=johndoe", &[], Ok("by line 3")),
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
            &[
                "--ca", "ca.pub", "--how", "files", "--allow", "a=b", "--allow", "a=c",
            ],
            "user was mapped before",
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
    // A mistake leaves no private key behind.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    let (status, ..) = derive(&[
        "--secret-hex",
        SECRET,
        "--target",
        TARGET,
        "--algorithm",
        "ssh-ed25519",
        "--known-hosts",
        "a:b",
        "--private-out",
        file.to_str().unwrap(),
    ]);
    assert_eq!(status, 2);
    assert!(!file.exists());
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
