//! One OpenSSH connection that several clients share (`ControlMaster`).

use std::path::PathBuf;
use std::time::Duration;

use crate::client::Client;
use crate::house::House;
use crate::process::{quoted, shell};

/// A connection in the background, ended when dropped.
pub struct Shared {
    /// A client that goes over it.
    pub client: Client,
    socket: PathBuf,
}

impl Shared {
    /// Connects.
    ///
    /// # Panics
    ///
    /// When no connection comes about.
    #[track_caller]
    pub fn start(house: &House) -> Self {
        Self::start_with(house, |client| client)
    }

    /// As [`start`](Self::start), with what `change` adds to the client that connects.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    #[track_caller]
    pub fn start_with(house: &House, change: impl Fn(Client) -> Client) -> Self {
        let socket = house.path("socket");
        let client = house
            .ssh()
            .option(format!("ControlPath={}", socket.display()));
        change(client.clone())
            .args(&["-M", "-N", "-f"])
            .run("")
            .expect_code(0);
        Self { client, socket }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let socket = quoted(self.socket.as_os_str());
        shell(
            &format!("ssh -F none -o ControlPath={socket} -O exit target"),
            Duration::from_secs(10),
        );
    }
}
