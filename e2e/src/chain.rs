//! Targets that are reached through other targets: `target`, behind it `inner`, and behind that `innermost`.

use std::cell::RefCell;

use crate::client::Client;
use crate::events::Event;
use crate::house::{House, Plan, way_is_wanted};
use crate::proxy::{Proxy, TARGET};
use crate::room::Room;
use crate::sshd::{Sshd, SshdPlan};

/// The ids and host names of the three, as the proxy knows them.
pub const TARGETS: [&str; 3] = [TARGET, "inner-1", "innermost-1"];

/// A house with two more servers. The configuration of its door has the hosts `inner` and `innermost` beside `target`.
pub struct Chain {
    /// The first target, and the proxy where there is one.
    pub house: House,
    /// The server behind it.
    pub inner: Sshd,
    /// The server behind that.
    pub innermost: Sshd,
}

/// What the proxy knows of a host key.
#[derive(Clone, Copy)]
pub enum InnerKey {
    /// Which it is.
    Known,
    /// That any is to be taken.
    Any,
    /// Nothing.
    Unknown,
}

/// What a test can choose.
pub struct ChainPlan {
    /// What the policy of each of [`TARGETS`] grants, as lines; `{inner}` and `{innermost}` stand for ports.
    pub grants: [String; 3],
    /// One of them that no policy is about.
    pub without: Option<usize>,
    /// What the proxy knows of the host key of `inner`; that of `innermost` it knows.
    pub inner_key: InnerKey,
    /// Further tables of the configuration.
    pub more_tables: String,
    /// Further tables of the policy.
    pub more_policies: String,
}

impl Default for ChainPlan {
    /// Each may be used to jump to the next.
    fn default() -> Self {
        Self {
            grants: [
                "jump = [{ ip = \"127.0.0.1\", port = {inner} }]".to_owned(),
                "jump = [{ ip = \"127.0.0.1\", port = {innermost} }]".to_owned(),
                String::new(),
            ],
            without: None,
            inner_key: InnerKey::Known,
            more_tables: String::new(),
            more_policies: String::new(),
        }
    }
}

impl ChainPlan {
    /// As the default, where the first target grants these lines.
    pub fn granting(lines: &str) -> Self {
        let mut plan = Self::default();
        plan.grants[0] = lines.to_owned();
        plan
    }
}

/// Runs a scenario against plain servers, which proves it, and then through the proxy, with its sessions and logs looked at in the end.
pub fn by_both_ways(scenario: impl Fn(&Chain)) {
    by_both_ways_with(&ChainPlan::default(), scenario);
}

/// The same with a proxy of one's own.
pub fn by_both_ways_with(plan: &ChainPlan, scenario: impl Fn(&Chain)) {
    if way_is_wanted("direct") {
        scenario(&Chain::new(false, plan));
    }
    through_the_proxy(plan, scenario);
}

/// Runs a scenario through the proxy, and looks at its sessions and logs in the end.
pub fn through_the_proxy(plan: &ChainPlan, scenario: impl Fn(&Chain)) {
    if !way_is_wanted("proxied") {
        return;
    }
    let chain = Chain::new(true, plan);
    scenario(&chain);
    chain.proxy().expect_sound_sessions();
}

impl Chain {
    fn new(is_proxied: bool, plan: &ChainPlan) -> Self {
        let hidden = RefCell::new(None);
        let fill = |house: &mut Plan| {
            let (inner, innermost) = (
                server(&house.room, "inner"),
                server(&house.room, "innermost"),
            );
            house.proxy.policy = policy(plan, &inner, &innermost);
            house.proxy.more_tables = tables(plan, &inner, &innermost);
            *hidden.borrow_mut() = Some((inner, innermost));
        };
        let house = if is_proxied {
            House::proxied(fill)
        } else {
            House::direct(fill)
        };
        let (inner, innermost) = hidden.into_inner().expect("two more servers");
        let mut lines = Vec::new();
        if !is_proxied {
            let key = house.path("direct_key");
            lines = vec![
                format!("IdentityFile {}", key.display()),
                "IdentitiesOnly yes".to_owned(),
            ];
        }
        for (host, server) in [("inner", &inner), ("innermost", &innermost)] {
            let lines = [&lines[..], &[format!("HostKeyAlias {host}")]].concat();
            house.door.add_host(&house.room, host, server.port, &lines);
        }
        Self {
            house,
            inner,
            innermost,
        }
    }

    /// The proxy of a chain that has one.
    ///
    /// # Panics
    ///
    /// On the direct way.
    pub fn proxy(&self) -> &Proxy {
        self.house.proxy()
    }

    /// OpenSSH's client on its way to a host of the configuration, through others where there is a comma-separated list of them.
    pub fn ssh(&self, jumps: &str, host: &str) -> Client {
        self.client("ssh", jumps).to(host)
    }

    /// The same for a program of OpenSSH that takes the options of `ssh`.
    pub fn client(&self, program: &str, jumps: &str) -> Client {
        let client = Client::plain(&self.house.door, program)
            .arg("-F")
            .arg(&self.house.door.config);
        if jumps.is_empty() {
            client
        } else {
            client.args(&["-J", jumps])
        }
    }

    /// The events of that name about one of [`TARGETS`], until now.
    pub fn events_about(&self, name: &str, target: &str) -> Vec<Event> {
        let mut events = self.proxy().events_named(name);
        events.retain(|event| event.text("target") == target);
        events
    }

    /// Waits for an event of that name about one of [`TARGETS`].
    ///
    /// # Panics
    ///
    /// When none comes.
    #[track_caller]
    pub fn wait_for(&self, name: &str, target: &str) -> Event {
        let what = format!("{name} of {target}");
        self.proxy().wait_for_event(&what, |event| {
            event.name() == name && event.text("target") == target
        })
    }
}

/// A server that accepts who comes with a certificate of the authority of the test.
fn server(room: &Room, name: &str) -> Sshd {
    let plan = SshdPlan {
        trusts: Some(room.path("ca.pub")),
        ..SshdPlan::default()
    };
    Sshd::start(room, name, &plan)
}

fn policy(plan: &ChainPlan, inner: &Sshd, innermost: &Sshd) -> String {
    let mut text = plan.more_policies.clone();
    let known = TARGETS.iter().zip(&plan.grants).enumerate();
    for (_, (name, lines)) in known.filter(|(level, _)| plan.without != Some(*level)) {
        let lines = lines
            .replace("{inner}", &inner.port.to_string())
            .replace("{innermost}", &innermost.port.to_string());
        text += &format!(
            "[[application]]\nname = \"{name}\"\ntarget = [{{ port = \"any\", include = [{{ hostname = \"{name}\" }}] }}]\n\
             [[application.policy]]\nname = \"ada on {name}\"\naction = \"allow\"\ninclude = [{{ email = \"ada@example.com\" }}]\n\
             usernames = [\"{{user}}\"]\n{lines}\n\n"
        );
    }
    text
}

fn tables(plan: &ChainPlan, inner: &Sshd, innermost: &Sshd) -> String {
    let table = |name: &str, port: u16, lines: &str| {
        format!(
            "[[target]]\nid = \"{name}\"\nhostname = \"{name}\"\naddress = \"127.0.0.1\"\nport = {port}\n{lines}\n"
        )
    };
    let known = |server: &Sshd| format!("host_keys = [\"{}\"]", server.host_key("ed25519"));
    let of_inner = match plan.inner_key {
        InnerKey::Known => known(inner),
        InnerKey::Any => "any_host_key_inside = true".to_owned(),
        InnerKey::Unknown => String::new(),
    };
    table(TARGETS[1], inner.port, &of_inner)
        + &table(TARGETS[2], innermost.port, &known(innermost))
        + &plan.more_tables
}
