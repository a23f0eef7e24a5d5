//! The Merkle tree over the frames of a segment: RFC 6962 section 2.1, built leaf by leaf in logarithmic memory.

use alloc::vec::Vec;

use crate::hash::{Digest, Hash};

/// Leaf of a frame: `H(00 || header || body)`.
pub(crate) fn leaf(hash: Hash, frame: &[u8]) -> Digest {
    hash.of(&[&[0], frame])
}

fn node(hash: Hash, left: &Digest, right: &Digest) -> Digest {
    hash.of(&[&[1], left.as_bytes(), right.as_bytes()])
}

/// The tree's right edge: one complete subtree per set bit of the size, the largest first.
#[derive(Clone)]
pub(crate) struct Tree {
    hash: Hash,
    size: u64,
    edge: Vec<Digest>,
}

impl Tree {
    /// A tree without leaves.
    pub(crate) fn new(hash: Hash) -> Tree {
        Tree {
            hash,
            size: 0,
            edge: Vec::new(),
        }
    }

    /// How many leaves.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf. Amortised one hash.
    pub(crate) fn push(&mut self, leaf: Digest) {
        let mut merged = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.edge.pop() {
                merged = node(self.hash, &left, &merged);
            }
        }
        self.edge.push(merged);
        self.size += 1;
    }

    /// `MTH` of all leaves; of no leaves, the hash of nothing.
    pub(crate) fn root(&self) -> Digest {
        let mut subtrees = self.edge.iter().rev();
        let Some(last) = subtrees.next() else {
            return self.hash.of(&[]);
        };
        subtrees.fold(*last, |right, left| node(self.hash, left, &right))
    }
}

/// The hashes beside the path from the leaf `index` of these leaves to their root (RFC 6962 section 2.1.1), the lowest first.
pub(crate) fn inclusion_path(hash: Hash, index: usize, leaves: &[Digest]) -> Vec<Digest> {
    let mut path = Vec::new();
    let (mut index, mut rest) = (index, leaves);
    while rest.len() > 1 {
        let split = rest.len().next_power_of_two() / 2;
        let (left, right) = rest.split_at(split);
        let beside = if index < split {
            rest = left;
            right
        } else {
            index -= split;
            rest = right;
            left
        };
        path.push(root_of(hash, beside));
    }
    path.reverse();
    path
}

fn root_of(hash: Hash, leaves: &[Digest]) -> Digest {
    let mut tree = Tree::new(hash);
    leaves.iter().for_each(|leaf| tree.push(*leaf));
    tree.root()
}

/// The root that a leaf and its path lead to; `None` when the path has another length than such a tree has.
pub(crate) fn root_from_path(
    hash: Hash,
    index: u64,
    size: u64,
    leaf: Digest,
    path: &[Digest],
) -> Option<Digest> {
    if index >= size {
        return None;
    }
    // RFC 9162 section 2.1.3.2.
    let (mut at, mut last, mut root) = (index, size - 1, leaf);
    for beside in path {
        if last == 0 {
            return None;
        }
        if at & 1 == 1 || at == last {
            root = node(hash, beside, &root);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            root = node(hash, &root, beside);
        }
        at >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    const H: Hash = Hash::Sha256;

    /// RFC 6962 section 2.1, word for word.
    fn slow(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => H.of(&[]),
            [one] => *one,
            many => {
                let split = many.len().next_power_of_two() / 2;
                node(H, &slow(&many[..split]), &slow(&many[split..]))
            }
        }
    }

    fn leaves(count: u32) -> Vec<Digest> {
        (0..count).map(|n| leaf(H, &n.to_be_bytes())).collect()
    }

    #[test]
    fn root_equals_the_recursive_definition_for_every_size() {
        let mut tree = Tree::new(H);
        for n in 0u32..130 {
            assert_eq!(tree.root(), slow(&leaves(n)), "size {n}");
            assert_eq!(tree.size(), u64::from(n));
            tree.push(leaf(H, &n.to_be_bytes()));
        }
    }

    #[test]
    fn every_path_leads_its_leaf_and_no_other_to_the_root() {
        for size in 1..34u32 {
            let leaves = leaves(size);
            let root = slow(&leaves);
            for (index, leaf) in leaves.iter().enumerate() {
                let path = inclusion_path(H, index, &leaves);
                let lead = |at: usize, leaf: Digest, path: &[Digest]| {
                    root_from_path(H, at as u64, u64::from(size), leaf, path)
                };
                assert_eq!(lead(index, *leaf, &path), Some(root), "{index} of {size}");
                assert_ne!(lead(index, H.of(&[b"other"]), &path), Some(root));
                assert_eq!(lead(size as usize, *leaf, &path), None);
                if let Some((_, shorter)) = path.split_last() {
                    assert_ne!(lead(index, *leaf, shorter), Some(root));
                }
                let longer: Vec<Digest> = path.iter().copied().chain([root]).collect();
                assert_ne!(lead(index, *leaf, &longer), Some(root));
            }
        }
    }

    #[test]
    fn root_of_nothing_is_the_hash_of_nothing() {
        assert_eq!(
            Tree::new(H).root().as_bytes()[..4],
            [0xe3, 0xb0, 0xc4, 0x42]
        );
    }
}
