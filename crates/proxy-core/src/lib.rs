#![doc = include_str!("../README.md")]
#![no_std]

extern crate alloc;

mod approval;
mod event;
mod gateway;
mod io;
mod leg;
pub mod limits;
mod operator;
pub mod relay;
mod rules;
mod security_key;
mod session;
pub mod timeouts;

pub use approval::{Approval, ApprovalRequest, MAX_NOTE_BYTES, Verdict};
pub use event::{
    AccessEvent, ApprovalRefusal, ChannelEvent, EndReason, EventKind, Exit, Refusal, SessionId,
    Subject,
};
pub use gateway::{Ca, ConnectionInfo, Directory, Gateway, Now, Target};
pub use io::{ConnectFailure, Input, Output, SigningRequest};
pub use leg::{Leg, PerLeg};
pub use limits::{LimitError, Limits};
pub use operator::{
    CommandKind, LastCommand, MAX_LAST_COMMAND_BYTES, MAX_OPERATOR_TEXT_CHARS, MAX_WATCHERS,
    Operation, Overview, Progress, Seen, WatchEnd, WatchId, plain as plain_text,
};
pub use relay::RelayError;
pub use rules::{Current, ENFORCED, Rules};
pub use security_key::{SecurityKey, SecurityKeyError};
pub use session::{LAST_PAGES, MAX_REASON_BYTES, Session};
pub use ssh_transport::RekeyPolicy;
pub use timeouts::Timeouts;
