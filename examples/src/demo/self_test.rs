//! The demo without a person: it drives a session itself, and believes nothing that it has not checked.

use session_log::{Decryption, Identity, Kem};

use super::Failure;
use super::audit::{Log, Reading, Recorded, holds, in_words};
use super::scene::Scene;
use crate::fresh;
use crate::self_test_client::{Client, ClientError};

/// A user whom the policy does not name.
const STRANGER: &str = "intruder";

/// Runs everything, prints what it sees, and fails at the first thing that does not hold.
pub(super) async fn run(scene: Scene) -> Result<(), Failure> {
    say!("{}\n", scene.description);
    let first = first_connection(&scene).await?;
    denied_user(&scene).await?;
    second_connection(&scene, &first).await?;
    scene.ended(2).await?;
    let recorded = scene.end().await?;
    say!("\nThe proxy has ended.");
    check_events(&recorded)?;
    check_logs(&recorded)?;
    say!("\nEverything held.");
    Ok(())
}

/// Says what held, or fails.
fn check(what: &str, holds: bool, seen: impl FnOnce() -> String) -> Result<(), Failure> {
    if !holds {
        return Err(format!("{what}: {}", seen()).into());
    }
    say!("ok   {what}");
    Ok(())
}

/// A command, then a shell; gives the fingerprint of the host key.
async fn first_connection(scene: &Scene) -> Result<String, Failure> {
    let client = Client::login(scene.address, &scene.user).await?;
    let host_key = client.said().host_key.unwrap_or_default();
    say!("ok   `{}` is let in without a key or password", scene.user);
    check(
        "the host key is derived, not the target's own",
        host_key.starts_with("SHA256:") && host_key != scene.target_host_key,
        || host_key.clone(),
    )?;

    let command = "cat; printf 'to stderr\\n' >&2; exit 7";
    let finished = client.exec(command, b"from stdin to stdout\n").await?;
    check(
        "a command gets its input and gives output, errors and status apart",
        finished.stdout == b"from stdin to stdout\n"
            && finished.stderr == b"to stderr\n"
            && finished.status == Some(7),
        || format!("{finished:?}"),
    )?;

    let mut shell = client.shell(80, 24).await?;
    // What is waited for is computed by the shell: the terminal echoes what is typed.
    shell.send("echo size: $(stty size)\n").await?;
    shell.read_until("size: 24 80").await?;
    shell.resize(132, 50).await?;
    shell.send("echo size: $(stty size)\n").await?;
    shell.read_until("size: 50 132").await?;
    say!("ok   a shell runs in a terminal, which follows a resize");
    shell.send("echo answer-$((6 * 7))\n").await?;
    shell.read_until("answer-42").await?;
    shell.send("exit 5\n").await?;
    let finished = shell.finish().await?;
    check(
        "the shell's exit status arrives",
        finished.status == Some(5),
        || format!("{:?}", finished.status),
    )?;
    client.disconnect().await;
    Ok(host_key)
}

async fn denied_user(scene: &Scene) -> Result<(), Failure> {
    match Client::login(scene.address, STRANGER).await {
        Err(ClientError::Denied(said)) => {
            check(
                &format!("`{STRANGER}` is denied, and is told why"),
                said.banner.contains("access denied"),
                || format!("{said:?}"),
            )?;
            say!("       {}", said.banner.trim());
            Ok(())
        }
        Err(other) => Err(other.into()),
        Ok(_) => Err(format!("`{STRANGER}` was let in").into()),
    }
}

async fn second_connection(scene: &Scene, first: &str) -> Result<(), Failure> {
    let client = Client::login(scene.address, &scene.user).await?;
    let again = client.said().host_key.unwrap_or_default();
    check(
        "a second connection shows the same host key",
        again == first,
        || format!("{first}, then {again}"),
    )?;
    let finished = client.exec("exit 0", b"").await?;
    check(
        "a second connection runs a command",
        finished.status == Some(0),
        || format!("{finished:?}"),
    )?;
    client.disconnect().await;
    Ok(())
}

fn check_events(recorded: &Recorded) -> Result<(), Failure> {
    say!("\nAccess events:\n\n{}", recorded.events);
    let mut names = Vec::new();
    for line in recorded.events.lines() {
        let event: serde_json::Value = serde_json::from_str(line)?;
        let name = event.get("event").and_then(serde_json::Value::as_str);
        names.push(name.unwrap_or_default().to_owned());
    }
    let count = |wanted: &str| names.iter().filter(|name| *name == wanted).count();
    for (name, expected) in [
        ("access.denied", 1),
        ("access.allowed", 2),
        ("session.start", 2),
        ("session.end", 2),
        ("channel.exec", 2),
        ("channel.shell", 1),
    ] {
        check(
            &format!("there are {expected} events `{name}`"),
            count(name) == expected,
            || format!("{}", count(name)),
        )?;
    }
    Ok(())
}

fn check_logs(recorded: &Recorded) -> Result<(), Failure> {
    let [first, second] = recorded.logs.as_slice() else {
        return Err(format!("{} logs instead of 2", recorded.logs.len()).into());
    };
    for log in [first, second] {
        let verdict = recorded.verify(log)?;
        check(
            &format!("{} is verified without the key", log.name),
            verdict.is_good() && verdict.decryption == Decryption::NotAttempted,
            || in_words(&verdict),
        )?;
    }
    nobody_else_reads(recorded, first)?;

    let reading = recorded.read(first)?;
    check(
        "the log is decrypted with the key",
        reading.verdict.is_good() && reading.verdict.decryption == Decryption::Ok,
        || in_words(&reading.verdict),
    )?;
    say!("\nRecords of the first session:\n\n{}", reading.lines());
    check_records(&reading)?;
    say!("\nReplay of the first session:\n");
    let replay = reading.replay();
    for line in replay.lines() {
        say!("  | {line}");
    }
    say!("");
    check(
        "the replay shows what the person saw",
        replay.contains("from stdin to stdout") && replay.contains("answer-42"),
        || replay.clone(),
    )
}

/// Another key opens nothing, and a changed byte is noticed.
fn nobody_else_reads(recorded: &Recorded, log: &Log) -> Result<(), Failure> {
    let other = Identity::generate(Kem::XWing, &mut fresh::rng()?);
    let reading = recorded.examine(&log.bytes, vec![other])?;
    check(
        "another key reads nothing",
        reading.records.is_empty() && reading.verdict.decryption == Decryption::NoMatchingIdentity,
        || in_words(&reading.verdict),
    )?;
    let mut changed = log.bytes.clone();
    let middle = changed.len() / 2;
    if let Some(byte) = changed.get_mut(middle) {
        *byte ^= 1;
    }
    let reading = recorded.examine(&changed, Vec::new())?;
    check(
        "a changed byte is noticed without the key",
        !reading.verdict.is_good(),
        || in_words(&reading.verdict),
    )
}

fn check_records(reading: &Reading) -> Result<(), Failure> {
    for (what, bytes, text) in [
        ("input", &reading.input, "from stdin to stdout"),
        ("output", &reading.output, "from stdin to stdout"),
        ("error", &reading.stderr, "to stderr"),
        ("typing", &reading.input, "answer-$((6 * 7))"),
        ("answer", &reading.output, "answer-42"),
    ] {
        check(
            &format!("the {what} `{text}` is recorded"),
            holds(bytes, text),
            || reading.lines(),
        )?;
    }
    for text in ["cat; printf", "xterm 80x24", "132x50", "exit_status     7"] {
        check(
            &format!("`{text}` is among the records"),
            reading.records.iter().any(|line| line.contains(text)),
            || reading.lines(),
        )?;
    }
    Ok(())
}
