//! Where a run's choices come from: a seed, or the bytes of a fuzzer. Equal sources, equal choices.

/// A stream of choices.
#[derive(Debug, Clone)]
pub enum Choices<'a> {
    /// Endless, by splitmix64.
    Seed(u64),
    /// As many as there are bytes, then zeros.
    Bytes(&'a [u8]),
}

impl Choices<'_> {
    /// Whether there is nothing left to choose with.
    pub fn are_over(&self) -> bool {
        matches!(self, Self::Bytes([]))
    }

    pub fn word(&mut self) -> u64 {
        match self {
            Self::Seed(state) => {
                *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut word = *state;
                word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                word ^ (word >> 31)
            }
            Self::Bytes(bytes) => {
                let (taken, rest) = bytes.split_at(bytes.len().min(2));
                *bytes = rest;
                taken
                    .iter()
                    .fold(0, |word, byte| word << 8 | u64::from(*byte))
            }
        }
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.word() % end.max(1) as u64) as usize
    }

    pub fn small(&mut self, end: u32) -> u32 {
        (self.word() % u64::from(end.max(1))) as u32
    }

    /// True in so many of 256 cases.
    pub fn chance(&mut self, of_256: u32) -> bool {
        // From the far end, so that bytes that have run out say no.
        255 - self.small(256) < of_256
    }

    pub fn pick<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        if of.is_empty() {
            return None;
        }
        of.get(self.below(of.len())).cloned()
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(len);
        while out.len() < len {
            out.extend_from_slice(&self.word().to_be_bytes()[6..]);
        }
        out.truncate(len);
        out
    }
}
