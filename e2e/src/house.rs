//! A target, with or without the proxy in front of it, and the door by which a client comes in.

use std::path::PathBuf;
use std::{env, thread};

use crate::client::{Client, Door, certified_key};
use crate::proxy::{Proxy, ProxyPlan};
use crate::records::Record;
use crate::room::{Room, current_user};
use crate::sshd::{Sshd, SshdPlan};
use crate::tools;

/// Everything a test can choose.
pub struct Plan {
    /// The target.
    pub sshd: SshdPlan,
    /// The proxy, where there is one.
    pub proxy: ProxyPlan,
    /// Folder of the test, with the key pair `ca`.
    pub room: Room,
    /// The user who logs in.
    pub user: String,
}

/// A target and, unless a scenario is first proven without it, the proxy.
pub struct House {
    /// The proxy; `None` on the direct way.
    pub proxy: Option<Proxy>,
    /// The target.
    pub sshd: Sshd,
    /// How clients reach the target.
    pub door: Door,
    /// The folder of the test.
    pub room: Room,
}

/// Runs a scenario twice: against plain `sshd`, which proves the scenario, and through the proxy.
///
/// Through the proxy every session must also have had one start and one end, and a log that verifies as complete.
/// `PORTREEVE_E2E_WAY=direct` or `=proxied` runs one of the two and counts the other as skipped.
pub fn by_both_ways(scenario: impl Fn(&House)) {
    by_both_ways_with(|_| (), scenario);
}

/// As [`by_both_ways`], in a house that `plan` has changed.
pub fn by_both_ways_with(plan: impl Fn(&mut Plan), scenario: impl Fn(&House)) {
    if way_is_wanted("direct") {
        scenario(&House::direct(&plan));
    }
    through_the_proxy_with(&plan, scenario);
}

/// Runs a scenario through the proxy and checks its sessions and logs at the end.
pub fn through_the_proxy(scenario: impl Fn(&House)) {
    through_the_proxy_with(|_| (), scenario);
}

/// As [`through_the_proxy`], in a house that `plan` has changed.
pub fn through_the_proxy_with(plan: impl Fn(&mut Plan), scenario: impl Fn(&House)) {
    if !way_is_wanted("proxied") {
        return;
    }
    let house = House::proxied(plan);
    scenario(&house);
    house.proxy().expect_sound_sessions();
}

pub(crate) fn way_is_wanted(way: &str) -> bool {
    let wanted = env::var("PORTREEVE_E2E_WAY").map_or(true, |wanted| wanted == way);
    if !wanted {
        tools::skip(&format!("PORTREEVE_E2E_WAY leaves out the way `{way}`"));
    }
    wanted
}

impl House {
    /// A target that the client logs in to with a certificate of its own.
    pub fn direct(plan: impl Fn(&mut Plan)) -> Self {
        let plan = Plan::new(plan);
        let sshd = Sshd::start(&plan.room, "target", &plan.sshd);
        let key = certified_key(&plan.room, &plan.room.path("ca"), &plan.user);
        let lines = [
            format!("IdentityFile {}", key.display()),
            "IdentitiesOnly yes".to_owned(),
        ];
        let door = Door::new(&plan.room, "direct_config", sshd.port, &plan.user, &lines);
        Self {
            proxy: None,
            sshd,
            door,
            room: plan.room,
        }
    }

    /// A target behind the proxy; the client has no key.
    pub fn proxied(plan: impl Fn(&mut Plan)) -> Self {
        let plan = Plan::new(plan);
        let sshd = Sshd::start(&plan.room, "target", &plan.sshd);
        let proxy = Proxy::start(&plan.room, &plan.proxy, &sshd, &plan.user);
        let door = Door::new(&plan.room, "proxied_config", proxy.port, &plan.user, &[]);
        Self {
            proxy: Some(proxy),
            sshd,
            door,
            room: plan.room,
        }
    }

    /// The proxy of a house that has one.
    ///
    /// # Panics
    ///
    /// On the direct way.
    pub fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().expect("a house with a proxy")
    }

    /// The OpenSSH client, ready to go to the target.
    pub fn ssh(&self) -> Client {
        self.door.ssh()
    }

    /// Through the proxy: exactly these bytes of one kind (`input`, `output`, `stderr`) stand in the log of the first
    /// session, once it has ended.
    ///
    /// # Panics
    ///
    /// When others do.
    #[track_caller]
    pub fn expect_recorded(&self, kind: &str, bytes: &[u8]) {
        let Some(proxy) = &self.proxy else { return };
        let records = proxy.records_of(proxy.wait_for("session.end").session());
        let recorded = Record::data_of(&records, kind);
        assert!(
            recorded == bytes,
            "{} bytes of {kind} in the log instead of {}",
            recorded.len(),
            bytes.len()
        );
    }

    /// Through the proxy: the end of the first session counts so many bytes each way.
    ///
    /// # Panics
    ///
    /// When it counts others.
    #[track_caller]
    pub fn expect_counted(&self, from_client: usize, from_target: usize) {
        let Some(proxy) = &self.proxy else { return };
        let end = proxy.wait_for("session.end");
        let counted = (
            end.number("bytes_from_client"),
            end.number("bytes_from_target"),
        );
        assert_eq!(counted, (from_client as u64, from_target as u64));
    }

    /// A path in the folder of the test.
    pub fn path(&self, name: &str) -> PathBuf {
        self.room.path(name)
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if thread::panicking() {
            let way = if self.proxy.is_some() {
                "through the proxy"
            } else {
                "direct, without the proxy"
            };
            eprintln!("--- failed {way}");
            self.room.show_logs();
        }
    }
}

impl Plan {
    fn new(change: impl Fn(&mut Self)) -> Self {
        let room = Room::new();
        let authority = room.key("ca", "ed25519");
        let sshd = SshdPlan {
            trusts: Some(authority.with_extension("pub")),
            ..SshdPlan::default()
        };
        let mut plan = Self {
            sshd,
            proxy: ProxyPlan::default(),
            room,
            user: current_user(),
        };
        change(&mut plan);
        plan
    }
}
