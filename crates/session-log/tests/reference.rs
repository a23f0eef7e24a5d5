//! A second reader, written in Python from SPEC.md alone, says the same of every log of the testkit; and its CBOR is what the CDDL there says.
#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::process::{Command, Output};

/// Runs a program of `reference/` in the crate's folder. `None`: the machine has not what it takes, and that was said.
fn run(packages: &str, arguments: &[&str]) -> Option<Output> {
    let has = Command::new("python3")
        .args(["-c", &format!("import {packages}")])
        .output();
    if !has.is_ok_and(|output| output.status.success()) {
        let skipped = format!("SKIPPED: python3 with {packages} is not there");
        assert!(
            std::env::var_os("PORTREEVE_NO_SKIP").is_none_or(|value| value != "1"),
            "{skipped}"
        );
        let mut stderr = std::io::stderr();
        writeln!(stderr, "{skipped}").unwrap();
        return None;
    }
    let mut command = Command::new("python3");
    command.arg("-B").args(arguments);
    Some(
        command
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap(),
    )
}

#[track_caller]
fn succeeds(output: Option<Output>) {
    let Some(output) = output else { return };
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complained}");
}

const READS: &str = "cbor2, cryptography.hazmat.primitives.asymmetric.mlkem, zstandard";

#[test]
fn the_reference_reader_gives_every_testkit_log_its_verdict() {
    succeeds(run(READS, &["reference/sslg.py", "--kit", "testkit"]));
}

#[test]
fn what_the_testkit_holds_is_what_the_specification_says_in_cddl() {
    let packages = format!("{READS}, pycddl");
    succeeds(run(&packages, &["reference/cddl.py", "SPEC.md", "testkit"]));
}
