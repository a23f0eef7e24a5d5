//! As many sessions as a proxy may have, every one with a peer that does its worst: what the whole process takes, and whether it still serves.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use e2e::house::{House, Plan, through_the_proxy_with};
use e2e::need;
use e2e::process::wait_until;
use e2e::proxy::SESSION_CEILING;
use ssh_transport::{Client, ClientAuth, ClientConfig, ClientEvent};

/// Decides nothing but how long a broken proxy is waited for.
const LIMIT: Duration = Duration::from_secs(240);

/// As many as `max_connections` says.
const SESSIONS: u8 = 64;

/// How long all of them do their worst together.
const TOGETHER: Duration = Duration::from_secs(4);

/// How long a peer waits for somebody to take what it says before it looks whether it may stop.
const PATIENCE: Duration = Duration::from_millis(50);

/// Larger than any stated ceiling.
const WINDOW: u32 = 1 << 30;

/// What a peer does once it is let in.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Worst {
    /// Its program writes without end, and it reads nothing.
    ReadsNothing,
    /// It sends without end to a target that has stopped.
    StoppedTarget,
    /// Fifty programs write without end on channels of one connection, and it reads nothing.
    FiftyChannels,
    /// It begins a key exchange and does not go on, while its program writes without end.
    HalfAnExchange,
    /// This payload without end; what is answered is read.
    Reading(Flood),
    /// The same, and no answer is read.
    Deaf(Flood),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Flood {
    Ignore,
    Debug,
    Unknown,
    GlobalRequests,
    Opens,
}

impl Flood {
    fn payload(self) -> Vec<u8> {
        let text = string(&[b'x'; 8000]);
        match self {
            Self::Ignore => [&[2][..], &text].concat(),
            Self::Debug => [&[4, 1][..], &text, &string(b"en")].concat(),
            Self::Unknown => vec![220, 1, 2],
            Self::GlobalRequests => [&[80][..], &string(b"new@example.com"), &[1], &text].concat(),
            Self::Opens => {
                let numbers = [9_u32, WINDOW, 32_768].map(u32::to_be_bytes).concat();
                [&[90][..], &string(b"new@example.com"), &numbers, &text].concat()
            }
        }
    }
}

/// Each with how many there are of it.
const WORST: [(Worst, usize); 10] = [
    (Worst::ReadsNothing, 12),
    (Worst::StoppedTarget, 12),
    (Worst::FiftyChannels, 1),
    (Worst::HalfAnExchange, 11),
    (Worst::Reading(Flood::Ignore), 2),
    (Worst::Reading(Flood::Debug), 2),
    (Worst::Reading(Flood::GlobalRequests), 2),
    (Worst::Deaf(Flood::Unknown), 8),
    (Worst::Deaf(Flood::GlobalRequests), 6),
    (Worst::Deaf(Flood::Opens), 8),
];

fn string(bytes: &[u8]) -> Vec<u8> {
    let len = u32::try_from(bytes.len()).expect("a short text");
    [&len.to_be_bytes()[..], bytes].concat()
}

/// A client that keeps to the protocol only as long as it serves it.
struct Hostile {
    stream: TcpStream,
    ssh: Client,
    unread: Vec<u8>,
    /// What nobody has taken yet.
    unsent: Vec<u8>,
    /// Connection packets that came.
    packets: Vec<Vec<u8>>,
    is_in: bool,
    started: Instant,
}

impl Hostile {
    fn log_in(house: &House, seed: u8) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, house.proxy().port));
        let stream = stream.expect("the proxy's listener");
        let config = Arc::new(ClientConfig::default());
        let mut hostile = Self {
            stream,
            ssh: Client::new(config, [seed; 32], Duration::ZERO),
            unread: Vec::new(),
            unsent: Vec::new(),
            packets: Vec::new(),
            is_in: false,
            started: Instant::now(),
        };
        while !hostile.is_in {
            hostile.write();
            hostile.read(LIMIT, &house.door.user);
        }
        hostile
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Writes what there is to write, as long as somebody takes it: whether all is gone.
    fn write(&mut self) -> bool {
        self.unsent
            .extend(self.ssh.poll_output().unwrap_or_default());
        self.stream
            .set_write_timeout(Some(PATIENCE))
            .expect("a timeout");
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(len) => drop(self.unsent.drain(..len)),
                Err(_) => return false,
            }
        }
        true
    }

    /// Reads once, and does what its transport has to.
    fn read(&mut self, limit: Duration, user: &str) {
        let mut bytes = [0; 32 * 1024];
        self.stream
            .set_read_timeout(Some(limit))
            .expect("a timeout");
        match self.stream.read(&mut bytes) {
            Ok(0) => panic!("the proxy has closed the connection"),
            Ok(len) => self.unread.extend_from_slice(&bytes[..len]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => panic!("{error}"),
        }
        loop {
            let now = self.now();
            let progress = self.ssh.handle_input(&mut self.unread, now);
            let progress = progress.expect("a proxy that keeps to the protocol");
            if let Some(at) = progress.payload {
                self.packets.push(self.unread[at].to_vec());
            }
            self.unread.drain(..progress.consumed);
            let mut was_told = false;
            while let Some(event) = self.ssh.poll_event() {
                was_told = true;
                let done = match event {
                    ClientEvent::HostKey(question) => self.ssh.accept_host_key(question.id, now),
                    ClientEvent::KeyExchanged(exchange) if exchange.first => {
                        self.ssh.authenticate(user, ClientAuth::None, now)
                    }
                    ClientEvent::Authenticated => {
                        self.is_in = true;
                        Ok(())
                    }
                    ClientEvent::AuthFailed { .. } => panic!("not let in"),
                    _ => Ok(()),
                };
                done.expect("an open connection");
            }
            if progress.consumed == 0 && !was_told {
                return;
            }
        }
    }

    fn says(&mut self, payload: &[u8]) {
        let now = self.now();
        let said = self.ssh.dangerous_send_any(payload, now);
        said.expect("an open connection");
        self.write();
    }

    /// The next packet that begins so.
    fn hears(&mut self, begin: &[u8]) -> Vec<u8> {
        loop {
            let packet = self.packets.drain(..).find(|it| it.starts_with(begin));
            if let Some(packet) = packet {
                return packet;
            }
            self.read(LIMIT, "");
        }
    }

    /// Has a program wait on a new channel for a line; the channel's number at the target.
    fn waits(&mut self, number: u32, program: &str) -> [u8; 4] {
        let numbers = [number, WINDOW, 32_768].map(u32::to_be_bytes).concat();
        self.says(&[&[90][..], &string(b"session"), &numbers].concat());
        let confirmation = self.hears(&[&[91][..], &number.to_be_bytes()].concat());
        let theirs = *confirmation[5..].first_chunk().expect("a number");
        let program = string(format!("echo up; read go; {program}").as_bytes());
        self.says(&[&[98][..], &theirs, &string(b"exec"), &[0], &program].concat());
        // No shell is killed while it still starts: what it reads then may leave locks of the person's behind.
        self.hears(&[&[94][..], &number.to_be_bytes()].concat());
        theirs
    }

    /// Starts its programs: what it says without end from now on.
    fn begins(&mut self, worst: Worst) -> Vec<u8> {
        let (channels, program) = match worst {
            Worst::ReadsNothing | Worst::HalfAnExchange => (1, "exec cat /dev/zero"),
            Worst::FiftyChannels => (50, "exec cat /dev/zero"),
            Worst::StoppedTarget => (1, "kill -STOP $PPID; exec cat >/dev/null"),
            Worst::Reading(_) | Worst::Deaf(_) => (0, ""),
        };
        let channels: Vec<_> = (0..channels)
            .map(|number| self.waits(number, program))
            .collect();
        let data = |to: &[u8], bytes: &[u8]| [&[94][..], to, &string(bytes)].concat();
        for channel in &channels {
            self.says(&data(channel, b"\n"));
        }
        match worst {
            Worst::HalfAnExchange => {
                let now = self.now();
                self.ssh.start_rekey(now);
                Vec::new()
            }
            Worst::StoppedTarget => data(&channels.concat(), &[7; 30_000]),
            Worst::Reading(flood) | Worst::Deaf(flood) => flood.payload(),
            Worst::ReadsNothing | Worst::FiftyChannels => Vec::new(),
        }
    }

    /// Does its worst until it is told to stop.
    fn does(&mut self, worst: Worst, payload: &[u8], is_over: &AtomicBool) {
        while !is_over.load(Ordering::Relaxed) {
            let is_taken = self.write();
            if is_taken && !payload.is_empty() {
                self.says(payload);
            }
            match worst {
                Worst::Reading(_) => {
                    self.read(Duration::from_millis(1), "");
                    self.packets.clear();
                }
                _ if payload.is_empty() => thread::sleep(PATIENCE),
                _ => {}
            }
        }
    }
}

/// Lets all peers go, also when the test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn as_many_hostile_sessions_as_there_may_be_stay_under_so_many_times_the_ceiling_of_one() {
    need!("ssh", "sshd");
    let plan = |plan: &mut Plan| {
        plan.proxy
            .limits
            .push(format!("max_connections = {SESSIONS}"));
        // All of them come at once, and from here.
        plan.proxy
            .limits
            .push("source = { unauthenticated = 100, per_minute = 1000 }".to_owned());
    };
    through_the_proxy_with(plan, |house| {
        house.ssh().run("true").expect_code(0);
        house.proxy().wait_for("session.end");
        let base = house.proxy().resident_bytes();
        assert_eq!(
            WORST.iter().map(|(_, count)| count).sum::<usize>(),
            usize::from(SESSIONS)
        );
        let each = WORST.iter().flat_map(|(worst, count)| vec![*worst; *count]);
        let hostile: Vec<_> = thread::scope(|scope| {
            let begun = (1..).zip(each).map(|(seed, worst)| {
                scope.spawn(move || {
                    let mut hostile = Hostile::log_in(house, seed);
                    let payload = hostile.begins(worst);
                    (hostile, worst, payload)
                })
            });
            let begun: Vec<_> = begun.collect();
            begun
                .into_iter()
                .map(|it| it.join().expect("a session"))
                .collect()
        });
        let is_over = AtomicBool::new(false);
        let most = thread::scope(|scope| {
            let _over = Over(&is_over);
            for (mut hostile, worst, payload) in hostile {
                let is_over = &is_over;
                scope.spawn(move || hostile.does(worst, &payload, is_over));
            }
            thread::sleep(TOGETHER);
            // One more is told so.
            let refused = house.ssh().run("true").expect_failure();
            let words = "this proxy has too many connections at once";
            assert!(refused.err().contains(words), "{}", refused.err());
            house.proxy().most_resident_bytes()
        });
        house.sshd.signal_sessions(rustix::process::Signal::CONT);
        let growth = most.saturating_sub(base);
        eprintln!(
            "{SESSIONS} hostile sessions: {} MiB in all, {} KiB each above {} MiB",
            most >> 20,
            growth / u64::from(SESSIONS) / 1024,
            base >> 20
        );
        assert!(
            growth < u64::from(SESSIONS) * SESSION_CEILING,
            "grew by {growth} bytes"
        );
        wait_until("a free place", LIMIT, || {
            house.ssh().run("echo in").out() == "in\n"
        });
        let sessions = house.proxy().events_named("session.start").len();
        assert!(sessions >= usize::from(SESSIONS) + 2, "{sessions} sessions");
    });
}
