//! The sink that builds the tree.
//!
//! Spaces and comments are not among the tokens; they are what lies between them, and are put into the tree before the next
//! token, outside of a node that has ended.

use rowan::{GreenNode, GreenToken, NodeOrToken};

use crate::grammar::Sink;
use crate::lexer::trivia;
use crate::syntax_kind::SyntaxKind as K;

const SLOTS: usize = 8192;
/// Longer tokens are rarely alike.
const CACHED_LEN: usize = 40;

/// Tokens that were made before: most of a program is the same few words and spaces.
#[derive(Debug)]
pub struct TokenCache {
    slots: Vec<Option<GreenToken>>,
}

impl Default for TokenCache {
    fn default() -> Self {
        Self::new()
    }
}

impl TokenCache {
    /// An empty cache.
    pub fn new() -> Self {
        TokenCache {
            slots: vec![None; SLOTS],
        }
    }

    #[inline]
    fn token(&mut self, kind: K, text: &str) -> GreenToken {
        let raw = rowan::SyntaxKind(kind as u16);
        if text.len() > CACHED_LEN {
            return GreenToken::new(raw, text);
        }
        let slot = &mut self.slots[hash(kind, text.as_bytes()) & (SLOTS - 1)];
        match slot {
            Some(token) if token.kind() == raw && token.text() == text => token.clone(),
            _ => slot.insert(GreenToken::new(raw, text)).clone(),
        }
    }
}

#[inline]
fn hash(kind: K, text: &[u8]) -> usize {
    let mut mixed = u64::from(kind as u8) ^ (text.len() as u64) << 8;
    for chunk in text.chunks(8) {
        let word = match chunk.try_into() {
            Ok(bytes) => u64::from_le_bytes(bytes),
            Err(_) => chunk
                .iter()
                .fold(0, |word, &byte| word << 8 | u64::from(byte)),
        };
        mixed = (mixed.rotate_left(23) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
    (mixed >> 40) as usize
}

pub(super) struct Builder<'a> {
    text: &'a str,
    /// How much of the text is in the tree.
    done: usize,
    children: Vec<NodeOrToken<GreenNode, GreenToken>>,
    /// How deep each child nests.
    depths: Vec<u32>,
    cache: &'a mut TokenCache,
}

impl<'a> Builder<'a> {
    pub(super) fn new(text: &'a str, cache: &'a mut TokenCache) -> Self {
        Builder {
            text,
            done: 0,
            children: Vec::with_capacity(256),
            depths: Vec::with_capacity(256),
            cache,
        }
    }

    /// The root, and how deep it nests.
    pub(super) fn finish(mut self) -> (GreenNode, u32) {
        let depth = self.depths.pop().unwrap_or(0);
        let root = match self.children.pop() {
            Some(NodeOrToken::Node(root)) => root,
            other => GreenNode::new(rowan::SyntaxKind(K::Root as u16), Vec::from_iter(other)),
        };
        (root, depth)
    }

    #[inline(always)]
    fn push(&mut self, token: GreenToken) {
        self.children.push(NodeOrToken::Token(token));
        self.depths.push(0);
    }

    #[inline(always)]
    fn trivia(&mut self, to: usize) {
        if self.done < to {
            self.some_trivia(to);
        }
    }

    fn some_trivia(&mut self, to: usize) {
        for (kind, range) in trivia::split(self.text.as_bytes(), self.done..to) {
            let token = self
                .cache
                .token(kind, self.text.get(range).unwrap_or_default());
            self.push(token);
        }
        self.done = to;
    }
}

impl Sink for Builder<'_> {
    type Mark = u32;

    #[inline]
    fn mark(&mut self, start: u32) -> u32 {
        self.trivia(start as usize);
        self.children.len() as u32
    }

    #[inline]
    fn token(&mut self, kind: K, start: u32, end: u32) {
        self.trivia(start as usize);
        if start == end {
            return;
        }
        let token = self.cache.token(
            kind,
            self.text
                .get(start as usize..end as usize)
                .unwrap_or_default(),
        );
        self.push(token);
        self.done = end as usize;
    }

    #[inline]
    fn node(&mut self, mark: u32, kind: K) {
        if kind == K::Root {
            self.trivia(self.text.len());
        }
        let first = (mark as usize).min(self.children.len());
        let node = GreenNode::new(rowan::SyntaxKind(kind as u16), self.children.drain(first..));
        let depth = self.depths.drain(first..).max().unwrap_or(0) + 1;
        self.children.push(NodeOrToken::Node(node));
        self.depths.push(depth);
    }

    fn missing_expression(&mut self) {}

    fn missing_name(&mut self) {}
}
