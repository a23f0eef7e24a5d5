//! Files and folders that the configuration names.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use examples::config::Config;

use crate::common;
use crate::lab::{Folder, GOOD};

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
