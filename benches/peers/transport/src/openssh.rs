//! The real `sshd` and `ssh`.

use std::fs;
use std::io::Read as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

const SSHD: &str = "/usr/sbin/sshd";

pub(crate) fn is_there() -> bool {
    let is_there = Path::new(SSHD).exists();
    if !is_there {
        eprintln!("no {SSHD}: OpenSSH is left out");
    }
    is_there
}

pub(crate) fn pump(cipher: &str, bytes: u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    for name in ["host", "user"] {
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-t", "ed25519", "-N", "", "-f", &path(name)]);
        assert!(keygen.status().expect("ssh-keygen").success());
    }
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port();
    let config = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPermitRootLogin yes\nStrictModes no\n\
         UsePAM no\nUseDNS no\nPidFile none\nPrintMotd no\nPrintLastLog no\nCiphers {cipher}\nRekeyLimit 1G\n",
        path("host"),
        path("user.pub"),
    );
    fs::write(path("config"), config).expect("a configuration");
    // A privileged sshd wants this folder; without the right to make it there is no need of it.
    let _ = fs::create_dir_all("/run/sshd");
    let mut sshd = Command::new(SSHD)
        .args(["-D", "-f", &path("config"), "-E", &path("log")])
        .stdin(Stdio::null())
        .spawn()
        .expect("sshd");
    await_listening(&mut sshd, &path("log"));
    let mut ssh = Command::new("ssh")
        .args(["-F", "none", "-i", &path("user"), "-p", &port.to_string()])
        .args([
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
        ])
        .args([
            "-o",
            "LogLevel=ERROR",
            "-o",
            "BatchMode=yes",
            "-o",
            "RekeyLimit=1G",
        ])
        .args(["-c", cipher, "127.0.0.1"])
        .arg(format!("head -c {bytes} /dev/zero"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("ssh");
    let mut output = ssh.stdout.take().expect("a pipe");
    let (mut buffer, mut received) = (vec![0; 1 << 16], 0);
    loop {
        match output.read(&mut buffer).expect("a pipe") {
            0 => break,
            read => received += read as u64,
        }
    }
    assert!(ssh.wait().expect("ssh").success());
    assert_eq!(received, bytes);
    // sshd waits for its sessions, so that their time counts; this one ends by itself.
    await_no_children(&sshd);
    sshd.kill().expect("sshd");
    sshd.wait().expect("sshd");
}

fn await_listening(sshd: &mut Child, log: &str) {
    for _ in 0..200 {
        if fs::read_to_string(log).is_ok_and(|log| log.contains("Server listening")) {
            return;
        }
        assert!(sshd.try_wait().expect("sshd").is_none(), "sshd has ended");
        thread::sleep(Duration::from_millis(50));
    }
    panic!("sshd does not listen");
}

fn await_no_children(process: &Child) {
    let id = process.id();
    for _ in 0..200 {
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        if children.is_ok_and(|ids| ids.trim().is_empty()) {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("a session of sshd does not end");
}
