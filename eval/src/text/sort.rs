//! Sorting with an order that a program gives, which may fail and may be no order at all.
//!
//! The result of a stable sort does not depend on the algorithm if the order is one. Programs also sort with
//! `a: b: a <= b` or worse, and then it does. So this asks the same questions in the same sequence as the
//! reference: *peeksort* (Munro and Wild, "Nearly-Optimal Mergesorts", 2018), a merge sort that looks for a run in
//! the middle, with insertion sort for up to 16 elements.

/// Up to this many elements are sorted by insertion.
const INSERTION: usize = 16;

/// Sorts `items`; `less(a, b)` says whether `a` must come before `b`.
pub fn sort<T: Copy, E>(
    items: &mut [T],
    mut less: impl FnMut(T, T) -> Result<bool, E>,
) -> Result<(), E> {
    match items.len() {
        0 | 1 => Ok(()),
        2 => {
            if less(items[1], items[0])? {
                items.swap(0, 1);
            }
            Ok(())
        }
        len => {
            let mut sorter = Sorter {
                items,
                buffer: Vec::with_capacity(len),
                less,
            };
            sorter.sort(0, len, 0, len)
        }
    }
}

struct Sorter<'a, T, F> {
    items: &'a mut [T],
    buffer: Vec<T>,
    less: F,
}

impl<T: Copy, E, F: FnMut(T, T) -> Result<bool, E>> Sorter<'_, T, F> {
    fn less(&mut self, a: usize, b: usize) -> Result<bool, E> {
        (self.less)(self.items[a], self.items[b])
    }

    /// Sorts a range of which `begin..left` and `right..end` are sorted already. Its halves shrink, so the
    /// recursion is shallow.
    fn sort(&mut self, begin: usize, end: usize, left: usize, right: usize) -> Result<(), E> {
        if left == end || right == begin {
            return Ok(());
        }
        if end - begin <= INSERTION {
            return self.insertion_sort(begin, end);
        }
        let middle = begin + (end - begin) / 2;
        if middle <= left {
            self.sort(left, end, left + 1, right)?;
            return self.merge(begin, left, end);
        }
        if middle >= right {
            self.sort(begin, right, left, right - 1)?;
            return self.merge(begin, right, end);
        }
        let descends = self.less(middle, middle - 1)?;
        let run_begin = self.run_begin(left, middle, descends)?;
        let run_end = self.run_end(middle - 1, right, descends)?;
        if descends {
            self.items[run_begin..run_end].reverse();
        }
        if run_begin == begin && run_end == end {
            return Ok(());
        }
        if middle - run_begin < run_end - middle {
            self.sort(begin, run_begin, left, run_begin.wrapping_sub(1))?;
            self.sort(run_begin, end, run_end, right)?;
            self.merge(begin, run_begin, end)
        } else {
            self.sort(begin, run_end, left, run_begin)?;
            self.sort(run_end, end, run_end + 1, right)?;
            self.merge(begin, run_end, end)
        }
    }

    /// Where the run that ends at `end` begins, looking back to `begin`.
    fn run_begin(&mut self, begin: usize, end: usize, descends: bool) -> Result<usize, E> {
        let mut at = end;
        while at - 1 > begin && self.less(at - 1, at - 2)? == descends {
            at -= 1;
        }
        Ok(at - 1)
    }

    /// Where the run that begins at `begin` ends, looking ahead to `end`.
    fn run_end(&mut self, begin: usize, end: usize, descends: bool) -> Result<usize, E> {
        let mut at = begin;
        while at + 1 != end && self.less(at + 1, at)? == descends {
            at += 1;
        }
        Ok(at + 1)
    }

    fn insertion_sort(&mut self, begin: usize, end: usize) -> Result<(), E> {
        for current in begin + 1..end {
            let mut at = current;
            while at != begin && self.less(at, at - 1)? {
                self.items.swap(at, at - 1);
                at -= 1;
            }
        }
        Ok(())
    }

    /// Merges the sorted ranges `begin..middle` and `middle..end`; of equals, the left one comes first.
    fn merge(&mut self, begin: usize, middle: usize, end: usize) -> Result<(), E> {
        self.buffer.clear();
        self.buffer.extend_from_slice(&self.items[begin..end]);
        let (mut left, mut right) = (0, middle - begin);
        let (left_end, right_end) = (right, end - begin);
        let mut out = begin;
        while left < left_end && right < right_end {
            let from_right = (self.less)(self.buffer[right], self.buffer[left])?;
            let source = if from_right { &mut right } else { &mut left };
            self.items[out] = self.buffer[*source];
            *source += 1;
            out += 1;
        }
        let rest = if left < left_end {
            left..left_end
        } else {
            right..right_end
        };
        self.items[out..end].copy_from_slice(&self.buffer[rest]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equal_elements_keep_their_order(keys in prop::collection::vec(0_u8..20, 0..300)) {
            let mut items: Vec<(u8, usize)> = keys.iter().copied().zip(0..).collect();
            let mut expected = items.clone();
            expected.sort_by_key(|item| item.0);
            sort(&mut items, |a, b| Ok::<_, ()>(a.0 < b.0)).expect("no failure");
            prop_assert_eq!(items, expected);
        }

        #[test]
        fn an_order_that_is_none_still_gives_all_elements(
            items in prop::collection::vec(0_u8..20, 0..300),
            answers in prop::collection::vec(any::<bool>(), 1..50),
        ) {
            let mut sorted = items.clone();
            let mut next = answers.iter().cycle();
            sort(&mut sorted, |_, _| Ok::<_, ()>(next.next().is_some_and(|b| *b))).expect("no failure");
            let (mut a, mut b) = (items, sorted);
            a.sort_unstable();
            b.sort_unstable();
            prop_assert_eq!(a, b);
        }
    }

    #[test]
    fn a_failing_order_ends_the_sort() {
        assert_eq!(sort(&mut [3, 1, 2], |_, _| Err("no")), Err("no"));
    }
}
