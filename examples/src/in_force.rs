//! The rules in force, swapped as a whole.
//!
//! Whoever may let somebody in keeps them from being announced while doing so: once [`InForce::put`] has returned, no session begins
//! under what was there before. Sessions that run do not wait for that: they are told first.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use proxy_core::Rules;
use tokio::sync::watch;

/// The newest rules, for as many sessions as there are.
#[derive(Debug)]
pub struct InForce {
    rules: watch::Sender<Arc<Rules>>,
    /// Who watches sessions, and is not one.
    operators: watch::Sender<()>,
    /// Shared by all who may let somebody in.
    letting_in: RwLock<()>,
}

impl InForce {
    /// Begins with these.
    pub fn new(rules: Arc<Rules>) -> Self {
        Self {
            rules: watch::Sender::new(rules),
            operators: watch::Sender::new(()),
            letting_in: RwLock::new(()),
        }
    }

    /// Until this is dropped, no rules newer than those that [`now`](Self::now) gives from here on are announced. Nothing that
    /// waits may be done meanwhile, and nobody may hold two.
    pub fn hold(&self) -> RwLockReadGuard<'_, ()> {
        let held = self.letting_in.read();
        held.unwrap_or_else(PoisonError::into_inner)
    }

    /// The rules as they are now.
    pub fn now(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.borrow())
    }

    /// Puts others in force; gives how many sessions are told.
    pub fn put(&self, rules: Arc<Rules>) -> usize {
        self.rules.send_replace(rules);
        self.operators.send_replace(());
        // Whoever holds on may have looked before.
        drop(
            self.letting_in
                .write()
                .unwrap_or_else(PoisonError::into_inner),
        );
        self.rules.receiver_count()
    }

    /// Tells somebody who is no session, and is not counted as one, that there is a change, from now on.
    pub fn changes_for_operators(&self) -> watch::Receiver<()> {
        self.operators.subscribe()
    }

    /// Tells of every change from now on.
    pub fn changes(&self) -> watch::Receiver<Arc<Rules>> {
        self.rules.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    fn named(version: &str) -> Arc<Rules> {
        let policy = policy::PolicySet::from_toml("").unwrap();
        Arc::new(Rules {
            version: version.into(),
            ..Rules::new(policy)
        })
    }

    #[test]
    fn new_rules_reach_those_who_run_at_once_and_are_announced_when_nobody_is_let_in_under_the_old()
    {
        let in_force = InForce::new(named("old"));
        let changes = in_force.changes();
        std::thread::scope(|scope| {
            let held = in_force.hold();
            let (announce, announced) = channel();
            let in_force = &in_force;
            scope.spawn(move || {
                in_force.put(named("new"));
                announce.send(()).unwrap();
            });
            while !changes.has_changed().unwrap() {
                std::thread::yield_now();
            }
            assert_eq!(&*in_force.now().version, "new");
            announced.try_recv().unwrap_err();
            drop(held);
            announced.recv_timeout(Duration::from_secs(60)).unwrap();
        });
    }
}
