//! How many files the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Of one connection: the client's, the target's and the log's.
const EACH: u64 = 3;
/// Of the process: listeners, events, what the runtime has, and names that are being looked up.
const OTHERS: u64 = 64;

/// Lets the process open as many as it may ask for, and tells the operator if that is less than `connections` take.
pub(super) fn allow(connections: usize) {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Programs that still use `select` are why it is low at first (1024); this one uses `epoll`.
    let allowed = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let needed = needed(connections);
    if let Some(allowed) = allowed.filter(|allowed| *allowed < needed) {
        tracing::warn!(
            allowed,
            needed,
            "`max_connections` of `[limits]` take more open files than the system allows: raise `LimitNOFILE` or `ulimit -n`"
        );
    }
}

fn needed(connections: usize) -> u64 {
    let connections = u64::try_from(connections).unwrap_or(u64::MAX);
    connections.saturating_mul(EACH).saturating_add(OTHERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_may_open_as_many_as_it_may_ask_for() {
        assert_eq!(needed(1000), 3064);
        assert_eq!(needed(usize::MAX), u64::MAX);
        allow(1);
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
