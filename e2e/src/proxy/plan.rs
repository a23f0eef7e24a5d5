//! The configuration folder of a test's proxy.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::process::{Input, run};
use crate::room::Room;
use crate::tools;

/// The id of the target in every plan.
pub const TARGET_ID: &str = "target-1";

/// Everything of the configuration that tests change.
pub struct ProxyPlan {
    /// Body of each `[[listen]]`, without the address. The first must be plain.
    pub listeners: Vec<String>,
    /// `policy.toml`; `{user}` stands for the user of the test.
    pub policy: String,
    /// Further lines of the one `[[target]]`.
    pub target_lines: Vec<String>,
    /// Address and port of the target, when it is not the test's `sshd`.
    pub target_port: Option<u16>,
    /// Further tables, as text.
    pub tables: String,
    /// Shell text that runs before the proxy in the same process, ending in `;`.
    pub before: String,
}

impl Default for ProxyPlan {
    fn default() -> Self {
        Self {
            listeners: vec![format!(
                "kind = \"plain\"\ntarget = \"{TARGET_ID}\"\nidentity = \"ada\""
            )],
            policy: POLICY.to_owned(),
            target_lines: Vec::new(),
            target_port: None,
            tables: String::new(),
            before: String::new(),
        }
    }
}

/// Lets one person in as one user, with all that can be granted.
const POLICY: &str = r#"
[[application]]
"#;

impl ProxyPlan {
    /// Makes the keys and secrets of a proxy folder, and what an auditor needs beside the logs.
    ///
    /// # Panics
    ///
    /// When a tool does not make them.
    pub fn write_keys(&self, room: &Room, folder: &Path) {
        fs::create_dir(folder.join("logs")).expect("a folder for logs");
        fs::copy(room.path("ca"), folder.join("ca")).expect("a copy of the authority's key");
        let signing = room.key("proxy/signing", "ed25519");
        let public = room.public_key("proxy/signing");
        secret(&folder.join("account_secret"), &"5a".repeat(32));
        fs::write(
            folder.join("allowed_signers"),
            format!("proxy@example.com {public}\n"),
        )
        .expect("a file of signers");
        assert!(signing.is_file());
        let mut keygen = Command::new(tools::own("sshlog"));
        keygen
            .args(["keygen", "--out"])
            .arg(folder.join("recipient"));
        run(&mut keygen, Input::Nothing, Duration::from_secs(20)).expect_code(0);
    }

    /// Writes the configuration, and returns its path.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    pub fn write_config(
        &self,
        folder: &Path,
        ports: &[u16],
        target_port: u16,
        user: &str,
    ) -> PathBuf {
        fs::write(
            folder.join("policy.toml"),
            self.policy.replace("{user}", user),
        )
        .expect("a policy");
        let mut text = String::from("policy = \"policy.toml\"\n");
        for (listener, port) in self.listeners.iter().zip(ports) {
            text += &format!("\n[[listen]]\naddress = \"127.0.0.1:{port}\"\n{listener}\n");
        }
        let port = self.target_port.unwrap_or(target_port);
        text += &format!(
            "\n[[target]]\nid = \"{TARGET_ID}\"\nhostname = \"{TARGET_ID}\"\naddress = \"127.0.0.1\"\nport = {port}\n{}\n",
            self.target_lines.join("\n")
        );
        text += &self.tables;
        let path = folder.join("proxy.toml");
        fs::write(&path, text).expect("a configuration");
        path
    }
}

/// Writes a file that only its owner may read.
fn secret(path: &Path, content: &str) {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .expect("a new file");
    file.write_all(content.as_bytes())
        .expect("room for a secret");
}
