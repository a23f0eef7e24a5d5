//! Checking a proof, with nothing but the trusted signers.

use alloc::string::String;
use alloc::vec::Vec;

use minicbor::Decoder;
use zeroize::Zeroizing;

use super::may_be_proven;
use crate::cbor::check_whole;
use crate::checkpoint::{Checkpoint, CheckpointKind, Open, OpenKind};
use crate::compress::decompress;
use crate::error::ProofError;
use crate::frame::{Aad, FLAG_ZSTD, FRAME_HEADER_BYTES, FrameHeader, FrameKind, open_prefix};
use crate::hash::Digest;
use crate::header::{Core, LogId};
use crate::limits::MAX_PROOF_BYTES;
use crate::record::{RecordView, next_raw};
use crate::sign::PublicKey;
use crate::signers::Signers;
use crate::sshsig;
use crate::suite::Suite;
use crate::tree::{leaf, root_from_path};

/// What a proof proves: these records stood in this frame of this log when its signer's key of that epoch signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// The log.
    pub log_id: LogId,
    /// The number of the segment.
    pub segment: u32,
    /// The number of the frame in the segment.
    pub seq: u64,
    /// Its kind.
    pub kind: FrameKind,
    /// The principals of the signer who opened the log.
    pub signer: String,
    /// How many frames of the segment the signature covers.
    pub covered_frames: u64,
    /// When it was signed, by the writer's calendar, milliseconds since 1970.
    pub signed_unix_ms: u64,
    t0_us: u64,
    content: Vec<u8>,
}

impl Proven {
    /// Hands every record of the frame over; none for a frame that is no DATA.
    ///
    /// # Errors
    /// When a record is malformed: then its writer wrote it so.
    pub fn records(&self, mut each: impl FnMut(&RecordView<'_>)) -> Result<(), ProofError> {
        let (mut rest, mut t_us) = (&self.content[..], self.t0_us);
        while self.kind == FrameKind::Data && !rest.is_empty() {
            let (raw, len) = next_raw(rest).map_err(|_| ProofError::Content)?;
            t_us = t_us.saturating_add(raw.dt_us);
            each(&RecordView {
                t_us,
                channel: raw.channel,
                kind: raw.kind,
                record: raw.decode().map_err(|_| ProofError::Content)?,
            });
            rest = rest.get(len..).unwrap_or_default();
        }
        Ok(())
    }
}

/// One segment's part of the chain: its signed header, the body of its OPEN, the bodies of its checkpoints.
type Link<'a> = (&'a [u8], &'a [u8], Vec<&'a [u8]>);

/// The parts of a proof.
struct Proof<'a> {
    suite: Suite,
    chain: Vec<Link<'a>>,
    frame: &'a [u8],
    path: Vec<Digest>,
    key: [u8; 32],
    nonce: [u8; 12],
}

/// Checks a proof.
///
/// # Errors
/// With the first thing that does not hold.
pub fn check_proof(proof: &[u8], signers: &Signers) -> Result<Proven, ProofError> {
    if proof.len() > MAX_PROOF_BYTES {
        return Err(ProofError::TooLarge {
            limit: MAX_PROOF_BYTES,
            got: proof.len(),
        });
    }
    let proof = parse(proof).ok_or(ProofError::Malformed)?;
    let covered = check_chain(&proof, signers)?;
    let (head, body) = proof
        .frame
        .split_first_chunk::<FRAME_HEADER_BYTES>()
        .ok_or(ProofError::Malformed)?;
    let header = FrameHeader::parse(head).map_err(|_| ProofError::Malformed)?;
    if header.frame_len() != proof.frame.len() || !may_be_proven(header.kind) {
        return Err(ProofError::Malformed);
    }
    let hash = proof.suite.hash();
    let (size, root) = (covered.checkpoint.size, covered.checkpoint.root);
    let reached = root_from_path(hash, header.seq, size, leaf(hash, proof.frame), &proof.path);
    if reached != Some(root) {
        return Err(ProofError::NotIncluded);
    }
    let aad = Aad::new(&covered.header_hash, head);
    let mut plain = Zeroizing::new(Vec::new());
    proof
        .suite
        .aead()
        .open_into(&proof.key, proof.nonce, aad.as_bytes(), body, &mut plain)
        .map_err(|_| ProofError::Key)?;
    let opened = open_prefix(&plain, header.flags).ok_or(ProofError::Content)?;
    let content = if header.flags & FLAG_ZSTD == 0 {
        opened.content.to_vec()
    } else {
        decompress(opened.content, opened.raw_len).ok_or(ProofError::Content)?
    };
    Ok(Proven {
        log_id: LogId(covered.core.log_id),
        segment: covered.core.segment_no,
        seq: header.seq,
        kind: header.kind,
        signer: covered.signer,
        covered_frames: size,
        signed_unix_ms: covered.checkpoint.unix_ms,
        t0_us: opened.t0_us,
        content,
    })
}

/// The last checkpoint of the chain, and what it is about.
struct Covered {
    core: Core,
    header_hash: Digest,
    signer: String,
    checkpoint: Checkpoint,
}

fn check_chain(proof: &Proof<'_>, signers: &Signers) -> Result<Covered, ProofError> {
    let suite = proof.suite;
    let hash = suite.message_hash();
    let mut signer = String::new();
    let mut named: Option<PublicKey> = None;
    let mut last = None;
    for (number, (signed_header, open, checkpoints)) in proof.chain.iter().enumerate() {
        let core_bytes = signed_header.get(16..).ok_or(ProofError::Malformed)?;
        let id_matches = signed_header.get(10..12) == Some(&suite.id().to_be_bytes());
        let core = Core::parse(suite, core_bytes).map_err(|_| ProofError::Malformed)?;
        if !id_matches || core.segment_no as usize != number {
            return Err(ProofError::Chain);
        }
        let header_hash = suite.hash().of(&[&[0x48], signed_header]);
        let open = Open::parse(suite, open).ok_or(ProofError::Malformed)?;
        let message = Open::message(&header_hash, &open.wraps_hash);
        if !sshsig::verify(hash, &open.public, &message, &open.signature) {
            return Err(ProofError::Signature);
        }
        match (open.kind, named) {
            (OpenKind::Identity, None) if number == 0 => {
                signer = signers
                    .principals(&open.public)
                    .ok_or(ProofError::UntrustedSigner)?
                    .into();
            }
            (OpenKind::Continued, Some(named))
                if named == core.epoch0_public && named == open.public => {}
            _ => return Err(ProofError::Chain),
        }
        named = Some(core.epoch0_public);
        let mut previous: Option<Checkpoint> = None;
        for body in checkpoints {
            let (checkpoint, signature) =
                Checkpoint::parse(suite, body).ok_or(ProofError::Malformed)?;
            let public = named.ok_or(ProofError::Chain)?;
            let message = checkpoint.message(suite, &header_hash);
            if !sshsig::verify(hash, &public, &message, &signature) {
                return Err(ProofError::Signature);
            }
            if previous.is_some_and(|previous| previous.size >= checkpoint.size) {
                return Err(ProofError::Chain);
            }
            named = checkpoint.next_public;
            previous = Some(checkpoint);
        }
        let checkpoint = previous.ok_or(ProofError::Chain)?;
        let rotated = checkpoint.kind == CheckpointKind::Rotated;
        if number + 1 < proof.chain.len() && !rotated {
            return Err(ProofError::Chain);
        }
        last = Some((core, header_hash, checkpoint));
    }
    let (core, header_hash, checkpoint) = last.ok_or(ProofError::Chain)?;
    Ok(Covered {
        core,
        header_hash,
        signer,
        checkpoint,
    })
}

fn parse(bytes: &[u8]) -> Option<Proof<'_>> {
    check_whole(bytes).ok()?;
    let mut d = Decoder::new(bytes);
    let key = |d: &mut Decoder<'_>, expected: u64| (d.u64().ok()? == expected).then_some(());
    if d.map().ok()? != Some(6) {
        return None;
    }
    key(&mut d, 1)?;
    let suite = Suite::from_id(d.u16().ok()?)?;
    key(&mut d, 2)?;
    let mut chain = Vec::new();
    for _ in 0..d.array().ok()?? {
        if d.array().ok()? != Some(3) {
            return None;
        }
        let (header, open) = (d.bytes().ok()?, d.bytes().ok()?);
        let mut checkpoints = Vec::new();
        for _ in 0..d.array().ok()?? {
            checkpoints.push(d.bytes().ok()?);
        }
        chain.push((header, open, checkpoints));
    }
    key(&mut d, 3)?;
    let frame = d.bytes().ok()?;
    key(&mut d, 4)?;
    let mut path = Vec::new();
    for _ in 0..d.array().ok()?? {
        path.push(suite.hash().digest_from(d.bytes().ok()?)?);
    }
    key(&mut d, 5)?;
    let frame_key = d.bytes().ok()?.try_into().ok()?;
    key(&mut d, 6)?;
    let nonce = d.bytes().ok()?.try_into().ok()?;
    Some(Proof {
        suite,
        chain,
        frame,
        path,
        key: frame_key,
        nonce,
    })
}
