#![doc = include_str!("../README.md")]
#![no_std]

extern crate alloc;

mod cbor;
mod checkpoint;
pub mod error;
mod frame;
mod header;
mod keyfile;
pub mod limits;
mod ratchet;
mod reader;
mod record;
mod sanitize;
mod secret;
mod signer;
mod signers;
mod sshsig;
mod suite;
mod summary;
mod time;
mod tree;
mod wrap;
mod writer;

pub use checkpoint::CheckpointKind;
pub use error::{CreateError, KeyFileError, RecordError, SignersError, WriteError};
pub use frame::FrameKind;
pub use header::LogId;
pub use keyfile::{Identity, Kem, Recipient};
pub use reader::{
    Authenticity, CheckpointInfo, Completeness, Decryption, Event, Fault, FrameInfo, GapInfo,
    Integrity, Position, ReadMode, Reader, ReaderConfig, RecipientInfo, SegmentInfo, Statement,
    Strength, Verdict,
};
pub use record::{CborItem, Clock, Record, RecordView, SessionMeta, Side, Value, kind_name};
pub use sanitize::{Sanitizer, Style};
pub use signer::SigningIdentity;
pub use signers::Signers;
pub use sshsig::NAMESPACE;
pub use suite::{Digest, Suite};
pub use summary::{ChannelSummary, Exit, Summary};
pub use time::Now;
pub use writer::{OutputDigest, Padding, Writer, WriterConfig, WriterPolicy};
