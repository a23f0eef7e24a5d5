//! Just enough of RFC 4254 by hand to move data through one session channel, as a server and as a client.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::tools::bound;
use super::wire::{Fields, Message};
use super::{ClientEnd, ServerEnd};
use ssh_transport::Error;

const WINDOW: u32 = 1 << 20;
const MAX_PACKET: u32 = 32 * 1024;

/// How long a client may stay when both sides have closed the only channel.
const LEAVE_LIMIT: Duration = Duration::from_secs(20);

/// The server's side of a session channel that runs one of a few commands:
/// `exit N`, `cat` (sends back what it gets), `send N` (N bytes), `sink` (counts what it gets and says how many).
#[derive(Default)]
pub struct SessionServer {
    peer_channel: u32,
    peer_window: usize,
    command: Option<String>,
    outgoing: Vec<u8>,
    to_make: usize,
    received: usize,
    unacknowledged: usize,
    at_eof: bool,
    closing: bool,
    /// Both sides have closed the channel.
    pub done: bool,
    /// The client did not leave after that.
    pub has_stayed: bool,
    pub requests: Vec<String>,
}

impl SessionServer {
    /// Handles packets and gives those to send.
    pub fn handle(&mut self, packet: &[u8]) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        let mut fields = Fields(packet);
        match fields.byte() {
            80 => {
                let _name = fields.text();
                if fields.byte() != 0 {
                    out.push(vec![82]);
                }
            }
            90 => {
                assert_eq!(fields.text(), "session");
                self.peer_channel = fields.word();
                self.peer_window = fields.word() as usize;
                out.push(
                    Message::new(91)
                        .word(self.peer_channel)
                        .word(0)
                        .word(WINDOW)
                        .word(MAX_PACKET)
                        .done(),
                );
            }
            93 => {
                let _channel = fields.word();
                self.peer_window += fields.word() as usize;
            }
            94 => {
                let _channel = fields.word();
                self.take(fields.string(), &mut out);
            }
            96 => self.at_eof = true,
            97 => {
                self.done = true;
                if !self.closing {
                    out.push(Message::new(97).word(self.peer_channel).done());
                }
            }
            98 => {
                let _channel = fields.word();
                let kind = fields.text().to_owned();
                let wants_reply = fields.byte() != 0;
                if kind == "exec" {
                    self.command = Some(fields.text().to_owned());
                }
                self.requests.push(kind);
                if wants_reply {
                    out.push(Message::new(99).word(self.peer_channel).done());
                }
                if let Some(count) = self
                    .command
                    .as_deref()
                    .and_then(|c| c.strip_prefix("send "))
                {
                    self.to_make = count.parse().unwrap();
                }
            }
            other => panic!("unexpected message {other}"),
        }
        self.act(&mut out);
        out
    }

    fn take(&mut self, data: &[u8], out: &mut Vec<Vec<u8>>) {
        self.received += data.len();
        self.unacknowledged += data.len();
        if self.command.as_deref() == Some("cat") {
            self.outgoing.extend_from_slice(data);
        }
        if self.unacknowledged > WINDOW as usize / 2 {
            let bytes = u32::try_from(self.unacknowledged).unwrap();
            out.push(Message::new(93).word(self.peer_channel).word(bytes).done());
            self.unacknowledged = 0;
        }
    }

    fn act(&mut self, out: &mut Vec<Vec<u8>>) {
        let Some(command) = self.command.clone() else {
            return;
        };
        if self.closing {
            return;
        }
        while self.to_make > 0 && self.outgoing.len() < self.peer_window {
            let len = self.to_make.min(MAX_PACKET as usize);
            self.outgoing
                .extend((0..len).map(|i| pattern(self.to_make - i)));
            self.to_make -= len;
        }
        let mut sent = 0;
        while sent < self.outgoing.len() && self.peer_window > 0 {
            let len = (self.outgoing.len() - sent)
                .min(self.peer_window)
                .min(MAX_PACKET as usize);
            out.push(
                Message::new(94)
                    .word(self.peer_channel)
                    .string(&self.outgoing[sent..sent + len])
                    .done(),
            );
            self.peer_window -= len;
            sent += len;
        }
        self.outgoing.drain(..sent);
        let status = match command.split_once(' ') {
            Some(("exit", status)) => Some(status.parse().unwrap()),
            Some(("send", _)) => (self.to_make == 0 && self.outgoing.is_empty()).then_some(0),
            _ if command == "cat" => (self.at_eof && self.outgoing.is_empty()).then_some(0),
            _ if command == "sink" => self.at_eof.then_some(0),
            _ => Some(127),
        };
        if let Some(status) = status {
            if command == "sink" {
                let text = self.received.to_string();
                out.push(Message::new(94).word(self.peer_channel).string(text).done());
            }
            let channel = self.peer_channel;
            out.push(Message::new(96).word(channel).done());
            out.push(
                Message::new(98)
                    .word(channel)
                    .string("exit-status")
                    .byte(0)
                    .word(status)
                    .done(),
            );
            out.push(Message::new(97).word(channel).done());
            self.closing = true;
        }
    }
}

/// The bytes of `send N`, counted down.
pub fn pattern(position: usize) -> u8 {
    (position % 251) as u8
}

/// Reads what has come. Nothing once the peer has gone; one that stays and is silent fails the test.
pub fn read_some(stream: &mut TcpStream, buffer: &mut [u8]) -> usize {
    loop {
        match stream.read(buffer) {
            Ok(len) => return len,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                assert!(is_gone(&error), "cannot read: {error}");
                return 0;
            }
        }
    }
}

/// Writes all and says whether the peer is still there.
fn write_whole(stream: &mut TcpStream, bytes: &[u8]) -> bool {
    match stream.write_all(bytes) {
        Ok(()) => true,
        Err(error) => {
            assert!(is_gone(&error), "cannot write: {error}");
            false
        }
    }
}

fn is_gone(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe
    )
}

/// Serves one connection with a [`SessionServer`] until the peer closes, or has had [`LEAVE_LIMIT`] to do so.
///
/// An error is what ended the connection.
pub fn serve(
    mut stream: TcpStream,
    end: &mut ServerEnd,
    session: &mut SessionServer,
) -> Result<(), Error> {
    bound(&stream);
    stream.set_nodelay(true).unwrap();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        while let Some(bytes) = end.machine.poll_output() {
            if !write_whole(&mut stream, &bytes) {
                return Ok(());
            }
        }
        if session.done {
            stream.set_read_timeout(Some(LEAVE_LIMIT)).unwrap();
            session.has_stayed = matches!(
                stream.peek(&mut [0]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
            );
            if session.has_stayed {
                return Ok(());
            }
        }
        let len = read_some(&mut stream, &mut buffer);
        if len == 0 {
            return Ok(());
        }
        if let Err(error) = end.feed(&buffer[..len]) {
            while let Some(bytes) = end.machine.poll_output() {
                let _ = stream.write_all(&bytes);
            }
            return Err(error);
        }
        for packet in std::mem::take(&mut end.received) {
            let replies = match &mut end.answer_global {
                Some(answer) if packet.first() == Some(&80) => {
                    answer(&packet, &end.exchanges[0].session_id)
                        .into_iter()
                        .collect()
                }
                _ => session.handle(&packet),
            };
            for reply in replies {
                end.machine.send_packet(&reply, end.now).unwrap();
            }
        }
    }
}

/// What a command gave.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub stdout: Vec<u8>,
    pub status: Option<u32>,
    pub refused: bool,
    /// All packets of the connection layer that came.
    pub packets: Vec<Vec<u8>>,
}

/// Logs in and runs one command with `input` as its standard input.
pub fn exec(mut stream: TcpStream, end: &mut ClientEnd, command: &str, input: &[u8]) -> Outcome {
    bound(&stream);
    let mut outcome = Outcome::default();
    let mut buffer = vec![0; 64 * 1024];
    let (mut opened, mut channel, mut window, mut sent, mut at_end) = (false, 0, 0usize, 0, false);
    let mut writer = stream.try_clone().unwrap();
    loop {
        if end.authenticated && !opened {
            opened = true;
            let open = Message::new(90)
                .string("session")
                .word(0)
                .word(u32::MAX)
                .word(MAX_PACKET)
                .done();
            end.machine.send_packet(&open, end.now).unwrap();
        }
        for packet in std::mem::take(&mut end.received) {
            outcome.packets.push(packet.clone());
            let mut fields = Fields(&packet);
            match fields.byte() {
                91 => {
                    let _ours = fields.word();
                    channel = fields.word();
                    window = fields.word() as usize;
                    let exec = Message::new(98)
                        .word(channel)
                        .string("exec")
                        .byte(1)
                        .string(command)
                        .done();
                    end.machine.send_packet(&exec, end.now).unwrap();
                }
                93 => {
                    let _ours = fields.word();
                    window += fields.word() as usize;
                }
                94 => {
                    let _ours = fields.word();
                    outcome.stdout.extend_from_slice(fields.string());
                }
                98 => {
                    let _ours = fields.word();
                    if fields.text() == "exit-status" {
                        let _wants_reply = fields.byte();
                        outcome.status = Some(fields.word());
                    }
                }
                97 => return outcome,
                // hostkeys-00 and the like, replies, end of file.
                80 | 95 | 96 | 99 => {}
                other => panic!("unexpected message {other}"),
            }
        }
        while window > 0 && sent < input.len() {
            let len = (input.len() - sent).min(window).min(MAX_PACKET as usize);
            let data = Message::new(94)
                .word(channel)
                .string(&input[sent..sent + len])
                .done();
            end.machine.send_packet(&data, end.now).unwrap();
            sent += len;
            window -= len;
        }
        if window > 0 && sent == input.len() && !at_end {
            at_end = true;
            end.machine
                .send_packet(&Message::new(96).word(channel).done(), end.now)
                .unwrap();
        }
        while let Some(bytes) = end.machine.poll_output() {
            writer.write_all(&bytes).unwrap();
        }
        if !end.failures.is_empty() {
            outcome.refused = true;
            return outcome;
        }
        match stream.read(&mut buffer) {
            Ok(0) => return outcome,
            // A child that ends interrupts the read.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(len) => end.feed(&buffer[..len]).unwrap(),
            Err(error) => panic!("{error}"),
        }
    }
}
