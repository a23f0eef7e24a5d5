//! Sessions inside sessions, one and two deep, between ends that keep the rules and ends that do not: each keeps for itself what a
//! session alone keeps, and no more is left of a tree at its end than of one session.

use std::time::Duration;

use proxy_core::{Ca, EventKind, Input, Leg, Operation, SessionId};

use crate::play::choices::Choices;
use crate::sim::CA_SEED;
use crate::sim::packets as p;
use crate::sim::tree::{FORWARDS, JUMP, JUMPS, Level, Signer, Tree, patterned, policy};

/// What a run is made of besides its operations.
#[derive(Debug, Clone)]
pub struct Config {
    /// The ends keep to no rules.
    is_hostile: bool,
    /// What the grants say of the next target: that SSH may go there, or that anything may.
    is_jump: bool,
    /// The authority is asked for each signature.
    is_authority_remote: bool,
    /// The user is one that everybody may be.
    is_user_known: bool,
    /// The window and the longest packet of what the next level is inside of.
    window: (u32, u32),
}

/// One thing that happens. The numbers are levels: 0 is the outermost.
#[derive(Debug, Clone)]
pub enum Op {
    /// The person goes on to the next level.
    Jump(usize),
    /// A shell.
    Shell(usize),
    /// So many bytes in it.
    Data(usize, Leg, usize),
    /// An end closes the channel of the next level.
    Leave(usize, Leg),
    /// An end reads nothing of the next level any more, or does again.
    Stall(usize, Leg),
    /// Something about the channel of the next level that its rules do not foresee.
    Say(usize, Leg, Word),
    /// The disk says nothing of what it is given from now on.
    Silence,
    Answer,
    /// No log of this level can be written any more.
    DiskFails(usize),
    /// The same from this page on, or its disk says nothing from there on.
    DiskFailsAt(usize, usize),
    DiskStallsAt(usize, usize),
    /// The authority does this in the place of its so-manieth signature.
    Signs(usize, Signer),
    /// An operator ends the session.
    Dismiss(usize),
    Shutdown,
    /// From now on only so many levels are allowed.
    Rules(usize),
    /// So many milliseconds pass.
    Wait(u64),
    /// A peer's own connection breaks.
    Close(Leg),
}

/// What hostile ends say where the next level should be.
#[derive(Debug, Clone)]
pub enum Word {
    /// Bytes that no SSH machine makes, within the window.
    Bytes(usize),
    /// The same, whatever the window.
    Data(usize),
    Eof,
    Close,
    Adjust(u32),
    Request,
    Success,
    Stderr,
    Open,
}

const LEVELS: usize = 3;
const MAX_OPS: usize = 40;
/// How long a disk may take, and a little.
const DISK_TIME: Duration = Duration::from_secs(31);

/// How sessions inside others ended, and how often.
pub type Tally = std::collections::BTreeMap<String, usize>;

impl Config {
    /// In which all goes well.
    pub const fn plain() -> Self {
        Self {
            is_hostile: false,
            is_jump: true,
            is_authority_remote: true,
            is_user_known: true,
            window: (2_097_152, 32_768),
        }
    }

    pub fn choose(choices: &mut Choices<'_>) -> Self {
        let window = if choices.chance(128) {
            (2_097_152, 32_768)
        } else {
            (1 + choices.small(100_000), 1 + choices.small(40_000))
        };
        Self {
            is_hostile: choices.chance(100),
            is_jump: choices.chance(180),
            is_authority_remote: choices.chance(64),
            is_user_known: !choices.chance(16),
            window,
        }
    }

    /// Rules that let people as far as this level.
    fn policy(&self, levels: usize) -> String {
        let text = policy(if self.is_jump { JUMPS } else { FORWARDS });
        if levels == 0 {
            return String::new();
        }
        (levels..LEVELS).fold(text, |text, level| {
            text.replace(&format!("{{ hostname = \"inner-{level}\" }}, "), "")
        })
    }
}

impl Op {
    fn choose(config: &Config, choices: &mut Choices<'_>) -> Self {
        let level = choices.below(LEVELS);
        let leg = if choices.chance(128) {
            Leg::Client
        } else {
            Leg::Target
        };
        if config.is_hostile && choices.chance(80) {
            return Self::Say(level.min(1), leg, Word::choose(choices));
        }
        match choices.below(64) {
            0..8 => Self::Jump(level.min(1)),
            8..18 => Self::Shell(level),
            18..40 => Self::Data(level, leg, choices.below(30_000)),
            40..42 => Self::Leave(level.min(1), leg),
            42..48 => Self::Stall(level.min(1), leg),
            48 | 49 => Self::Silence,
            50..56 => Self::Answer,
            56 if choices.chance(60) => Self::DiskFails(level),
            57 if choices.chance(80) => Self::Dismiss(level),
            58 if choices.chance(40) => Self::Shutdown,
            59 => Self::Rules(choices.pick(&[0, 1, 2, 3, 3, 3]).unwrap_or(LEVELS)),
            60 if choices.chance(40) => Self::Close(leg),
            _ => Self::Wait(choices.pick(&[1, 1000, 6000, 40_000]).unwrap_or(1)),
        }
    }
}

impl Word {
    fn choose(choices: &mut Choices<'_>) -> Self {
        let len = choices.below(5000);
        match choices.below(9) {
            0 => Self::Bytes(len),
            1 => Self::Data(len),
            2 => Self::Eof,
            3 => Self::Close,
            4 => Self::Adjust(choices.small(u32::MAX)),
            5 => Self::Request,
            6 => Self::Success,
            7 => Self::Stderr,
            _ => Self::Open,
        }
    }
}

/// Plays one run of chosen operations, and puts them into `ops` as they are played.
pub fn explore(config: &Config, choices: &mut Choices<'_>, ops: &mut Vec<Op>, tally: &mut Tally) {
    let mut world = World::new(config);
    // Most runs go in at once.
    let begin = [Op::Jump(0), Op::Jump(1)];
    let mut begin = begin.into_iter().take(choices.below(4));
    while ops.len() < MAX_OPS && !choices.are_over() && !world.tree.session.is_over() {
        let op = begin.next();
        let op = op.unwrap_or_else(|| Op::choose(config, choices));
        ops.push(op.clone());
        world.step(&op);
    }
    world.finish();
    for event in &world.tree.events {
        let text = match &event.kind {
            EventKind::SessionEnd { reason, .. } => format!("{reason:?}"),
            EventKind::AccessDenied { reason, .. } => format!("no: {reason:?}"),
            _ => continue,
        };
        if let Some(depth @ 1..) = world.tree.depths.get(&event.subject.session) {
            *tally.entry(format!("{depth} {text}")).or_default() += 1;
        }
    }
}

/// Plays a script in which all goes well; gives how many pages the log of each level has, and how often something was signed.
pub fn count(ops: &[Op]) -> (Vec<usize>, usize) {
    let mut world = World::new(&Config::plain());
    for op in ops {
        world.step(op);
    }
    world.finish();
    let pages = (0..LEVELS).map(|level| world.tree.pages(level)).collect();
    (pages, world.tree.asked_to_sign)
}

/// Plays these operations; gives all that came out.
pub fn replay(config: &Config, ops: &[Op]) -> Vec<String> {
    let mut world = World::new(config);
    for op in ops {
        world.step(op);
    }
    world.finish();
    world.tree.outputs
}

struct World {
    config: Config,
    tree: Tree,
    /// By level: the session in which a shell runs, and what each side said in it.
    shells: Vec<Option<Shell>>,
    /// Some disk failed.
    is_broken: bool,
}

struct Shell {
    session: SessionId,
    said: proxy_core::PerLeg<Vec<u8>>,
}

impl World {
    fn new(config: &Config) -> Self {
        let mut tree = Tree::with(&config.policy(LEVELS), |gateway| {
            if config.is_authority_remote {
                let key = ssh_key::private::Ed25519Keypair::from_seed(&CA_SEED);
                let key = sshcert::CaKey::from_private_key(key.into()).expect("it will do");
                gateway.ca = Ca::Remote(key.public().clone());
            }
        });
        tree.window = config.window;
        tree.is_hostile = config.is_hostile;
        tree.run();
        tree.user = if config.is_user_known {
            "deploy"
        } else {
            "root"
        };
        Self {
            config: config.clone(),
            tree,
            shells: (0..LEVELS).map(|_| None).collect(),
            is_broken: false,
        }
    }

    fn step(&mut self, op: &Op) {
        match op {
            Op::Jump(level) => self.jump(*level),
            Op::Shell(level) => self.shell(*level),
            Op::Data(level, leg, len) => self.data(*level, *leg, *len),
            Op::Leave(level, leg) => self.leave(*level, *leg),
            Op::Stall(level, leg) => {
                if let Some(it) = self.tree.levels.get_mut(*level) {
                    it.pipe[*leg].is_stalled ^= true;
                    self.tree.unstall(*level, *leg);
                }
            }
            Op::Say(level, leg, word) => self.say(*level, *leg, word),
            Op::Silence => self.tree.log_is_silent = true,
            Op::Answer => self.tree.answer_log(),
            Op::DiskFails(level) => {
                self.is_broken = true;
                self.tree.log_fails = Some((*level, 0));
            }
            Op::DiskFailsAt(level, page) => {
                self.is_broken = true;
                self.tree.log_fails = Some((*level, *page));
            }
            Op::DiskStallsAt(level, page) => {
                self.is_broken = true;
                self.tree.log_stalls = Some((*level, *page));
            }
            Op::Signs(at, signer) => self.tree.signer = Some((*at, *signer)),
            Op::Dismiss(level) => self.dismiss(*level),
            Op::Shutdown => self.tree.session.handle(Input::Shutdown, self.tree.now),
            Op::Rules(levels) => self.change_rules(*levels),
            Op::Wait(millis) => self.wait(Duration::from_millis(*millis)),
            Op::Close(leg) => self.tree.peer_closes(*leg),
        }
        self.tree.run();
        self.nobody_is_left_inside();
    }

    fn level(&self, level: usize) -> Option<&Level> {
        self.tree.levels.get(level)
    }

    /// The session at a level whose person is logged in and has not left.
    fn session_at(&self, level: usize) -> Option<SessionId> {
        let is_in = |it: &Level| it.person.as_ref().is_some_and(|person| person.is_in);
        let id = self.tree.id_at(level)?;
        (self.level(level).is_some_and(is_in) && !self.is_over(id)).then_some(id)
    }

    fn is_over(&self, id: SessionId) -> bool {
        let mut own = self.tree.events.iter();
        own.any(|it| it.subject.session == id && it.kind.is_last())
    }

    fn jump(&mut self, level: usize) {
        if self.session_at(level).is_none() || self.is_held_up(level) {
            return;
        }
        let next = level + 1;
        if self.level(next).is_some() {
            let pipe = &self.tree.levels[level].pipe;
            if !pipe.client.is_closed || !pipe.target.is_closed {
                return;
            }
            self.tree.levels[level].pipe = Default::default();
            self.tree.levels.truncate(next);
        }
        self.shells[next..].fill_with(|| None);
        self.tree.jump(level);
    }

    /// Whether anything waits on its way to or from a level.
    fn is_held_up(&self, level: usize) -> bool {
        let mut outer = self.tree.levels.iter().take(level);
        let is_stalled = outer.any(|it| it.pipe.client.is_stalled || it.pipe.target.is_stalled);
        is_stalled || self.tree.log_is_silent
    }

    fn shell(&mut self, level: usize) {
        let (Some(session), None) = (self.session_at(level), &self.shells[level]) else {
            return;
        };
        if self.is_held_up(level) {
            return;
        }
        self.tree.open_session(level);
        self.shells[level] = Some(Shell {
            session,
            said: Default::default(),
        });
    }

    fn data(&mut self, level: usize, leg: Leg, len: usize) {
        let id = self.session_at(level);
        if let Some(shell) = &mut self.shells[level]
            && Some(shell.session) == id
        {
            let bytes = patterned(len);
            shell.said[leg].extend_from_slice(&bytes);
            self.tree.send_data(level, leg, &bytes, 10_000);
        }
    }

    fn leave(&mut self, level: usize, leg: Leg) {
        let id = JUMP[leg.other()];
        if self.level(level + 1).is_none() || self.session_at(level).is_none() {
            return;
        }
        let pipe = &mut self.tree.levels[level].pipe[leg];
        if pipe.closes_too && !pipe.is_closed {
            pipe.closes_too = false;
            pipe.has_left = true;
            self.tree.send(level, leg, &p::eof(id));
            self.tree.send(level, leg, &p::close(id));
        }
    }

    fn say(&mut self, level: usize, leg: Leg, word: &Word) {
        if self.level(level).is_none() {
            return;
        }
        let id = JUMP[leg.other()];
        let packet = match word {
            Word::Bytes(len) => return self.tree.pipe(level, leg, &patterned(*len)),
            Word::Data(len) => p::data(id, &patterned(*len)),
            Word::Eof => p::eof(id),
            Word::Close => p::close(id),
            Word::Adjust(bytes) => p::window_adjust(id, *bytes),
            Word::Request => p::request(id, "keepalive@openssh.com", true, b""),
            Word::Success => p::success(id),
            Word::Stderr => p::extended_data(id, 1, b"x"),
            Word::Open => return self.tree.open(level, "inner-1", 22),
        };
        self.tree.send(level, leg, &packet);
    }

    /// It ends at once, whoever is silent.
    fn dismiss(&mut self, level: usize) {
        let Some(id) = self.tree.id_at(level) else {
            return;
        };
        let (who, reason) = ("ann@example.com".into(), "maintenance".into());
        let input = Input::Operator(id, Operation::End { who, reason });
        self.tree.session.handle(input, self.tree.now);
        self.tree.run();
        assert!(
            self.tree.log_is_silent || self.is_over(id),
            "a session goes on that an operator has ended"
        );
    }

    /// A17, at every level.
    fn change_rules(&mut self, levels: usize) {
        self.tree.current.rules = crate::sim::rules("new", &self.config.policy(levels), "");
        self.tree.reevaluate();
        self.tree.run();
        for level in levels..LEVELS {
            let goes_on = self.tree.id_at(level).is_some_and(|id| !self.is_over(id));
            assert!(
                !goes_on || self.tree.log_is_silent,
                "A17: the session at {level} goes on"
            );
        }
    }

    /// A disk that says nothing for so long does not do so later.
    fn wait(&mut self, time: Duration) {
        if self.tree.log_is_silent && time > Duration::from_millis(1) {
            self.tree.log_is_silent = false;
            self.tree.forget_unanswered();
            self.is_broken = true;
            self.tree.pass(DISK_TIME);
        }
        self.tree.pass(time);
    }

    /// I6: who is inside ends before what it is inside of.
    fn nobody_is_left_inside(&self) {
        for event in &self.tree.events {
            let Some(outer) = event.subject.parent else {
                continue;
            };
            let is_left = self.is_over(outer) && !self.is_over(event.subject.session);
            assert!(
                !is_left,
                "I6: {} is left inside {outer}",
                event.subject.session
            );
        }
    }

    fn finish(&mut self) {
        self.tree.answer_log();
        for level in 0..self.tree.levels.len() {
            for leg in [Leg::Client, Leg::Target] {
                self.tree.levels[level].pipe[leg].is_stalled = false;
                self.tree.unstall(level, leg);
            }
        }
        self.tree.run();
        self.everything_arrived();
        self.tree.finish();
        self.nobody_is_left_inside();
        for id in self.tree.ids.clone() {
            self.is_whole(id);
        }
    }

    /// Between ends that keep the rules, all that was said in a session that goes on.
    fn everything_arrived(&self) {
        for (level, shell) in self.shells.iter().enumerate() {
            let Some(shell) = shell else { continue };
            if self.config.is_hostile || self.session_at(level) != Some(shell.session) {
                continue;
            }
            // Of one that is being left, the end may still be on its way.
            let outer = level.checked_sub(1).and_then(|outer| self.level(outer));
            let is_left =
                outer.is_some_and(|it| it.pipe.client.has_left || it.pipe.target.has_left);
            for leg in [Leg::Client, Leg::Target] {
                let got = &self.tree.levels[level].data[leg.other()];
                assert!(
                    is_left || *got == shell.said[leg],
                    "what the {leg:?} said at {level} is not there"
                );
            }
        }
    }

    /// I6, I3, and the link between the logs.
    fn is_whole(&self, id: SessionId) {
        let own = || {
            self.tree
                .events
                .iter()
                .filter(move |it| it.subject.session == id)
        };
        let count = |is_it: fn(&EventKind) -> bool| own().filter(|it| is_it(&it.kind)).count();
        let denials = count(|kind| matches!(kind, EventKind::AccessDenied { .. }));
        let starts = count(|kind| matches!(kind, EventKind::SessionStart { .. }));
        let ends = count(|kind| matches!(kind, EventKind::SessionEnd { .. }));
        assert_eq!((denials + starts, ends), (1, starts), "I6: {id}");
        for event in own() {
            if !self.config.is_hostile {
                let is_blamed = format!("{:?}", event.kind);
                let blames = ["ClientMisbehaved", "TargetMisbehaved", "ClientProtocol"];
                assert!(
                    !blames.iter().any(|it| is_blamed.contains(it)),
                    "{is_blamed}"
                );
            }
            if let EventKind::SessionEnd { log_complete, .. } = event.kind {
                assert!(
                    log_complete || self.is_broken,
                    "I3: a log that nothing happened to"
                );
                let records = &self.tree.logs[&id].records;
                let is_complete = records.last().is_some_and(|it| it.contains(" End {"));
                assert!(is_complete || !log_complete, "I3: {records:?}");
                if let Some(outer) = event.subject.parent {
                    let link = format!("ParentSession {{ session: \"{outer}\"");
                    assert!(records.iter().any(|it| it.contains(&link)), "{records:?}");
                    let link = format!("InnerSession {{ session: \"{id}\"");
                    let outer = &self.tree.logs[&outer].records;
                    assert!(outer.iter().any(|it| it.contains(&link)), "{outer:?}");
                }
            }
        }
        // What the sessions inside carried stands in their logs alone.
        let log = self.tree.logs.get(&id);
        let mut records = log.into_iter().flat_map(|log| &log.records);
        let is_carried = records.any(|it| it.contains("ForwardData"));
        assert!(
            !is_carried || !self.config.is_jump,
            "ciphertext in the log of {id}"
        );
    }
}
