//! The real `ssh` against our server.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::channel::{SessionServer, serve};
use super::tools::{self, text};
use super::{Judge, ServerEnd, TestKey};
use ssh_transport::ServerConfig;

/// What the server saw of one connection.
pub struct Seen {
    pub output: Output,
    pub end: ServerEnd,
    pub session: SessionServer,
}

/// Runs `ssh` with these arguments, in batch mode.
pub fn ssh_against(
    ssh: &Path,
    config: ServerConfig,
    keys: Vec<TestKey>,
    judge: Judge,
    arguments: &[&str],
    input: &[u8],
) -> Seen {
    let mut end = ServerEnd::new(config, 5, keys);
    end.judge = judge;
    let folder = tempfile::tempdir().unwrap();
    let configure = |command: &mut Command| {
        command.args(["-o", "BatchMode=yes"]).args(arguments);
    };
    run(ssh, end, folder.path(), configure, input)
}

/// Runs `ssh` as configured, with its `known_hosts` in `folder`.
pub fn run(
    ssh: &Path,
    mut end: ServerEnd,
    folder: &Path,
    configure: impl FnOnce(&mut Command),
    input: &[u8],
) -> Seen {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let server = std::thread::spawn(move || {
        let stream = tools::accept_within(&listener, tools::LIMIT);
        let mut session = SessionServer::default();
        serve(stream, &mut end, &mut session).unwrap();
        (end, session)
    });
    let mut command = tools::bounded(ssh);
    command
        .args(["-F", "none", "-p", &port, "-l", "alice"])
        .args(["-o", "StrictHostKeyChecking=accept-new"])
        .args(["-o", "LogLevel=DEBUG3", "-o"])
        .arg(format!(
            "UserKnownHostsFile={}",
            folder.join("known_hosts").display()
        ));
    configure(&mut command);
    let output = run_with_input(&mut command, input);
    let (end, session) = server
        .join()
        .unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
    Seen {
        output,
        end,
        session,
    }
}

fn run_with_input(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        let _ = std::io::Write::write_all(&mut stdin, &input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}
