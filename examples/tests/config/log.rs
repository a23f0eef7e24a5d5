//! `[log]`: suite and profile, and who can read and sign by them.

use std::fs;

use session_log::{Identity, Kem, Profile, Suite};

use crate::common;
use crate::lab::{Folder, GOOD};

fn with(lines: &str) -> String {
    GOOD.replace("signing_key_file", &format!("{lines}\nsigning_key_file"))
}

/// A folder whose auditor has a key of this mechanism.
fn read_by(kem: Kem) -> Option<Folder> {
    let folder = Folder::new()?;
    let mut rng = getrandom::rand_core::UnwrapErr(getrandom::SysRng);
    let auditor = Identity::generate(kem, &mut rng);
    folder.write("auditor.pub", &auditor.recipient().to_text(), 0o644);
    Some(folder)
}

/// Replaces the key that signs by one of NIST P-256.
fn sign_by_ecdsa(folder: &Folder) {
    let keygen = common::tool("ssh-keygen").expect("it made the folder");
    for name in ["signing", "signing.pub"] {
        fs::remove_file(folder.path(name)).expect("removed");
    }
    let made = std::process::Command::new(keygen)
        .args(["-q", "-t", "ecdsa", "-b", "256", "-N", "", "-f"])
        .arg(folder.path("signing"))
        .status();
    assert!(made.expect("it runs").success());
}

#[test]
fn logs_are_of_the_suite_that_the_file_names() {
    for (word, suite, kem) in [
        ("aes256gcm-ed25519", Suite::Aes256GcmSha256, Kem::XWing),
        (
            "chacha20poly1305-ed25519",
            Suite::ChaCha20Poly1305Sha256,
            Kem::X25519,
        ),
        ("aes256gcm-p256", Suite::Aes256GcmSha256P256, Kem::P256),
        ("aes256gcm-p384", Suite::Aes256GcmSha384P384, Kem::P384),
    ] {
        let Some(folder) = read_by(kem) else { return };
        let config = folder.load(&with(&format!("suite = \"{word}\"")));
        let log = config.unwrap_or_else(|error| panic!("{error}")).log;
        assert_eq!((log.suite, log.policy.profile), (suite, Profile::Any));
        assert_eq!(log.recipients.len(), 1);
    }
    let Some(folder) = Folder::new() else { return };
    let log = folder
        .load(GOOD)
        .unwrap_or_else(|error| panic!("{error}"))
        .log;
    assert_eq!(
        (log.suite, log.policy.profile),
        (Suite::default(), Profile::Any)
    );
}

#[test]
fn the_fips_profile_takes_nothing_but_its_own_suites_keys_and_signers() {
    let Some(folder) = Folder::new() else { return };
    let fips = |suite: &str| with(&format!("profile = \"fips\"\nsuite = \"{suite}\""));
    let said = folder.refused(&with("profile = \"fips\""));
    assert!(
        said.starts_with("proxy.toml: line 12: log.profile: "),
        "{said}"
    );
    assert!(
        said.contains("not 0x0002; write `suite = \"aes256gcm-p256\"`"),
        "{said}"
    );

    let said = folder.refused(&fips("aes256gcm-p256"));
    assert!(
        said.starts_with("proxy.toml: line 14: log.signing_key_file: "),
        "{said}"
    );
    assert!(
        said.contains("not `ssh-ed25519`; make one with `ssh-keygen -t ecdsa"),
        "{said}"
    );

    sign_by_ecdsa(&folder);
    let said = folder.refused(&fips("aes256gcm-p256"));
    assert!(
        said.starts_with("proxy.toml: line 11: log.recipients: "),
        "{said}"
    );
    assert!(
        said.contains("`x25519`") && said.contains("sshlog keygen --kem p256"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");

    let Some(folder) = read_by(Kem::P256) else {
        return;
    };
    sign_by_ecdsa(&folder);
    let config = folder.load(&fips("aes256gcm-p256"));
    let log = config.unwrap_or_else(|error| panic!("{error}")).log;
    assert_eq!(log.policy.profile, Profile::Fips);
    assert_eq!(log.suite, Suite::Aes256GcmSha256P256);
}

#[test]
fn words_that_nobody_knows_are_told_with_those_there_are() {
    let Some(folder) = Folder::new() else { return };
    for (line, what, help) in [
        (
            "suite = \"aes\"",
            "log.suite: unknown suite `aes`",
            "`\"aes256gcm-ed25519\"` or",
        ),
        (
            "profile = \"FIPS\"",
            "log.profile: unknown profile `FIPS`",
            "`\"any\"` or `\"fips\"`",
        ),
        (
            "sync = \"later\"",
            "log.sync: unknown way `later`",
            "`\"write\"` or `\"fsync\"`",
        ),
    ] {
        let said = folder.refused(&with(line));
        assert!(said.starts_with("proxy.toml: line 12: "), "{said}");
        assert!(said.contains(what) && said.contains(help), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}
