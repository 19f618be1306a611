//! What a caller can choose about reading a program.

/// What to do about a form that is accepted but discouraged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Lint {
    /// Nothing.
    #[default]
    Ignore,
    /// Warn.
    Warn,
    /// Refuse.
    Fatal,
}

/// Choices for [`parse`](crate::parse). The default is the language with no experimental feature and no lint.
#[derive(Clone, Copy, Default)]
pub struct ParseOptions<'a> {
    /// Accept `|>` and `<|` (the experimental feature `pipe-operators`).
    pub pipe_operators: bool,
    /// URLs without quotes (settings `lint-url-literals`, feature `no-url-literals`).
    pub url_literals: Lint,
    /// Path literals that begin with `/` or `~/` (setting `lint-absolute-path-literals`).
    pub absolute_path_literals: Lint,
    /// Relative path literals that do not begin with `.` (settings `lint-short-path-literals`, `warn-short-path-literals`).
    pub short_path_literals: Lint,
    /// Asked now and then; parsing ends with [`ParseFailure::Interrupted`](crate::ParseFailure::Interrupted) when it says true.
    pub interrupted: Option<&'a (dyn Fn() -> bool + Sync)>,
    /// Told about large pieces of memory (address and bytes) that are about to be filled, so that whoever can may advise the
    /// system to lay them on large pages.
    pub large_memory: Option<fn(usize, usize)>,
    /// A second thread may help with a large source.
    pub two_threads: bool,
}

/// Pieces of memory from this size on are large.
const LARGE: usize = 2 << 20;

impl ParseOptions<'_> {
    /// A vector with room for about so many elements.
    pub(crate) fn room<T>(&self, count: usize) -> Vec<T> {
        let bytes = count.saturating_mul(size_of::<T>());
        let mut room = Vec::with_capacity(count);
        if let Some(tell) = self.large_memory.filter(|_| bytes >= LARGE) {
            tell(room.spare_capacity_mut().as_ptr().addr(), bytes);
        }
        room
    }
}

impl std::fmt::Debug for ParseOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParseOptions")
            .field("pipe_operators", &self.pipe_operators)
            .field("url_literals", &self.url_literals)
            .field("absolute_path_literals", &self.absolute_path_literals)
            .field("short_path_literals", &self.short_path_literals)
            .finish_non_exhaustive()
    }
}
