#![doc = include_str!("../README.md")]
#![no_std]

extern crate alloc;

mod event;
mod gateway;
mod io;
mod leg;
pub mod limits;
pub mod relay;
mod rules;
mod session;

pub use event::{
    AccessEvent, ChannelEvent, EndReason, EventKind, Exit, Refusal, SessionId, Subject,
};
pub use gateway::{Ca, ConnectionInfo, Gateway, Now, Target, Timeouts};
pub use io::{ConnectFailure, Input, Output, SigningRequest};
pub use leg::{Leg, PerLeg};
pub use limits::{LimitError, Limits};
pub use relay::RelayError;
pub use rules::{Current, ENFORCED, Rules};
pub use session::{LAST_PAGES, Session};
pub use ssh_transport::RekeyPolicy;
