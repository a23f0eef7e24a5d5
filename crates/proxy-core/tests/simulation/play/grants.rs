//! Grants, each twice: as the policy document says it, and as a plain table of what that means to the words used here.

use proxy_core::Leg;

/// What a user may do.
#[derive(Debug)]
pub struct Granted {
    /// The policy's own lines.
    pub document: &'static str,
    pub shell: bool,
    pub exec: bool,
    pub pty: bool,
    pub subsystems: &'static [&'static str],
    /// Of [`COMMANDS`].
    pub commands: &'static [&'static str],
    /// Where `direct-tcpip` may lead.
    pub local: &'static [(&'static str, u32)],
    /// Where the target may listen; port 0 is any.
    pub remote: &'static [&'static str],
    pub sockets: &'static [&'static str],
    pub max_channels: usize,
}

/// Words that the peers use. What is behind them is nothing that any grant here names.
pub const COMMANDS: &[&str] = &[
    "id",
    "uptime",
    "uptime --evil",
    "/usr/lib/sftp-server",
    "x\0y",
    "",
];
pub const SUBSYSTEMS: &[&str] = &["sftp", "netconf", ""];
pub const HOSTS: &[&str] = &["db-1", "localhost", "other", ""];
pub const PORTS: &[u32] = &[5432, 22, 8080, 0, 70_000];
pub const SOCKETS: &[&str] = &["/run/app.sock", "/run/other.sock", "/run/app.sock/../x"];
/// The second half is not granted by anybody: not a plain name, or not on the list of G3.
pub const ENV: &[&[u8]] = &[b"LANG", b"LC_ALL", b"LD_PRELOAD", b"LC_A=B", b"LC_\n"];
const PLAIN_ENV: usize = 2;

const ALL_COMMANDS: &[&str] = &["id", "uptime", "uptime --evil", "/usr/lib/sftp-server", ""];
const BUT_SFTP: &[&str] = &["id", "uptime", "uptime --evil", ""];

const NOTHING: Granted = Granted {
    document: "permit = []",
    shell: false,
    exec: false,
    pty: false,
    subsystems: &[],
    commands: &[],
    local: &[],
    remote: &[],
    sockets: &[],
    max_channels: 64,
};

/// Every grant that runs choose from.
pub const GRANTS: &[Granted] = &[
    Granted {
        document: "",
        shell: true,
        exec: true,
        pty: true,
        subsystems: &["sftp"],
        commands: ALL_COMMANDS,
        ..NOTHING
    },
    Granted {
        document: "local_forward = [{ host = \"db-1\", port = [5432, 22] }]\n\
                   remote_forward = [{ host = \"localhost\", port = \"any\" }]\nstream_local = [\"/run/app.sock\"]",
        shell: true,
        exec: true,
        pty: true,
        subsystems: &["sftp"],
        commands: ALL_COMMANDS,
        local: &[("db-1", 5432), ("db-1", 22)],
        remote: &["localhost"],
        sockets: &["/run/app.sock"],
        ..NOTHING
    },
    Granted {
        document: "permit = [\"exec\"]\nmax_channels = 4\ncommands = { allow = [\"uptime*\", \"id\"], deny = [\"* --evil\"] }",
        exec: true,
        commands: &["id", "uptime"],
        max_channels: 4,
        ..NOTHING
    },
    Granted {
        document: "permit = [\"shell\", \"pty\", \"exec\"]\nsubsystems = [\"netconf\"]\nmax_channels = 2\n\
                   remote_forward = [{ host = \"localhost\", port = \"any\" }]",
        shell: true,
        pty: true,
        exec: true,
        subsystems: &["netconf"],
        commands: BUT_SFTP,
        remote: &["localhost"],
        max_channels: 2,
        ..NOTHING
    },
    NOTHING,
];

impl Granted {
    /// A whole policy document that grants this to everybody as `deploy` on `web-1`.
    pub fn policy(&self) -> String {
        format!(
            "[[application]]\nname = \"lab\"\ntarget = {{ include = [{{ hostname = \"web-1\" }}] }}\n\
             [[application.policy]]\nname = \"p\"\naction = \"allow\"\ninclude = [{{ everyone = true }}]\n\
             usernames = [\"deploy\"]\n{}\n",
            self.document
        )
    }

    pub fn allows_command(&self, command: &[u8]) -> bool {
        self.exec && self.commands.iter().any(|it| it.as_bytes() == command)
    }

    pub fn allows_env(name: &[u8]) -> bool {
        ENV[..PLAIN_ENV].contains(&name)
    }

    pub fn allows_local(&self, host: &str, port: u32) -> bool {
        self.local.contains(&(host, port))
    }

    pub fn allows_listener(&self, host: &str, port: u32) -> bool {
        port <= 65_535 && self.remote.contains(&host)
    }

    /// How many of the channels the target may open.
    pub const fn channels_of(&self, leg: Leg) -> usize {
        match leg {
            Leg::Client => self.max_channels,
            Leg::Target => self.max_channels - self.max_channels / 4,
        }
    }
}
