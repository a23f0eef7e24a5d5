//! Patterns in which a star stands for anything.

use alloc::vec::Vec;

/// Whether `pattern` covers the whole of `text`, where each `star` of it stands for anything. It takes time in proportion to the sum of
/// both lengths, whatever they are.
pub(super) fn covers<T: PartialEq>(pattern: &[T], star: &T, text: &[T]) -> bool {
    let mut parts = pattern.split(|it| it == star);
    let Some(rest) = text.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    // If the parts between fit at all, they fit where each comes as early as it can.
    rest.strip_suffix(last)
        .and_then(|rest| parts.try_fold(rest, |rest, part| after_first(part, rest)))
        .is_some()
}

/// What comes after the first `part` in `text`, by the way of Knuth, Morris and Pratt: no place of `text` is gone back to.
fn after_first<'t, T: PartialEq>(part: &[T], text: &'t [T]) -> Option<&'t [T]> {
    if part.is_empty() || part.len() > text.len() {
        return part.is_empty().then_some(text);
    }
    let borders = borders(part);
    let mut fitting = 0;
    for (at, next) in text.iter().enumerate() {
        fitting = longer(part, &borders, fitting, next);
        if fitting == part.len() {
            return text.get(at + 1..);
        }
    }
    None
}

/// For each beginning of `part`, how much of `part` that beginning ends with, itself not counted.
fn borders<T: PartialEq>(part: &[T]) -> Vec<usize> {
    let mut borders = Vec::with_capacity(part.len());
    let mut fitting = 0;
    for (at, next) in part.iter().enumerate() {
        if at > 0 {
            fitting = longer(part, &borders, fitting, next);
        }
        borders.push(fitting);
    }
    borders
}

/// How much of `part` fits with `next`, where so much did before it.
fn longer<T: PartialEq>(part: &[T], borders: &[usize], fitting: usize, next: &T) -> usize {
    let mut fitting = fitting;
    while part.get(fitting) != Some(next) {
        let Some(shorter) = fitting.checked_sub(1).and_then(|last| borders.get(last)) else {
            return 0;
        };
        fitting = *shorter;
    }
    fitting + 1
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;

    use super::*;

    /// A byte that counts how often it is compared.
    #[derive(Clone, Copy)]
    struct Counted<'c>(u8, &'c Cell<usize>);

    impl PartialEq for Counted<'_> {
        fn eq(&self, other: &Self) -> bool {
            self.1.set(self.1.get() + 1);
            self.0 == other.0
        }
    }

    #[test]
    fn no_pattern_and_text_take_more_steps_than_a_few_for_each_byte_of_both() {
        let comparisons = Cell::new(0);
        let counted = |text: &[u8]| -> Vec<Counted<'_>> {
            text.iter()
                .map(|byte| Counted(*byte, &comparisons))
                .collect()
        };
        let many = |text: &[u8], times| text.repeat(times);
        let text = many(b"a", 128 * 1024);
        let patterns = [
            [b"*".to_vec(), many(b"a", 4093), b"b*".to_vec()].concat(),
            [
                b"*".to_vec(),
                many(b"a", 2000),
                b"b".to_vec(),
                many(b"a", 2000),
                b"*".to_vec(),
            ]
            .concat(),
            [b"*".to_vec(), many(b"a*", 2000), b"b*".to_vec()].concat(),
            [b"*".to_vec(), many(b"aab*", 1000)].concat(),
            [many(b"a", 4000), b"*b".to_vec()].concat(),
            [b"*".to_vec(), many(b"a", 4000)].concat(),
        ];
        for pattern in patterns {
            comparisons.set(0);
            covers(
                &counted(&pattern),
                &Counted(b'*', &comparisons),
                &counted(&text),
            );
            let most = 3 * (pattern.len() + text.len());
            assert!(comparisons.get() <= most, "{} > {most}", comparisons.get());
        }
    }
}
