//! Data to send: incompressible, the same in every run.

use std::path::PathBuf;

use crate::room::Room;

/// `size` bytes without a pattern.
pub fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ size as u64;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        // xorshift64*: quick, and good enough that no two blocks are the same.
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// A file of noise in the folder of the test, and its content.
///
/// # Panics
///
/// When it cannot be written.
pub fn write_noise(room: &Room, name: &str, size: usize) -> (PathBuf, Vec<u8>) {
    let bytes = noise(size);
    (room.write(name, &bytes), bytes)
}
