//! Two ends to put machines in, keys of every kind, and the tools that judge.

#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "each test file uses its own part of this"
)]

pub mod agent;
pub mod channel;
pub mod client;
pub mod keys;
pub mod server;
pub mod ssh;
pub mod sshd;
pub mod tools;
pub mod wire;

use std::time::Duration;

use ssh_transport::{ClientConfig, ServerConfig};

pub use client::{ClientEnd, Login};
pub use keys::TestKey;
pub use server::{Decide, Judge, Question, ServerEnd, Verdict, accept_keys, accept_none};

pub const START: Duration = Duration::from_secs(1_000);

/// A client and a server with a wire between them.
pub struct Pair {
    pub client: ClientEnd,
    pub server: ServerEnd,
}

impl Pair {
    pub fn new(
        client: ClientConfig,
        server: ServerConfig,
        keys: Vec<TestKey>,
        login: Login,
    ) -> Self {
        Self {
            client: ClientEnd::new(client, 1, login),
            server: ServerEnd::new(server, 2, keys),
        }
    }

    pub fn plain() -> Self {
        Self::new(
            ClientConfig::default(),
            ServerConfig::default(),
            vec![TestKey::ed25519(7)],
            Login::None,
        )
    }

    /// A pair that is logged in.
    pub fn ready() -> Self {
        let mut pair = Self::plain();
        pair.run();
        assert!(pair.client.authenticated && pair.server.authenticated);
        pair
    }

    /// Carries bytes both ways until nothing moves.
    pub fn run(&mut self) {
        self.run_in_pieces(|| usize::MAX);
    }

    /// Carries bytes in pieces of the sizes given.
    pub fn run_in_pieces(&mut self, mut size: impl FnMut() -> usize) {
        loop {
            let to_server = self.client.machine.poll_output().unwrap_or_default();
            let to_client = self.server.machine.poll_output().unwrap_or_default();
            if to_server.is_empty() && to_client.is_empty() {
                return;
            }
            let (mut up, mut down) = (&to_server[..], &to_client[..]);
            while !up.is_empty() || !down.is_empty() {
                let (piece, rest) = up.split_at(size().clamp(1, up.len().max(1)).min(up.len()));
                self.server.feed(piece).unwrap();
                up = rest;
                let (piece, rest) =
                    down.split_at(size().clamp(1, down.len().max(1)).min(down.len()));
                self.client.feed(piece).unwrap();
                down = rest;
            }
        }
    }
}
