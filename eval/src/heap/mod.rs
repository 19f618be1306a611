//! Memory for values: bump allocation in blocks of words that are never moved.
//!
//! An object is a run of 64-bit words. Its first word says what it is (a tag in the pointer to it, the
//! *reference*, says the rest), so that the words that go out from it can be found. Words are atomics
//! because several evaluators may share them; on the machines that we know a relaxed access is an
//! ordinary one.
//!
//! Blocks stay mapped until the process ends: `rx` commands are short, and freeing is the most expensive
//! thing that an allocator does. That is also what makes `&'static` the honest lifetime of an object.

mod stack;

pub use stack::Stack;

use std::alloc::{Layout, alloc_zeroed};
use std::sync::atomic::{AtomicU64, Ordering};

use bumpalo::Bump;

/// One word of an object.
pub type Word = AtomicU64;

/// The first block's size in words (256 KiB); each further block doubles up to [`LARGEST_BLOCK`].
const FIRST_BLOCK: usize = 32 * 1024;
/// The largest regular block in words (8 MiB).
const LARGEST_BLOCK: usize = 1024 * 1024;

/// The size in bytes of a large page, and of the smallest block that is laid on them.
const LARGE_PAGE: usize = 2 << 20;
/// Bytes of the smallest page; where they are larger, advice for less does nothing.
const PAGE: usize = 4096;

/// The limit on a heap's size in bytes when nothing else is said: far beyond what nixpkgs needs, and
/// below what makes an ordinary machine swap.
pub const DEFAULT_LIMIT: usize = 64 << 30;

/// How many objects of some kinds have been made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Made {
    /// Lists with elements of their own.
    pub lists: u64,
    /// Their elements.
    pub list_elements: u64,
    /// Attribute sets.
    pub sets: u64,
    /// Their attributes.
    pub attributes: u64,
    /// Those of them that `//` copied.
    pub updated: u64,
}

/// The memory that one evaluator thread allocates from.
#[derive(Debug)]
pub struct Heap {
    free: &'static [Word],
    next_block: usize,
    allocated: usize,
    limit: usize,
    exhausted: bool,
    /// What has been made, for statistics.
    pub made: Made,
    /// Where compiled code lives.
    pub(crate) code: &'static Bump,
    /// What has been learned about the layouts of attribute sets.
    pub(crate) shapes: crate::value::attrs::ShapeCache,
}

impl Default for Heap {
    fn default() -> Self {
        Self::new(DEFAULT_LIMIT)
    }
}

impl Heap {
    /// An empty heap that may grow to `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Heap {
            free: &[],
            next_block: FIRST_BLOCK,
            allocated: 0,
            limit,
            exhausted: false,
            made: Made::default(),
            code: Box::leak(Box::new(Bump::new())),
            shapes: Default::default(),
        }
    }

    /// A new object of `words` zeroed words.
    ///
    /// Past the limit the allocation still succeeds, and [`Heap::exhausted`] becomes true: the evaluator
    /// looks at it at every call and gives up with an error. Sizes that come from the program go
    /// through [`Heap::fits`] first.
    #[inline]
    pub fn alloc(&mut self, words: usize) -> &'static [Word] {
        if words > self.free.len() {
            return self.alloc_slow(words);
        }
        let (object, rest) = self.free.split_at(words);
        self.free = rest;
        object
    }

    #[cold]
    #[inline(never)]
    fn alloc_slow(&mut self, words: usize) -> &'static [Word] {
        if words > FIRST_BLOCK / 4 {
            // A large object gets a block of its own, and the current block stays in use.
            self.account(words);
            return zeroed_words(words);
        }
        self.account(self.next_block);
        let (object, rest) = zeroed_words(self.next_block).split_at(words);
        self.next_block = (self.next_block * 2).min(LARGEST_BLOCK);
        self.free = rest;
        object
    }

    fn account(&mut self, words: usize) {
        self.allocated += words * 8;
        if self.allocated > self.limit {
            self.exhausted = true;
        }
    }

    /// Changes how many bytes it may take.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Whether an object of `words` words is within the limit.
    pub fn fits(&self, words: usize) -> bool {
        words
            .checked_mul(8)
            .and_then(|b| b.checked_add(self.allocated))
            .is_some_and(|b| b <= self.limit)
    }

    /// Whether the limit has been passed.
    #[inline]
    pub fn exhausted(&self) -> bool {
        self.exhausted
    }

    /// Bytes of compiled code.
    pub fn code_bytes(&self) -> usize {
        self.code.allocated_bytes()
    }

    /// Bytes taken from the system so far.
    pub fn allocated(&self) -> usize {
        self.allocated - self.free.len() * 8
    }
}

/// Allocates for whoever has no heap at hand: what is made while something is only looked at. Such objects are few, so each
/// thread takes them from heaps of its own, without a limit: one, and another while that one is in use.
pub(crate) fn aside<R>(allocate: impl FnOnce(&mut Heap) -> R) -> R {
    thread_local! {
        static ASIDE: std::cell::RefCell<Vec<Heap>> = const { std::cell::RefCell::new(Vec::new()) };
    }
    let spare = ASIDE.with_borrow_mut(Vec::pop);
    let mut heap = spare.unwrap_or_else(|| Heap::new(usize::MAX));
    let result = allocate(&mut heap);
    ASIDE.with_borrow_mut(|spare| spare.push(heap));
    result
}

/// Fresh zeroed memory; pages that are never touched cost nothing.
///
/// Large blocks are laid on large pages where the system gives them: a fresh page costs the kernel about as
/// much as the evaluator needs to fill it.
fn zeroed_words(words: usize) -> &'static [Word] {
    let align = if words * 8 >= LARGE_PAGE {
        LARGE_PAGE
    } else {
        align_of::<Word>()
    };
    let layout = words
        .max(1)
        .checked_mul(8)
        .and_then(|size| Layout::from_size_align(size, align).ok());
    let Some(layout) = layout else {
        std::alloc::handle_alloc_error(Layout::new::<Word>())
    };
    // SAFETY: the layout is not of size zero; zeroed bytes are valid atomics; the memory is never freed.
    unsafe {
        let block = if align == LARGE_PAGE {
            large_pages(layout)
        } else {
            alloc_zeroed(layout)
        };
        if block.is_null() {
            std::alloc::handle_alloc_error(layout);
        }
        std::slice::from_raw_parts(block.cast::<Word>(), words)
    }
}

/// Address space aligned for large pages, with the wish for them; null when there is none left.
fn large_pages(layout: Layout) -> *mut u8 {
    let size = layout.size() + LARGE_PAGE;
    // SAFETY: a fresh anonymous mapping of our own; the advice is about pages within it.
    unsafe {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let start = libc::mmap(std::ptr::null_mut(), size, protection, flags, -1, 0);
        if start == libc::MAP_FAILED {
            return std::ptr::null_mut();
        }
        let start = start.cast::<u8>();
        let block = start.add(start.align_offset(LARGE_PAGE));
        // Only advice: without large pages everything works as well.
        libc::madvise(block.cast(), layout.size(), libc::MADV_HUGEPAGE);
        block
    }
}

/// Advises the system to lay memory that is about to be filled on large pages. Whatever is there stays as it is.
pub fn prefer_large_pages(address: usize, bytes: usize) {
    if bytes < LARGE_PAGE {
        return;
    }
    // All of its pages, so that what was mapped as one piece stays one, which the system can move without copying.
    let start = address & !(PAGE - 1);
    let end = address.saturating_add(bytes + PAGE - 1) & !(PAGE - 1);
    let bytes = end - start;
    let start = std::ptr::without_provenance_mut(start);
    // SAFETY: advice of this kind changes no contents, wherever the memory is and whosever it is.
    unsafe {
        libc::madvise(start, bytes, libc::MADV_HUGEPAGE);
    }
}

/// Reads the word that `address` points to.
#[inline(always)]
pub(crate) fn word(address: usize) -> &'static Word {
    debug_assert!(address != 0 && address.is_multiple_of(8));
    // SAFETY: addresses come only from references (`crate::value::Value`), which are made from objects
    // of a heap, whose words are never freed.
    unsafe { &*(std::ptr::with_exposed_provenance::<Word>(address)) }
}

/// The `len` words from `address` on.
#[inline(always)]
pub(crate) fn words(address: usize, len: usize) -> &'static [Word] {
    debug_assert!(address.is_multiple_of(8));
    // SAFETY: as for `word`; `len` comes from the object's own header or code.
    unsafe { std::slice::from_raw_parts(std::ptr::with_exposed_provenance::<Word>(address), len) }
}

/// The `len` bytes from `address` on; the object has been published, so they do not change any more.
#[inline(always)]
pub(crate) fn bytes(address: usize, len: usize) -> &'static [u8] {
    // SAFETY: as for `words`; strings' bytes are written before the string is published and never after.
    unsafe { std::slice::from_raw_parts(std::ptr::with_exposed_provenance::<u8>(address), len) }
}

/// The bytes of a fresh object, to be filled before it is published.
#[inline(always)]
#[expect(
    clippy::mut_from_ref,
    reason = "the words are atomics, and the object is not published yet"
)]
pub(crate) fn fresh_bytes(object: &'static [Word], len: usize) -> &'static mut [u8] {
    debug_assert!(object.len() * 8 >= len);
    // SAFETY: the object has just been allocated and only the caller, who fills it, has its address; atomics
    // have interior mutability, so writing through the shared slice's pointer is allowed.
    unsafe { std::slice::from_raw_parts_mut(object.as_ptr().cast_mut().cast::<u8>(), len) }
}

/// A permanent thing that a word points to, such as code or a layout.
#[inline(always)]
pub(crate) fn permanent<T: Sync>(address: usize) -> &'static T {
    debug_assert!(address != 0);
    // SAFETY: the word was made by `address_of` from a `&'static T` of the same type: each kind of object has
    // exactly one type of permanent behind it.
    unsafe { &*(std::ptr::with_exposed_provenance::<T>(address)) }
}

/// The address of a permanent thing or object.
#[inline(always)]
pub(crate) fn address_of<T: ?Sized>(thing: &'static T) -> usize {
    std::ptr::from_ref(thing).cast::<u8>().expose_provenance()
}

/// Reads a word. It may be one that another thread has just replaced by what it has made.
#[inline(always)]
pub(crate) fn load(word: &Word) -> u64 {
    word.load(Ordering::Acquire)
}

/// Writes a word of an object that is not published yet, or a word whose old and new value mean the same. Whoever reads
/// the new value sees what it refers to.
#[inline(always)]
pub(crate) fn store(word: &Word, value: u64) {
    word.store(value, Ordering::Release);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_zeroed_and_do_not_overlap() {
        let mut heap = Heap::default();
        let first = heap.alloc(3);
        first[2].store(7, Ordering::Relaxed);
        let second = heap.alloc(FIRST_BLOCK);
        assert!(second.iter().all(|w| load(w) == 0));
        second[0].store(9, Ordering::Relaxed);
        assert_eq!(load(&first[2]), 7);
        let large = heap.alloc(LARGEST_BLOCK);
        assert!(large.iter().all(|w| load(w) == 0));
        assert!(heap.allocated() >= (3 + FIRST_BLOCK + LARGEST_BLOCK) * 8);
    }

    #[test]
    fn a_heap_says_when_its_limit_is_passed() {
        let mut heap = Heap::new(1 << 20);
        assert!(heap.fits(1000) && !heap.fits(1 << 20) && !heap.fits(usize::MAX));
        for _ in 0..100 {
            heap.alloc(10_000);
        }
        assert!(heap.exhausted());
    }
}
