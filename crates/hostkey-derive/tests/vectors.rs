//! Vectors made by an independent program, and that program itself.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use common::{blob, have};
use hostkey_derive::{AccountSecret, Algorithm, Origin, derive};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

fn derived_line(vector: &Value) -> String {
    let secret = AccountSecret::from_text(vector["account_secret_hex"].as_str().unwrap()).unwrap();
    let target = blob(vector["target_host_key"].as_str().unwrap());
    let algorithm = Algorithm::from_name(vector["algorithm"].as_str().unwrap()).unwrap();
    let key = derive(&secret, &target, algorithm).unwrap();
    assert_eq!(key.algorithm(), algorithm);
    assert_eq!(key.public_key().to_bytes().unwrap(), key.public_key_blob());
    key.public_key().to_openssh().unwrap()
}

#[test]
fn every_vector_of_the_independent_program_is_met() {
    let file: Value = serde_json::from_str(include_str!("vectors/derive.json")).unwrap();
    assert_eq!(file["spec"], "hostkey-derive v1");
    let vectors = file["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 24);
    for vector in vectors {
        assert_eq!(
            derived_line(vector),
            vector["derived_public_key"].as_str().unwrap()
        );
    }
}

fn reference(arguments: &[&str]) -> Command {
    let mut command = Command::new("python3");
    command.arg("reference/hostkey_derive.py").args(arguments);
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")));
    command
}

#[test]
fn python_reference_meets_the_vectors_and_writes_the_rejection_vectors() {
    if !have("python3") {
        return;
    }
    assert!(
        reference(&["check", "tests/vectors/derive.json"])
            .status()
            .unwrap()
            .success()
    );
    let written = reference(&["rejection"]).output().unwrap();
    let written: Value = serde_json::from_slice(&written.stdout).unwrap();
    let kept: Value = serde_json::from_str(include_str!("vectors/rejection.json")).unwrap();
    assert_eq!(written, kept);
}

#[test]
fn ids_of_secrets_are_those_that_the_python_reference_writes() {
    let kept: Value = serde_json::from_str(include_str!("vectors/secret_id.json")).unwrap();
    for vector in kept["vectors"].as_array().unwrap() {
        let secret =
            AccountSecret::from_text(vector["account_secret_hex"].as_str().unwrap()).unwrap();
        let origin = Origin::of(&secret, &common::ed25519_blob(1), Algorithm::Ed25519).unwrap();
        let text = origin.to_string();
        assert_eq!(text.rsplit(' ').next(), vector["secret_id_hex"].as_str());
    }
    if have("python3") {
        let written = reference(&["secret-ids"]).output().unwrap();
        let written: Value = serde_json::from_slice(&written.stdout).unwrap();
        assert_eq!(written, kept);
    }
}

#[test]
fn python_reference_derives_the_same_keys_from_random_inputs() {
    if !have("python3") {
        return;
    }
    let mut rng = ChaCha20Rng::seed_from_u64(20);
    let cases: Vec<Value> = (0..60)
        .map(|case| {
            let mut secret = vec![0; 32 + case % 33];
            rng.fill_bytes(&mut secret);
            let target = ssh_key::PrivateKey::random(
                &mut rng,
                match case % 2 {
                    0 => ssh_key::Algorithm::Ed25519,
                    _ => ssh_key::Algorithm::Ecdsa {
                        curve: ssh_key::EcdsaCurve::NistP384,
                    },
                },
            );
            json!({
                "account_secret_hex": base16ct::lower::encode_string(&secret),
                "target_host_key": target.unwrap().public_key().to_openssh().unwrap(),
                "algorithm": Algorithm::ALL[case % 3].name(),
            })
        })
        .collect();

    let mut child = reference(&["derive"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = String::new();
    for case in &cases {
        input.push_str(&format!("{case}\n"));
    }
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let theirs: Vec<&str> = str::from_utf8(&output.stdout).unwrap().lines().collect();
    let ours: Vec<String> = cases.iter().map(derived_line).collect();
    assert_eq!(ours, theirs);
}
