//! A run that fails, made as short as it still fails: delta debugging over its operations.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Tries of one shrinking: enough for some hundred operations, and a few seconds.
const MAX_TRIES: usize = 4_000;

/// Whether it panics, and with what words.
pub fn failure(run: impl FnOnce()) -> Option<String> {
    let panic = catch_unwind(AssertUnwindSafe(run)).err()?;
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).into()));
    Some(text.unwrap_or_else(|| "a panic without words".into()))
}

/// The shortest list of these operations that was found for which `fails` says yes. It says yes to the whole list.
pub fn shrink<Op: Clone>(ops: &[Op], fails: impl Fn(&[Op]) -> bool) -> Vec<Op> {
    let mut best = ops.to_vec();
    let mut tries = 0;
    let mut piece = best.len().div_ceil(2);
    while piece > 0 {
        let mut at = 0;
        let mut has_shrunk = false;
        while at < best.len() && tries < MAX_TRIES {
            let end = best.len().min(at + piece);
            let candidate = [&best[..at], &best[end..]].concat();
            tries += 1;
            if fails(&candidate) {
                best = candidate;
                has_shrunk = true;
            } else {
                at = end;
            }
        }
        if !has_shrunk || piece > 1 {
            piece /= 2;
        }
        if tries >= MAX_TRIES {
            break;
        }
    }
    best
}
