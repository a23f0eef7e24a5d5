//! What a peer says next: mostly what RFC 4254 lets it, so that runs get far, and now and then anything at all.

use proxy_core::Leg;

use super::choices::Choices;
use super::grants::{COMMANDS, ENV, HOSTS, PORTS, SOCKETS, SUBSYSTEMS};
use super::noted::{listener, place};
use super::oracle::Act;
use super::peer::{End, Peer};
use super::wire::{Packet, numbers, string};

/// What the target opens to reach the client's agent.
pub const AGENT: &str = "auth-agent@openssh.com";
/// What it opens to show a window.
pub const X11: &str = "x11";
/// Channel numbers are few, so that they are used again.
const NUMBERS: &[u32] = &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, u32::MAX];

/// The next packet of `peer`; in `mischief` of 256 cases without regard to any rule.
pub fn packet(peer: &Peer, mischief: u32, choices: &mut Choices<'_>) -> Packet {
    if choices.chance(mischief) {
        return match choices.below(6) {
            0 => damaged(&legal_packet(peer, choices), choices),
            _ => anything(choices),
        };
    }
    legal_packet(peer, choices)
}

/// Either side.
pub fn leg(choices: &mut Choices<'_>) -> Leg {
    if choices.chance(128) {
        Leg::Client
    } else {
        Leg::Target
    }
}

/// What a session inside does next.
pub fn act(choices: &mut Choices<'_>) -> Act {
    let leg = leg(choices);
    match choices.below(32) {
        0 => Act::Close,
        1..16 => Act::Take(leg, choices.pick(&[1, 1000, usize::MAX]).unwrap_or(0)),
        _ => {
            let len = choices.pick(&[0, 1, 100, 100, 40_000]).unwrap_or(0);
            Act::Speak(leg, vec![b'i'; len])
        }
    }
}

/// A good part of a window, or all of it, in bytes.
pub fn much(choices: &mut Choices<'_>) -> usize {
    let all = [150_000, 150_000, 150_000, usize::MAX];
    choices.pick(&all).unwrap_or(0)
}

fn legal_packet(peer: &Peer, choices: &mut Choices<'_>) -> Packet {
    let debtors = peer
        .channels
        .values()
        .filter(|end| end.owes > 0 && !end.sent_close && !peer.has_twin(end));
    let debtors: Vec<u32> = debtors.filter_map(|end| end.theirs).collect();
    if choices.chance(100) {
        if let Some(has_port) = peer.owes.front()
            && choices.chance(128)
        {
            return answer(*has_port, choices);
        }
        if let Some(knock) = peer.knocks.front()
            && choices.chance(160)
        {
            return reply_to_opening(peer, knock.theirs, choices);
        }
        if let Some(to) = choices.pick(&debtors) {
            let is_yes = choices.chance(180);
            return if is_yes {
                Packet::Success(to)
            } else {
                Packet::Failure(to)
            };
        }
    }
    let open = peer.channels.values();
    let open: Vec<&End> = open
        .filter(|end| end.theirs.is_some() && !end.sent_close)
        .collect();
    match choices.below(16) {
        0 | 1 => opening(peer, choices),
        2 => global(peer.leg, choices),
        _ => match choices.pick(&open) {
            // Of two that the other side calls the same, it knows the older one as closed.
            Some(end) if peer.has_twin(end) => Packet::Close(end.theirs.unwrap_or(0)),
            Some(end) => on_channel(peer.leg, end, choices),
            None => opening(peer, choices),
        },
    }
}

/// What a peer who wants to be done with it says last; `None` once it owes nothing and nothing is open.
pub fn last_packet(peer: &Peer) -> Option<Packet> {
    if !peer.owes.is_empty() {
        return Some(Packet::GlobalFailure);
    }
    if let Some(knock) = peer.knocks.front() {
        let to = knock.theirs;
        return Some(Packet::OpenFailure { to, reason: 2 });
    }
    // Those that the other side has closed go first: their numbers may stand for others by now.
    let (closed, open): (Vec<&End>, Vec<&End>) =
        peer.channels.values().partition(|end| end.got_close);
    closed
        .into_iter()
        .chain(open)
        .find_map(|end| match end.theirs {
            Some(to) if end.owes > 0 && !end.sent_close && !peer.has_twin(end) => {
                Some(Packet::Success(to))
            }
            Some(to) if !end.sent_close => Some(Packet::Close(to)),
            _ => None,
        })
}

fn unused(peer: &Peer, choices: &mut Choices<'_>) -> u32 {
    let free = NUMBERS.iter().filter(|it| !peer.channels.contains_key(it));
    let free: Vec<u32> = free.copied().collect();
    choices
        .pick(&free)
        .unwrap_or_else(|| choices.small(1 << 16) + 100)
}

fn reply_to_opening(peer: &Peer, to: u32, choices: &mut Choices<'_>) -> Packet {
    if choices.chance(200) {
        Packet::Confirm {
            to,
            sender: unused(peer, choices),
            window: window(choices),
        }
    } else {
        Packet::OpenFailure { to, reason: 2 }
    }
}

fn answer(has_port: bool, choices: &mut Choices<'_>) -> Packet {
    match choices.below(4) {
        0 => Packet::GlobalFailure,
        _ if has_port => Packet::GlobalSuccess(numbers(&[1 + choices.small(4)])),
        _ => Packet::GlobalSuccess(Vec::new()),
    }
}

fn opening(peer: &Peer, choices: &mut Choices<'_>) -> Packet {
    let kinds: &[&str] = match peer.leg {
        Leg::Client => &[
            "session",
            "session",
            "session",
            "direct-tcpip",
            "direct-streamlocal@openssh.com",
            "tun@openssh.com",
        ],
        Leg::Target => &[
            "forwarded-tcpip",
            "forwarded-tcpip",
            "forwarded-streamlocal@openssh.com",
            X11,
            X11,
            AGENT,
            AGENT,
            "session",
        ],
    };
    let kind = choices.pick(kinds).unwrap_or("session");
    Packet::Open {
        kind: kind.into(),
        sender: unused(peer, choices),
        window: window(choices),
        data: opening_data(kind, choices),
    }
}

fn window(choices: &mut Choices<'_>) -> u32 {
    let all = [1 << 20, 2048, 2049, 100, 0, u32::MAX];
    choices.pick(&all).unwrap_or(0)
}

fn opening_data(kind: &str, choices: &mut Choices<'_>) -> Vec<u8> {
    let host = choices.pick(HOSTS).unwrap_or("");
    let path = choices.pick(SOCKETS).unwrap_or("");
    let port = choices.pick(PORTS).unwrap_or(0);
    match kind {
        "session" | "auth-agent@openssh.com" => Vec::new(),
        "tun@openssh.com" => numbers(&[1, 0]),
        "x11" => [string(b"::1"), numbers(&[6010])].concat(),
        "direct-streamlocal@openssh.com" => place(kind, (path, 0), ("", 0)),
        "forwarded-streamlocal@openssh.com" => place(kind, (path, 0), ("", 0)),
        _ => place(kind, (host, port), ("::1", 50_000)),
    }
}

fn global(leg: Leg, choices: &mut Choices<'_>) -> Packet {
    let names: &[&str] = match leg {
        Leg::Client => &[
            "keepalive@openssh.com",
            "no-more-sessions@openssh.com",
            "tcpip-forward",
            "tcpip-forward",
            "cancel-tcpip-forward",
            "streamlocal-forward@openssh.com",
            "cancel-streamlocal-forward@openssh.com",
            "hostkeys-prove-00@openssh.com",
            "unheard-of@example.com",
        ],
        Leg::Target => &[
            "keepalive@openssh.com",
            "keepalive@openssh.com",
            "hostkeys-00@openssh.com",
            "tcpip-forward",
            "unheard-of@example.com",
        ],
    };
    let name = choices.pick(names).unwrap_or("");
    let host = choices.pick(HOSTS).unwrap_or("");
    let path = choices.pick(SOCKETS).unwrap_or("");
    let data = match name {
        "tcpip-forward" | "cancel-tcpip-forward" => {
            listener(name, host, choices.pick(PORTS).unwrap_or(0))
        }
        name if name.contains("streamlocal") => listener(name, path, 0),
        _ => Vec::new(),
    };
    Packet::Global {
        name: name.into(),
        want_reply: choices.chance(200),
        data,
    }
}

fn on_channel(leg: Leg, end: &End, choices: &mut Choices<'_>) -> Packet {
    let Some(to) = end.theirs else {
        return Packet::GlobalFailure;
    };
    match choices.below(32) {
        0 => Packet::Close(to),
        1 if !end.sent_eof => Packet::Eof(to),
        2..=4 if choices.chance(200) => Packet::Adjust {
            to,
            bytes: choices.small(1 << 20),
        },
        2..=30 if end.kind == AGENT && choices.chance(200) => Packet::Data {
            to,
            bytes: agent_words(leg, choices),
        },
        2..=7 if leg == Leg::Target && end.kind == X11 && !end.sent_eof => Packet::Data {
            to,
            bytes: window_words(choices),
        },
        5..=7 if leg == Leg::Target && !end.sent_eof => Packet::Extended {
            to,
            code: 1,
            bytes: data(choices),
        },
        8..=19 => request(leg, to, choices),
        _ if !end.sent_eof => Packet::Data {
            to,
            bytes: data(choices),
        },
        _ => Packet::Adjust { to, bytes: 1 },
    }
}

/// What a program asks an agent, and what an agent answers (draft-ietf-sshm-ssh-agent); now and then in pieces.
fn agent_words(leg: Leg, choices: &mut Choices<'_>) -> Vec<u8> {
    let key = [string(b"ssh-ed25519"), string(&[7; 32])].concat();
    let signing = [
        vec![13],
        string(&key),
        string(b"to be signed"),
        numbers(&[0]),
    ]
    .concat();
    let listing = [vec![12], numbers(&[1]), string(&key), string(b"a key")].concat();
    let words = match leg {
        Leg::Target => choices.pick(&[vec![11], signing, vec![17, 1], vec![19], vec![27, 0]]),
        Leg::Client => choices.pick(&[
            listing,
            [vec![14], string(b"a signature")].concat(),
            vec![5],
        ]),
    };
    let mut message = string(&words.unwrap_or_default());
    match choices.below(16) {
        0 => message.truncate(3),
        1 => message[0] ^= 0x40,
        2 => message.extend_from_slice(&string(b"\x0b")),
        _ => {}
    }
    message
}

/// What a program says first to a display (X11 protocol, section 8), or the beginning or the rest of it.
fn window_words(choices: &mut Choices<'_>) -> Vec<u8> {
    let words = choices
        .pick(&[
            b"l\0\x0b\0\0\0\x12\0\x10\0\0\0MIT-MAGIC-COOKIE-1\0\0sixteen secrets!more".to_vec(),
            b"B\0\0\x0b\0\0\0\x03\0\x05\0\0abc\0cookie".to_vec(),
            b"B\0\0\x0b\0\0\0\x01\0\xffab".to_vec(),
        ])
        .unwrap_or_default();
    let from = choices.below(words.len()) / 4;
    let len = choices.below(words.len() + 8);
    words.into_iter().skip(from).take(len.max(1)).collect()
}

fn data(choices: &mut Choices<'_>) -> Vec<u8> {
    match choices.below(32) {
        0 => b"SSH-2.0-x\r\n".to_vec(),
        1 => b"S".to_vec(),
        2 => b"SH-".to_vec(),
        3 => b"hello\nSSH-".to_vec(),
        4 => vec![b'x'; choices.below(20_000)],
        5 => Vec::new(),
        _ => {
            let len = choices.below(40);
            choices.bytes(len)
        }
    }
}

fn request(leg: Leg, to: u32, choices: &mut Choices<'_>) -> Packet {
    let names: &[&str] = match leg {
        Leg::Client => &[
            "pty-req",
            "env",
            "env",
            "shell",
            "exec",
            "exec",
            "subsystem",
            "window-change",
            "signal",
            "break",
            "eow@openssh.com",
            "keepalive@openssh.com",
            "auth-agent-req@openssh.com",
            "x11-req",
            "unheard-of@example.com",
        ],
        Leg::Target => &[
            "exit-status",
            "exit-signal",
            "xon-xoff",
            "eow@openssh.com",
            "keepalive@openssh.com",
            "unheard-of@example.com",
        ],
    };
    let name = choices.pick(names).unwrap_or("");
    Packet::Request {
        to,
        name: name.into(),
        want_reply: choices.chance(if leg == Leg::Client { 180 } else { 40 }),
        data: request_data(name, choices),
    }
}

fn request_data(name: &str, choices: &mut Choices<'_>) -> Vec<u8> {
    match name {
        "pty-req" => [string(b"xterm"), numbers(&[80, 24, 0, 0]), string(&[0])].concat(),
        "env" => {
            let name = choices.pick(ENV).unwrap_or(b"");
            [string(name), string(b"C")].concat()
        }
        "exec" => string(choices.pick(COMMANDS).unwrap_or("").as_bytes()),
        "subsystem" => string(choices.pick(SUBSYSTEMS).unwrap_or("").as_bytes()),
        "window-change" => numbers(&[choices.small(500), 24, 0, 0]),
        "signal" => string(b"TERM"),
        "break" => numbers(&[500]),
        "exit-status" => numbers(&[choices.small(300)]),
        "exit-signal" => [string(b"KILL"), vec![0], string(b""), string(b"")].concat(),
        "xon-xoff" => vec![1],
        "x11-req" => {
            let single = vec![u8::from(choices.chance(128))];
            [
                single,
                string(b"MIT-MAGIC-COOKIE-1"),
                string(b"c0ffee"),
                numbers(&[0]),
            ]
            .concat()
        }
        _ => Vec::new(),
    }
}

/// Without regard to state, direction or form.
fn anything(choices: &mut Choices<'_>) -> Packet {
    let leg = choices
        .pick(&[Leg::Client, Leg::Target])
        .unwrap_or(Leg::Client);
    let to = choices.pick(NUMBERS).unwrap_or(0);
    let sender = choices.pick(NUMBERS).unwrap_or(0);
    let stranger = End::unknown(to);
    match choices.below(11) {
        0 => Packet::Confirm {
            to,
            sender,
            window: window(choices),
        },
        1 => Packet::OpenFailure { to, reason: 1 },
        2 => Packet::Eof(to),
        3 => Packet::Close(to),
        4 => Packet::Success(to),
        5 => Packet::Failure(to),
        6 => Packet::GlobalSuccess(numbers(&[choices.pick(PORTS).unwrap_or(1)])),
        7 => {
            let code = choices.small(3);
            let bytes = data(choices);
            Packet::Extended { to, code, bytes }
        }
        8 => global(leg, choices),
        9 => {
            let len = choices.below(12);
            Packet::Raw(choices.bytes(len))
        }
        _ => on_channel(leg, &stranger, choices),
    }
}

/// A packet that was cut off, or one byte of which is another.
fn damaged(packet: &Packet, choices: &mut Choices<'_>) -> Packet {
    let mut bytes = packet.encode();
    let at = choices.below(bytes.len());
    if choices.chance(128) {
        bytes.truncate(at);
    } else if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << choices.below(8);
    }
    Packet::Raw(bytes)
}
