//! Every limit of the format in one place. A writer keeps them; a reader checks them before it allocates or derives.

/// Largest `core` header map, bytes: a log id, a few hashes and a small public map.
pub const MAX_CORE_BYTES: u32 = 65_536;
/// Largest `wraps` header array, bytes: 64 X-Wing stanzas of about 1.2 KiB, with room.
pub const MAX_WRAPS_BYTES: u32 = 262_144;
/// Most recipient stanzas in a segment: each costs the reader a decapsulation at worst.
pub const MAX_STANZAS: usize = 64;
/// Most identities a reader tries, so that anonymous stanzas stay bounded work (64 x 16 decapsulations).
pub const MAX_IDENTITIES: usize = 16;
/// Longest key id in a stanza, bytes.
pub const MAX_KEY_ID_BYTES: usize = 32;
/// Largest frame content, bytes, before padding: what a reader must be able to hold.
pub const MAX_CONTENT_BYTES: u32 = 1 << 20;
/// Largest frame body, bytes: content, 16 bytes of prefix, 16 bytes of tag.
pub const MAX_BODY_BYTES: u32 = MAX_CONTENT_BYTES + 32;
/// Largest encoded record, bytes: a record never spans two frames.
pub const MAX_RECORD_BYTES: usize = 1 << 20;
/// Longest text field of a record, bytes. Byte fields are bounded by the record only.
pub const MAX_TEXT_BYTES: usize = 65_536;
/// Most entries in a list field of a record.
pub const MAX_LIST_ENTRIES: usize = 1_024;
/// Deepest CBOR nesting, levels: a record body with a list of maps needs 4.
pub const MAX_CBOR_DEPTH: u8 = 8;
/// Largest segment, bytes: bounds the work of one signing chain.
pub const MAX_SEGMENT_BYTES: u64 = 1 << 30;
/// Most frames in a segment: what fits into [`MAX_SEGMENT_BYTES`] with the smallest encrypted frame that a writer makes.
/// Bounds the ratchet steps that one hostile header can cost.
pub const MAX_SEGMENT_FRAMES: u64 = 1 << 21;
/// Most channels that a SUMMARY lists one by one; further ones are only counted.
pub const MAX_SUMMARY_CHANNELS: usize = 256;
/// Largest key file, bytes: an X-Wing recipient takes 1.8 KiB.
pub const MAX_KEY_FILE_BYTES: usize = 16_384;
/// Largest `allowed_signers` file, bytes: thousands of lines.
pub const MAX_SIGNERS_FILE_BYTES: usize = 1 << 20;
/// Work that salvage may spend in vain in one log, in ratchet steps (about 2 us each, so 8 s of one core): steps over holes, one for each
/// KiB of a frame that turns out not to be authentic or of a header that it comes upon, and [`DECAPSULATION_STEPS`]. Without it a hostile file of
/// a few KiB could cost hours. Honest damage costs a few steps.
pub const MAX_SALVAGE_STEPS: u64 = 1 << 22;
/// What salvage counts for one decapsulation, in ratchet steps: about 130 us, an X-Wing one with room.
pub const DECAPSULATION_STEPS: u64 = 64;
/// Most places in an INDEX: one for each 0.4 % of a segment.
pub const MAX_INDEX_ENTRIES: usize = 256;
/// Shortest content that is compressed, bytes: below it a frame's padding eats what compression saves.
pub const MIN_COMPRESSED_BYTES: usize = 4_096;
/// Largest sidecar of further recipients, bytes: 256 segments with 64 X-Wing stanzas each would fit twice.
pub const MAX_SIDECAR_BYTES: usize = 64 << 20;
/// Largest proof of one frame, bytes: a frame, and the signatures of a log of many segments.
pub const MAX_PROOF_BYTES: usize = 16 << 20;
/// Largest metadata, bytes of base64: a terminal with all its modes takes 3 KiB.
pub const MAX_CLOUDFLARE_METADATA_BYTES: usize = 65_536;
/// Largest block, bytes. Longer ones are split when written.
pub const MAX_CLOUDFLARE_BLOCK_BYTES: usize = 1 << 20;
