//! `ssh-keygen -F` and a real `ssh` find the hosts of an exported file, and no others.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod common;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use common::{ed25519_blob, have, ssh_keygen};
use hostkey_derive::{AccountSecret, Algorithm, HostName, HostNameError, KnownHosts, derive};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

fn secret() -> AccountSecret {
    AccountSecret::from_bytes(&[0x77; 32]).unwrap()
}

fn name(host: &str, port: u16) -> HostName {
    HostName::new(host, port).unwrap()
}

/// Three hosts in all algorithms, and an authority.
fn fleet() -> KnownHosts {
    let mut known = KnownHosts::new();
    for (fill, names) in [
        (1, vec![name("web-1.example.com", 22), name("10.0.0.1", 22)]),
        (2, vec![name("DB.example.com", 2222)]),
        (3, vec![name("2001:db8::1", 22), name("2001:db8::1", 2200)]),
    ] {
        for algorithm in Algorithm::ALL {
            let key = derive(&secret(), &ed25519_blob(fill), algorithm).unwrap();
            known.add(&names, &key);
        }
    }
    known
}

#[test]
fn ssh_keygen_finds_every_host_with_its_keys_plain_and_hashed() {
    if !have("ssh-keygen") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    fs::write(at.join("plain"), fleet().to_text()).unwrap();
    fs::write(at.join("hashed"), fleet().to_hashed_text(&mut rng)).unwrap();
    let hashed = fs::read_to_string(at.join("hashed")).unwrap();
    assert!(!hashed.contains("example") && !hashed.contains("10.0.0.1"));
    assert_eq!(hashed.lines().count(), 15);
    for file in ["plain", "hashed"] {
        for (fill, host) in [
            (1, "web-1.example.com"),
            (1, "10.0.0.1"),
            (2, "[db.example.com]:2222"),
            (3, "2001:db8::1"),
            (3, "[2001:db8::1]:2200"),
        ] {
            let found = ssh_keygen(at, &["-F", host, "-f", file]).stdout;
            let found = String::from_utf8(found).unwrap();
            for algorithm in Algorithm::ALL {
                let key = derive(&secret(), &ed25519_blob(fill), algorithm).unwrap();
                let line = key.public_key().to_openssh().unwrap();
                assert!(found.contains(line.trim()), "{file} {host}: {found}");
            }
        }
        for host in ["web-2.example.com", "db.example.com", "[10.0.0.1]:2222"] {
            let output = Command::new("ssh-keygen")
                .args(["-F", host, "-f", file])
                .current_dir(at)
                .output()
                .unwrap();
            assert!(output.stdout.is_empty(), "{file} {host}");
        }
    }
    let mut again = ChaCha20Rng::seed_from_u64(1);
    assert_eq!(fleet().to_hashed_text(&mut again), hashed);
}

struct Sshd(Child);

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A real sshd that has these host keys, and its port.
fn start_sshd(at: &Path, keys: &[&str]) -> (Sshd, u16) {
    let sshd = ["/usr/sbin/sshd", "/usr/local/sbin/sshd"];
    let sshd = sshd.into_iter().find(|path| Path::new(path).is_file());
    // Where sshd confines itself when it is started by root; packages make it at boot.
    let _ = fs::create_dir_all("/run/sshd");
    for _ in 0..5 {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let mut config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nPidFile none\nStrictModes no\nUsePAM no\n"
        );
        for key in keys {
            config.push_str(&format!("HostKey {}\n", at.join(key).display()));
        }
        fs::write(at.join("sshd_config"), config).unwrap();
        let child = Command::new(sshd.unwrap_or("sshd"))
            .args(["-D", "-f"])
            .arg(at.join("sshd_config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut sshd = Sshd(child);
        for _ in 0..1000 {
            if sshd.0.try_wait().unwrap().is_some() {
                break;
            }
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return (sshd, port);
            }
            sleep(Duration::from_millis(20));
        }
    }
    panic!("sshd does not start");
}

/// Whether `ssh` is content with the host key; that nobody may log in comes after that.
fn host_key_is_known(at: &Path, port: u16, algorithm: Algorithm) -> bool {
    let output = Command::new("ssh")
        .args(["-F", "none", "-p", &port.to_string()])
        .args(["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"])
        .args(["-o", "IdentityFile=none", "-o", "IdentityAgent=none"])
        .args([
            "-o",
            "GlobalKnownHostsFile=/dev/null",
            "-o",
            "UpdateHostKeys=no",
        ])
        .arg("-o")
        .arg(format!("HostKeyAlgorithms={}", algorithm.name()))
        .arg("-o")
        .arg(format!(
            "UserKnownHostsFile={}",
            at.join("known_hosts").display()
        ))
        .args(["127.0.0.1", "true"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let (known, unknown) = (
        stderr.contains("Permission denied"),
        stderr.contains("Host key verification failed"),
    );
    assert!(known != unknown, "{stderr}");
    known
}

#[test]
fn ssh_knows_the_hosts_of_an_exported_file_and_warns_when_the_targets_key_changed() {
    let sshd_there = Path::new("/usr/sbin/sshd").is_file() || have("sshd");
    if !have("ssh") || !sshd_there {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let key = |fill, algorithm| derive(&secret(), &ed25519_blob(fill), algorithm).unwrap();
    for algorithm in Algorithm::ALL {
        let path = at.join(algorithm.name());
        fs::write(&path, key(1, algorithm).to_openssh().as_bytes()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let (_sshd, port) = start_sshd(at, &Algorithm::ALL.map(Algorithm::name));
    for algorithm in Algorithm::ALL {
        for (fill, hashed, expected) in [
            (1, false, true),
            (1, true, true),
            (2, false, false),
            (2, true, false),
        ] {
            let mut known = KnownHosts::new();
            known.add(&[name("127.0.0.1", port)], &key(fill, algorithm));
            let text = match hashed {
                true => known.to_hashed_text(&mut ChaCha20Rng::seed_from_u64(2)),
                false => known.to_text(),
            };
            fs::write(at.join("known_hosts"), text).unwrap();
            assert_eq!(
                host_key_is_known(at, port, algorithm),
                expected,
                "{algorithm} {fill} hashed: {hashed}"
            );
        }
    }
}

#[test]
fn names_that_mean_something_else_in_the_file_are_refused() {
    for host in [
        "", "*", "a,b", "a b", "!a", "|1|x", "@revoked", "#a", "a\nb", "[a]:1", "-a", "\u{e4}",
    ] {
        assert_eq!(
            HostName::new(host, 22),
            Err(HostNameError::Character),
            "{host:?}"
        );
    }
    let long = "a".repeat(256);
    let refused = HostName::new(&long, 22);
    assert_eq!(
        refused,
        Err(HostNameError::TooLong {
            limit: 255,
            got: 256
        })
    );
    assert_eq!(name("A.Example", 22).as_str(), "a.example");
    assert_eq!(name("A.Example", 2200).as_str(), "[a.example]:2200");

    let key = derive(&secret(), &ed25519_blob(1), Algorithm::Ed25519).unwrap();
    let mut known = KnownHosts::new();
    known.add(&[], &key);
    assert_eq!(known.to_text(), "");
    known
        .add_authority("example.com", key.public_key())
        .unwrap();
    let line = key.public_key().to_openssh().unwrap();
    assert_eq!(
        known.to_text(),
        format!("@cert-authority *.example.com {line}\n")
    );
    assert!(known.add_authority("*", key.public_key()).is_err());
}
