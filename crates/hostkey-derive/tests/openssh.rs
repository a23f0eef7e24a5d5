//! `ssh-keygen` judges keys, fingerprints, signatures and certificates.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod common;

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use common::{blob, ed25519_blob, have, ssh_keygen};
use hostkey_derive::{AccountSecret, Algorithm, DeriveError, Pin, Pins, TargetKey, derive};
use sha2::{Digest as _, Sha512};

fn secret() -> AccountSecret {
    AccountSecret::from_bytes(&[0x5a; 40]).unwrap()
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u32).to_be_bytes());
    out.extend(bytes);
}

#[test]
fn ssh_keygen_reads_the_private_key_and_sees_the_same_public_key_and_fingerprint() {
    if !have("ssh-keygen") {
        return;
    }
    for algorithm in Algorithm::ALL {
        let directory = tempfile::tempdir().unwrap();
        let key = derive(&secret(), &ed25519_blob(1), algorithm).unwrap();
        let path = directory.path().join("key");
        fs::write(&path, key.to_openssh().as_bytes()).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        let public = ssh_keygen(directory.path(), &["-y", "-f", "key"]).stdout;
        let public = String::from_utf8(public).unwrap();
        assert_eq!(blob(&public), key.public_key_blob());
        assert!(public.starts_with(algorithm.name()));
        let listed = ssh_keygen(directory.path(), &["-l", "-f", "key"]).stdout;
        assert!(
            String::from_utf8(listed)
                .unwrap()
                .contains(&key.fingerprint())
        );
    }
}

#[test]
fn ssh_keygen_verifies_signatures_and_refuses_them_over_other_data() {
    if !have("ssh-keygen") {
        return;
    }
    for algorithm in Algorithm::ALL {
        let key = derive(&secret(), &ed25519_blob(2), algorithm).unwrap();
        // Many signatures, since an mpint with leading zeros or a sign byte comes only now and then.
        for round in 0..12u32 {
            let message = format!("exchange hash {round}");
            // The container of PROTOCOL.sshsig around a signature of ours.
            let mut signed = b"SSHSIG".to_vec();
            for field in [
                b"test".as_slice(),
                b"",
                b"sha512",
                &Sha512::digest(&message),
            ] {
                put(&mut signed, field);
            }
            let mut container = b"SSHSIG\0\0\0\x01".to_vec();
            for field in [
                key.public_key_blob(),
                b"test",
                b"",
                b"sha512",
                &key.sign(&signed),
            ] {
                put(&mut container, field);
            }
            assert!(verifies(&container, &message), "{algorithm} {round}");
            assert!(
                !verifies(&container, "something else"),
                "{algorithm} {round}"
            );
        }
    }
}

fn verifies(container: &[u8], message: &str) -> bool {
    use base64ct::Encoding as _;
    let directory = tempfile::tempdir().unwrap();
    let mut armored = String::from("-----BEGIN SSH SIGNATURE-----\n");
    let base64 = base64ct::Base64::encode_string(container);
    for line in base64.as_bytes().chunks(70) {
        armored.push_str(str::from_utf8(line).unwrap());
        armored.push('\n');
    }
    armored.push_str("-----END SSH SIGNATURE-----\n");
    fs::write(directory.path().join("sig"), armored).unwrap();
    let mut child = Command::new("ssh-keygen")
        .args(["-Y", "check-novalidate", "-n", "test", "-s", "sig"])
        .current_dir(directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(message.as_bytes())
        .unwrap();
    child.wait().unwrap().success()
}

#[test]
fn host_certificate_of_every_algorithm_counts_as_the_key_it_certifies() {
    if !have("ssh-keygen") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    ssh_keygen(at, &["-q", "-t", "ed25519", "-N", "", "-f", "ca"]);
    for (kind, bits) in [
        ("ed25519", "256"),
        ("ecdsa", "256"),
        ("ecdsa", "384"),
        ("ecdsa", "521"),
        ("rsa", "2048"),
    ] {
        let name = format!("{kind}{bits}");
        ssh_keygen(at, &["-q", "-t", kind, "-b", bits, "-N", "", "-f", &name]);
        let public = format!("{name}.pub");
        let certificate = format!("{name}-cert.pub");
        let plain = fs::read_to_string(at.join(&public)).unwrap();

        let mut certified = Vec::new();
        for serial in ["1", "2"] {
            let sign = [
                "-q",
                "-s",
                "ca",
                "-h",
                "-I",
                "h",
                "-n",
                "a.example",
                "-z",
                serial,
                &public,
            ];
            ssh_keygen(at, &sign);
            certified.push(blob(&fs::read_to_string(at.join(&certificate)).unwrap()));
        }
        assert_ne!(certified[0], certified[1]);

        let expected = derive(&secret(), &blob(&plain), Algorithm::Ed25519).unwrap();
        let pins = Pins::new([Pin::from_text(&plain).unwrap()]).unwrap();
        for certificate in &certified {
            let derived = derive(&secret(), certificate, Algorithm::Ed25519).unwrap();
            assert_eq!(derived.public_key_blob(), expected.public_key_blob());
            assert_eq!(
                TargetKey::from_blob(certificate).unwrap().blob(),
                blob(&plain)
            );
            pins.check(certificate).unwrap();
            for end in 0..certificate.len() {
                let cut = derive(&secret(), &certificate[..end], Algorithm::Ed25519);
                assert!(cut.is_err(), "{name} cut at {end}");
            }
        }

        ssh_keygen(at, &["-q", "-s", "ca", "-I", "u", "-n", "root", &public]);
        let user = blob(&fs::read_to_string(at.join(&certificate)).unwrap());
        let refused = derive(&secret(), &user, Algorithm::Ed25519).unwrap_err();
        assert_eq!(refused, DeriveError::NotAHostCertificate);
        assert!(pins.check(&user).is_err());
    }
}

#[test]
fn fingerprints_are_those_of_ssh_keygen_for_every_algorithm() {
    if !have("ssh-keygen") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    for kind in ["ed25519", "ecdsa", "rsa"] {
        ssh_keygen(
            directory.path(),
            &["-q", "-t", kind, "-N", "", "-C", "", "-f", kind],
        );
        let line = fs::read_to_string(directory.path().join(format!("{kind}.pub"))).unwrap();
        let listed = ssh_keygen(directory.path(), &["-l", "-f", kind]).stdout;
        let listed = String::from_utf8(listed).unwrap();
        let fingerprint = listed.split_whitespace().nth(1).unwrap();
        assert_eq!(Pin::from_text(&line).unwrap().fingerprint(), fingerprint);
        assert_eq!(
            TargetKey::from_blob(&blob(&line)).unwrap().fingerprint(),
            fingerprint
        );
        assert_eq!(
            Pin::from_text(fingerprint).unwrap().fingerprint(),
            fingerprint
        );
        assert_eq!(Pin::from_text(fingerprint).unwrap().algorithm_name(), None);
        assert_eq!(
            Pin::from_text(&line).unwrap().algorithm_name(),
            line.split_whitespace().next()
        );
    }
}
