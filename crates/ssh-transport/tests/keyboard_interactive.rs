//! Prompts and several factors: `ssh` and paramiko against our server.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail"
)]

mod common;

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::channel::{SessionServer, serve};
use common::ssh::{Seen, run};
use common::tools::{self, text};
use common::{Decide, Question, ServerEnd, TestKey, Verdict};
use ssh_transport::{AuthMethod, AuthResponses, Challenge, Echo, KeyProof, Prompt, ServerConfig};

const METHODS: &[&str] = &["publickey", "keyboard-interactive"];

/// What `ssh` runs to ask a person. It notes each question in `asked`.
fn askpass(folder: &Path) -> PathBuf {
    let file = folder.join("askpass");
    let script = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$1\" >>{}/asked\ncase \"$1\" in *Password*) echo 'correct horse';; *Code*) echo 123456;; esac\n",
        folder.display()
    );
    std::fs::write(&file, script).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o700)).unwrap();
    file
}

fn challenge(instruction: &str, prompts: &[(&str, Echo)]) -> Challenge {
    Challenge {
        name: String::new(),
        instruction: instruction.to_owned(),
        prompts: prompts
            .iter()
            .map(|(text, echo)| Prompt {
                text: (*text).to_owned(),
                echo: *echo,
            })
            .collect(),
    }
}

fn is(responses: &AuthResponses, expected: &[&str]) -> bool {
    responses.responses.len() == expected.len()
        && responses
            .responses
            .iter()
            .zip(expected)
            .all(|(response, expected)| response.is(expected))
}

/// Asks for a password, then for a code, then says how it went.
fn password_and_code() -> Decide {
    let mut round = 0;
    Box::new(move |question| match question {
        Question::Attempt(attempt) => match attempt.method {
            AuthMethod::KeyboardInteractive { .. } => {
                round = 1;
                Verdict::Prompt(challenge(
                    "Who goes there?",
                    &[("Password: ", Echo::Hidden)],
                ))
            }
            _ => Verdict::Reject(METHODS),
        },
        Question::Responses(responses) => {
            round += 1;
            match round {
                2 if is(responses, &["correct horse"]) => {
                    let prompts = [("Code: ", Echo::Shown), ("Password again: ", Echo::Hidden)];
                    Verdict::Prompt(challenge("", &prompts))
                }
                3 if is(responses, &["123456", "correct horse"]) => {
                    Verdict::Prompt(challenge("Welcome back.", &[]))
                }
                4 if is(responses, &[]) => Verdict::Accept,
                _ => Verdict::Reject(METHODS),
            }
        }
    })
}

fn server(decide: Decide) -> ServerEnd {
    let mut end = ServerEnd::new(ServerConfig::default(), 5, vec![TestKey::ed25519(7)]);
    end.decide = Some(decide);
    end
}

fn ssh(ssh: &Path, folder: &Path, end: ServerEnd, options: &[&str]) -> Seen {
    let askpass = askpass(folder);
    let configure = |command: &mut Command| {
        command
            .env("SSH_ASKPASS", askpass)
            .env("SSH_ASKPASS_REQUIRE", "force")
            .env_remove("SSH_AUTH_SOCK")
            .args(["-o", "NumberOfPasswordPrompts=1"])
            .args(options)
            .args(["127.0.0.1", "exit 42"]);
    };
    run(ssh, end, folder, configure, b"")
}

#[test]
fn ssh_puts_each_question_to_the_person_and_is_let_in() {
    let Some(program) = tools::find("ssh") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let seen = ssh(
        &program,
        folder.path(),
        server(password_and_code()),
        &["-o", "PreferredAuthentications=keyboard-interactive"],
    );
    let said = text(&seen.output.stderr);
    assert_eq!(seen.output.status.code(), Some(42), "{said}");
    let asked = std::fs::read_to_string(folder.path().join("asked")).unwrap();
    let asked: Vec<_> = asked.lines().collect();
    assert_eq!(asked.len(), 3, "{asked:?}");
    for (question, prompt) in asked
        .iter()
        .zip(["Password: ", "Code: ", "Password again: "])
    {
        assert!(question.ends_with(prompt), "{question}");
    }
    assert!(said.contains("Who goes there?") && said.contains("Welcome back."));
}

#[test]
fn ssh_is_turned_away_with_wrong_answers() {
    let Some(program) = tools::find("ssh") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let decide: Decide = Box::new(|question| match question {
        Question::Attempt(attempt) if attempt.method != AuthMethod::None => {
            Verdict::Prompt(challenge("", &[("Favourite colour: ", Echo::Hidden)]))
        }
        _ => Verdict::Reject(METHODS),
    });
    let options = ["-o", "PreferredAuthentications=keyboard-interactive"];
    let seen = ssh(&program, folder.path(), server(decide), &options);
    let said = text(&seen.output.stderr);
    assert_eq!(seen.output.status.code(), Some(255), "{said}");
    assert!(said.contains("Permission denied"), "{said}");
    assert!(!seen.end.authenticated);
}

#[test]
fn ssh_shows_a_key_and_then_answers_a_question() {
    let Some(program) = tools::find("ssh") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let key = tools::keygen(folder.path(), "user", &["-t", "ed25519"]);
    let blob = tools::blob_of(&folder.path().join("user.pub"));
    let expected = blob.clone();
    let decide: Decide = Box::new(move |question| match question {
        Question::Attempt(attempt) => match &attempt.method {
            AuthMethod::PublicKey { public_key, .. } if *public_key == expected => {
                Verdict::AcceptPartially(&["keyboard-interactive"])
            }
            AuthMethod::KeyboardInteractive { .. } if attempt.succeeded_before.len() == 1 => {
                Verdict::Prompt(challenge("", &[("Code: ", Echo::Shown)]))
            }
            _ => Verdict::Reject(METHODS),
        },
        Question::Responses(responses) if is(responses, &["123456"]) => Verdict::Accept,
        Question::Responses(_) => Verdict::Reject(METHODS),
    });
    let key = key.display().to_string();
    let options = ["-o", "IdentitiesOnly=yes", "-i", &key];
    let seen = ssh(&program, folder.path(), server(decide), &options);
    let said = text(&seen.output.stderr);
    assert_eq!(seen.output.status.code(), Some(42), "{said}");
    assert!(said.contains("partial success"), "{said}");
    // It binds its signature to our host key, since the server says that it takes that.
    assert!(
        said.contains("publickey-hostbound-v00@openssh.com"),
        "{said}"
    );
    let proofs: Vec<_> = seen
        .end
        .attempts
        .iter()
        .filter_map(|(_, method)| match method {
            AuthMethod::PublicKey { proof, .. } => Some(proof),
            _ => None,
        })
        .collect();
    assert_eq!(proofs.last(), Some(&&KeyProof::Verified));
}

const PARAMIKO: &str = "
import socket, sys, paramiko
transport = paramiko.Transport(socket.create_connection(('127.0.0.1', int(sys.argv[1]))))
limit = float(sys.argv[2])
transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = limit
transport.start_client(timeout=limit)
asked = []
def answer(title, instructions, prompts):
    asked.extend(prompts)
    return ['123456' if 'Code' in text else 'correct horse' for text, echo in prompts]
print(transport.auth_interactive('alice', answer), asked, transport.is_authenticated())
transport.close()
";

#[test]
fn paramiko_answers_each_question() {
    let Some(python) = tools::find_python_with("paramiko") else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let server = std::thread::spawn(move || {
        let stream = tools::accept_within(&listener, tools::LIMIT);
        let mut end = server(password_and_code());
        let _ = serve(stream, &mut end, &mut SessionServer::default());
        end
    });
    let limit = tools::LIMIT.as_secs().to_string();
    let output = tools::run(tools::bounded(&python).args(["-c", PARAMIKO, &port, &limit]));
    assert_eq!(
        text(&output.stdout).trim(),
        "[] [('Password: ', False), ('Code: ', True), ('Password again: ', False)] True"
    );
    assert!(server.join().unwrap().authenticated);
}
