//! Who is let through the door: how many connections there may be, and how fast they may come, in all, from one source and of
//! one identity.
//!
//! ```text
//!   accepted ── enter ──> open ── locate ──> from a source ── identify ──> somebody's ── let in ──> logged in ──> gone
//!                                                 └──────── unauthenticated ────────┴──> displaced ──> gone
//! ```
//!
//! A source is a client's address, or the network around it of which one subscriber has all ([`Limits::ipv6_prefix`]). It is the
//! address that [`arrival`](crate::arrival) found: what a PROXY protocol header says counts from listed addresses only. Whatever is
//! too much is refused before anything costs more than a look into a table.

mod full;
mod limits;
mod refusal;
mod table;
mod told;
mod waiting;

use std::future::pending;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use tokio::sync::watch;

pub use full::Full;
pub use limits::Limits;
pub use refusal::Farewells;
pub use table::Rule;
use table::Table;
pub use told::Refusals;
pub(super) use told::Told;
use waiting::{Ticket, Waiting};

/// Sources without a connection whose rate is still remembered, 16384: about 3 MiB. What is remembered of one is gone after a minute anyway.
/// Beyond it, those who came least are forgotten first, see [`table`].
const MAX_REMEMBERED: usize = 16 * 1024;

/// The door of a proxy.
#[derive(Debug)]
pub struct Admission {
    limits: Limits,
    since: Instant,
    state: Mutex<State>,
}

/// Who is in, and what is remembered of who was.
#[derive(Debug)]
struct State {
    open: usize,
    unauthenticated: Waiting,
    sources: Table<IpNet>,
    /// By their positions in the configuration.
    identities: Table<usize>,
    told: Told<Full>,
}

impl Admission {
    /// A door through which nobody has come.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            since: Instant::now(),
            state: Mutex::new(State {
                open: 0,
                unauthenticated: Waiting::new(limits.unauthenticated),
                sources: Table::new(limits.source, MAX_REMEMBERED),
                identities: Table::new(limits.identity, MAX_REMEMBERED),
                told: Told::default(),
            }),
        }
    }

    /// A place for a connection of which nothing is known yet.
    ///
    /// # Errors
    /// When there is none.
    pub fn enter(self: &Arc<Self>) -> Result<Place, Full> {
        let mut state = self.state();
        if state.open >= self.limits.connections {
            return Err(Full::Connections);
        }
        state.open += 1;
        drop(state);
        Ok(Place {
            admission: Arc::clone(self),
            located: None,
            identity: None,
            displaced: watch::Sender::new(false),
            is_let_in: false,
        })
    }

    /// Counts a refusal; gives what the operator is to be told now, which a flood does not make more.
    pub fn refused(&self, full: Full) -> Option<Refusals> {
        self.state().told.refused(full, self.since.elapsed())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.since.elapsed()
    }
}

/// One connection's place, until it is dropped.
#[derive(Debug)]
pub struct Place {
    admission: Arc<Admission>,
    located: Option<(IpNet, Ticket)>,
    identity: Option<usize>,
    displaced: watch::Sender<bool>,
    is_let_in: bool,
}

impl Place {
    /// Counts it for where it comes from, and as unauthenticated, for which another may be displaced. A second call does nothing.
    ///
    /// # Errors
    /// When too many come from there, or too fast, or too many from everywhere have not logged in.
    pub fn locate(&mut self, address: IpAddr) -> Result<(), Full> {
        if self.located.is_some() {
            return Ok(());
        }
        let origin = self.admission.limits.origin(address);
        let now = self.admission.now();
        let mut state = self.admission.state();
        if state.unauthenticated.is_full_for(origin) {
            return Err(Full::Unauthenticated);
        }
        let entered = state.sources.enter(origin.source, now);
        entered.map_err(Full::of_source)?;
        let ticket = state.unauthenticated.enter(origin, self.displaced.clone());
        self.located = Some((origin.source, ticket));
        Ok(())
    }

    /// Counts it for who it is, by the position in the configuration. A second call does nothing.
    ///
    /// # Errors
    /// When they have too many, or make them too fast.
    pub fn identify(&mut self, identity: usize) -> Result<(), Full> {
        if self.identity.is_some() {
            return Ok(());
        }
        let now = self.admission.now();
        let entered = self.admission.state().identities.enter(identity, now);
        entered.map_err(Full::of_identity)?;
        self.identity = Some(identity);
        Ok(())
    }

    /// Its client has logged in.
    pub fn let_in(&mut self) {
        if std::mem::replace(&mut self.is_let_in, true) {
            return;
        }
        let mut state = self.admission.state();
        if let Some((source, ticket)) = &self.located {
            state.unauthenticated.leave(*ticket);
            state.sources.let_in(source);
        }
        if let Some(identity) = &self.identity {
            state.identities.let_in(identity);
        }
    }

    /// What tells when it is to be given up.
    pub fn displacement(&self) -> Displacement {
        Displacement(self.displaced.subscribe())
    }

    /// Waits until the client has to go for another before it has logged in; afterwards it stays, and this waits for ever.
    pub async fn is_displaced(&self) {
        if self.is_let_in {
            return pending().await;
        }
        self.displacement().happens().await;
    }
}

/// That a client that has not logged in has to go for another.
#[derive(Debug)]
pub struct Displacement(watch::Receiver<bool>);

impl Displacement {
    /// Waits for it.
    pub async fn happens(&mut self) {
        if self.0.wait_for(|displaced| *displaced).await.is_err() {
            // The place is gone, and nothing happens to it any more.
            pending::<()>().await;
        }
    }

    /// Whether it has happened.
    pub fn has_happened(&self) -> bool {
        *self.0.borrow()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.let_in();
        let now = self.admission.now();
        let mut state = self.admission.state();
        state.open = state.open.saturating_sub(1);
        if let Some((source, _)) = self.located {
            state.sources.leave(source, now);
        }
        if let Some(identity) = self.identity {
            state.identities.leave(identity, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(limits: Limits) -> Arc<Admission> {
        Arc::new(Admission::new(limits))
    }

    fn come(door: &Arc<Admission>, address: &str) -> Result<Place, Full> {
        let mut place = door.enter()?;
        place.locate(address.parse().unwrap())?;
        Ok(place)
    }

    #[test]
    fn a_place_is_free_again_when_its_connection_is_gone() {
        let limits = Limits {
            connections: 2,
            ..Limits::default()
        };
        let door = door(limits);
        let first = come(&door, "192.0.2.1").unwrap();
        let _second = come(&door, "192.0.2.2").unwrap();
        assert_eq!(door.enter().err(), Some(Full::Connections));
        drop(first);
        assert!(door.enter().is_ok());
    }

    #[test]
    fn who_has_logged_in_makes_room_for_who_has_not() {
        let limits = Limits {
            unauthenticated: 2,
            ..Limits::default()
        };
        let door = door(limits);
        let mut places = [(); 2].map(|()| come(&door, "192.0.2.1").unwrap());
        let full = || come(&door, "192.0.2.1").err();
        assert_eq!(full(), Some(Full::Unauthenticated));
        places[0].let_in();
        places[0].let_in();
        let third = come(&door, "192.0.2.1").unwrap();
        assert_eq!(full(), Some(Full::Unauthenticated));
        drop((places, third));
        assert_eq!(door.state().unauthenticated.len(), 0);
        assert_eq!(door.state().open, 0);
    }

    #[test]
    fn one_source_cannot_take_the_places_of_others() {
        let source = Rule {
            connections: 3,
            unauthenticated: 2,
            per_minute: 100,
        };
        let door = door(Limits {
            source,
            ..Limits::default()
        });
        let mut places = [(); 2].map(|()| come(&door, "2001:db8::1").unwrap());
        let again = come(&door, "2001:db8::ffff").err();
        assert_eq!(again, Some(Full::SourceUnauthenticated));
        places.iter_mut().for_each(Place::let_in);
        let mut third = come(&door, "2001:db8::2").unwrap();
        third.let_in();
        let fourth = come(&door, "2001:db8::3").err();
        assert_eq!(fourth, Some(Full::SourceConnections));
        assert!(come(&door, "2001:db8:0:1::1").is_ok());
        // Whoever was refused holds nothing.
        assert_eq!(door.state().open, 3);
    }

    #[test]
    fn one_subscriber_cannot_take_the_places_of_all_who_have_not_logged_in() {
        let limits = Limits {
            unauthenticated: 8,
            ..Limits::default()
        };
        let door = door(limits);
        let mut flood: Vec<_> = (0..8)
            .map(|subnet| come(&door, &format!("2001:db8:7:{subnet}::1")).unwrap())
            .collect();
        let again = come(&door, "2001:db8:7:9::1").err();
        assert_eq!(again, Some(Full::Unauthenticated));
        flood[0].let_in();
        flood.push(come(&door, "2001:db8:7:9::1").unwrap());
        let others = ["2001:db8:8::1", "192.0.2.1"].map(|it| come(&door, it).unwrap());
        let displaced = flood.iter().filter(|it| it.displacement().has_happened());
        assert_eq!(displaced.count(), 2);
        assert!(!flood[0].displacement().has_happened());
        assert!(!others.iter().any(|it| it.displacement().has_happened()));
        // Whoever is displaced is open until they are gone, and then nothing of them is left.
        assert_eq!(door.state().open, 11);
        drop((flood, others));
        assert_eq!(door.state().open, 0);
        assert_eq!(door.state().unauthenticated.len(), 0);
    }

    #[test]
    fn an_identity_counts_wherever_it_comes_from() {
        let identity = Rule {
            connections: 1,
            unauthenticated: usize::MAX,
            per_minute: 3,
        };
        let door = door(Limits {
            identity,
            ..Limits::default()
        });
        let mut first = come(&door, "192.0.2.1").unwrap();
        first.identify(7).unwrap();
        first.identify(7).unwrap();
        let mut second = come(&door, "192.0.2.2").unwrap();
        assert_eq!(second.identify(7), Err(Full::IdentityConnections));
        second.identify(8).unwrap();
        drop(first);
        for expected in [Ok(()), Ok(()), Err(Full::IdentityRate)] {
            let mut place = come(&door, "192.0.2.3").unwrap();
            assert_eq!(place.identify(7), expected);
        }
    }
}
