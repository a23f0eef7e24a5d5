//! Packets and records as people read them.

use session_log::Record;

use super::super::wire::Packet;

pub fn show_packet(packet: &Packet) -> String {
    match packet {
        Packet::Global {
            name,
            want_reply,
            data,
        } => format!("global {name}{} {}", reply(*want_reply), bytes(data)),
        Packet::GlobalSuccess(data) => format!("global success {}", bytes(data)),
        Packet::Open {
            kind,
            sender,
            window,
            data,
        } => format!("open {kind} as {sender}, window {window} {}", bytes(data)),
        Packet::Data { to, bytes: data } => format!("data on {to} {}", bytes(data)),
        Packet::Extended {
            to,
            code,
            bytes: data,
        } => format!("extended data {code} on {to} {}", bytes(data)),
        Packet::Request {
            to,
            name,
            want_reply,
            data,
        } => format!(
            "request {name} on {to}{} {}",
            reply(*want_reply),
            bytes(data)
        ),
        Packet::Confirm { to, sender, .. } => {
            format!("confirm {{ to: {to}, sender: {sender} }}")
        }
        other => format!("{other:?}").to_lowercase(),
    }
}

pub fn show_record(record: &Record<'_>) -> String {
    match record {
        Record::Input(data) => format!("Input {}", bytes(data)),
        Record::Output(data) => format!("Output {}", bytes(data)),
        Record::Stderr(data) => format!("Stderr {}", bytes(data)),
        Record::Exec { command } => format!("Exec {}", bytes(command)),
        Record::Env { name, value } => format!("Env {} {}", bytes(name), bytes(value)),
        Record::ForwardData { from, data, .. } => format!("ForwardData {from:?} {}", bytes(data)),
        // Versions and algorithms are not what a transcript is about.
        Record::SessionMeta(meta) => format!("SessionMeta of {}", meta.identity_email),
        other => format!("{other:?}"),
    }
}

const fn reply(is_wanted: bool) -> &'static str {
    if is_wanted { ", reply wanted" } else { "" }
}

/// Keys and the like are not read by people.
const MAX_SHOWN_BYTES: usize = 80;

fn bytes(bytes: &[u8]) -> String {
    if bytes.len() > MAX_SHOWN_BYTES {
        return format!("({} bytes)", bytes.len());
    }
    format!("\"{}\"", bytes.escape_ascii())
}
