//! Where the people of [`super::tree`] go, and what is said of them.

use proxy_core::{Directory, EndReason, EventKind, Refusal, Target};

use super::tree::Tree;

/// What level `n` is called.
pub fn host(level: usize) -> String {
    match level {
        0 => "web-1".into(),
        n => format!("inner-{n}"),
    }
}

/// As many levels as the default limit, and one that is inside none.
pub const DEEPEST: usize = 8;

/// Everybody may be `deploy` on every level and jump to the next; `more` is added to every policy.
pub fn policy(more: &str) -> String {
    let names = (0..=DEEPEST).map(|level| format!("{{ hostname = \"{}\" }}", host(level)));
    let targets = names.collect::<Vec<_>>().join(", ");
    format!(
        "[[application]]\nname = \"lab\"\ntarget = {{ include = [{targets}] }}\n\
         [[application.policy]]\nname = \"p\"\naction = \"allow\"\ninclude = [{{ everyone = true }}]\n\
         usernames = [\"deploy\"]\n{more}"
    )
}

/// A few levels, and a machine that the directory does not know.
pub const JUMPS: &str = "jump = [{ host = \"inner-1\", port = 22 }, { host = \"inner-2\", port = 22 }, \
     { host = \"inner-3\", port = 22 }, { host = \"elsewhere\", port = 22 }]\n";

/// As many levels as there can be.
pub fn all_jumps() -> String {
    let hosts = (1..=DEEPEST).map(|level| format!("{{ host = \"{}\", port = 22 }}", host(level)));
    format!("jump = [{}]\n", hosts.collect::<Vec<_>>().join(", "))
}

/// Connections to wherever SSH may be found, none of them for SSH alone.
pub const FORWARDS: &str = "local_forward = [{ host = \"inner-1\", port = \"any\" }, { host = \"elsewhere\", port = 22 }]\n";

pub struct Names;

impl Directory for Names {
    fn find(&self, host: &str, port: u16) -> Option<Target> {
        (host.starts_with("inner-") && port == 22).then(|| target(host))
    }
}

/// Whatever key its peer has.
pub fn target(hostname: &str) -> Target {
    Target {
        any_host_key_inside: true,
        ..unknown(hostname)
    }
}

/// Of which no host key is known.
pub fn unknown(hostname: &str) -> Target {
    Target::new(policy::Target {
        id: format!("id of {hostname}"),
        hostname: hostname.into(),
        port: 22,
        ..Default::default()
    })
}

pub fn patterned(len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

pub fn end_of(kinds: &[&EventKind]) -> Option<EndReason> {
    kinds.iter().find_map(|kind| match kind {
        EventKind::SessionEnd { reason, .. } => Some(*reason),
        _ => None,
    })
}

pub fn refusal_of(kinds: &[&EventKind]) -> Option<Refusal> {
    kinds.iter().find_map(|kind| match kind {
        EventKind::AccessDenied { reason, .. } => Some(*reason),
        _ => None,
    })
}

/// The text of the last failure to open a channel that the person of a level got.
pub fn open_failure(tree: &Tree, level: usize) -> String {
    let failure = tree.levels[level].packets.client.iter().rev();
    let failure = failure.into_iter().find(|packet| packet[0] == 92);
    failure.map_or(String::new(), |packet| {
        String::from_utf8_lossy(&packet[13..packet.len() - 6]).into_owned()
    })
}
