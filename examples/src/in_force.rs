//! The rules in force, swapped as a whole.
//!
//! Whoever may let somebody in holds them while doing so, and they are swapped while nobody does: once [`InForce::put`]
//! has returned, no session begins under what was there before.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use proxy_core::Rules;
use tokio::sync::watch;

/// The newest rules, for as many sessions as there are.
#[derive(Debug)]
pub struct InForce {
    rules: RwLock<Arc<Rules>>,
    changed: watch::Sender<()>,
}

impl InForce {
    /// Begins with these.
    pub fn new(rules: Arc<Rules>) -> Self {
        Self {
            rules: RwLock::new(rules),
            changed: watch::Sender::new(()),
        }
    }

    /// The rules, which stay in force while they are held. Nothing that waits may be done meanwhile, and they must not be
    /// held twice.
    pub fn hold(&self) -> RwLockReadGuard<'_, Arc<Rules>> {
        self.rules.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rules as they are now.
    pub fn now(&self) -> Arc<Rules> {
        Arc::clone(&self.hold())
    }

    /// Puts others in force; gives how many sessions are told.
    pub fn put(&self, rules: Arc<Rules>) -> usize {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = rules;
        self.changed.send_replace(());
        self.changed.receiver_count()
    }

    /// Tells of every change from now on.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}
