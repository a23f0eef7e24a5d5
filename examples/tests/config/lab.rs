//! A folder with a sound configuration, to change.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use examples::config::{Config, ConfigError};
use session_log::{Identity, Kem};

use crate::common;

/// A folder with the keys and secrets that the configuration below names.
pub(crate) struct Folder {
    pub(crate) folder: tempfile::TempDir,
}

pub(crate) const GOOD: &str = r#"policy = "policy.toml"

[account]
secret_file = "account-secret"

[ca]
key_file = "ca"

[log]
directory = "logs"
recipients = ["auditor.pub"]
signing_key_file = "signing"

[[listen]]
address = "127.0.0.1:2222"
kind = "plain"
identity = "alice"
target = "web-1"

[[listen]]
address = "[::1]:8443"
kind = "connect"
proxy_protocol_from = ["10.0.0.0/8", "192.0.2.1"]

[[target]]
id = "web-1"
hostname = "web1.example.com"
address = "192.0.2.10"
tags = { env = "prod" }
host_keys = ["host.pub", "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]
host_ca = "ca.pub"

[[identity]]
name = "alice"
email = "alice@example.com"
groups = ["okta:ops"]
amr = ["hwk"]
posture = ["disk_encryption"]
country = "PT"
token_sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
"#;

pub(crate) const POLICY: &str = r#"[[application]]
name = "lab"
target = [{ include = [{ tag = { env = "prod" } }] }]

[[application.policy]]
name = "ops"
action = "allow"
include = [{ group = { provider = "okta", name = "ops" } }]
usernames = ["deploy"]
"#;

impl Folder {
    pub(crate) fn new() -> Option<Self> {
        let keygen = common::tool("ssh-keygen")?;
        let folder = tempfile::tempdir().unwrap();
        for name in ["ca", "signing", "host"] {
            common::ssh_keygen(&keygen, folder.path(), name);
        }
        let auditor = Identity::generate(
            Kem::X25519,
            &mut getrandom::rand_core::UnwrapErr(getrandom::SysRng),
        );
        let new = Self { folder };
        new.write("auditor.pub", &auditor.recipient().to_text(), 0o644);
        new.write("auditor", &auditor.to_text(), 0o600);
        new.write("account-secret", &"5a".repeat(32), 0o600);
        new.write("policy.toml", POLICY, 0o644);
        fs::create_dir(new.path("logs")).unwrap();
        Some(new)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str, mode: u32) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    pub(crate) fn load(&self, text: &str) -> Result<Config, ConfigError> {
        Config::from_toml(&self.path("proxy.toml"), text)
    }

    /// The problems of a configuration, as they are shown without the folder.
    pub(crate) fn refused(&self, text: &str) -> String {
        let Err(error) = self.load(text) else {
            panic!("accepted:\n{text}");
        };
        let folder = format!("{}/", self.folder.path().display());
        error.to_string().replace(&folder, "")
    }
}
