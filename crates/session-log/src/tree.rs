//! The Merkle tree over the frames of a segment: RFC 6962 section 2.1, built leaf by leaf in logarithmic memory.

use alloc::vec::Vec;

use crate::suite::Digest;

/// Leaf of a frame: `H(00 || header || body)`.
pub(crate) fn leaf(frame: &[u8]) -> Digest {
    Digest::of(&[&[0], frame])
}

fn node(left: &Digest, right: &Digest) -> Digest {
    Digest::of(&[&[1], left.as_bytes(), right.as_bytes()])
}

/// The tree's right edge: one complete subtree per set bit of the size, the largest first.
#[derive(Clone, Default)]
pub(crate) struct Tree {
    size: u64,
    edge: Vec<Digest>,
}

impl Tree {
    /// How many leaves.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf. Amortised one hash.
    pub(crate) fn push(&mut self, leaf: Digest) {
        let mut merged = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.edge.pop() {
                merged = node(&left, &merged);
            }
        }
        self.edge.push(merged);
        self.size += 1;
    }

    /// `MTH` of all leaves; of no leaves, the hash of nothing.
    pub(crate) fn root(&self) -> Digest {
        let mut subtrees = self.edge.iter().rev();
        let Some(last) = subtrees.next() else {
            return Digest::of(&[]);
        };
        subtrees.fold(*last, |right, left| node(left, &right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6962 section 2.1, word for word.
    fn slow(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => Digest::of(&[]),
            [one] => *one,
            many => {
                let split = many.len().next_power_of_two() / 2;
                node(&slow(&many[..split]), &slow(&many[split..]))
            }
        }
    }

    #[test]
    fn root_equals_the_recursive_definition_for_every_size() {
        let mut tree = Tree::default();
        let mut leaves = Vec::new();
        for n in 0u32..130 {
            assert_eq!(tree.root(), slow(&leaves), "size {n}");
            assert_eq!(tree.size(), u64::from(n));
            let leaf = leaf(&n.to_be_bytes());
            tree.push(leaf);
            leaves.push(leaf);
        }
    }

    #[test]
    fn root_of_nothing_is_the_hash_of_nothing() {
        assert_eq!(
            Tree::default().root().as_bytes()[..4],
            [0xe3, 0xb0, 0xc4, 0x42]
        );
    }
}
