//! Keys to log in with: files for peers that are clients, blobs and signatures for our client.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};

use ssh_transport::HostKeyAlgorithm;

use super::common::{Login, TestKey, tools};

/// One key of each algorithm, made once: the peers are told of them before they are used.
static KEYS: LazyLock<HashMap<HostKeyAlgorithm, Arc<Mutex<TestKey>>>> = LazyLock::new(|| {
    let key = |algorithm| (algorithm, Arc::new(Mutex::new(TestKey::of(algorithm))));
    HostKeyAlgorithm::KEYS.into_iter().map(key).collect()
});

/// Our client's login.
pub(crate) fn login(algorithm: HostKeyAlgorithm) -> Login {
    let key = Arc::clone(&KEYS[&algorithm]);
    let blob = key.lock().unwrap().blob.clone();
    Login::Key {
        algorithm: algorithm.name().to_owned(),
        blob,
        sign: Box::new(move |data| (key.lock().unwrap().sign)(data)),
    }
}

/// All of them as an `authorized_keys` file.
pub(crate) fn authorized_keys() -> String {
    let line = |algorithm: &HostKeyAlgorithm| {
        let blob = tools::base64_of(&KEYS[algorithm].lock().unwrap().blob);
        format!("{} {blob}\n", algorithm.blob_type())
    };
    HostKeyAlgorithm::KEYS.iter().map(line).collect()
}

/// Kinds of key files, as `ssh-keygen` makes them.
pub(crate) const FILES: [(&str, &[&str]); 5] = [
    ("ed25519", &["-t", "ed25519"]),
    ("p256", &["-t", "ecdsa", "-b", "256"]),
    ("p384", &["-t", "ecdsa", "-b", "384"]),
    ("p521", &["-t", "ecdsa", "-b", "521"]),
    ("rsa", &["-t", "rsa", "-b", "2048"]),
];

/// Makes all of them in `folder`.
pub(crate) fn make_files(folder: &Path) -> Vec<PathBuf> {
    FILES
        .iter()
        .map(|(name, kind)| tools::keygen(folder, name, kind))
        .collect()
}

/// The file for an algorithm.
pub(crate) fn file_name(algorithm: HostKeyAlgorithm) -> &'static str {
    match algorithm {
        HostKeyAlgorithm::Ed25519 => "ed25519",
        HostKeyAlgorithm::EcdsaP256 => "p256",
        HostKeyAlgorithm::EcdsaP384 => "p384",
        HostKeyAlgorithm::EcdsaP521 => "p521",
        _ => "rsa",
    }
}
