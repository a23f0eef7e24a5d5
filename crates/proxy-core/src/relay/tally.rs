//! What the log keeps of the bytes of a forwarded connection: all of them, what they hash to, or how many there were.

use alloc::boxed::Box;

use policy::ForwardRecording;
use session_log::Record;
use sha2::{Digest as _, Sha256};

use super::Outlet;
use super::wire::forward::X11;
use super::x11::Cookie;
use crate::{Leg, PerLeg};

/// How one connection is written down.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    kept: Kept,
    /// Of X11: it carries one that is not written down.
    cookie: Option<Cookie>,
}

#[derive(Debug, Default)]
enum Kept {
    #[default]
    Bytes,
    /// What came from each side so far.
    Digests(Box<PerLeg<Sha256>>),
    Counts,
}

impl Tally {
    /// Of a channel of this type.
    pub(super) fn new(kind: &str, recording: ForwardRecording) -> Self {
        Self {
            kept: match recording {
                ForwardRecording::Digest => Kept::Digests(Box::default()),
                ForwardRecording::None => Kept::Counts,
                _ => Kept::Bytes,
            },
            cookie: (kind == X11).then(Cookie::default),
        }
    }

    /// Bytes that pass. However much is kept of them, it is written down when they do.
    pub(super) fn record(&mut self, channel: u32, from: Leg, data: &[u8], out: &mut impl Outlet) {
        let bytes = data.len() as u64;
        let mut shown = (&[]).into();
        match &mut self.kept {
            Kept::Bytes => {
                let cookie = self.cookie.as_mut().filter(|_| from == Leg::Target);
                shown = cookie.map_or(data.into(), |cookie| cookie.hide(data));
            }
            Kept::Digests(digests) => digests[from].update(data),
            Kept::Counts => {}
        }
        let record = Record::ForwardData {
            from: from.side(),
            bytes,
            data: &shown,
        };
        out.record(channel, &record);
    }

    /// The connection is over, after so many bytes.
    pub(super) fn end(self, channel: u32, bytes_from: PerLeg<u64>, out: &mut impl Outlet) {
        if let Kept::Digests(digests) = self.kept {
            let record = Record::ForwardDigest {
                client_sha256: &digests.client.finalize().into(),
                target_sha256: &digests.target.finalize().into(),
            };
            out.record(channel, &record);
        }
        let record = Record::ForwardClose {
            client_bytes: bytes_from.client,
            target_bytes: bytes_from.target,
        };
        out.record(channel, &record);
    }
}
