//! The programs that judge, and folders for them.

use std::io::{ErrorKind, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

/// The longest that a foreign process runs, or is waited for. On a loaded machine only what hangs comes near it.
pub const LIMIT: Duration = Duration::from_secs(300);

/// How long until it is asked again whether somebody has connected.
const ACCEPT_PAUSE: Duration = Duration::from_millis(5);

/// Where a program is. Says `SKIPPED` when it is missing, or fails if nothing may be skipped.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders =
        std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let found = folders
        .map(|folder| folder.join(name))
        .find(|file| file.is_file());
    if found.is_none() {
        missing(name);
    }
    found
}

/// A Python that has this module. Says `SKIPPED` or fails as [`find`] does.
pub fn find_python_with(module: &str) -> Option<PathBuf> {
    let python = find("python3")?;
    let import = format!("import {module}");
    let has_it = Command::new(&python)
        .args(["-c", &import])
        .output()
        .is_ok_and(|output| output.status.success());
    if has_it {
        return Some(python);
    }
    missing(&format!("{module} for Python"));
    None
}

/// Says `SKIPPED`, or fails if nothing may be skipped.
pub fn missing(what: &str) {
    let no_skip = std::env::var_os("PORTREEVE_NO_SKIP").is_some_and(|v| v == "1");
    assert!(!no_skip, "{what} is not here, and PORTREEVE_NO_SKIP=1");
    // Past the test harness, which swallows what a passing test prints.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what} is not here");
}

/// A command that is killed after [`LIMIT`].
pub fn bounded(program: &std::path::Path) -> Command {
    let mut command = Command::new("timeout");
    let limit = LIMIT.as_secs().to_string();
    command.args(["-k", "5", &limit]).arg(program);
    command
}

/// The next connection. Fails when nobody connects.
pub fn accept_within(listener: &TcpListener, limit: Duration) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    for _ in 0..=limit.as_millis() / ACCEPT_PAUSE.as_millis() {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).unwrap();
                return stream;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                std::thread::sleep(ACCEPT_PAUSE);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("nobody connected in {limit:?}");
}

/// Lets no read or write wait for more than [`LIMIT`].
pub fn bound(stream: &TcpStream) {
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.set_write_timeout(Some(LIMIT)).unwrap();
}

/// What a program said.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs a command and shows all it said when it fails.
pub fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?} failed: {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// An OpenSSH private key file made of a test seed by `ssh-keygen`, and its public key blob.
pub fn keygen(folder: &std::path::Path, name: &str, kind: &[&str]) -> PathBuf {
    let file = folder.join(name);
    run(Command::new("ssh-keygen")
        .args(["-q", "-N", "", "-C", name])
        .args(kind)
        .arg("-f")
        .arg(&file));
    file
}

/// The blob within a `.pub` file.
pub fn blob_of(public_file: &std::path::Path) -> Vec<u8> {
    let line = std::fs::read_to_string(public_file).unwrap();
    base64(line.split_whitespace().nth(1).unwrap())
}

const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Encodes base64.
pub fn base64_of(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk
            .iter()
            .chain(&[0; 2])
            .take(3)
            .fold(0, |word, byte| word << 8 | usize::from(*byte));
        for digit in 0..4 {
            let value = word >> (18 - 6 * digit) & 0x3f;
            text.push(if digit <= chunk.len() {
                char::from(ALPHABET[value])
            } else {
                '='
            });
        }
    }
    text
}

/// Decodes base64.
pub fn base64(text: &str) -> Vec<u8> {
    let (mut out, mut bits, mut count) = (Vec::new(), 0u32, 0);
    for byte in text
        .bytes()
        .filter(|b| *b != b'=' && !b.is_ascii_whitespace())
    {
        let digit = ALPHABET.iter().position(|a| *a == byte).unwrap();
        bits = bits << 6 | u32::try_from(digit).unwrap();
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count & 0xff) as u8);
        }
    }
    out
}

/// The Ed25519 seed within an unencrypted OpenSSH private key file (`PROTOCOL.key`).
pub fn ed25519_seed(file: &std::path::Path) -> [u8; 32] {
    let text = std::fs::read_to_string(file).unwrap();
    let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    let bytes = base64(&body);
    let mut fields = super::wire::Fields(&bytes[b"openssh-key-v1\0".len()..]);
    let _cipher_kdf_options = (fields.string(), fields.string(), fields.string());
    assert_eq!(fields.word(), 1);
    let _public = fields.string();
    let mut private = super::wire::Fields(fields.string());
    let _check = (private.word(), private.word());
    assert_eq!(private.text(), "ssh-ed25519");
    let _public = private.string();
    private.string()[..32].try_into().unwrap()
}
