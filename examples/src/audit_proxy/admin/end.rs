//! Ending sessions: one, or all of an identity, a device or a target.

use std::io;
use std::sync::Arc;

use policy::OperatorAction;
use proxy_core::{Operation, Overview, plain_text};

use super::access::Operator;
use super::answer::{answers_are_due, done, refused, unseen};
use super::protocol::{Reply, Which};
use super::{Admin, Client};
use crate::live::{Asked, Entry, Outcome};

/// Sessions that could not be told and are named. A line has room for so many ids.
const MAX_NAMED: usize = 256;

impl Admin {
    pub(super) async fn end(
        &self,
        operator: &Operator<'_>,
        which: &Which,
        reason: &str,
        client: &mut Client,
    ) -> io::Result<()> {
        if plain_text(reason).trim().is_empty() {
            self.tell(operator, "operator.end", None, None, None);
            let why = "say why: the person reads it".to_owned();
            return client.say(&Reply::Failed { why }).await;
        }
        let meant = match self.meant(operator, which, reason).await {
            Ok(meant) => meant,
            Err(reply) => return client.say(&reply).await,
        };
        // All are told before anybody is waited for: neither a session that does not answer nor an operator who does not listen keeps
        // others from ending.
        let asked: Vec<_> = meant
            .allowed
            .iter()
            .map(|found| self.end_one(operator, found, reason))
            .collect();
        let due = answers_are_due();
        let mut untold = Vec::new();
        for ((entry, _), asked) in meant.allowed.iter().zip(asked) {
            let session = entry.overview.session().to_string();
            let outcome = asked.outcome(due).await;
            if outcome == Outcome::Untold {
                untold.push(session);
                continue;
            }
            let late = outcome == Outcome::Late;
            client.say(&Reply::Ended { session, late }).await?;
        }
        client.say(&meant.reply(which, &untold)).await
    }

    /// The sessions that are meant. Told, but for those that may be ended.
    async fn meant(
        &self,
        operator: &Operator<'_>,
        which: &Which,
        reason: &str,
    ) -> Result<Meant, Reply> {
        let action = OperatorAction::End;
        let mut meant = Meant::default();
        if let Which::Session(id) = which {
            let found = self.found(operator, action, id, Some(reason)).await?;
            meant.allowed.push(found);
            return Ok(meant);
        }
        let all = self.all(operator, action).await;
        let any_rule = self.any_rule(operator, action, &all);
        for (entry, rule) in all {
            let is_meant = is_meant(which, &entry.overview);
            let (session, answers) = (entry.overview.session(), entry.answers);
            match rule {
                Some(rule) if is_meant => {
                    meant.allowed.push((entry, rule));
                    // Those inside it end with it.
                    continue;
                }
                None if is_meant => {
                    self.tell(operator, "operator.end", None, Some(session), Some(reason));
                    meant.denied += 1;
                }
                _ => {}
            }
            meant.unseen += usize::from(!answers);
        }
        if meant.is_nothing() {
            let rule = any_rule.as_deref();
            self.tell(operator, "operator.end", rule, None, Some(reason));
        }
        let is_refused = meant.allowed.is_empty() && meant.denied > 0 && meant.unseen == 0;
        match is_refused || any_rule.is_none() {
            true => Err(refused(operator, action)),
            false => Ok(meant),
        }
    }

    /// Tells a session to end, and of that; as not allowed where so much waits for the session that it was not told.
    fn end_one(
        &self,
        operator: &Operator<'_>,
        (entry, rule): &(Entry, Arc<str>),
        reason: &str,
    ) -> Asked {
        let session = entry.overview.session();
        let operation = Operation::End {
            who: operator.name().to_owned(),
            reason: reason.to_owned(),
        };
        let asked = entry.way.operate(session, operation);
        let rule = Some(&**rule).filter(|_| asked.is_told());
        self.tell(operator, "operator.end", rule, Some(session), Some(reason));
        asked
    }
}

/// What a request to end sessions is about.
#[derive(Default)]
struct Meant {
    /// Those that may be ended, each with the entry of the policy that allows it.
    allowed: Vec<(Entry, Arc<str>)>,
    /// How many may not.
    denied: usize,
    /// How many connections do not answer and are not ended themselves: who is inside them is not known.
    unseen: usize,
}

impl Meant {
    fn is_nothing(&self) -> bool {
        self.allowed.is_empty() && self.denied == 0
    }

    /// What is said at the end: all that was not done.
    fn reply(&self, which: &Which, untold: &[String]) -> Reply {
        let nothing = (self.is_nothing() && *which != Which::All)
            .then(|| "no session is one of those".to_owned());
        let untold = (!untold.is_empty()).then(|| {
            let named: Vec<_> = untold.iter().map(String::as_str).take(MAX_NAMED).collect();
            let more = match untold.len() - named.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!(
                "so much waits for these, which do not answer, that they could not be told: {}{more}",
                named.join(", ")
            )
        });
        let failed = [nothing, untold, unseen(self.unseen)];
        if failed.iter().all(Option::is_none) {
            return done(self.allowed.len(), self.denied);
        }
        let denied = (self.denied > 0)
            .then(|| format!("for {} more the policy does not allow it", self.denied));
        let parts: Vec<_> = failed.into_iter().chain([denied]).flatten().collect();
        Reply::Failed {
            why: parts.join("; "),
        }
    }
}

fn is_meant(which: &Which, overview: &Overview) -> bool {
    let subject = &overview.subject;
    match which {
        Which::Session(id) => overview.session().to_string().starts_with(id.as_str()),
        Which::Identity(name) => subject.identity.eq_ignore_ascii_case(name),
        Which::Device(name) => overview.device.as_ref() == Some(name),
        Which::Target(name) => [&subject.target, &subject.hostname]
            .iter()
            .any(|it| it.eq_ignore_ascii_case(name)),
        Which::All => true,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::thread;
    use std::time::{Duration, Instant};

    use policy::PolicySet;
    use proxy_core::Rules;
    use serde_json::{Value, json};
    use tokio::io::{AsyncReadExt as _, BufReader};
    use tokio::net::UnixStream;

    use super::super::noise::Noise;
    use super::super::protocol::Request;
    use super::*;
    use crate::approvals::Approvals;
    use crate::audit_proxy::stop::Stopper;
    use crate::config::AdminLimits;
    use crate::config::Who;
    use crate::events::Events;
    use crate::in_force::InForce;
    use crate::live::tests::{answering, end, in_secs, overview};
    use crate::live::{Desk, Live};

    /// An operator who may do this on `web-1` and `web-2`, and whom nobody else keeps from asking.
    struct Room {
        admin: Admin,
        events: PathBuf,
        _folder: tempfile::TempDir,
    }

    impl Room {
        fn new(may: &str) -> Self {
            let policy = format!(
                "[[operator]]\nname = \"on call\"\nmay = [{may}]\ninclude = [{{ everyone = true }}]\n\
                 target = {{ include = [{{ id = \"web-1\" }}, {{ id = \"web-2\" }}] }}\n"
            );
            let rules = Rules::new(PolicySet::from_toml(&policy).unwrap());
            let folder = tempfile::tempdir().unwrap();
            let events = folder.path().join("events.jsonl");
            let admin = Admin {
                live: Arc::new(Live::default()),
                approvals: Arc::new(Approvals::new(1)),
                limits: AdminLimits::default(),
                in_force: Arc::new(InForce::new(Arc::new(rules))),
                events: Arc::new(Events::to_file(&events).unwrap()),
                stopper: Stopper::default(),
                drain: None,
                noise: Noise::default(),
                operators: Vec::new(),
                targets: vec![overview(1, 0).target],
            };
            Self {
                admin,
                events,
                _folder: folder,
            }
        }

        fn desk(&self, number: u8) -> Desk {
            self.admin.live.desk(overview(number, 0))
        }

        /// The lines of the answer.
        async fn ask(&self, request: Request) -> Vec<Value> {
            let who = Who {
                name: "nia".to_owned(),
                identity: policy::Identity {
                    email: Some("nia@example.com".to_owned()),
                    ..policy::Identity::default()
                },
                device: None,
                managed_device: false,
                posture: Vec::new(),
                security_keys: Vec::new(),
            };
            let (ours, theirs) = UnixStream::pair().unwrap();
            let (reading, writing) = theirs.into_split();
            let mut client = Client {
                reading: BufReader::new(reading),
                writing,
                is_mid_line: false,
            };
            let operator = Operator::new(1000, &who);
            self.admin
                .answer(&operator, request, &mut client)
                .await
                .unwrap();
            drop(client);
            let mut said = String::new();
            BufReader::new(ours)
                .read_to_string(&mut said)
                .await
                .unwrap();
            lines(&said)
        }

        async fn end(&self, which: Which) -> Vec<Value> {
            let reason = "incident".to_owned();
            self.ask(Request::End { which, reason }).await
        }

        /// Of each event its name, whether it was allowed, and which session it is about.
        fn told(self) -> Vec<(String, bool, Option<String>)> {
            // A thread writes them, in their order.
            self.admin.events.write(&json!({"event": "over"}));
            let due = Instant::now() + Duration::from_secs(60);
            let text = loop {
                let text = std::fs::read_to_string(&self.events).unwrap();
                if let Some(told) = text.strip_suffix("{\"event\":\"over\"}\n") {
                    break told.to_owned();
                }
                assert!(Instant::now() < due, "{text}");
                thread::sleep(Duration::from_millis(10));
            };
            let text_of = |value: &Value| value.as_str().map(str::to_owned);
            let of = |event: Value| {
                let name = text_of(&event["event"]).unwrap();
                let allowed = event["allowed"].as_bool().unwrap();
                (name, allowed, text_of(&event["session"]))
            };
            lines(&text).into_iter().map(of).collect()
        }
    }

    fn lines(text: &str) -> Vec<Value> {
        let lines = text.lines().map(serde_json::from_str);
        lines.collect::<Result<_, _>>().unwrap()
    }

    fn id(number: u8) -> String {
        overview(number, 0).session().to_string()
    }

    fn ended(allowed: bool, session: Option<u8>) -> (String, bool, Option<String>) {
        ("operator.end".to_owned(), allowed, session.map(id))
    }

    fn why(reply: &[Value], kind: &str) -> String {
        let last = reply.last().unwrap();
        assert_eq!(last["reply"], kind, "{reply:?}");
        last["why"].as_str().unwrap().to_owned()
    }

    const ALL_OF_ADA: &str = "ada@example.com";

    #[tokio::test]
    async fn who_could_not_be_told_is_named_and_not_told_of_as_ended() {
        let room = Room::new("\"end\"");
        let _full = room.desk(1);
        answering(room.desk(2));
        let _not_theirs = room.desk(3);
        let entries = room.admin.live.entries(in_secs(0)).await;
        let full = entries
            .iter()
            .find(|it| it.overview.session().to_string() == id(1));
        let full = full.unwrap();
        let mut waiting = Vec::new();
        loop {
            let asked = full.way.operate(full.overview.session(), end());
            if !asked.is_told() {
                break;
            }
            waiting.push(asked);
        }
        let reply = room.end(Which::Identity(ALL_OF_ADA.to_owned())).await;
        assert_eq!(reply[0], json!({"reply": "ended", "session": id(2)}));
        let why = why(&reply, "failed");
        assert!(why.contains(&id(1)) && !why.contains(&id(2)), "{why}");
        assert!(
            why.contains("for 2 more the policy does not allow it"),
            "{why}"
        );
        let told = room.told();
        for expected in [
            ended(false, Some(3)),
            ended(false, Some(1)),
            ended(true, Some(2)),
        ] {
            assert!(told.contains(&expected), "{told:?}");
        }
        let allowed = told.iter().filter(|(_, allowed, _)| *allowed).count();
        assert_eq!(allowed, 1, "{told:?}");
    }

    #[tokio::test]
    async fn a_connection_that_does_not_answer_may_hide_sessions_which_is_said() {
        let room = Room::new("\"end\"");
        let _stuck = room.desk(1);
        answering(room.desk(2));
        let hides = "1 connections do not answer; sessions inside them were not looked at";
        let reply = room.end(Which::Target("web-2".to_owned())).await;
        assert_eq!(reply[0], json!({"reply": "ended", "session": id(2)}));
        assert_eq!(why(&reply, "failed"), hides);
        let reply = room.end(Which::Target("web-7".to_owned())).await;
        let nothing = format!("no session is one of those; {hides}");
        assert_eq!(why(&reply, "failed"), nothing);
        let reply = room.end(Which::Session("77".to_owned())).await;
        let nothing = format!("no session has an id that begins so; {hides}");
        assert_eq!(why(&reply, "failed"), nothing);

        // It is told itself, and whoever is inside it ends with it.
        let reply = room.end(Which::Target("web-1".to_owned())).await;
        let late = json!({"reply": "ended", "session": id(1), "late": true});
        assert_eq!(
            reply,
            [late, json!({"reply": "done", "count": 1, "refused": 0})]
        );
    }

    #[tokio::test]
    async fn who_ends_nobody_is_told_of_once() {
        let room = Room::new("\"end\"");
        let reply = room.end(Which::All).await;
        assert_eq!(reply, [json!({"reply": "done", "count": 0, "refused": 0})]);
        for which in [
            Which::Identity("eve@example.com".to_owned()),
            Which::Device("ada-laptop".to_owned()),
            Which::Target("web-7".to_owned()),
        ] {
            let why = why(&room.end(which).await, "failed");
            assert_eq!(why, "no session is one of those");
        }
        assert_eq!(room.told(), [(); 4].map(|()| ended(true, None)));
    }

    #[tokio::test]
    async fn who_may_neither_list_nor_end_is_refused_whether_or_not_there_is_such_a_session() {
        let room = Room::new("\"watch\"");
        let meant = || {
            [
                Which::All,
                Which::Identity(ALL_OF_ADA.to_owned()),
                Which::Target("web-7".to_owned()),
                Which::Session(id(1)),
            ]
        };
        for which in meant() {
            why(&room.end(which).await, "refused");
        }
        assert_eq!(room.told(), [(); 4].map(|()| ended(false, None)));
        let room = Room::new("\"watch\"");
        answering(room.desk(1));
        for which in meant() {
            why(&room.end(which).await, "refused");
        }
        assert!(room.told().iter().all(|(_, allowed, _)| !allowed));
        let list_only = Room::new("\"list\"");
        let reply = list_only.end(Which::Session(id(1))).await;
        assert_eq!(why(&reply, "failed"), "no session has an id that begins so");
    }
}
