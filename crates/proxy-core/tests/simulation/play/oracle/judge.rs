//! Beforehand: what has to become of a packet.

use proxy_core::Leg;

use super::super::generate::{AGENT, X11};
use super::super::grants::Granted;
use super::super::wire::{Fields, Packet};
use super::inside::{Inside, is_unwanted};
use super::line::{Fate, Line, Program};
use super::{Debt, Listener, MAX_LISTENERS, MAX_WAITING, Oracle, Verdict, Wish};

const NAME_BYTES: std::ops::RangeInclusive<usize> = 1..=64;

/// A name of RFC 4251 section 6.
fn is_name(name: &str) -> bool {
    NAME_BYTES.contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
}

impl Oracle {
    pub fn judge(&self, from: Leg, packet: &Packet) -> Verdict {
        match packet {
            Packet::Raw(_) => Verdict::Break,
            Packet::Global {
                name,
                want_reply,
                data,
            } => self.judge_global(from, name, *want_reply, data),
            Packet::GlobalSuccess(data) => self.judge_answer(from, true, data),
            Packet::GlobalFailure => self.judge_answer(from, false, &[]),
            Packet::Open {
                kind, sender, data, ..
            } => self.judge_open(from, kind, *sender, data),
            Packet::Confirm { to, sender, .. } => {
                let is_right = !self.is_used(from, *sender);
                self.judge_opening(from, *to, is_right)
            }
            Packet::OpenFailure { to, .. } => self.judge_opening(from, *to, true),
            _ => self.judge_on_channel(from, packet),
        }
    }

    fn judge_global(&self, from: Leg, name: &str, want_reply: bool, data: &[u8]) -> Verdict {
        if !is_name(name) {
            return Verdict::Break;
        }
        if want_reply && self.wishes[from].len() >= MAX_WAITING {
            return Verdict::RefuseOrBreak;
        }
        let passes = match (from, name) {
            (_, "keepalive@openssh.com") | (Leg::Client, "no-more-sessions@openssh.com") => {
                data.is_empty()
            }
            (Leg::Client, _) => Listener::read(name, data)
                .is_some_and(|(begins, it)| self.allows_listener(begins, &it, want_reply)),
            _ => false,
        };
        if passes {
            Verdict::Pass
        } else {
            Verdict::Refuse
        }
    }

    fn allows_listener(&self, begins: bool, listener: &Listener, want_reply: bool) -> bool {
        let awaited = || {
            self.wishes.client.iter().filter_map(|wish| match wish {
                Wish::Begin(listener) => Some(listener),
                _ => None,
            })
        };
        if !begins {
            let is_awaited = want_reply && awaited().any(|it| it == listener);
            return self.listeners.contains(listener) || is_awaited;
        }
        let is_granted = match listener {
            Listener::Tcp(host, port) => self.granted.allows_listener(host, *port),
            Listener::Socket(path) => self.granted.allows_socket(path),
        };
        is_granted && want_reply && self.listeners.len() + awaited().count() < MAX_LISTENERS
    }

    fn judge_answer(&self, from: Leg, ok: bool, data: &[u8]) -> Verdict {
        let wish = match self.debts[from].front() {
            Some(Debt::ToProxy) => return Verdict::Keep,
            Some(Debt::ToPeer) => self.wishes[from.other()].front(),
            None if data.is_empty() => return Verdict::Refuse,
            None => return Verdict::Break,
        };
        match wish {
            Some(Wish::Begin(_) | Wish::End(_)) if wish.is_some_and(|it| !it.takes(ok, data)) => {
                Verdict::Refuse
            }
            Some(Wish::Begin(_) | Wish::End(_)) => Verdict::Pass,
            _ if data.is_empty() => Verdict::Pass,
            _ => Verdict::Break,
        }
    }

    fn judge_open(&self, from: Leg, kind: &str, sender: u32, data: &[u8]) -> Verdict {
        if self.is_used(from, sender) || !is_name(kind) {
            return Verdict::Break;
        }
        let is_unwanted = is_unwanted(self.last_number + 1);
        if self.may_open(from, kind, data)
            && !(is_unwanted && self.is_asked(from, kind, sender, data))
        {
            Verdict::Pass
        } else {
            Verdict::Refuse
        }
    }

    fn is_used(&self, leg: Leg, id: u32) -> bool {
        let mut lines = self.lines.iter();
        lines.any(|it| it.ids[leg] == Some(id) && !it.is_free_at(leg))
    }

    /// Whether somebody is asked whether there may be a session.
    pub(super) fn is_asked(&self, from: Leg, kind: &str, sender: u32, data: &[u8]) -> bool {
        let begins = self.begins(from, kind, tcp_place(data));
        let is_possible = !self.is_used(from, sender) && is_name(kind);
        begins == Inside::Session && is_possible && self.may_open(from, kind, data)
    }

    fn may_open(&self, from: Leg, kind: &str, data: &[u8]) -> bool {
        let is_granted = match (from, kind) {
            (Leg::Client, "session") => data.is_empty(),
            (Leg::Client, "direct-tcpip") => tcp_place(data).is_some_and(|(host, port)| {
                self.granted.allows_local(&host, port) || self.granted.allows_jump(&host, port)
            }),
            (Leg::Client, "direct-streamlocal@openssh.com") => {
                socket_place(data, true).is_some_and(|path| self.granted.allows_socket(&path))
            }
            (Leg::Target, AGENT) => data.is_empty() && self.lends_agent(),
            (Leg::Target, X11) => is_window(data) && self.lines.iter().any(Line::may_show),
            (Leg::Target, "forwarded-tcpip") => tcp_place(data).is_some_and(|(host, wanted)| {
                let mut held = self.listeners.iter();
                held.any(|it| matches!(it, Listener::Tcp(asked, port) if *port == wanted && may_be(asked, &host)))
            }),
            (Leg::Target, "forwarded-streamlocal@openssh.com") => socket_place(data, false)
                .is_some_and(|path| self.listeners.contains(&Listener::Socket(path))),
            _ => false,
        };
        let opened = self.lines.iter().filter(|it| it.opener == from).count();
        let has_room =
            self.lines.len() < self.granted.max_channels && opened < self.granted.channels_of(from);
        is_granted && has_room
    }

    fn judge_opening(&self, from: Leg, to: u32, is_right: bool) -> Verdict {
        if self.unanswered(from, to).is_some() && is_right {
            Verdict::Pass
        } else {
            Verdict::Break
        }
    }

    fn judge_on_channel(&self, from: Leg, packet: &Packet) -> Verdict {
        let Some(line) = packet
            .to()
            .and_then(|to| self.at(from, to))
            .and_then(|at| self.lines.get(at))
        else {
            return Verdict::Break;
        };
        let has_closed = line.closed[from];
        match packet {
            Packet::Adjust { .. } | Packet::Data { .. } | Packet::Eof(_) if line.is_cut => {
                Verdict::Keep
            }
            Packet::Adjust { .. } if line.is_agent => Verdict::Own,
            Packet::Eof(_) if line.is_agent && line.may_send(from) => Verdict::Own,
            Packet::Adjust { .. } if line.inside == Inside::Session => Verdict::Taken,
            Packet::Adjust { .. } if line.inside == Inside::Unknown => Verdict::Own,
            Packet::Close(_) if line.inside == Inside::Session && !has_closed => Verdict::Taken,
            Packet::Eof(_) if line.inside == Inside::Session && line.may_send(from) => {
                Verdict::Taken
            }
            Packet::Data { bytes, .. }
                if (line.inside != Inside::Nothing || line.is_agent)
                    && line.may_send(from)
                    && bytes.len() as i64 > line.windows.told[from] =>
            {
                Verdict::TooMuch
            }
            Packet::Data { .. } if line.is_agent && line.may_send(from) => Verdict::Own,
            Packet::Data { bytes, .. } if line.is_taken(from, bytes) => Verdict::Taken,
            Packet::Adjust { .. } => Verdict::Pass,
            Packet::Extended { .. } if line.is_cut => Verdict::Keep,
            Packet::Extended { code, .. }
                if from == Leg::Client || *code != 1 || line.is_carried =>
            {
                Verdict::Refuse
            }
            Packet::Data { .. } | Packet::Extended { .. } if has_closed || line.ended[from] => {
                Verdict::Refuse
            }
            Packet::Data { .. } if from == Leg::Client && line.program == Program::Refused => {
                Verdict::Refuse
            }
            Packet::Data { bytes, .. } if line.is_carried && line.would_be_ssh(from, bytes) => {
                Verdict::Refuse
            }
            Packet::Data { .. } | Packet::Extended { .. } => Verdict::Pass,
            Packet::Eof(_) if has_closed || line.ended[from] => Verdict::Refuse,
            Packet::Eof(_)
                if from == Leg::Target
                    && !line.is_carried
                    && !line.has_exited
                    && !line.closed.client =>
            {
                Verdict::Hold
            }
            Packet::Eof(_) => Verdict::Pass,
            Packet::Close(_) if has_closed => Verdict::Break,
            Packet::Close(_) => Verdict::Pass,
            Packet::Request {
                name,
                want_reply,
                data,
                ..
            } => {
                if has_closed || !is_name(name) {
                    return Verdict::Break;
                }
                let is_full = *want_reply && line.asked[from].len() >= MAX_WAITING;
                match self.judge_request(from, line, name, data) {
                    _ if is_full => Verdict::RefuseOrBreak,
                    verdict => verdict,
                }
            }
            Packet::Success(_) | Packet::Failure(_) => {
                let mut asked = line.asked[from.other()].iter();
                let is_owed = asked.any(|it| matches!(it, Fate::Passed { .. }));
                if is_owed && !has_closed {
                    Verdict::Pass
                } else {
                    Verdict::Refuse
                }
            }
            _ => Verdict::Break,
        }
    }

    fn judge_request(&self, from: Leg, line: &Line, name: &str, data: &[u8]) -> Verdict {
        let is_of_all = matches!(name, "eow@openssh.com" | "keepalive@openssh.com");
        let Some(fields) = fields_of(name, data) else {
            return if is_known(name) {
                Verdict::RefuseOrBreak
            } else {
                Verdict::Refuse
            };
        };
        if is_of_all && line.inside != Inside::Session {
            return Verdict::Pass;
        }
        if line.is_carried {
            return Verdict::Refuse;
        }
        let first = fields.first().map_or(&[][..], Vec::as_slice);
        let granted = self.granted;
        let comes_in_time = line.program != Program::Started;
        let passes = match (from, name) {
            (Leg::Client, "pty-req") => comes_in_time && granted.pty,
            (Leg::Client, "env") => comes_in_time && Granted::allows_env(first),
            (Leg::Client, "shell") => comes_in_time && granted.shell,
            (Leg::Client, "exec") => comes_in_time && granted.allows_command(first),
            (Leg::Client, "subsystem") => {
                let mut names = granted.subsystems.iter();
                comes_in_time && names.any(|it| it.as_bytes() == first)
            }
            (Leg::Client, "auth-agent-req@openssh.com") => comes_in_time && granted.lends_agent,
            (Leg::Client, "x11-req") => comes_in_time && granted.shows_windows,
            (Leg::Client, "window-change") => granted.pty,
            (Leg::Client, "signal" | "break") => true,
            (Leg::Target, "exit-status" | "exit-signal" | "xon-xoff") => true,
            _ => false,
        };
        if passes {
            Verdict::Pass
        } else {
            Verdict::Refuse
        }
    }
}

impl Listener {
    /// Whether it begins or ends, and which.
    pub(super) fn read(name: &str, data: &[u8]) -> Option<(bool, Self)> {
        let mut r = Fields(data);
        let host = r.text()?;
        let listener = match name {
            "tcpip-forward" | "cancel-tcpip-forward" => Self::Tcp(host, r.u32()?),
            "streamlocal-forward@openssh.com" | "cancel-streamlocal-forward@openssh.com" => {
                Self::Socket(host)
            }
            _ => return None,
        };
        r.0.is_empty()
            .then_some((!name.starts_with("cancel"), listener))
    }
}

impl Wish {
    /// Whether a target that agrees to it says so in these words: with the port where it chose one, and where it did not, with it or
    /// without.
    pub(super) fn takes(&self, ok: bool, data: &[u8]) -> bool {
        let port = data.try_into().map_or(0, u32::from_be_bytes);
        match self {
            Self::Begin(Listener::Tcp(_, 0)) if ok => (1..=65_535).contains(&port),
            Self::Begin(Listener::Tcp(_, asked)) | Self::End(Listener::Tcp(_, asked)) if ok => {
                data.is_empty() || (port == *asked && port > 0)
            }
            _ => data.is_empty(),
        }
    }
}

/// Whether a connection to the address `named` may have come where the client asked for `asked`: only names and the addresses of one
/// machine are in play here.
fn may_be(asked: &str, named: &str) -> bool {
    let is_address = |host: &str| host.parse::<std::net::IpAddr>().is_ok();
    let here = ["localhost", "127.0.0.1", "::1"];
    match asked {
        "" => true,
        "localhost" => here.contains(&named),
        _ => asked == named || (is_address(named) && !is_address(asked)),
    }
}

pub(super) fn tcp_place(data: &[u8]) -> Option<(String, u32)> {
    let mut r = Fields(data);
    let place = (r.text()?, r.u32()?);
    r.text()?;
    r.u32()?;
    r.0.is_empty().then_some(place)
}

/// It says where it comes from (RFC 4254 section 6.3.2).
fn is_window(data: &[u8]) -> bool {
    let mut r = Fields(data);
    r.text().is_some() && r.u32().is_some() && r.0.is_empty()
}

fn socket_place(data: &[u8], has_port: bool) -> Option<String> {
    let mut r = Fields(data);
    let path = r.text()?;
    r.text()?;
    if has_port {
        r.u32()?;
    }
    r.0.is_empty().then_some(path)
}

/// The fields of a request (RFC 4254 section 6, RFC 4335): strings, numbers, flags.
const SHAPES: &[(&str, &str)] = &[
    ("pty-req", "tuuuus"),
    ("env", "ss"),
    ("shell", ""),
    ("exec", "s"),
    ("subsystem", "t"),
    ("window-change", "uuuu"),
    ("signal", "t"),
    ("break", "u"),
    ("exit-status", "u"),
    ("exit-signal", "tbmm"),
    ("xon-xoff", "b"),
    ("eow@openssh.com", ""),
    ("keepalive@openssh.com", ""),
    ("auth-agent-req@openssh.com", ""),
    ("x11-req", "bttu"),
];

fn is_known(name: &str) -> bool {
    SHAPES.iter().any(|(known, _)| *known == name)
}

/// The strings of a request that has the shape it should have.
fn fields_of(name: &str, data: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (_, shape) = SHAPES.iter().find(|(known, _)| *known == name)?;
    let mut r = Fields(data);
    let mut strings = Vec::new();
    for field in shape.bytes() {
        match field {
            b't' => strings.push(r.text()?.into_bytes()),
            b's' => strings.push(r.string()?.to_vec()),
            b'm' => strings.push(String::from_utf8(r.string()?.to_vec()).ok()?.into_bytes()),
            b'u' => drop(r.u32()?),
            _ => drop(r.u8()?),
        }
    }
    r.0.is_empty().then_some(strings)
}
