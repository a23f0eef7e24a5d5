//! Grants, each twice: as the policy document says it, and as a plain table of what that means to the words used here.

use proxy_core::Leg;

/// What the log keeps of the bytes of a forwarded connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    Bytes,
    /// What they hash to.
    Digests,
    /// How many there were.
    Counts,
}

/// What a user may do.
#[derive(Debug)]
pub struct Granted {
    /// The policy's own lines.
    pub document: &'static str,
    pub shell: bool,
    pub exec: bool,
    pub pty: bool,
    pub subsystems: &'static [&'static str],
    /// Of those without a zero byte.
    pub commands: fn(&[u8]) -> bool,
    /// Where `direct-tcpip` may lead.
    pub local: &'static [(&'static str, u32)],
    /// Where the target may listen; port 0 is any.
    pub remote: &'static [&'static str],
    pub sockets: &'static [&'static str],
    /// Where nothing but sessions inside this one may lead.
    pub jumps: &'static [(&'static str, u32)],
    pub lends_agent: bool,
    /// Programs of the target may show windows at the client.
    pub shows_windows: bool,
    pub keeps: Keeps,
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
pub const PORTS: &[u32] = &[5432, 22, 3, 0, 70_000];
pub const SOCKETS: &[&str] = &["/run/app.sock", "/run/other.sock", "/run/app.sock/../x"];
pub const ENV: &[&[u8]] = &[b"LANG", b"LC_ALL", b"LD_PRELOAD", b"LC_A=B", b"LC_\n"];

fn any_command(_: &[u8]) -> bool {
    true
}

fn no_command(_: &[u8]) -> bool {
    false
}

fn names_sftp_server(command: &[u8]) -> bool {
    let mut words = command.split(|byte| !byte.is_ascii_alphanumeric() && !b"-_.".contains(byte));
    words.any(|word| word == b"sftp-server" || word == b"internal-sftp")
}

fn not_the_sftp_server(command: &[u8]) -> bool {
    !names_sftp_server(command)
}

fn id_and_good_uptime(command: &[u8]) -> bool {
    let is_meant = command == b"id" || command.starts_with(b"uptime");
    is_meant && !command.ends_with(b" --evil") && !names_sftp_server(command)
}

const NOTHING: Granted = Granted {
    document: "permit = []",
    shell: false,
    exec: false,
    pty: false,
    subsystems: &[],
    commands: no_command,
    local: &[],
    remote: &[],
    sockets: &[],
    jumps: &[],
    lends_agent: false,
    shows_windows: false,
    keeps: Keeps::Bytes,
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
        commands: any_command,
        ..NOTHING
    },
    Granted {
        document: "local_forward = [{ host = \"db-1\", port = [5432, 22] }]\n\
                   remote_forward = [{ host = \"localhost\", port = \"any\" }]\nstream_local = [\"/run/app.sock\"]",
        shell: true,
        exec: true,
        pty: true,
        subsystems: &["sftp"],
        commands: any_command,
        local: &[("db-1", 5432), ("db-1", 22)],
        remote: &["localhost"],
        sockets: &["/run/app.sock"],
        ..NOTHING
    },
    Granted {
        document: "permit = [\"exec\"]\nmax_channels = 4\ncommands = { allow = [\"uptime*\", \"id\"], deny = [\"* --evil\"] }",
        exec: true,
        commands: id_and_good_uptime,
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
        commands: not_the_sftp_server,
        remote: &["localhost"],
        max_channels: 2,
        ..NOTHING
    },
    NOTHING,
    Granted {
        document: "permit = [\"shell\", \"exec\", \"agent_forwarding\"]",
        shell: true,
        exec: true,
        commands: not_the_sftp_server,
        lends_agent: true,
        ..NOTHING
    },
    Granted {
        document: "permit = [\"shell\", \"agent_forwarding\", \"x11_forwarding\"]\n\
                   local_forward = [{ host = \"db-1\", port = [5432, 22] }]",
        shell: true,
        local: &[("db-1", 5432), ("db-1", 22)],
        lends_agent: true,
        shows_windows: true,
        ..NOTHING
    },
    Granted {
        document: "permit = [\"shell\", \"x11_forwarding\"]\nforward_recording = \"digest\"\n\
                   local_forward = [{ host = \"db-1\", port = [5432, 22] }]\n\
                   remote_forward = [{ host = \"localhost\", port = \"any\" }]",
        shell: true,
        local: &[("db-1", 5432), ("db-1", 22)],
        remote: &["localhost"],
        shows_windows: true,
        keeps: Keeps::Digests,
        ..NOTHING
    },
    Granted {
        document: "permit = [\"shell\"]\nforward_recording = \"none\"\n\
                   local_forward = [{ host = \"db-1\", port = [5432, 22] }]\nstream_local = [\"/run/app.sock\"]",
        shell: true,
        local: &[("db-1", 5432), ("db-1", 22)],
        sockets: &["/run/app.sock"],
        keeps: Keeps::Counts,
        ..NOTHING
    },
    Granted {
        document: "permit = [\"shell\"]\njump = [{ host = \"db-1\", port = 22 }]\n\
                   local_forward = [{ host = \"db-1\", port = [5432, 22] }]",
        shell: true,
        jumps: &[("db-1", 22)],
        local: &[("db-1", 5432), ("db-1", 22)],
        ..NOTHING
    },
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
        self.exec && !command.contains(&0) && (self.commands)(command)
    }

    /// The list of G3, of names that are plain.
    pub fn allows_env(name: &[u8]) -> bool {
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let names = ["COLORTERM", "GIT_PROTOCOL", "LANG", "NO_COLOR", "TERM"];
        let is_listed = names.iter().any(|it| it.as_bytes() == name) || name.starts_with(b"LC_");
        is_listed && name.iter().all(is_plain)
    }

    pub fn allows_local(&self, host: &str, port: u32) -> bool {
        let mut places = self.local.iter();
        places.any(|(name, number)| name.eq_ignore_ascii_case(host) && *number == port)
    }

    pub fn allows_jump(&self, host: &str, port: u32) -> bool {
        let mut places = self.jumps.iter();
        places.any(|(name, number)| name.eq_ignore_ascii_case(host) && *number == port)
    }

    /// Whether there may be sessions inside this one.
    pub const fn has_sessions(&self) -> bool {
        !self.jumps.is_empty()
    }

    /// One that is listed, or below one.
    pub fn allows_socket(&self, path: &str) -> bool {
        let has_dots = path
            .split('/')
            .skip(1)
            .any(|it| matches!(it, "" | "." | ".."));
        let mut sockets = self.sockets.iter();
        !has_dots && sockets.any(|it| path == *it || path.starts_with(&format!("{it}/")))
    }

    pub fn allows_listener(&self, host: &str, port: u32) -> bool {
        let mut hosts = self.remote.iter();
        port <= 65_535 && hosts.any(|it| it.eq_ignore_ascii_case(host))
    }

    /// How many of the channels the target may open.
    pub const fn channels_of(&self, leg: Leg) -> usize {
        match leg {
            Leg::Client => self.max_channels,
            Leg::Target => self.max_channels - self.max_channels / 4,
        }
    }
}
