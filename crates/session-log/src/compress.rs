//! Zstandard (RFC 8878) for the content of a frame, by `ruzstd`: the decoder of a hostile log is then safe Rust, works without `std`, and needs
//! no C compiler. What it is given and what it gives is erased here; its own windows are not.

use alloc::vec::Vec;

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use ruzstd::io::Read as _;
use zeroize::Zeroizing;

use crate::limits::MAX_CONTENT_BYTES;

/// How much is decompressed at a time, bytes: what a hostile frame can make the decoder hold beyond its window.
const STEP_BYTES: usize = 128 << 10;

/// The compressed content, when that saves a tenth.
pub(crate) fn compress(content: &[u8]) -> Option<Vec<u8>> {
    let mut compressed = Zeroizing::new(compress_to_vec(content, CompressionLevel::Fastest));
    (compressed.len() * 10 <= content.len() * 9).then(|| core::mem::take(&mut *compressed))
}

/// Decompresses exactly one frame to exactly `raw_len` bytes. `raw_len` was checked against the limit.
pub(crate) fn decompress(compressed: &[u8], raw_len: u32) -> Option<Vec<u8>> {
    let raw_len = raw_len as usize;
    let mut input = compressed;
    let mut decoder = FrameDecoder::new();
    decoder.set_max_window_size(u64::from(MAX_CONTENT_BYTES));
    decoder.init(&mut input).ok()?;
    let mut out = Zeroizing::new(Vec::with_capacity(raw_len));
    while !decoder.is_finished() {
        decoder
            .decode_blocks(&mut input, BlockDecodingStrategy::UptoBytes(STEP_BYTES))
            .ok()?;
        take(&mut decoder, &mut out, raw_len)?;
    }
    take(&mut decoder, &mut out, raw_len)?;
    (out.len() == raw_len && input.is_empty()).then(|| core::mem::take(&mut *out))
}

/// Moves what is decoded into `out`, up to its limit.
fn take(decoder: &mut FrameDecoder, out: &mut Vec<u8>, limit: usize) -> Option<()> {
    let ready = decoder.can_collect();
    let start = out.len();
    if start + ready > limit {
        return None;
    }
    out.resize(start + ready, 0);
    decoder.read_exact(out.get_mut(start..)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn text_comes_back_and_noise_is_left_alone() {
        let text = b"total 48\r\ndrwxr-xr-x 2 root root 4096\r\n".repeat(2_000);
        let small = compress(&text).expect("smaller");
        assert!(small.len() * 4 < text.len());
        assert_eq!(decompress(&small, text.len() as u32), Some(text.clone()));
        let noise: Vec<u8> = (0..256u32)
            .flat_map(|n| {
                crate::hash::Hash::Sha256
                    .of(&[&n.to_be_bytes()])
                    .as_bytes()
                    .to_vec()
            })
            .collect();
        assert_eq!(compress(&noise), None);
        for wrong in [0, 1, text.len() as u32 - 1, text.len() as u32 + 1] {
            assert_eq!(decompress(&small, wrong), None, "{wrong}");
        }
        for len in (0..small.len()).step_by(7) {
            assert_eq!(decompress(&small[..len], text.len() as u32), None, "{len}");
        }
        let trailing = [&small[..], &[0]].concat();
        assert_eq!(decompress(&trailing, text.len() as u32), None);
    }

    #[test]
    fn a_bomb_stops_at_the_length_it_claims_and_flipped_bits_do_not_panic() {
        let bomb = compress(&vec![0; 1 << 20]).expect("tiny");
        assert!(bomb.len() < 2_000);
        assert_eq!(decompress(&bomb, 4_096), None);
        for bit in 0..bomb.len().min(300) * 8 {
            let mut bent = bomb.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            if let Some(plain) = decompress(&bent, 1 << 20) {
                assert_eq!(plain.len(), 1 << 20);
            }
        }
    }
}
