//! paramiko and asyncssh, one process for all connections of a role.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};
use ssh_transport::HostKeyAlgorithm;

use super::common::channel::pattern;
use super::common::tools::LIMIT;
use super::keys;
use super::rows::{ClientPeer, DATA_BYTES, ServerPeer};

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/peers")
        .join(name)
}

/// A child that ends with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

type Waiting = Arc<Mutex<HashMap<u64, Sender<Value>>>>;

/// A library as a client.
pub(crate) struct PythonClient {
    library: &'static str,
    folder: tempfile::TempDir,
    tasks: Mutex<(ChildStdin, u64)>,
    waiting: Waiting,
    _child: Ended,
}

impl PythonClient {
    pub(crate) fn new(python: &Path, library: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        keys::make_files(folder.path());
        let mut child = Command::new(python)
            .arg(script(&format!("{library}_client.py")))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let tasks = Mutex::new((child.stdin.take().unwrap(), 0));
        let answers = BufReader::new(child.stdout.take().unwrap());
        let waiting = Waiting::default();
        let receivers = Arc::clone(&waiting);
        std::thread::spawn(move || {
            for line in answers.lines().map_while(Result::ok) {
                let answer: Value = serde_json::from_str(&line).unwrap();
                let id = answer["id"].as_u64().unwrap();
                let receiver = receivers.lock().unwrap().remove(&id);
                // Whoever has given up does not listen.
                let _ = receiver.unwrap().send(answer);
            }
        });
        Self {
            library,
            folder,
            tasks,
            waiting,
            _child: Ended(child),
        }
    }

    fn ask(&self, mut task: Value) -> Receiver<Value> {
        let (sender, receiver) = channel();
        let (stdin, last) = &mut *self.tasks.lock().unwrap();
        *last += 1;
        task["id"] = json!(last);
        self.waiting.lock().unwrap().insert(*last, sender);
        writeln!(stdin, "{task}").unwrap();
        receiver
    }
}

impl ClientPeer for PythonClient {
    fn name(&self) -> &'static str {
        self.library
    }

    fn exchanges_again(&self) -> bool {
        // asyncssh does only for what it sends, and paramiko's thread waits for itself when a channel is closed meanwhile.
        false
    }

    fn run(
        &self,
        port: u16,
        _: &[u8],
        login: HostKeyAlgorithm,
        command: &str,
    ) -> Result<(Vec<u8>, u32), String> {
        let file = keys::file_name(login);
        let answer = self.ask(json!({
            "port": port,
            "key": self.folder.path().join(file).display().to_string(),
            "key_kind": if file.starts_with('p') { "ecdsa" } else { file },
            "command": command,
            "limit": LIMIT.as_secs(),
        }));
        let answer = answer
            .recv_timeout(LIMIT)
            .map_err(|_| "no answer".to_owned())?;
        if let Some(error) = answer["error"].as_str() {
            return Err(error.to_owned());
        }
        // The script sends the hash of what it got in place of all of it.
        let expected: Vec<u8> = (0..DATA_BYTES).map(|i| pattern(DATA_BYTES - i)).collect();
        let hash: String = digest(&SHA256, &expected)
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        if answer["sha256"] != json!(hash) {
            return Err(format!("other output: {answer}"));
        }
        let status = answer["status"]
            .as_u64()
            .and_then(|status| u32::try_from(status).ok());
        Ok((expected, status.unwrap_or(u32::MAX)))
    }
}

/// A library as a server.
pub(crate) struct PythonServer {
    library: &'static str,
    port: u16,
    _folder: tempfile::TempDir,
    _child: Ended,
}

impl PythonServer {
    pub(crate) fn new(python: &Path, library: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(python)
            .arg(script(&format!("{library}_server.py")))
            .arg(LIMIT.as_secs().to_string())
            .args(keys::make_files(folder.path()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        Self {
            library,
            port: line.trim().parse().unwrap(),
            _folder: folder,
            _child: Ended(child),
        }
    }
}

impl ServerPeer for PythonServer {
    fn name(&self) -> &'static str {
        self.library
    }

    fn exchanges_again(&self) -> bool {
        true
    }

    fn runs_at_once(&self) -> bool {
        // asyncssh notes at the key itself with which hash its RSA key signs.
        self.library != "asyncssh"
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).unwrap()
    }
}
