//! `[admin]`: the socket where operators ask, and who they are.

use std::path::PathBuf;

use super::identities::KnownIdentity;
use super::keys::resolve;
use super::listeners::position;
use super::parts::writable_folder;
use super::reader::{Reader, Table, quoted};
use crate::live::MAX_FEED_BYTES;

/// The longest path of the socket, in bytes: what `sun_path` holds on Linux with the zero byte at its end, and before it a dot, the number
/// of a process, a dot and a digit, which are added while the proxy drains.
const MAX_SOCKET_PATH_BYTES: usize = 107 - 10;

/// Who may open the socket where nothing else is said: its owner.
const DEFAULT_MODE: u32 = 0o600;

/// Where operators ask, and who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminConfig {
    /// The socket's path.
    pub socket: PathBuf,
    /// The permissions of the socket.
    pub mode: u32,
    /// How many operators there may be, and what may wait for each.
    pub limits: AdminLimits,
    /// Users of this machine by their number, and the positions of the identities that they are.
    pub operators: Vec<(u32, usize)>,
}

/// How many operators there may be, and what may wait for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdminLimits {
    /// Operators at once, those who watch among them; more are turned away. 32: with what may wait for each, 32 MiB for all.
    pub clients: usize,
    /// Of those, connections of one user: one who has many windows open leaves room for the others. 8.
    pub clients_of_one: usize,
    /// What may wait for one who watches, in bytes; who has more waiting is sent away. [`MAX_FEED_BYTES`].
    pub feed_bytes: usize,
}

impl Default for AdminLimits {
    fn default() -> Self {
        Self {
            clients: 32,
            clients_of_one: 8,
            feed_bytes: MAX_FEED_BYTES,
        }
    }
}

/// `[admin]`
pub(super) fn admin<'d>(
    reader: &mut Reader<'d>,
    document: &Table<'d>,
    identities: &[KnownIdentity],
) -> Option<AdminConfig> {
    let known = [
        "socket",
        "mode",
        "operator",
        "max_clients",
        "max_clients_of_one",
        "feed_bytes",
    ];
    let table = reader.table(document, "admin", &known)?;
    let mut limits = AdminLimits::default();
    for (name, value, bounds) in [
        ("max_clients", &mut limits.clients, 1..1025),
        ("max_clients_of_one", &mut limits.clients_of_one, 1..1025),
        // Less than a few packets would send away everybody.
        (
            "feed_bytes",
            &mut limits.feed_bytes,
            64 << 10..(64 << 20) + 1,
        ),
    ] {
        if let Some(number) = reader.number(&table, name, bounds) {
            *value = usize::try_from(number).unwrap_or(usize::MAX);
        }
    }
    let socket = socket(reader, &table);
    let mode = match table.field("mode") {
        Some(field) => {
            let mode = reader.number(&table, "mode", 0..0o1000);
            let mode = mode.and_then(|mode| u32::try_from(mode).ok());
            if mode.is_some_and(|mode| mode & 0o600 != 0o600 || mode & 0o111 != 0) {
                let help = "write `0o600` for the owner alone, `0o660` for the group too, or `0o666`: who may do what is the policy's say";
                reader.problem(&field, "not the permissions of a socket", help);
            }
            mode.unwrap_or(DEFAULT_MODE)
        }
        None => DEFAULT_MODE,
    };
    let names: Vec<_> = identities.iter().map(|known| &*known.who.name).collect();
    let mut operators: Vec<(u32, usize)> = Vec::new();
    for entry in reader.tables(&table, "operator", &["uid", "identity"]) {
        let help = "write the user's number, as `id -u` tells it";
        let field = reader.needed(&entry, "uid", help);
        let uid = reader.number(&entry, "uid", 0..u64::from(u32::MAX));
        let uid = uid.and_then(|uid| u32::try_from(uid).ok());
        let help = "write the name of the `[[identity]]` that this user is";
        reader.needed(&entry, "identity", help);
        let identity = position(reader, &entry, "identity", &names);
        if let (Some(field), Some(uid)) = (field, uid)
            && operators.iter().any(|(other, _)| *other == uid)
        {
            let help = "write one `[[admin.operator]]` for each user";
            reader.problem(&field, format!("user {uid} is two identities"), help);
        }
        operators.extend(uid.zip(identity));
    }
    Some(AdminConfig {
        socket: socket?,
        mode,
        limits,
        operators,
    })
}

fn socket<'d>(reader: &mut Reader<'d>, table: &Table<'d>) -> Option<PathBuf> {
    let help = "write the path of the socket, for example `\"admin.sock\"`";
    let (field, name) = reader.needed_text(table, "socket", help)?;
    let socket = resolve(reader, name);
    let shown = quoted(&socket.display().to_string());
    if socket.as_os_str().len() > MAX_SOCKET_PATH_BYTES {
        let what = format!("{shown} is too long for the path of a socket");
        let help = format!(
            "write one of at most {MAX_SOCKET_PATH_BYTES} bytes, to which a proxy that drains adds the number of its process"
        );
        reader.problem(&field, what, help);
    } else if let Some(folder) = socket.parent() {
        writable_folder(reader, &field, &socket, folder);
    }
    Some(socket)
}
