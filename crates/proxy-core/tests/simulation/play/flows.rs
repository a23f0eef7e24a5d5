//! What people do, as lists of operations: the channel numbers are 0 at the client and 7 at the target.

use proxy_core::Leg::{self, Client, Target};

use super::noted::{listener, place};
use super::session::{Config, Law, Op};
use super::wire::{Packet, numbers, string};

/// A thing that people do.
pub struct Flow {
    pub name: &'static str,
    pub config: Config,
    pub ops: Vec<Op>,
}

/// All of them.
pub fn all() -> Vec<Flow> {
    let plain = Config::default();
    let forwarding = Config {
        grant: 1,
        ..plain.clone()
    };
    let limited = Config {
        grant: 2,
        ..plain.clone()
    };
    let remote = Config {
        is_authority_remote: true,
        ..plain.clone()
    };
    let flow = |name, config: &Config, parts: &[Vec<Op>]| Flow {
        name,
        config: config.clone(),
        ops: parts.concat(),
    };
    let goodbye = || vec![Op::Close(Client), Op::Run];
    vec![
        flow(
            "exec",
            &plain,
            &[login(), session(), exec("id"), ends(0), goodbye()],
        ),
        flow(
            "exec-remote-authority",
            &remote,
            &[login(), session(), exec("id"), ends(0), goodbye()],
        ),
        flow(
            "shell",
            &plain,
            &[login(), session(), shell(), ends(130), goodbye()],
        ),
        flow(
            "sftp",
            &plain,
            &[login(), session(), sftp(), ends(0), goodbye()],
        ),
        flow(
            "refused-command",
            &limited,
            &[login(), session(), refused(), goodbye()],
        ),
        flow(
            "local-forward",
            &forwarding,
            &[login(), local_forward("db-1", b"select 1"), goodbye()],
        ),
        flow(
            "local-forward-ssh",
            &forwarding,
            &[login(), local_forward("db-1", b"SSH-2.0-x\r\n"), goodbye()],
        ),
        flow(
            "local-forward-refused",
            &forwarding,
            &[login(), local_forward("other", b""), goodbye()],
        ),
        flow(
            "remote-forward",
            &forwarding,
            &[login(), remote_forward(), goodbye()],
        ),
        flow(
            "withdrawn",
            &plain,
            &[
                login(),
                session(),
                exec("id"),
                vec![Op::Rules(Law::Revoked), Op::Run],
            ],
        ),
        flow(
            "log-fails",
            &plain,
            &[
                login(),
                session(),
                vec![
                    say(Client, request("exec", &string(b"id"))),
                    Op::Move,
                    Op::Page(false),
                    Op::Run,
                ],
            ],
        ),
        flow(
            "shutdown",
            &plain,
            &[login(), session(), exec("id"), vec![Op::Shutdown, Op::Run]],
        ),
        flow(
            "operator-ends",
            &plain,
            &[login(), session(), exec("id"), vec![Op::Dismiss, Op::Run]],
        ),
        flow(
            "approved",
            &Config {
                needs_approval: true,
                ..remote.clone()
            },
            &[login(), session(), exec("id"), ends(0), goodbye()],
        ),
        flow(
            "watched",
            &plain,
            &[
                login(),
                session(),
                vec![Op::Watch, Op::Run],
                shell(),
                ends(0),
                goodbye(),
            ],
        ),
        flow(
            "unknown-person",
            &Config {
                is_known: false,
                ..plain.clone()
            },
            &[login()],
        ),
        flow(
            "unknown-user",
            &Config {
                is_user_known: false,
                ..plain.clone()
            },
            &[login()],
        ),
        flow(
            "certificate-rejected",
            &Config {
                target_lets_in: false,
                ..plain.clone()
            },
            &[login()],
        ),
        flow(
            "target-unreachable",
            &plain,
            &[vec![Op::Move, Op::Connect(false)], login()],
        ),
    ]
}

const fn say(leg: Leg, packet: Packet) -> Op {
    Op::Say(leg, packet)
}

fn request(name: &str, data: &[u8]) -> Packet {
    Packet::Request {
        to: 7,
        name: name.into(),
        want_reply: true,
        data: data.to_vec(),
    }
}

const fn confirm(to: u32, sender: u32) -> Packet {
    Packet::Confirm {
        to,
        sender,
        window: 1 << 20,
    }
}

fn data(to: u32, bytes: &[u8]) -> Packet {
    Packet::Data {
        to,
        bytes: bytes.to_vec(),
    }
}

fn login() -> Vec<Op> {
    vec![Op::Run]
}

fn open(kind: &str, data: Vec<u8>) -> Packet {
    Packet::Open {
        kind: kind.into(),
        sender: 0,
        window: 1 << 20,
        data,
    }
}

fn session() -> Vec<Op> {
    vec![
        say(Client, open("session", Vec::new())),
        Op::Run,
        say(Target, confirm(0, 7)),
        Op::Run,
    ]
}

fn exec(command: &str) -> Vec<Op> {
    vec![
        say(Client, request("exec", &string(command.as_bytes()))),
        Op::Run,
        say(Target, Packet::Success(0)),
        say(Target, data(0, b"uid=0\n")),
        Op::Run,
    ]
}

fn shell() -> Vec<Op> {
    let terminal = [string(b"xterm"), numbers(&[80, 24, 0, 0]), string(&[0])].concat();
    let language = [string(b"LANG"), string(b"C.UTF-8")].concat();
    vec![
        say(Client, request("pty-req", &terminal)),
        say(Client, request("env", &language)),
        say(Client, request("shell", b"")),
        Op::Run,
        say(Target, Packet::Success(0)),
        say(Target, Packet::Failure(0)),
        say(Target, Packet::Success(0)),
        say(Target, data(0, b"$ ")),
        Op::Run,
        say(Client, data(7, b"exit\n")),
        Op::Run,
        say(Target, data(0, b"exit\r\n")),
        say(Target, Packet::Adjust { to: 0, bytes: 5 }),
        Op::Run,
    ]
}

fn sftp() -> Vec<Op> {
    vec![
        say(Client, request("subsystem", &string(b"sftp"))),
        Op::Run,
        say(Target, Packet::Success(0)),
        Op::Run,
        say(Client, data(7, b"\0\0\0\x05\x01\0\0\0\x03")),
        Op::Run,
        say(Target, data(0, b"\0\0\0\x05\x02\0\0\0\x03")),
        Op::Run,
    ]
}

/// The target's program ends, and both sides close.
fn ends(code: u32) -> Vec<Op> {
    let status = Packet::Request {
        to: 0,
        name: "exit-status".into(),
        want_reply: false,
        data: numbers(&[code]),
    };
    vec![
        say(Target, Packet::Eof(0)),
        Op::Run,
        say(Target, status),
        say(Target, Packet::Close(0)),
        Op::Run,
        say(Client, Packet::Close(7)),
        Op::Run,
    ]
}

fn refused() -> Vec<Op> {
    vec![
        say(Client, request("exec", &string(b"uptime --evil"))),
        say(Client, request("auth-agent-req@openssh.com", b"")),
        Op::Run,
        Op::Wait(1000),
        say(Client, request("exec", &string(b"id"))),
        Op::Run,
        say(Target, Packet::Success(0)),
        Op::Run,
    ]
}

fn local_forward(host: &str, bytes: &[u8]) -> Vec<Op> {
    let place = place("direct-tcpip", (host, 5432), ("127.0.0.1", 50_000));
    let mut ops = vec![say(Client, open("direct-tcpip", place)), Op::Run];
    if !bytes.is_empty() {
        ops.extend([
            say(Target, confirm(0, 7)),
            Op::Run,
            say(Client, data(7, bytes)),
            Op::Run,
            say(Target, data(0, b"1")),
            Op::Run,
            say(Client, Packet::Close(7)),
            say(Target, Packet::Close(0)),
            Op::Run,
        ]);
    }
    ops
}

fn remote_forward() -> Vec<Op> {
    let listen = Packet::Global {
        name: "tcpip-forward".into(),
        want_reply: true,
        data: listener("tcpip-forward", "localhost", 0),
    };
    let from = place(
        "forwarded-tcpip",
        ("localhost", 40_000),
        ("192.0.2.1", 50_000),
    );
    let open = Packet::Open {
        kind: "forwarded-tcpip".into(),
        sender: 7,
        window: 1 << 20,
        data: from,
    };
    vec![
        say(Client, listen),
        Op::Run,
        say(Target, Packet::GlobalSuccess(numbers(&[40_000]))),
        Op::Run,
        say(Target, open),
        Op::Run,
        say(Client, confirm(7, 0)),
        Op::Run,
        say(Target, data(0, b"GET /\n")),
        Op::Run,
        say(Client, data(7, b"200\n")),
        say(Client, Packet::Close(7)),
        say(Target, Packet::Close(0)),
        Op::Run,
    ]
}
