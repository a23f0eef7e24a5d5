//! The `audit_proxy` program from outside: signals, and an output that is gone.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

fn init(folder: &Path) -> Command {
    let mut command = Command::new(common::example("audit_proxy"));
    command.arg("init").arg(folder);
    command
}

/// A running proxy on ports of the system's choice, what it goes on to say, and where clients with a token arrive.
fn proxy(
    folder: &Path,
    with: impl FnOnce(&str) -> Command,
) -> (Child, BufReader<ChildStderr>, String) {
    common::run(&mut init(folder));
    let file = folder.join("proxy.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace(":2222", ":0").replace(":8022", ":0")).unwrap();
    let program = common::example("audit_proxy");
    let mut child = with(program.to_str().unwrap())
        .arg("--config")
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    let address = loop {
        line.clear();
        assert_ne!(said.read_line(&mut line).unwrap(), 0, "it has ended");
        if line.contains("kind=connect") {
            let (_, rest) = line.split_once("address=").unwrap();
            break rest.split_whitespace().next().unwrap().to_owned();
        }
    };
    (child, said, address)
}

fn tell(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn end(child: &mut Child) -> ExitStatus {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(20) {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    panic!("it has not ended");
}

#[test]
fn every_signal_that_asks_for_the_end_is_heard_also_where_standard_error_is_gone() {
    for signal in [Signal::TERM, Signal::INT] {
        let folder = tempfile::tempdir().unwrap();
        let (mut child, said, _) = proxy(&folder.path().join("it"), |it| Command::new(it));
        drop(said);
        tell(&child, signal);
        assert_eq!(end(&mut child).code(), Some(0), "{signal:?}");
    }
}

/// The next line of the operator's log that holds `text`.
fn wait_for_line(said: &mut BufReader<ChildStderr>, text: &str) -> String {
    let mut line = String::new();
    while !line.contains(text) {
        line.clear();
        assert_ne!(said.read_line(&mut line).unwrap(), 0, "it has ended");
    }
    line
}

#[test]
fn a_hang_up_loads_the_rules_again_and_ends_nothing_under_nohup_either() {
    let nohup = common::tool("nohup");
    for nohup in [None, nohup] {
        let folder = tempfile::tempdir().unwrap();
        let it = folder.path().join("it");
        let (mut child, mut said, _) = proxy(&it, |program| match &nohup {
            Some(nohup) => {
                let mut command = Command::new(nohup);
                command.arg(program);
                command
            }
            None => Command::new(program),
        });
        tell(&child, Signal::HUP);
        wait_for_line(&mut said, "the rules are as they were");
        fs::write(it.join("policy.toml"), "[[aplication]]\n").unwrap();
        tell(&child, Signal::HUP);
        wait_for_line(&mut said, "the rules stay as they were");
        let fault = wait_for_line(&mut said, "aplication");
        assert!(
            fault.contains("policy.toml: line 1: ") && fault.contains("write `application`"),
            "{fault}"
        );
        fs::write(it.join("policy.toml"), "max_session = \"1h\"\n").unwrap();
        tell(&child, Signal::HUP);
        let fresh = wait_for_line(&mut said, "new rules are in force");
        assert!(fresh.contains("policies=0 revocations=0"), "{fresh}");
        assert!(child.try_wait().unwrap().is_none());
        tell(&child, Signal::TERM);
        assert_eq!(end(&mut child).code(), Some(0));
    }
}

#[test]
fn the_operator_reads_who_asked_for_a_target_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let it = folder.path().join("it");
    let (mut child, said, address) = proxy(&it, |program| Command::new(program));
    let output = Command::new(common::example("connect"))
        .args(["--proxy", &address, "--token-file"])
        .arg(it.join("token"))
        .args(["nowhere", "22"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    tell(&child, Signal::TERM);
    assert_eq!(end(&mut child).code(), Some(0));
    let lines: Vec<_> = said.lines().map(Result::unwrap).collect();
    let refused = lines.iter().find(|line| line.contains("unknown_target"));
    let refused = refused.unwrap_or_else(|| panic!("{lines:?}"));
    assert!(
        refused.contains("WARN") && refused.contains("identity=\"me\""),
        "{refused}"
    );
}

#[test]
fn an_output_that_nobody_reads_is_an_error_and_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("made");
    let check = |folder: &Path| {
        let mut command = Command::new(common::example("audit_proxy"));
        command.arg("--check").arg("--config");
        command.arg(folder.join("proxy.toml"));
        command
    };
    for command in [&mut init(&made), &mut check(&made)] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
            .wait_with_output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("standard output cannot be written"), "{said}");
    }
    common::run(check(&made).stdout(Stdio::null()));
}
