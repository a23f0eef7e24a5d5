//! Whoever sees everything that leaves a session: the log with the auditor's key, what the peers decrypt, and what the operator is told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proxy_core::{AccessEvent, EventKind, Leg, Now, PerLeg, Seen, SessionId, WatchId};
use session_log::{Event, Reader, ReaderConfig};

use super::super::generate::AGENT;
use super::super::grants::{Granted, Keeps};
use super::super::noted::Noted;
use super::super::wire::Packet;
use super::setup::auditor;
use super::{SECRETS, Tally, show_packet, show_record};

/// All that was seen.
pub struct Watch {
    readers: BTreeMap<SessionId, Reader>,
    own: SessionId,
    /// The log does not keep all that forwarded connections carry; the relay's simulation looks at what it does.
    hides: bool,
    /// Records of what may pass, by who sent it, until it has.
    noted: PerLeg<VecDeque<Noted>>,
    /// The same of data, by stream: records may split it.
    streams: BTreeMap<(Leg, Stream), VecDeque<u8>>,
    /// Channels to the agent, whose bytes are put together anew.
    to_agent: BTreeSet<u32>,
    /// Refusals of what that leg asked for, and words to the client: what the proxy says by itself.
    refused: PerLeg<usize>,
    notices: VecDeque<String>,
    /// Bytes that were sent when the log failed.
    failed_at: Option<PerLeg<usize>>,
    /// What programs said, by their channels, as the written log has it.
    said: BTreeMap<u32, Vec<u8>>,
    watchings: BTreeMap<WatchId, Watching>,
    needs_approval: bool,
    is_approved: bool,
    is_allowed: bool,
    is_withdrawn: bool,
    denials: usize,
    starts: usize,
    ends: usize,
    packets: usize,
    outcome: Option<(bool, String)>,
    told_person: String,
    journal: Option<Vec<String>>,
}

/// One operator's watching: how much of what each program said was shown or had come before, until it is over.
#[derive(Debug, Default)]
struct Watching {
    shown: Option<BTreeMap<u32, usize>>,
    is_over: bool,
}

/// Which kind of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stream {
    Plain,
    Stderr,
    Carried,
}

impl Watch {
    pub fn new(own: SessionId, granted: &Granted) -> Self {
        Self {
            readers: BTreeMap::new(),
            own,
            hides: granted.shows_windows || granted.keeps != Keeps::Bytes,
            noted: PerLeg::default(),
            streams: BTreeMap::new(),
            to_agent: BTreeSet::new(),
            refused: PerLeg::default(),
            notices: VecDeque::new(),
            failed_at: None,
            said: BTreeMap::new(),
            watchings: BTreeMap::new(),
            needs_approval: false,
            is_approved: false,
            is_allowed: false,
            is_withdrawn: false,
            denials: 0,
            starts: 0,
            ends: 0,
            packets: 0,
            outcome: None,
            told_person: String::new(),
            journal: None,
        }
    }

    /// Writes down from now on what is seen, line by line.
    pub fn keep_journal(&mut self) {
        self.journal = Some(Vec::new());
    }

    pub fn journal(&self) -> String {
        let lines = self.journal.iter().flatten();
        lines.map(|line| format!("{line}\n")).collect()
    }

    fn write(&mut self, line: impl FnOnce() -> String) {
        if let Some(journal) = &mut self.journal {
            journal.push(line());
        }
    }

    pub fn said(&mut self, leg: Leg, packet: &Packet) {
        self.write(|| format!("\n{} says {}", name(leg), show_packet(packet)));
    }

    pub const fn has_begun(&self) -> bool {
        self.starts > 0
    }

    pub const fn has_ended(&self) -> bool {
        self.ends > 0
    }

    /// It was refused, or has ended.
    pub const fn has_outcome(&self) -> bool {
        self.denials + self.ends > 0
    }

    pub fn set_withdrawn(&mut self, is_withdrawn: bool) {
        self.is_withdrawn = is_withdrawn;
    }

    /// A page stands where logs are kept.
    pub fn written(&mut self, id: SessionId, page: &[u8]) {
        assert_eq!(id, self.own, "a log of nobody's");
        let reader = self.readers.entry(id).or_insert_with(|| {
            Reader::new(ReaderConfig {
                identities: vec![auditor()],
                ..ReaderConfig::default()
            })
        });
        reader.push(page);
        let mut lines = Vec::new();
        while let Some(event) = reader.poll() {
            let Event::Record(view) = event else {
                continue;
            };
            let noted = Noted::of(view.channel, &view.record);
            if self.journal.is_some() {
                lines.push(format!(
                    "log {} {}",
                    view.channel,
                    show_record(&view.record)
                ));
            }
            if matches!(&noted, Noted::Open { kind, .. } if kind == AGENT) {
                self.to_agent.insert(view.channel);
            }
            match noted {
                Noted::Carried { .. } if self.to_agent.contains(&view.channel) => {}
                Noted::Data {
                    from,
                    is_stderr,
                    bytes,
                } => {
                    if from == Leg::Target && !is_stderr {
                        let said = self.said.entry(view.channel).or_default();
                        said.extend_from_slice(&bytes);
                    }
                    let stream = if is_stderr {
                        Stream::Stderr
                    } else {
                        Stream::Plain
                    };
                    self.streams
                        .entry((from, stream))
                        .or_default()
                        .extend(bytes);
                }
                Noted::Carried { from, len, bytes } => {
                    let stream = self.streams.entry((from, Stream::Carried));
                    let unknown = usize::try_from(len).expect("it was read") - bytes.len();
                    let bytes = bytes.into_iter().chain(vec![0; unknown]);
                    stream.or_default().extend(bytes);
                }
                Noted::Refused(leg) => self.refused[leg] += 1,
                // It ends at the proxy, and its answer is no.
                Noted::Request { from, ref name, .. } if name == "hostkeys-00@openssh.com" => {
                    self.refused[from] += 1;
                }
                Noted::Notice(text) => self.notices.push_back(text),
                Noted::Open { from, .. }
                | Noted::OpenReply { from, .. }
                | Noted::Eof(from)
                | Noted::Close(from)
                | Noted::Request { from, .. }
                | Noted::Reply { from, .. } => self.noted[from].push_back(noted),
                Noted::ForwardClose(_) | Noted::Digests(_) | Noted::AgentAsked | Noted::Other => {}
            }
        }
        for line in lines {
            self.write(|| line);
        }
    }

    /// I3: from here on nothing passes.
    pub fn failed(&mut self, sent: PerLeg<usize>) {
        self.failed_at.get_or_insert(sent);
        self.write(|| "the log cannot be written".into());
    }

    /// I1, I2, I3: what arrives was allowed, stands in the written log, and was sent before a failure; `are_carried` says whether as
    /// data of a forwarded connection, or one and the other where that is not known.
    pub fn arrived(&mut self, at: Leg, offset: usize, packet: &Packet, are_carried: &[bool]) {
        self.arrived_in_time(at, offset, packet);
        let from = at.other();
        let mut all = are_carried
            .iter()
            .filter_map(|is_carried| Noted::required(from, packet, *is_carried))
            .peekable();
        let has_record = all.peek().is_none() || all.any(|wanted| self.is_written(from, &wanted));
        if !has_record {
            self.proxy_said(at, packet);
        }
    }

    /// Whether this stands in the log; a record is good for one packet.
    fn is_written(&mut self, from: Leg, wanted: &Noted) -> bool {
        let (stream, bytes) = match wanted {
            Noted::Data {
                is_stderr: true,
                bytes,
                ..
            } => (Stream::Stderr, bytes),
            Noted::Data { bytes, .. } => (Stream::Plain, bytes),
            Noted::Carried { bytes, .. } => (Stream::Carried, bytes),
            _ => {
                let found = self.noted[from].iter().position(|noted| noted == wanted);
                return found.is_some_and(|at| self.noted[from].remove(at).is_some());
            }
        };
        let recorded = self.streams.entry((from, stream)).or_default();
        // Zeros stand where the log does not keep what there was.
        let hides = stream == Stream::Carried && self.hides;
        let mut pairs = recorded.iter().zip(bytes);
        let is_there = recorded.len() >= bytes.len()
            && pairs.all(|(is, was)| is == was || (hides && *is == 0));
        if is_there {
            recorded.drain(..bytes.len());
        }
        is_there
    }

    /// I1, I3.
    pub fn arrived_in_time(&mut self, at: Leg, offset: usize, packet: &Packet) {
        self.write(|| format!("{} gets {}", name(at), show_packet(packet)));
        self.packets += 1;
        assert!(self.is_allowed, "I1: a packet before the permission");
        if let Some(failed_at) = self.failed_at {
            assert!(offset <= failed_at[at], "I3: the {at:?} gets {packet:?}");
        }
    }

    /// A packet of no peer's is one of the proxy's own, and those are few.
    fn proxy_said(&mut self, at: Leg, packet: &Packet) {
        let is_known = match packet {
            Packet::Failure(_) | Packet::GlobalFailure | Packet::OpenFailure { .. } => {
                let is_owed = self.refused[at] > 0;
                self.refused[at] = self.refused[at].saturating_sub(1);
                is_owed
            }
            Packet::Extended { bytes, .. } => {
                let text = self.notices.iter().position(|it| it.as_bytes() == bytes);
                text.is_some_and(|text| self.notices.remove(text).is_some())
            }
            // Of a connection that was cut, which is a refusal of who began with SSH.
            Packet::Eof(_) => self.refused.client + self.refused.target > 0,
            Packet::Global { name, .. } => {
                let own = ["keepalive@openssh.com", "hostkeys-00@openssh.com"];
                at == Leg::Client && own.contains(&name.as_str())
            }
            _ => false,
        };
        assert!(
            is_known,
            "I2: the {at:?} gets what is not recorded: {packet:?}"
        );
    }

    pub fn heard(&mut self, at: Leg, text: &str) {
        has_no_secret(text);
        if at == Leg::Client {
            self.told_person.push_str(text);
        }
        self.write(|| format!("{} hears {text:?}", name(at)));
    }

    /// I4: a certificate of one user and minutes.
    pub fn login(&mut self, user: &str, certificate: Option<&[u8]>, now: Now) {
        self.write(|| format!("target is asked to let in {user:?}"));
        assert!(
            self.is_allowed && user == "deploy",
            "I4: {user} wants to be let in"
        );
        let Some(certificate) = certificate else {
            return;
        };
        let certificate = sshcert::Unverified::parse(certificate).expect("a certificate");
        assert_eq!(certificate.principals(), ["deploy"], "I4");
        let (from, until) = (certificate.valid_after(), certificate.valid_before());
        assert!(until - from <= 240 && from <= now.unix.as_secs(), "I4");
    }

    /// Nobody comes in before somebody else said so.
    pub fn needs_approval(&mut self) {
        self.needs_approval = true;
    }

    pub fn approves(&mut self) {
        self.is_approved = true;
    }

    /// What an operator is shown stands in the written log, whole and in its order, from where the watching began.
    pub fn seen(&mut self, watch: WatchId, channel: u32, seen: &Seen) {
        assert!(self.failed_at.is_none(), "I3: watched, and not recorded");
        let watching = self.watchings.entry(watch).or_default();
        assert!(!watching.is_over, "something after the end");
        match seen {
            Seen::Began => {
                let said = self.said.iter();
                watching.shown = Some(said.map(|(on, said)| (*on, said.len())).collect());
            }
            Seen::Output(bytes) => {
                let shown = watching.shown.as_mut().expect("it began");
                let shown = shown.entry(channel).or_default();
                let said = self
                    .said
                    .get(&channel)
                    .map_or(&[][..], |said| &said[*shown..]);
                assert!(
                    said.starts_with(bytes),
                    "I2: what is watched is not written"
                );
                *shown += bytes.len();
            }
            _ => assert!(watching.shown.is_some(), "something before it began"),
        }
    }

    pub fn stops(&mut self, watch: WatchId) {
        let watching = self.watchings.entry(watch).or_default();
        assert!(!std::mem::replace(&mut watching.is_over, true), "two ends");
    }

    /// I1: only where the policy has not said no.
    pub fn connects(&mut self) {
        self.write(|| "connect to the target".into());
        assert_eq!(self.denials, 0, "I1: a target that nobody may reach");
        assert!(
            !self.is_withdrawn,
            "I1: a target that nobody may reach any more"
        );
    }

    pub fn event(&mut self, event: &AccessEvent) {
        let text = format!("{:?}", event.kind);
        has_no_secret(&text);
        match &event.kind {
            EventKind::AccessDenied { reason, .. } => {
                self.denials += 1;
                self.outcome = Some((false, format!("{reason:?}")));
            }
            EventKind::AccessAllowed { .. } => self.is_allowed = true,
            EventKind::SessionStart { .. } => {
                assert!(self.is_allowed, "I1: a start without a permission");
                assert!(
                    self.is_approved || !self.needs_approval,
                    "I1: nobody approved"
                );
                assert!(!self.is_withdrawn, "A17: a start under older rules");
                self.starts += 1;
            }
            EventKind::SessionEnd {
                reason,
                log_complete,
                ..
            } => {
                self.ends += 1;
                self.outcome = Some((true, format!("{reason:?}")));
                let has_failed = self.failed_at.is_some();
                assert!(
                    !(*log_complete && has_failed),
                    "I3: a failed log is no whole one"
                );
            }
            _ => {}
        }
        self.write(|| format!("event {text}"));
    }

    /// I6, so far.
    pub fn check(&self) {
        assert!(self.denials + self.starts <= 1, "I6: two beginnings");
        assert!(self.ends <= self.starts, "I6: an end without a beginning");
    }

    /// I6, at the end.
    pub fn is_whole(&self) {
        assert_eq!(self.denials + self.starts, 1, "I6: no beginning");
        assert_eq!(self.ends, self.starts, "I6: no end");
    }

    /// I3: who is still there has read that nothing can be recorded.
    pub fn person_knows_why(&self) {
        let is_it = self
            .outcome
            .as_ref()
            .is_some_and(|(_, reason)| reason == "RecorderFailed");
        assert!(
            !is_it || self.told_person.contains("record"),
            "I3: {:?}",
            self.told_person
        );
    }

    pub fn add_to(&self, tally: &mut Tally) {
        tally.packets += self.packets;
        if let Some((has_begun, reason)) = &self.outcome {
            let counts = if *has_begun {
                &mut tally.ends
            } else {
                &mut tally.refusals
            };
            *counts.entry(reason.clone()).or_default() += 1;
        }
    }
}

const fn name(leg: Leg) -> &'static str {
    match leg {
        Leg::Client => "client",
        Leg::Target => "target",
    }
}

/// I10: neither as bytes nor as digits.
fn has_no_secret(text: &str) {
    for secret in SECRETS {
        let hex = format!("{:02x}", secret[0]).repeat(8);
        let decimal = format!("{0}, {0}, {0}, {0}", secret[0]);
        assert!(
            !text.contains(&hex) && !text.contains(&decimal),
            "I10: {text}"
        );
    }
}
