//! What the log keeps of the bytes of a forwarded connection.

use session_log::Record;

use super::Outlet;
use super::wire::forward::X11;
use super::x11::Cookie;
use crate::{Leg, PerLeg};

/// How one connection is written down.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Of X11: it carries one that is not written down.
    cookie: Option<Cookie>,
}

impl Tally {
    /// Of a channel of this type.
    pub(super) fn of(kind: &str) -> Self {
        Self {
            cookie: (kind == X11).then(Cookie::default),
        }
    }

    /// Bytes that pass.
    pub(super) fn record(&mut self, channel: u32, from: Leg, data: &[u8], out: &mut impl Outlet) {
        let bytes = data.len() as u64;
        let cookie = self.cookie.as_mut().filter(|_| from == Leg::Target);
        let data = cookie.map_or(data.into(), |cookie| cookie.hide(data));
        let record = Record::ForwardData {
            from: from.side(),
            bytes,
            data: &data,
        };
        out.record(channel, &record);
    }

    /// The connection is over, after so many bytes.
    pub(super) fn end(self, channel: u32, bytes_from: PerLeg<u64>, out: &mut impl Outlet) {
        let record = Record::ForwardClose {
            client_bytes: bytes_from.client,
            target_bytes: bytes_from.target,
        };
        out.record(channel, &record);
    }
}
