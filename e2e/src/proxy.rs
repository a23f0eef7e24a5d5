//! The real proxy binary with a generated configuration, its access events and its session logs.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::events::Event;
use crate::process::{Finished, Input, PATIENCE, TICK, isolate, kill_group, run, wait, wait_until};
use crate::records::Record;
use crate::room::{Room, free_port};
use crate::sshd::Sshd;
use crate::tools;

mod plan;

pub use plan::{ADA_TOKEN, Listener, MALLORY_TOKEN, ProxyPlan, TARGET};

/// What one session may add to the memory of the proxy, in bytes, whatever its peers do: a MiB that waits for each leg,
/// what is read ahead of it, the page in hand, and as much again that the allocator keeps. `proxy-core` states the parts.
pub const SESSION_CEILING: u64 = 8 << 20;

/// How long a test waits for what the proxy is to do at once.
const LATEST: Duration = Duration::from_secs(60);

/// A running proxy, killed when dropped.
pub struct Proxy {
    child: Mutex<Child>,
    /// Loopback port of its first listener: plain, bound to the target and the identity of the test.
    pub port: u16,
    /// Loopback ports of all its listeners, in the order of the plan.
    pub ports: Vec<u16>,
    folder: PathBuf,
    stderr: PathBuf,
    /// Set by a test that has broken a session on purpose.
    unsound: AtomicBool,
}

impl Proxy {
    /// Starts the proxy in front of a target.
    ///
    /// # Panics
    ///
    /// When it does not start; the message shows what it said.
    pub fn start(room: &Room, plan: &ProxyPlan, target: &Sshd, user: &str) -> Self {
        let folder = room.path("proxy");
        fs::create_dir(&folder).expect("a folder for the proxy");
        plan.write_keys(room, &folder);
        Self::start_in(room, &folder, plan, target.port, user)
    }

    /// Starts the proxy in the folder that another has left, with the same keys, logs and events.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    pub fn start_again(&self, room: &Room, plan: &ProxyPlan, target: &Sshd, user: &str) -> Self {
        Self::start_in(room, &self.folder, plan, target.port, user)
    }

    fn start_in(
        room: &Room,
        folder: &Path,
        plan: &ProxyPlan,
        target_port: u16,
        user: &str,
    ) -> Self {
        let stderr = room.path("proxy.log");
        let mut said = String::new();
        for _ in 0..5 {
            let ports: Vec<u16> = plan.listeners.iter().map(|_| free_port()).collect();
            let config = plan.write_config(folder, &ports, target_port, user);
            let child = launch(plan, &config, &stderr);
            let proxy = Self {
                child: Mutex::new(child),
                port: ports[0],
                ports,
                folder: folder.to_path_buf(),
                stderr: stderr.clone(),
                unsound: AtomicBool::new(false),
            };
            if proxy.is_listening() {
                return proxy;
            }
            said = proxy.said();
        }
        panic!("the proxy does not start:\n{said}");
    }

    /// Asked of the kernel, not by a connection: tests count sessions.
    fn is_listening(&self) -> bool {
        let started = Instant::now();
        while started.elapsed() < LATEST {
            let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
            // State 0A is LISTEN; addresses are hexadecimal, the port behind the colon.
            let listens = |port: &u16| {
                let end = format!(":{port:04X}");
                table.lines().any(|line| {
                    let mut fields = line.split_whitespace().skip(1);
                    fields.next().is_some_and(|local| local.ends_with(&end))
                        && fields.nth(1) == Some("0A")
                })
            };
            if self.ports.iter().all(listens) {
                return true;
            }
            if !self.is_running() {
                return false;
            }
            thread::sleep(TICK);
        }
        false
    }

    /// Whether the process still runs.
    pub fn is_running(&self) -> bool {
        self.child().try_wait().is_ok_and(|status| status.is_none())
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child().id()
    }

    /// What the operator's log has, until now.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap_or_default()
    }

    /// The folder of its configuration, keys, events and logs.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Asks it to end.
    pub fn terminate(&self) {
        kill_process(Pid::from_child(&self.child()), Signal::TERM).expect("a running proxy");
    }

    /// Ends it without a warning, as a crash does.
    pub fn kill(&self) {
        kill_group(&mut self.child());
    }

    /// Waits for its end.
    ///
    /// # Panics
    ///
    /// When it does not come within `limit`.
    #[track_caller]
    pub fn end(&self, limit: Duration) -> ExitStatus {
        let status = wait(&mut self.child(), limit);
        status.unwrap_or_else(|| panic!("the proxy still runs after {limit:?}\n{}", self.said()))
    }

    /// Memory that it holds right now, in bytes.
    ///
    /// # Panics
    ///
    /// When it does not run.
    pub fn resident_bytes(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// The most memory that it has held at any moment since it started, in bytes.
    ///
    /// # Panics
    ///
    /// When it does not run.
    pub fn most_resident_bytes(&self) -> u64 {
        self.memory("VmHWM:")
    }

    /// A size in its status, in bytes (`proc_pid_status(5)`).
    fn memory(&self, name: &str) -> u64 {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.id())).expect("a running proxy");
        let line = status
            .lines()
            .find(|line| line.starts_with(name))
            .expect("a resident size");
        let kib: u64 = line
            .split_whitespace()
            .nth(1)
            .and_then(|n| n.parse().ok())
            .expect("a number of KiB");
        kib * 1024
    }

    /// The most memory that it holds at any moment while `time` passes, in bytes.
    ///
    /// # Panics
    ///
    /// When it does not run.
    pub fn most_resident_bytes_during(&self, time: Duration) -> u64 {
        let started = Instant::now();
        let mut most = 0;
        while started.elapsed() < time {
            most = most.max(self.resident_bytes());
            thread::sleep(TICK);
        }
        most
    }

    /// All access events until now.
    pub fn events(&self) -> Vec<Event> {
        Event::parse_all(&fs::read_to_string(self.folder.join("events.jsonl")).unwrap_or_default())
    }

    /// The events until now whose name is `name`.
    pub fn events_named(&self, name: &str) -> Vec<Event> {
        self.events()
            .into_iter()
            .filter(|event| event.name() == name)
            .collect()
    }

    /// Waits for an event.
    ///
    /// # Panics
    ///
    /// When none comes.
    #[track_caller]
    pub fn wait_for_event(&self, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
        let mut found = None;
        let started = Instant::now();
        while found.is_none() && started.elapsed() < LATEST {
            found = self.events().into_iter().find(&wanted);
            thread::sleep(TICK);
        }
        found.unwrap_or_else(|| panic!("no event: {what}\nevents: {:#?}", self.events()))
    }

    /// Waits until there are so many events of a name, or more, and gives them.
    ///
    /// # Panics
    ///
    /// When they do not come.
    #[track_caller]
    pub fn wait_for_all(&self, name: &str, count: usize) -> Vec<Event> {
        let mut found = Vec::new();
        wait_until(&format!("{count} times {name}"), LATEST, || {
            found = self.events_named(name);
            found.len() >= count
        });
        found
    }

    /// Waits for the first event of a name.
    ///
    /// # Panics
    ///
    /// When none comes.
    #[track_caller]
    pub fn wait_for(&self, name: &str) -> Event {
        self.wait_for_event(name, |event| event.name() == name)
    }

    /// The log files, oldest session first by the order of the events.
    pub fn logs(&self) -> Vec<PathBuf> {
        let mut logs: Vec<_> = fs::read_dir(self.folder.join("logs"))
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .collect();
        logs.sort();
        logs
    }

    /// The log of one session.
    pub fn log_of(&self, session: &str) -> PathBuf {
        self.folder.join("logs").join(format!("{session}.sslg"))
    }

    /// `sshlog` with these arguments and then the log.
    #[track_caller]
    pub fn sshlog(&self, arguments: &[&str], log: &Path) -> Finished {
        let mut command = Command::new(tools::own("sshlog"));
        isolate(&mut command);
        command.current_dir(&self.folder).args(arguments).arg(log);
        run(&mut command, Input::Nothing, PATIENCE)
    }

    /// `sshlog verify` without any key.
    #[track_caller]
    pub fn verify(&self, log: &Path) -> Finished {
        self.sshlog(&["verify", "--signers", "allowed_signers"], log)
    }

    /// All records of a finished session.
    ///
    /// # Panics
    ///
    /// When the log does not verify as complete.
    #[track_caller]
    pub fn records_of(&self, session: &str) -> Vec<Record> {
        let arguments = ["records", "-i", "recipient", "--signers", "allowed_signers"];
        Record::parse_all(
            &self
                .sshlog(&arguments, &self.log_of(session))
                .expect_code(0)
                .out(),
        )
    }

    /// The records that stand in a log which has no end yet, or never got one.
    #[track_caller]
    pub fn records_so_far(&self, log: &Path) -> Vec<Record> {
        let arguments = [
            "records",
            "-i",
            "recipient",
            "--signers",
            "allowed_signers",
            "--allow",
            "truncated",
        ];
        Record::parse_all(&self.sshlog(&arguments, log).expect_code(0).out())
    }

    /// Waits until a record of this kind stands in the log of any session.
    ///
    /// # Panics
    ///
    /// When none comes.
    #[track_caller]
    pub fn wait_for_record(&self, kind: &str, wanted: impl Fn(&Record) -> bool) {
        wait_until(
            &format!("a record of kind {kind} in {:?}", self.logs()),
            LATEST,
            || {
                self.logs().iter().any(|log| {
                    self.records_so_far(log)
                        .iter()
                        .any(|record| record.kind() == kind && wanted(record))
                })
            },
        );
    }

    /// Waits until something was refused: in the events, and in the log of that session.
    ///
    /// # Panics
    ///
    /// When it was not.
    #[track_caller]
    pub fn expect_refusal(&self, what: &str) {
        let event = self.wait_for_event(&format!("a refused {what}"), |event| {
            event.name() == "channel.refused" && event.text("what").contains(what)
        });
        wait_until(&format!("a record of the refused {what}"), LATEST, || {
            self.records_so_far(&self.log_of(event.session()))
                .iter()
                .any(|record| record.kind() == "refused" && record.text("what").contains(what))
        });
    }

    /// Waits for the end of the session and expects a record of a kind in its log.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[track_caller]
    pub fn expect_record_of(&self, session: &str, kind: &str) {
        let records = self.records_of(session);
        assert!(
            records.iter().any(|record| record.kind() == kind),
            "no {kind} in {records:#?}"
        );
    }

    /// A session of this proxy was broken on purpose: [`expect_sound_sessions`](Self::expect_sound_sessions) is not to
    /// ask for more than the test has.
    pub fn forget_unsound(&self) {
        self.unsound.store(true, Ordering::Relaxed);
    }

    /// Waits until every session that started has ended, and expects of each: one start, one end, and a log that is
    /// complete, intact and signed by this proxy.
    ///
    /// # Panics
    ///
    /// When one of that does not hold.
    #[track_caller]
    pub fn expect_sound_sessions(&self) {
        if self.unsound.load(Ordering::Relaxed) {
            return;
        }
        let sessions = self.ended_sessions();
        for session in sessions {
            let log = self.log_of(&session);
            self.verify(&log).expect_code(0);
            // Printing millions of bytes as JSON takes its time, and proves no more.
            if fs::metadata(&log).is_ok_and(|log| log.len() < 2 << 20) {
                assert!(!self.records_of(&session).is_empty());
            }
        }
    }

    /// Waits until each session that an event names was refused, or has started and ended, and gives the latter.
    #[track_caller]
    fn ended_sessions(&self) -> Vec<String> {
        let deadline = Instant::now() + LATEST;
        loop {
            let mut sessions: BTreeMap<String, Vec<Event>> = BTreeMap::new();
            // Those without a session tell of the proxy itself.
            let of_sessions = |event: &Event| !event.session().is_empty();
            for event in self.events().into_iter().filter(of_sessions) {
                let events = sessions.entry(event.session().to_owned()).or_default();
                events.push(event);
            }
            let unsound = sessions.values().find(|events| !once_and_over(events));
            let Some(unsound) = unsound else {
                let of_the_started = |(session, events): (String, Vec<Event>)| {
                    (count("session.start", &events) == 1).then_some(session)
                };
                return sessions.into_iter().filter_map(of_the_started).collect();
            };
            assert!(
                Instant::now() < deadline,
                "not one denial, or one start and one end: {unsound:#?}"
            );
            thread::sleep(TICK);
        }
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Child> {
        self.child.lock().expect("no panic while held")
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether the session was refused once, or has started once and ended once.
fn once_and_over(events: &[Event]) -> bool {
    let (started, denied, ended) = (
        count("session.start", events),
        count("access.denied", events),
        count("session.end", events),
    );
    started + denied == 1 && started == ended
}

fn count(name: &str, events: &[Event]) -> usize {
    events.iter().filter(|event| event.name() == name).count()
}

fn launch(plan: &ProxyPlan, config: &Path, stderr: &Path) -> Child {
    let stderr = File::create(stderr).expect("a file for the operator's log");
    let mut command = Command::new("sh");
    isolate(&mut command);
    // The shell lends the proxy what a test wants of it, such as a limit, and then becomes the proxy.
    command.args(["-c", &format!("{}exec \"$@\"", plan.before), "sh"]);
    command
        .arg(tools::own("audit_proxy"))
        .arg("--config")
        .arg(config);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr)
        .process_group(0);
    command.spawn().expect("a started proxy")
}
