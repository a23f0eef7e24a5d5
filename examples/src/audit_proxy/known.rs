//! The targets of the configuration, by the names that clients give them.

use proxy_core::Target;

use crate::arrival;

/// Where clients can go: at once, and on the way through another target.
pub(super) struct Known {
    /// Whom the tokens name, and what the targets are called.
    pub(super) directory: arrival::Directory,
    /// The targets by their position.
    pub(super) targets: Vec<Target>,
}

impl proxy_core::Directory for Known {
    /// A name that several targets share leads to none of them.
    fn find(&self, host: &str, port: u16) -> Option<Target> {
        let position = self.directory.target_inside(host, port).ok()?;
        self.targets.get(position).cloned()
    }
}
