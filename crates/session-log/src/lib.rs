#![doc = include_str!("../README.md")]
#![no_std]

extern crate alloc;

mod attestation;
mod cbor;
mod checkpoint;
mod cloudflare;
mod compress;
pub mod error;
mod frame;
mod grant;
mod hash;
mod header;
mod index;
mod keyfile;
pub mod limits;
mod prove;
mod provider;
mod ratchet;
mod reader;
mod record;
mod recover;
mod sanitize;
mod secret;
mod seek;
mod sign;
mod signer;
mod signers;
mod sshsig;
mod suite;
mod summary;
mod time;
mod tree;
mod wire;
mod wrap;
mod writer;

pub use attestation::Attestation;
pub use checkpoint::CheckpointKind;
pub use cloudflare::{
    CloudflareEvent, CloudflareExit, CloudflareMetadata, CloudflarePty, CloudflareReader,
    CloudflareSource, CloudflareWriter,
};
pub use error::{
    CloudflareError, CreateError, GrantError, KeyFileError, ProofError, ProveError, RecordError,
    SeekError, SignError, SignersError, WriteError,
};
pub use frame::FrameKind;
pub use grant::{Grant, OpeningGrant, Sidecar};
pub use hash::Digest;
pub use header::LogId;
pub use index::{Index, Place, SegmentPlace, Trailer};
pub use keyfile::{Identity, Kem, Recipient};
pub use prove::{Proven, Prover, check_proof};
pub use provider::provider_name;
pub use reader::{
    Authenticity, CheckpointInfo, Completeness, Decryption, Event, Fault, FrameInfo, GapInfo,
    Integrity, Position, ReadMode, Reader, ReaderConfig, RecipientInfo, SegmentInfo, Statement,
    Strength, Verdict,
};
pub use record::{CborItem, Clock, Record, RecordView, SessionMeta, Side, Value, kind_name};
pub use recover::{MissingTrailer, OnDamage, OpeningRecovery, RecoveredLog, Recovery};
pub use sanitize::{Sanitizer, Style};
pub use seek::{SeekTo, Seeker, Sought, Wanted};
pub use sign::{PublicKey, SignatureAlgorithm};
pub use signer::{SignRequest, SigningIdentity};
pub use signers::Signers;
pub use sshsig::NAMESPACE;
pub use suite::Suite;
pub use summary::{ChannelSummary, Exit, Summary};
pub use time::Now;
pub use writer::{
    Compression, OpeningWriter, OutputDigest, Padding, Pressure, Profile, Writer, WriterConfig,
    WriterPolicy,
};
