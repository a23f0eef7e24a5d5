//! The logs of one connection: its session's, and those of the sessions inside it.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use proxy_core::SessionId;

use super::{LogStore, Pages};

/// A file a session, each from its first page to its last.
pub struct Logs {
    store: Arc<LogStore>,
    open: BTreeMap<SessionId, Pages>,
    /// What sessions that are over did not wait for.
    left: Vec<Pages>,
}

impl Logs {
    /// No file before the first page.
    pub fn new(store: &Arc<LogStore>) -> Self {
        Self {
            store: Arc::clone(store),
            open: BTreeMap::new(),
            left: Vec::new(),
        }
    }

    /// As [`Pages::write`], in the log of this session.
    pub fn write(&mut self, session: SessionId, page: Bytes) -> Option<io::Result<()>> {
        self.pages(session).write(page)
    }

    /// As [`Pages::write_aside`], in the log of this session.
    pub fn write_aside(&mut self, session: SessionId, page: Bytes) -> Option<io::Result<()>> {
        self.pages(session).write_aside(page)
    }

    fn pages(&mut self, session: SessionId) -> &mut Pages {
        let new = || Pages::new(&self.store, session.to_string());
        self.open.entry(session).or_insert_with(new)
    }

    /// This session says nothing more: its file is closed once what is being written stands in it, and nobody is told.
    pub fn end(&mut self, session: SessionId) {
        self.left.retain(Pages::is_busy);
        self.left.extend(self.open.remove(&session));
    }

    /// Whether [`written`](Self::written) has still to tell of a page.
    pub fn is_writing(&self) -> bool {
        self.open.values().any(Pages::is_writing)
    }

    /// Waits for a page that a thread writes; for ever, where there is none.
    pub async fn written(&mut self) -> (SessionId, io::Result<()>) {
        poll_fn(|context| {
            let writing = self.open.iter_mut().filter(|(_, pages)| pages.is_writing());
            for (session, pages) in writing {
                if let Poll::Ready(written) = pin!(pages.written()).poll(context) {
                    return Poll::Ready((*session, written));
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Waits for everything that threads write, of sessions that are over as well.
    pub async fn all_written(&mut self) {
        for pages in self.open.values_mut().chain(&mut self.left) {
            if pages.is_writing() {
                // Nobody is left to be told.
                let _ = pages.written().await;
            }
        }
    }
}
