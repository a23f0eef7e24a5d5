//! The configuration folder of a test's proxy.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::process::{Input, run};
use crate::room::Room;
use crate::tools;

/// The id and host name of the target in every plan.
pub const TARGET: &str = "target-1";

/// The token of `ada`, whom the policy lets in as the user of the test.
pub const ADA_TOKEN: &str = "ada-0123456789abcdefghijklmnopqrstuvwxyz_ABC";

/// The token of `mallory`, whom no policy mentions.
pub const MALLORY_TOKEN: &str = "mallory-0123456789abcdefghijklmnopqrstuvwxyz";

/// One place where clients arrive.
#[derive(Clone)]
pub struct Listener {
    lines: Vec<String>,
}

impl Listener {
    /// SSH from the first byte, always to the target, always as this identity.
    pub fn plain(identity: &str) -> Self {
        let lines = [
            "kind = \"plain\"".to_owned(),
            format!("target = \"{TARGET}\""),
            format!("identity = \"{identity}\""),
        ];
        Self {
            lines: lines.into(),
        }
    }

    /// HTTP `CONNECT` with a token.
    pub fn connect() -> Self {
        Self {
            lines: vec!["kind = \"connect\"".to_owned()],
        }
    }

    /// HTTP `CONNECT` where a client without a token is this identity.
    pub fn connect_as(identity: &str) -> Self {
        Self {
            lines: vec![
                "kind = \"connect\"".to_owned(),
                format!("identity = \"{identity}\""),
            ],
        }
    }

    /// Behind a balancer in this range of addresses, which says by the PROXY protocol who comes.
    #[must_use]
    pub fn behind(mut self, range: &str) -> Self {
        self.lines
            .push(format!("proxy_protocol_from = [\"{range}\"]"));
        self
    }
}

/// Everything of the configuration that tests change.
pub struct ProxyPlan {
    /// Where clients arrive; the first is the one that [`House::door`](crate::house::House) leads to.
    pub listeners: Vec<Listener>,
    /// `policy.toml`; `{user}` stands for the user of the test.
    pub policy: String,
    /// `revocations.toml`, where there is one.
    pub revocations: Option<String>,
    /// Further lines of the `[[identity]]` of `ada`.
    pub ada: String,
    /// Further lines of the one `[[target]]`.
    pub target_lines: Vec<String>,
    /// Port of the target, when it is not the test's `sshd`.
    pub target_port: Option<u16>,
    /// Further lines of `[account]`.
    pub account: Vec<String>,
    /// Lines of `[timeouts]`.
    pub timeouts: Vec<String>,
    /// Lines of `[limits]`.
    pub limits: Vec<String>,
    /// Further tables, as text.
    pub more_tables: String,
    /// How many recipients can open the logs: their keys are `recipient`, `recipient2`, ….
    pub recipients: usize,
    /// Shell text that runs before the proxy in the same process, ending in `;`.
    pub before: String,
}

impl Default for ProxyPlan {
    fn default() -> Self {
        Self {
            listeners: vec![Listener::plain("ada")],
            policy: Self::policy_granting(""),
            revocations: None,
            ada: String::new(),
            target_lines: Vec::new(),
            target_port: None,
            account: Vec::new(),
            timeouts: Vec::new(),
            limits: Vec::new(),
            more_tables: String::new(),
            recipients: 1,
            before: String::new(),
        }
    }
}

impl ProxyPlan {
    /// A policy that lets `ada` in as the user of the test, with these lines about what she may do.
    pub fn policy_granting(lines: &str) -> String {
        format!(
            "[[application]]\nname = \"servers\"\ntarget = [{{ port = \"any\", include = [{{ hostname = \"{TARGET}\" }}] }}]\n\n\
             [[application.policy]]\nname = \"ada\"\naction = \"allow\"\ninclude = [{{ email = \"ada@example.com\" }}]\n\
             usernames = [\"{{user}}\"]\n{lines}\n"
        )
    }

    /// Makes the keys and secrets of a proxy folder, and what an auditor needs beside the logs.
    ///
    /// # Panics
    ///
    /// When a tool does not make them.
    pub fn write_keys(&self, room: &Room, folder: &Path) {
        fs::create_dir(folder.join("logs")).expect("a folder for logs");
        fs::copy(room.path("ca"), folder.join("ca")).expect("a copy of the authority's key");
        room.key("proxy/signing", "ed25519");
        let public = room.public_key("proxy/signing");
        fs::write(
            folder.join("allowed_signers"),
            format!("proxy@example.com {public}\n"),
        )
        .expect("a file of signers");
        secret(
            &folder.join("account_secret"),
            &format!("{}\n", "5a".repeat(32)),
        );
        for name in self.recipient_names() {
            let mut keygen = Command::new(tools::own("sshlog"));
            keygen.args(["keygen", "--out"]).arg(folder.join(name));
            run(&mut keygen, Input::Nothing, Duration::from_secs(20)).expect_code(0);
        }
    }

    fn recipient_names(&self) -> Vec<String> {
        (1..=self.recipients)
            .map(|n| {
                if n == 1 {
                    "recipient".to_owned()
                } else {
                    format!("recipient{n}")
                }
            })
            .collect()
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
        let recipients: Vec<_> = self
            .recipient_names()
            .iter()
            .map(|name| format!("\"{name}.pub\""))
            .collect();
        let port = self.target_port.unwrap_or(target_port);
        let revocations = match &self.revocations {
            Some(text) => {
                fs::write(folder.join("revocations.toml"), text).expect("revocations");
                "revocations = \"revocations.toml\"\n"
            }
            None => "",
        };
        let mut text = format!(
            "policy = \"policy.toml\"\n{revocations}\n[account]\nsecret_file = \"account_secret\"\n{}\n\n[ca]\nkey_file = \"ca\"\n\n\
             [log]\ndirectory = \"logs\"\nrecipients = [{}]\nsigning_key_file = \"signing\"\n\n\
             [events]\nfile = \"events.jsonl\"\n\n[timeouts]\n{}\n\n[limits]\n{}\n\n\
             [[target]]\nid = \"{TARGET}\"\nhostname = \"{TARGET}\"\naddress = \"127.0.0.1\"\nport = {port}\n{}\n",
            self.account.join("\n"),
            recipients.join(", "),
            self.timeouts.join("\n"),
            self.limits.join("\n"),
            self.target_lines.join("\n"),
        );
        for (listener, port) in self.listeners.iter().zip(ports) {
            text += &format!(
                "\n[[listen]]\naddress = \"127.0.0.1:{port}\"\n{}\n",
                listener.lines.join("\n")
            );
        }
        for (name, token, more) in [
            ("ada", ADA_TOKEN, self.ada.as_str()),
            ("mallory", MALLORY_TOKEN, ""),
        ] {
            text += &format!(
                "\n[[identity]]\nname = \"{name}\"\nemail = \"{name}@example.com\"\ngroups = [\"test:staff\"]\ntoken_sha256 = \"{}\"\n{more}\n",
                sha256(token)
            );
        }
        text += &format!("\n{}", self.more_tables);
        let path = folder.join("proxy.toml");
        fs::write(&path, text).expect("a configuration");
        path
    }
}

fn sha256(text: &str) -> String {
    let mut command = Command::new(tools::path("sha256sum"));
    let sum = run(
        &mut command,
        Input::Bytes(text.as_bytes()),
        Duration::from_secs(10),
    )
    .expect_code(0)
    .out();
    sum.split_whitespace().next().expect("a sum").to_owned()
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
