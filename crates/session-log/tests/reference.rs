//! A second reader, written in Python from SPEC.md alone, says the same of every log of the testkit.
#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

#[test]
fn the_reference_reader_gives_every_testkit_log_its_verdict() {
    let packages = "import cbor2, cryptography.hazmat.primitives.asymmetric.mlkem, zstandard";
    let has = Command::new("python3").args(["-c", packages]).output();
    if !has.is_ok_and(|output| output.status.success()) {
        let skipped = "SKIPPED: python3 with cryptography, cbor2 and zstandard is not there";
        assert!(std::env::var_os("PORTREEVE_NO_SKIP").is_none(), "{skipped}");
        writeln!(std::io::stderr(), "{skipped}").unwrap();
        return;
    }
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("python3")
        .arg("-B")
        .arg(crate_folder.join("reference/sslg.py"))
        .arg("--kit")
        .arg(crate_folder.join("testkit"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
