#![doc = include_str!("../README.md")]
#![no_std]

extern crate alloc;

mod approval;
mod event;
mod gateway;
mod io;
mod leg;
pub mod limits;
pub mod relay;
mod rules;
mod security_key;
mod session;

pub use approval::{Approval, ApprovalRequest, MAX_NOTE_BYTES, Verdict};
pub use event::{
    AccessEvent, ApprovalRefusal, ChannelEvent, EndReason, EventKind, Exit, Refusal, SessionId,
    Subject,
};
pub use gateway::{Ca, ConnectionInfo, Directory, Gateway, Now, Target, Timeouts};
pub use io::{ConnectFailure, Input, Output, SigningRequest};
pub use leg::{Leg, PerLeg};
pub use limits::{LimitError, Limits};
pub use relay::RelayError;
pub use rules::{Current, ENFORCED, Rules};
pub use security_key::{SecurityKey, SecurityKeyError};
pub use session::{LAST_PAGES, MAX_REASON_BYTES, Session};
pub use ssh_transport::RekeyPolicy;
