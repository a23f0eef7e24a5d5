//! Afterwards: what came out is what had to, in an order that keeps the promises.

use std::time::Duration;

use proxy_core::{Leg, PerLeg};
use sha2::Digest as _;

use super::super::generate::{AGENT, X11};
use super::super::grants::Keeps;
use super::super::noted::Noted;
use super::super::wire::Packet;
use super::inside::{Inside, Word, is_abandoned};
use super::judge::tcp_place;
use super::line::{Fate, Lends, Line, Program};
use super::{Debt, Listener, Oracle, Verdict, Wish};

/// One thing that came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Out {
    Record(u32, Noted),
    /// The packet in hand went on.
    Pass,
    /// A packet of the proxy's own.
    Send(Leg, Packet),
    Event(Told),
    /// A session inside hears of this channel.
    Inside(u32, Word),
}

/// An event, as far as it is counted here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    Open,
    Close,
    Refused,
    Other,
}

impl Oracle {
    /// Time has come this far.
    pub fn set_now(&mut self, now: Duration) {
        self.now = now;
    }

    /// What `packet` did, which was to become what `verdict` says.
    ///
    /// # Panics
    /// When anything else became of it.
    pub fn became(
        &mut self,
        (from, packet): (Leg, &Packet),
        verdict: Verdict,
        is_ok: bool,
        outs: &[Out],
    ) {
        let passes = outs.iter().filter(|out| **out == Out::Pass).count();
        if !is_ok {
            let may_break = matches!(
                verdict,
                Verdict::Break | Verdict::RefuseOrBreak | Verdict::TooMuch
            );
            assert!(may_break, "the connection must not end");
            assert_eq!(passes, 0, "what ends the connection passed");
            let hears = outs.iter().any(|out| matches!(out, Out::Inside(..)));
            assert!(!hears, "a session has what ends the connection");
            return;
        }
        // The proxy sends one of its own in its place, with another window.
        let is_put_anew = match packet {
            Packet::Open { kind, .. } => matches!(kind.as_str(), "session" | AGENT),
            Packet::Confirm { to, .. } => self
                .lines
                .iter()
                .any(|it| it.is_agent && it.opener != from && it.ids[it.opener] == Some(*to)),
            _ => false,
        };
        let closes_agent = matches!(packet, Packet::Close(to) if self
            .at(from, *to)
            .and_then(|at| self.lines.get(at))
            .is_some_and(|it| it.is_agent));
        match verdict {
            Verdict::Break | Verdict::TooMuch => panic!("the connection must end"),
            // It may have to wait for what is to go first.
            Verdict::Pass if closes_agent => assert!(passes <= 1, "it passed twice"),
            // The same, where its window is another than the proxy's.
            Verdict::Pass if self.leads_inside((from, packet)) => {
                let anew = outs.iter().filter(|out| is_anew(packet, out)).count();
                assert_eq!(passes + anew, 1, "it must pass, once");
            }
            Verdict::Pass if is_put_anew => assert_eq!(passes, 0, "it passed unchanged"),
            Verdict::Pass => assert_eq!(passes, 1, "it must pass, once"),
            _ => assert_eq!(passes, 0, "it must not pass"),
        }
        if verdict == Verdict::Keep {
            let sends = |out: &Out| matches!(out, Out::Send(..));
            let is_answer = matches!(packet, Packet::GlobalSuccess(_) | Packet::GlobalFailure);
            assert!(is_answer || !outs.iter().any(sends), "something came of it");
        }
        let expected = self.expects((from, packet), verdict);
        let words = outs.iter().filter(|out| matches!(out, Out::Inside(..)));
        let wanted = self.words((from, packet), verdict);
        assert!(
            words.eq(&wanted),
            "a session hears {outs:?}, not {wanted:?}"
        );
        self.is_recorded((from, packet), verdict, outs);
        // A packet that passes has its effect in its place among what else is said; any other has it at once.
        if passes == 0 {
            self.apply((from, packet), verdict);
        }
        for (at, out) in outs.iter().enumerate() {
            match out {
                Out::Pass => self.apply((from, packet), verdict),
                Out::Send(to, own) => {
                    self.own_packet((from, packet), verdict, *to, own, &outs[..at]);
                }
                _ => {}
            }
        }
        if let Some(expected) = &expected {
            self.is_as_expected(from, expected, outs);
        }
        if verdict == Verdict::Pass {
            self.is_over_at_once((from, packet), outs);
            self.agent_is_taken_back(packet, outs);
        }
        self.is_told(packet, verdict, outs);
        self.is_summed_up(outs);
        self.lines.retain(|line| !line.is_over());
        self.windows_agree();
        self.agents_go_on();
    }

    /// What came out at a deadline, or before the end.
    ///
    /// # Panics
    /// When it was not to be said.
    pub fn said_by_itself(&mut self, outs: &[Out]) {
        for (at, out) in outs.iter().enumerate() {
            match out {
                Out::Send(to, own) => {
                    let nothing = (Leg::Target, &Packet::GlobalFailure);
                    self.own_packet(nothing, Verdict::Keep, *to, own, &outs[..at]);
                }
                Out::Pass => panic!("nothing was in hand"),
                _ => {}
            }
        }
        self.windows_agree();
    }

    /// I2: the record stands before what passes, on the right channel, and says all that the packet does; I9: a refusal is recorded.
    fn is_recorded(&self, (from, packet): (Leg, &Packet), verdict: Verdict, outs: &[Out]) {
        let line = packet.to().and_then(|to| match packet {
            Packet::Confirm { .. } | Packet::OpenFailure { .. } => self.unanswered(from, to),
            _ => self.at(from, to).and_then(|at| self.lines.get(at)),
        });
        let number = line.map_or(0, |line| line.number);
        let first = outs
            .iter()
            .position(|out| matches!(out, Out::Pass | Out::Send(..)));
        let before = &outs[..first.unwrap_or(outs.len())];
        let records = |wanted: &Noted, outs: &[Out]| {
            outs.iter().any(|out| match out {
                Out::Record(channel, noted) if matches!(packet, Packet::Open { .. }) => {
                    noted == wanted && (*channel > 0 || verdict != Verdict::Pass)
                }
                Out::Record(channel, noted) => noted == wanted && *channel == number,
                _ => false,
            })
        };
        match verdict {
            Verdict::Pass | Verdict::Hold => {
                let is_carried = line.is_some_and(|line| line.is_carried);
                let wanted = Noted::required(from, packet, is_carried);
                if let Some(wanted) = wanted.map(|it| self.kept(line, it)) {
                    // Refusals that were waiting are answered before the channel closes, and behind a reply.
                    let pass = outs.iter().position(|out| *out == Out::Pass);
                    let before = pass.map_or(before, |at| &outs[..at]);
                    assert!(
                        records(&wanted, before),
                        "passed before {wanted:?} stood on {number}"
                    );
                }
            }
            Verdict::Refuse | Verdict::RefuseOrBreak => {
                let wanted = Noted::Refused(from);
                assert!(
                    records(&wanted, outs),
                    "a refusal without a record on {number}"
                );
            }
            Verdict::Taken => {
                let is_data = matches!(packet, Packet::Data { .. });
                let wanted = Noted::required(from, packet, true).filter(|_| !is_data);
                let is_written = wanted.is_none_or(|wanted| records(&wanted, outs));
                assert!(is_written, "taken without a record on {number}");
                let shows = |out: &Out| matches!(out, Out::Record(_, Noted::Carried { .. }));
                assert!(!outs.iter().any(shows), "it stands in the log inside");
                let is_refused = match packet {
                    Packet::Data { bytes, .. } => line.is_some_and(|it| it.is_no_ssh(from, bytes)),
                    _ => false,
                };
                let refused = records(&Noted::Refused(from), outs);
                assert_eq!(refused, is_refused, "a client that does not speak SSH");
            }
            Verdict::Keep | Verdict::Break | Verdict::Own | Verdict::TooMuch => {}
        }
    }

    /// As much of it as the grant wants to be kept, and no cookie.
    fn kept(&self, line: Option<&Line>, mut noted: Noted) -> Noted {
        if let Noted::Carried { from, bytes, .. } = &mut noted {
            *bytes = match self.granted.keeps {
                Keeps::Bytes => line.map_or(Vec::new(), |line| line.without_cookie(*from, bytes)),
                Keeps::Digests | Keeps::Counts => Vec::new(),
            };
        }
        noted
    }

    /// The log's last word on each forwarded connection: once, before it closes, and the sums are right.
    pub(super) fn is_summed_up(&self, outs: &[Out]) {
        let said = |number: u32| {
            outs.iter().filter_map(move |out| match out {
                Out::Record(channel, noted) if *channel == number => match noted {
                    Noted::ForwardClose(_) | Noted::Digests(_) => Some(noted.clone()),
                    _ => None,
                },
                _ => None,
            })
        };
        let lines = self.lines.iter();
        for line in lines.filter(|it| !it.is_agent) {
            let mut wanted = Vec::new();
            if line.is_over() && line.is_carried {
                if self.granted.keeps == Keeps::Digests {
                    wanted.push(Noted::Digests(PerLeg {
                        client: line.carried.client.sha256.clone().finalize().to_vec(),
                        target: line.carried.target.sha256.clone().finalize().to_vec(),
                    }));
                }
                wanted.push(Noted::ForwardClose(PerLeg {
                    client: line.carried.client.bytes,
                    target: line.carried.target.bytes,
                }));
            }
            assert!(
                said(line.number).eq(wanted.iter().cloned()),
                "{wanted:?} is not what the log says of {line:?}"
            );
        }
    }

    /// Whether it is about a connection on which a session inside may go on.
    fn leads_inside(&self, (from, packet): (Leg, &Packet)) -> bool {
        match packet {
            Packet::Open { kind, .. } => kind == "direct-tcpip" && self.granted.has_sessions(),
            Packet::Confirm { to, .. } => self
                .unanswered(from, *to)
                .is_some_and(|it| it.inside != Inside::Nothing),
            _ => false,
        }
    }

    fn is_told(&self, packet: &Packet, verdict: Verdict, outs: &[Out]) {
        let count = |told| {
            let is_it = |out: &&Out| **out == Out::Event(told);
            outs.iter().filter(is_it).count()
        };
        let refusals = |out: &&Out| matches!(out, Out::Record(_, Noted::Refused(_)));
        // Of what an agent is asked, a record of its own says that it was refused.
        if verdict == Verdict::Own {
            return;
        }
        assert_eq!(count(Told::Refused), outs.iter().filter(refusals).count());
        let opens = matches!(packet, Packet::Confirm { .. }) && verdict == Verdict::Pass;
        assert_eq!(count(Told::Open), usize::from(opens), "channel.open");
        let closes = matches!(packet, Packet::Close(_)) && {
            let mut lines = self.lines.iter();
            lines.any(Line::is_over)
        };
        assert_eq!(count(Told::Close), usize::from(closes), "channel.close");
    }

    fn apply(&mut self, (from, packet): (Leg, &Packet), verdict: Verdict) {
        let passes = matches!(verdict, Verdict::Pass | Verdict::Hold);
        match packet {
            Packet::Global {
                name,
                want_reply,
                data,
            } => self.apply_global(from, (name, *want_reply, data), passes),
            Packet::GlobalSuccess(data) => self.apply_answer(from, true, data),
            Packet::GlobalFailure => self.apply_answer(from, false, &[]),
            Packet::Open {
                kind,
                sender,
                window,
                data,
            } if passes => {
                self.last_number += 1;
                let mut line = Line::new(self.last_number, from, *sender, kind != "session");
                line.is_agent = kind == AGENT;
                line.inside = self.begins(from, kind, tcp_place(data));
                if kind == X11 {
                    line.greeting = Some(Vec::new());
                    line.window_of = self.shows_window();
                }
                line.windows.says(from, *window);
                self.lines.push(line);
            }
            Packet::Open {
                kind, sender, data, ..
            } if self.is_asked(from, kind, *sender, data) => self.last_number += 1,
            Packet::Confirm { to, sender, window } => {
                if let Some(line) = self.unanswered_mut(from, *to) {
                    line.ids[from] = Some(*sender);
                    line.windows.says(from, *window);
                }
            }
            Packet::OpenFailure { to, .. } => {
                self.returns_window(from, *to);
                self.lines.retain(|it| {
                    it.opener == from || it.ids[it.opener] != Some(*to) || it.is_open()
                });
            }
            _ => {
                let now = self.now;
                let at = packet.to().and_then(|to| self.at(from, to));
                if let Some(line) = at.and_then(|at| self.lines.get_mut(at)) {
                    line.apply((from, packet), verdict, now);
                }
            }
        }
    }

    /// One for which only one was asked is the last (RFC 4254 section 6.3.1), unless any number may be shown. The channel whose only
    /// one it is.
    fn shows_window(&mut self) -> Option<u32> {
        let any_number = |it: &Line| it.may_show() && it.windows_left == usize::MAX;
        if self.lines.iter().any(any_number) {
            return None;
        }
        let mut lines = self.lines.iter_mut();
        let line = lines.find(|it| it.may_show());
        let line = line.expect("it was granted");
        line.windows_left -= 1;
        Some(line.number)
    }

    /// Nothing was shown.
    fn returns_window(&mut self, from: Leg, to: u32) {
        let line = self.unanswered(from, to);
        let number = line.and_then(|line| line.window_of);
        let mut lines = self.lines.iter_mut();
        if let Some(line) = lines.find(|it| Some(it.number) == number) {
            line.windows_left = line.windows_left.saturating_add(1);
        }
    }

    fn apply_global(
        &mut self,
        from: Leg,
        (name, want_reply, data): (&str, bool, &[u8]),
        passes: bool,
    ) {
        let wish = match Listener::read(name, data) {
            _ if !passes => Wish::Refused,
            Some((true, listener)) => Wish::Begin(listener),
            Some((false, listener)) => Wish::End(listener),
            None => Wish::Passed,
        };
        if want_reply {
            self.wishes[from].push_back(wish);
            if passes {
                self.debts[from.other()].push_back(Debt::ToPeer);
            }
        } else if let Wish::End(listener) = wish {
            self.listeners.remove(&listener);
        }
    }

    fn apply_answer(&mut self, from: Leg, ok: bool, data: &[u8]) {
        if self.debts[from].pop_front() != Some(Debt::ToPeer) {
            return;
        }
        let wish = self.wishes[from.other()].pop_front();
        if wish.as_ref().is_some_and(|it| !it.takes(ok, data)) {
            // The proxy says so.
            self.wishes[from.other()].push_front(Wish::Refused);
            return;
        }
        match wish {
            Some(Wish::Refused) | None => panic!("an answer to what was refused"),
            Some(Wish::Begin(Listener::Tcp(host, 0))) if ok => {
                let port = data.try_into().map_or(0, u32::from_be_bytes);
                self.listeners.insert(Listener::Tcp(host, port));
            }
            Some(Wish::Begin(listener)) if ok => drop(self.listeners.insert(listener)),
            Some(Wish::End(listener)) if ok => drop(self.listeners.remove(&listener)),
            _ => {}
        }
    }

    /// A packet of the proxy's own is one of a few, and each has its reason.
    fn own_packet(
        &mut self,
        (from, packet): (Leg, &Packet),
        verdict: Verdict,
        to: Leg,
        own: &Packet,
        before: &[Out],
    ) {
        let recorded = |wanted: &Noted| {
            let mut before = before.iter();
            before.any(|out| matches!(out, Out::Record(_, noted) if noted == wanted))
        };
        match (own, packet) {
            (Packet::OpenFailure { to: number, .. }, Packet::Open { sender, .. }) => {
                let is_due = verdict == Verdict::Refuse && to == from && number == sender;
                assert!(
                    is_due && recorded(&Noted::Refused(from)),
                    "a refusal of nothing"
                );
            }
            (
                Packet::Open {
                    kind,
                    sender,
                    window,
                    data,
                },
                Packet::Open {
                    kind: asked_kind,
                    sender: asked_sender,
                    window: asked_window,
                    data: asked_data,
                },
            ) => {
                let is_same = (kind, sender, data) == (asked_kind, asked_sender, asked_data);
                assert!(is_same && verdict == Verdict::Pass && to == from.other());
                let line = self.lines.last_mut().expect("it was just opened");
                line.windows.told[to] = i64::from(*window);
                if kind == AGENT || line.inside != Inside::Nothing {
                    return;
                }
                let kept = asked_window
                    .checked_sub(*window)
                    .expect("a window of nobody's");
                assert!(kept <= 1024, "{kept} bytes of window are missing");
                line.kept_back = kept as usize;
            }
            (
                Packet::Confirm {
                    to: number,
                    sender,
                    window,
                },
                Packet::Confirm {
                    to: asked,
                    sender: theirs,
                    ..
                },
            ) => {
                let is_same = number == asked && sender == theirs && to == from.other();
                assert!(
                    is_same && verdict == Verdict::Pass,
                    "a confirmation of nobody's"
                );
                let line = self.at(from, *number).and_then(|at| self.lines.get_mut(at));
                line.expect("it was just confirmed").windows.told[to] = i64::from(*window);
            }
            (Packet::GlobalFailure, _) => {
                let wish = self.wishes[to].pop_front();
                assert_eq!(wish, Some(Wish::Refused), "a global refusal out of turn");
            }
            (
                Packet::Global {
                    name, want_reply, ..
                },
                _,
            ) => {
                assert!(name == "keepalive@openssh.com" && *want_reply && to == Leg::Client);
                self.debts[to].push_back(Debt::ToProxy);
            }
            _ => {
                let now = self.now;
                let number = own.to().expect("the others are about channels");
                let about = packet.to().and_then(|to| self.at(from, to));
                let about = about.map(|at| self.lines[at].number);
                let mut lines = self.lines.iter_mut();
                let line = lines.find(|it| it.ids[to] == Some(number) && !it.is_free_at(to));
                let line = line.expect("a channel of nobody's");
                match own {
                    Packet::Failure(_) => {
                        let fate = line.asked[to].pop_front();
                        assert_eq!(fate, Some(Fate::Refused), "a refusal out of turn");
                    }
                    Packet::Data { bytes, .. } if line.is_agent => {
                        let takes = &mut line.windows.takes[to];
                        *takes -= bytes.len() as i64;
                        assert!(*takes >= 0, "more than its window lets in");
                        assert_eq!(about, Some(line.number), "data out of nothing");
                    }
                    Packet::Adjust { bytes, .. }
                        if line.is_agent || line.inside != Inside::Nothing || line.is_cut =>
                    {
                        line.windows.told[to] += i64::from(*bytes);
                    }
                    Packet::Eof(_) if line.is_agent => {}
                    Packet::Eof(_) | Packet::Close(_)
                        if line.inside == Inside::Session && is_abandoned(line.number) =>
                    {
                        let is_now = matches!(packet, Packet::Confirm { .. });
                        assert!(is_now, "an end that nobody said");
                    }
                    Packet::Close(_) if line.is_agent => {
                        assert!(line.closed[to.other()], "a close that nobody said");
                    }
                    Packet::Eof(_) => {
                        let was_held = line.held_at.take().is_some() && to == Leg::Client;
                        assert!(was_held || line.is_cut, "an end that nobody said");
                    }
                    Packet::Extended { code: 1, bytes, .. } => {
                        assert!(to == Leg::Client && !line.is_carried);
                        let left = line.kept_back.checked_sub(bytes.len());
                        line.kept_back = left.expect("beyond the window");
                        line.windows.takes[to] -= bytes.len() as i64;
                        line.words_at = Some(now);
                        let text = String::from_utf8_lossy(bytes).into_owned();
                        assert!(recorded(&Noted::Notice(text)), "words without a record");
                    }
                    _ => panic!("the proxy says {own:?}"),
                }
            }
        }
    }
}

/// The same opening with another window.
fn is_anew(packet: &Packet, out: &Out) -> bool {
    match (packet, out) {
        (Packet::Open { sender, .. }, Out::Send(_, Packet::Open { sender: own, .. }))
        | (Packet::Confirm { sender, .. }, Out::Send(_, Packet::Confirm { sender: own, .. })) => {
            sender == own
        }
        _ => false,
    }
}

impl Line {
    /// Whatever it carries, it is no session any more.
    fn passes_on(&mut self) {
        if self.inside == Inside::Unknown {
            self.inside = Inside::Nothing;
        }
    }

    fn is_known_after(&mut self, from: Leg, bytes: &[u8]) {
        if !self.is_unknown_after(from, bytes) {
            self.passes_on();
        }
    }

    fn apply(&mut self, (from, packet): (Leg, &Packet), verdict: Verdict, now: Duration) {
        let passes = matches!(verdict, Verdict::Pass | Verdict::Hold);
        match packet {
            Packet::Data { bytes, .. } if verdict == Verdict::Taken => self.take(from, bytes),
            Packet::Data { bytes, .. } if self.is_carried && !self.is_cut => {
                if verdict == Verdict::Own {
                    self.windows.told[from] -= bytes.len() as i64;
                } else if passes {
                    self.windows.pass(from, bytes.len());
                    self.is_known_after(from, bytes);
                    self.carry(from, bytes);
                } else if !self.ended[from] && !self.closed[from] {
                    self.is_cut = true;
                    self.ended.client = true;
                    self.ended.target = true;
                }
            }
            Packet::Data { bytes, .. } | Packet::Extended { bytes, .. } if passes => {
                self.windows.pass(from, bytes.len());
            }
            Packet::Adjust { bytes, .. } => {
                let is_own = self.is_agent || self.inside != Inside::Nothing;
                self.windows.adjust(from, *bytes, passes, is_own);
            }
            Packet::Eof(_) => {
                self.ended[from] = true;
                self.passes_on();
                if verdict == Verdict::Hold {
                    self.held_at = Some(now);
                }
            }
            Packet::Close(_) if passes || verdict == Verdict::Taken => {
                self.closed[from] = true;
                self.passes_on();
            }
            Packet::Request {
                name,
                want_reply,
                data,
                ..
            } => {
                let starts = matches!(name.as_str(), "shell" | "exec" | "subsystem");
                let is_single = data.first().is_some_and(|byte| *byte != 0);
                let lends = match name.as_str() {
                    "auth-agent-req@openssh.com" => Lends::Agent,
                    "x11-req" if is_single => Lends::OneWindow,
                    "x11-req" => Lends::Windows,
                    _ => Lends::Nothing,
                };
                if starts && from == Leg::Client && !self.is_carried {
                    if passes {
                        self.program = Program::Started;
                    } else if self.program == Program::None {
                        self.program = Program::Refused;
                    }
                }
                if passes && name.starts_with("exit-") {
                    self.has_exited = true;
                }
                if *want_reply {
                    let fate = if passes {
                        Fate::Passed { starts, lends }
                    } else {
                        Fate::Refused
                    };
                    self.asked[from].push_back(fate);
                } else if passes {
                    self.lend(lends);
                }
            }
            Packet::Success(_) | Packet::Failure(_) if passes => {
                match self.asked[from.other()].pop_front() {
                    Some(Fate::Passed { starts, lends }) => {
                        if matches!(packet, Packet::Success(_)) {
                            self.lend(lends);
                        }
                        if starts && matches!(packet, Packet::Failure(_)) {
                            self.program = Program::None;
                        }
                    }
                    fate => panic!("an answer to what was not asked: {fate:?}"),
                }
            }
            _ => {}
        }
    }
}
