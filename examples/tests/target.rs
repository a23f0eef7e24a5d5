//! The demo's embedded target, driven by the real `ssh` with certificates of the real `ssh-keygen`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::keys::{PrivateKey, PublicKey};
use rustix::process::Signal;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

struct Bench {
    folder: tempfile::TempDir,
    ssh: PathBuf,
    keygen: PathBuf,
    port: u16,
}

impl Bench {
    async fn start() -> Option<Self> {
        let (ssh, keygen) = (common::tool("ssh")?, common::tool("ssh-keygen")?);
        let folder = tempfile::tempdir().unwrap();
        common::ssh_keygen(&keygen, folder.path(), "ca");
        common::ssh_keygen(&keygen, folder.path(), "user");
        let authority = PublicKey::read_openssh_file(folder.path().join("ca.pub")).unwrap();
        let pair = Ed25519Keypair::from_seed(&[9; 32]);
        let host_key = PrivateKey::new(KeypairData::from(pair), "").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(examples::target::serve(listener, authority, host_key));
        let bench = Self {
            folder,
            ssh,
            keygen,
            port,
        };
        bench.sign("ca", &["-n", "alice", "-V", "-1m:+3m"]);
        Some(bench)
    }

    /// Makes `user-cert.pub` anew.
    fn sign(&self, authority: &str, options: &[&str]) {
        common::run(
            Command::new(&self.keygen)
                .arg("-q")
                .arg("-s")
                .arg(self.path(authority))
                .args(["-I", "test"])
                .args(options)
                .arg(self.path("user.pub")),
        );
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn ssh(&self, options: &[&str], user: &str) -> tokio::process::Command {
        let mut command = common::ssh(&self.ssh, self.folder.path(), self.port);
        command
            .arg("-i")
            .arg(self.path("user"))
            .args(options)
            .arg(format!("{user}@127.0.0.1"));
        command
    }

    async fn exec(&self, command: &str) -> Output {
        common::output(self.ssh(&[], "alice").arg(command)).await
    }

    async fn refused(&self, user: &str) -> bool {
        let output = common::output(self.ssh(&[], user).arg("echo in")).await;
        let errors = String::from_utf8_lossy(&output.stderr);
        output.status.code() == Some(255)
            && output.stdout.is_empty()
            && errors.contains("Permission denied")
    }
}

async fn with_input(mut command: tokio::process::Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writing = tokio::spawn(async move {
        let _ = stdin.write_all(&input).await;
    });
    let output = common::bounded(child.wait_with_output()).await.unwrap();
    writing.await.unwrap();
    output
}

/// Waits for a file to be written, and reads it.
async fn file(path: &Path) -> String {
    for _ in 0..200 {
        if let Ok(text) = std::fs::read_to_string(path)
            && !text.is_empty()
        {
            return text;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{} was never written", path.display());
}

/// Whether a process is there and no zombie.
fn alive(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .starts_with(" Z")
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn output_errors_and_status_come_apart() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let output = bench.exec("echo out; echo err >&2; exit 7").await;
    assert_eq!(output.stdout, b"out\n");
    assert_eq!(output.stderr, b"err\n");
    assert_eq!(output.status.code(), Some(7));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_valid_certificate_for_the_user_is_let_in() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    assert!(!bench.refused("alice").await);
    assert!(bench.refused("bob").await, "another user");
    bench.sign("ca", &["-n", "alice", "-V", "-3m:-1m"]);
    assert!(bench.refused("alice").await, "expired");
    bench.sign("ca", &["-h", "-n", "alice", "-V", "-1m:+3m"]);
    assert!(bench.refused("alice").await, "a host certificate");
    bench.sign("ca", &["-V", "-1m:+3m"]);
    assert!(bench.refused("alice").await, "no principals");
    common::ssh_keygen(&bench.keygen, bench.folder.path(), "other-ca");
    bench.sign("other-ca", &["-n", "alice", "-V", "-1m:+3m"]);
    assert!(bench.refused("alice").await, "another authority");
    std::fs::remove_file(bench.path("user-cert.pub")).unwrap();
    assert!(bench.refused("alice").await, "a plain key");
    bench.sign("ca", &["-n", "alice", "-V", "-1m:+3m"]);
    assert!(!bench.refused("alice").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn input_ends_where_the_client_ends_it_and_megabytes_come_back_unchanged() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let mut command = bench.ssh(&[], "alice");
    command.arg("wc -c");
    let output = with_input(command, b"12345").await;
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "5");

    let data: Vec<u8> = (0..8_u32 << 20)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let mut command = bench.ssh(&[], "alice");
    command.arg("cat");
    let output = with_input(command, &data).await;
    assert!(
        output.stdout == data,
        "{} bytes came back",
        output.stdout.len()
    );
    assert_eq!(output.status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn locale_variables_pass_and_others_do_not() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let output = common::output(
        bench
            .ssh(&["-o", "SendEnv=LC_PORTREEVE PORTREEVE_TEST"], "alice")
            .arg("echo \"<$LC_PORTREEVE><$PORTREEVE_TEST>\"")
            .env("LC_PORTREEVE", "here")
            .env("PORTREEVE_TEST", "there"),
    )
    .await;
    assert_eq!(output.stdout, b"<here><>\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_is_given_when_the_certificate_permits_it() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let mut command = bench.ssh(&["-tt"], "alice");
    command.env("TERM", "vt100");
    let output = with_input(
        command,
        b"test -t 0 && echo \"a tty $TERM\" | tr a-z A-Z\nexit 3\n",
    )
    .await;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("A TTY VT100"), "{text}");
    assert_eq!(output.status.code(), Some(3), "{text}");

    bench.sign("ca", &["-n", "alice", "-V", "-1m:+3m", "-O", "no-pty"]);
    let output = common::output(bench.ssh(&["-tt"], "alice").arg("test -t 0; echo $?")).await;
    assert!(!String::from_utf8_lossy(&output.stdout).contains('0'));
}

#[tokio::test(flavor = "multi_thread")]
async fn force_command_and_source_address_are_obeyed() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    bench.sign(
        "ca",
        &[
            "-n",
            "alice",
            "-V",
            "-1m:+3m",
            "-O",
            "force-command=echo forced",
        ],
    );
    assert_eq!(bench.exec("echo asked").await.stdout, b"forced\n");
    bench.sign(
        "ca",
        &[
            "-n",
            "alice",
            "-V",
            "-1m:+3m",
            "-O",
            "source-address=10.0.0.0/8",
        ],
    );
    assert!(bench.refused("alice").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_ended_by_a_signal_is_reported_as_such() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let output = bench.exec("kill -TERM $$").await;
    assert_eq!(output.status.code(), Some(255));
    let output = common::output(
        bench
            .ssh(&["-v", "-o", "LogLevel=DEBUG1"], "alice")
            .arg("kill -TERM $$"),
    )
    .await;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("rtype exit-signal"), "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_keeps_running_when_the_client_is_gone() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    for options in [&["-tt"][..], &[][..]] {
        let note = bench.path("pid");
        let _ = std::fs::remove_file(&note);
        let mut child = bench
            .ssh(options, "alice")
            .arg(format!(
                "trap '' HUP; sleep 300 & echo $! > {}; wait",
                note.display()
            ))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pid = file(&note).await;
        assert!(alive(&pid));
        child.kill().await.unwrap();
        let mut left = 100;
        while alive(&pid) {
            left -= 1;
            assert!(left > 0, "process {pid} lives on ({options:?})");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn channels_of_one_connection_do_not_wait_for_a_stalled_one() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let socket = bench.path("mux");
    let control = format!("ControlPath={}", socket.display());
    let mut stalled = bench
        .ssh(&["-M", "-o", &control], "alice")
        .arg("yes")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    for _ in 0..100 {
        if socket.exists() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    for _ in 0..3 {
        let output = common::output(bench.ssh(&["-o", &control], "alice").arg("echo live")).await;
        assert_eq!(output.stdout, b"live\n");
    }
    stalled.kill().await.unwrap();
}

/// The certificate of the bench, for `russh`'s own client: `ssh` sends no signals, and resizes only
/// where it has a terminal itself.
async fn russh_client(bench: &Bench) -> russh::client::Handle<AnyServer> {
    let config = std::sync::Arc::new(russh::client::Config::default());
    let address = ("127.0.0.1", bench.port);
    let mut client = russh::client::connect(config, address, AnyServer)
        .await
        .unwrap();
    let key = PrivateKey::read_openssh_file(bench.path("user")).unwrap();
    let certificate = russh::keys::Certificate::read_file(&bench.path("user-cert.pub")).unwrap();
    let authenticated = client
        .authenticate_openssh_cert("alice", std::sync::Arc::new(key), certificate)
        .await
        .unwrap();
    assert!(authenticated.success());
    client
}

struct AnyServer;

impl russh::client::Handler for AnyServer {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        _: &russh::keys::PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

/// Reads a channel until its output holds a text.
async fn read_until(channel: &mut russh::Channel<russh::client::Msg>, wanted: &str) {
    let mut seen = String::new();
    while !seen.contains(wanted) {
        match channel.wait().await {
            Some(russh::ChannelMsg::Data { data }) => seen += &String::from_utf8_lossy(&data),
            Some(_) => {}
            None => panic!("closed before `{wanted}`: {seen}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_reach_the_whole_process_group() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let client = russh_client(&bench).await;
    for (signal, name, number) in [
        (russh::Sig::INT, "INT", Signal::INT),
        (russh::Sig::TERM, "TERM", Signal::TERM),
        (russh::Sig::HUP, "HUP", Signal::HUP),
        (russh::Sig::KILL, "KILL", Signal::KILL),
    ] {
        if common::ignores(number) {
            continue;
        }
        let mut channel = client.channel_open_session().await.unwrap();
        // A pipeline: `sh` and both its children must go.
        channel
            .exec(true, "echo ready; sleep 300 | sleep 300")
            .await
            .unwrap();
        common::bounded(read_until(&mut channel, "ready")).await;
        channel.signal(signal).await.unwrap();
        let ended = common::bounded(async {
            while let Some(message) = channel.wait().await {
                if let russh::ChannelMsg::ExitSignal { signal_name, .. } = message {
                    return format!("{signal_name:?}");
                }
            }
            "no signal".to_owned()
        });
        assert_eq!(ended.await, name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_has_the_size_that_it_is_told_before_and_after_it_starts() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let client = russh_client(&bench).await;
    let mut channel = client.channel_open_session().await.unwrap();
    channel
        .request_pty(true, "vt100", 80, 24, 0, 0, &[])
        .await
        .unwrap();
    channel.window_change(81, 25, 0, 0).await.unwrap();
    channel.request_shell(true).await.unwrap();
    for (columns, rows) in [(81, 25), (132, 50), (1_000_000, 2)] {
        channel.window_change(columns, rows, 0, 0).await.unwrap();
        channel
            .data(&b"echo size: $(stty size)\n"[..])
            .await
            .unwrap();
        let wanted = format!("size: {rows} {}\r\n", columns.min(65_535));
        common::bounded(read_until(&mut channel, &wanted)).await;
    }
}
