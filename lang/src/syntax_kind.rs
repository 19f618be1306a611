//! The kinds of tokens and of tree nodes, in one enumeration.
//!
//! Token kinds carry their patterns: `logos` makes the lexer of plain program text from them. Pieces of strings and paths have no
//! pattern, they are found by the [`lexer`](crate::lexer)'s other modes.

use logos::Logos;

/// What a token or a tree node is.
///
/// The longest token wins. So `a/b` is a path, `a:b` a URI and `a.b` three tokens; but to look for the slash or colon from every
/// name on would make `a.b.c.d` quadratic. Paths and URIs that begin with a name or number have no pattern therefore, the lexer
/// looks for them where one can be.
#[derive(Logos, Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[logos(utf8 = false)]
#[repr(u8)]
pub enum SyntaxKind {
    /// The end of the program. Also a NUL byte outside of strings and comments.
    #[token(b"\0")]
    Eof,
    /// A byte that begins no token.
    Invalid,

    // Trivia.
    /// Spaces, tabs, line ends.
    #[regex(r"[ \t\r\n]+")]
    Whitespace,
    /// `# …` to the end of the line. The pattern is its beginning only.
    #[token(b"#")]
    LineComment,
    /// `/* … */`, also a doc comment. The pattern is its beginning only.
    #[token(b"/*")]
    BlockComment,

    // Words and literals.
    /// A name; also `or` where it is used as one.
    #[regex(r"[a-zA-Z_][a-zA-Z0-9_'\-]*")]
    Ident,
    /// An integer.
    #[regex(r"[0-9]+")]
    Integer,
    /// A floating point number.
    #[regex(r"(([1-9][0-9]*\.[0-9]*)|(0?\.[0-9]+))([Ee][+\-]?[0-9]+)?")]
    Float,
    /// A path, or its part before the first interpolation.
    #[regex(r"(/[a-zA-Z0-9._\-+]+)+/?")]
    Path,
    /// A path that begins with `~/`, or its part before the first interpolation.
    #[regex(r"~(/[a-zA-Z0-9._\-+]+)+/?")]
    HomePath,
    /// `<…>`.
    #[regex(r"<[a-zA-Z0-9._\-+]+(/[a-zA-Z0-9._\-+]+)*>")]
    SearchPath,
    /// A URI without quotes.
    Uri,
    /// A path whose first piece ends where an interpolation begins. Only inside the lexer.
    #[token(b"/${")]
    PathBeforeInterpolation,
    /// Likewise for `~/${`.
    #[token(b"~/${")]
    HomePathBeforeInterpolation,
    /// A later piece of a path.
    PathText,
    /// Where a path ends; has no width.
    PathEnd,
    /// Text in a string.
    StringText,
    /// Text in an indented string.
    IndentedText,
    /// An escape in an indented string, or a lone `$` or `'` in it.
    IndentedEscape,

    // Keywords.
    /// `if`
    #[token(b"if")]
    If,
    /// `then`
    #[token(b"then")]
    Then,
    /// `else`
    #[token(b"else")]
    Else,
    /// `assert`
    #[token(b"assert")]
    Assert,
    /// `with`
    #[token(b"with")]
    With,
    /// `let`
    #[token(b"let")]
    Let,
    /// `in`
    #[token(b"in")]
    In,
    /// `rec`
    #[token(b"rec")]
    Rec,
    /// `inherit`
    #[token(b"inherit")]
    Inherit,
    /// `or`
    #[token(b"or")]
    Or,

    // Operators and punctuation.
    /// `...`
    #[token(b"...")]
    Ellipsis,
    /// `==`
    #[token(b"==")]
    EqualEqual,
    /// `!=`
    #[token(b"!=")]
    NotEqual,
    /// `<=`
    #[token(b"<=")]
    LessEqual,
    /// `>=`
    #[token(b">=")]
    GreaterEqual,
    /// `<`
    #[token(b"<")]
    Less,
    /// `>`
    #[token(b">")]
    Greater,
    /// `&&`
    #[token(b"&&")]
    AndAnd,
    /// `||`
    #[token(b"||")]
    OrOr,
    /// `->`
    #[token(b"->")]
    Arrow,
    /// `//`
    #[token(b"//")]
    Update,
    /// `++`
    #[token(b"++")]
    Concat,
    /// `<|`
    #[token(b"<|")]
    PipeFrom,
    /// `|>`
    #[token(b"|>")]
    PipeInto,
    /// `+`
    #[token(b"+")]
    Plus,
    /// `-`
    #[token(b"-")]
    Minus,
    /// `*`
    #[token(b"*")]
    Star,
    /// `/`
    #[token(b"/")]
    Slash,
    /// `!`
    #[token(b"!")]
    Bang,
    /// `?`
    #[token(b"?")]
    Question,
    /// `=`
    #[token(b"=")]
    Equal,
    /// `:`
    #[token(b":")]
    Colon,
    /// `;`
    #[token(b";")]
    Semicolon,
    /// `,`
    #[token(b",")]
    Comma,
    /// `.`
    #[token(b".")]
    Dot,
    /// `@`
    #[token(b"@")]
    At,
    /// `(`
    #[token(b"(")]
    LeftParen,
    /// `)`
    #[token(b")")]
    RightParen,
    /// `[`
    #[token(b"[")]
    LeftBracket,
    /// `]`
    #[token(b"]")]
    RightBracket,
    /// `{`
    #[token(b"{")]
    LeftBrace,
    /// `}`
    #[token(b"}")]
    RightBrace,
    /// `${`
    #[token(b"${")]
    DollarBrace,
    /// `"`, at either end of a string
    #[token(b"\"")]
    Quote,
    /// `''` at the beginning, with spaces and the line end when nothing else is on the line
    #[regex(r"''( *\n)?")]
    IndentedOpen,
    /// `''` at the end
    IndentedClose,

    // Nodes.
    /// A whole file.
    Root,
    /// What could not be understood.
    Error,
    /// A variable, or `__curPos`.
    Variable,
    /// A number, URI or search path.
    Literal,
    /// `"…"` as a value.
    String,
    /// `''…''`.
    IndentedString,
    /// `${…}` in a string or path.
    Interpolation,
    /// A path with its pieces.
    PathExpr,
    /// `( … )`.
    Paren,
    /// `[ … ]`.
    List,
    /// `{ … }`, `rec { … }`.
    AttrSet,
    /// `let … in …`.
    LetIn,
    /// `let { … }`.
    LegacyLet,
    /// `parameter: body`.
    Lambda,
    /// A set pattern with its `@` name.
    Pattern,
    /// A formal in a set pattern.
    Formal,
    /// `with …; …`.
    WithExpr,
    /// `assert …; …`.
    AssertExpr,
    /// `if … then … else …`.
    IfExpr,
    /// `base.path` with or without `or default`.
    Select,
    /// `base ? path`.
    HasAttr,
    /// A function and its arguments. Also the legacy `f or`.
    Apply,
    /// A binary operation.
    Binary,
    /// `!a`, `-a`.
    Unary,
    /// `a |> f`, `f <| a`.
    Pipe,
    /// Names between dots.
    AttrPath,
    /// `"…"` as the name of an attribute.
    StringName,
    /// `${…}` as the name of an attribute.
    DynamicName,
    /// `path = value;`.
    Binding,
    /// `inherit …;`.
    InheritBinding,
    /// `( … )` in an `inherit`.
    InheritSource,
}

use SyntaxKind as K;

/// All kinds, each at its number.
#[rustfmt::skip]
const ALL: [SyntaxKind; 96] = [
    K::Eof, K::Invalid, K::Whitespace, K::LineComment, K::BlockComment, K::Ident, K::Integer,
    K::Float, K::Path, K::HomePath, K::SearchPath, K::Uri, K::PathBeforeInterpolation,
    K::HomePathBeforeInterpolation, K::PathText, K::PathEnd, K::StringText, K::IndentedText,
    K::IndentedEscape, K::If, K::Then, K::Else, K::Assert, K::With, K::Let, K::In, K::Rec,
    K::Inherit, K::Or, K::Ellipsis, K::EqualEqual, K::NotEqual, K::LessEqual, K::GreaterEqual,
    K::Less, K::Greater, K::AndAnd, K::OrOr, K::Arrow, K::Update, K::Concat, K::PipeFrom,
    K::PipeInto, K::Plus, K::Minus, K::Star, K::Slash, K::Bang, K::Question, K::Equal, K::Colon,
    K::Semicolon, K::Comma, K::Dot, K::At, K::LeftParen, K::RightParen, K::LeftBracket,
    K::RightBracket, K::LeftBrace, K::RightBrace, K::DollarBrace, K::Quote, K::IndentedOpen,
    K::IndentedClose, K::Root, K::Error, K::Variable, K::Literal, K::String, K::IndentedString,
    K::Interpolation, K::PathExpr, K::Paren, K::List, K::AttrSet, K::LetIn, K::LegacyLet, K::Lambda,
    K::Pattern, K::Formal, K::WithExpr, K::AssertExpr, K::IfExpr, K::Select, K::HasAttr, K::Apply,
    K::Binary, K::Unary, K::Pipe, K::AttrPath, K::StringName, K::DynamicName, K::Binding,
    K::InheritBinding, K::InheritSource,
];

impl SyntaxKind {
    /// The kind of a number that came from a kind; for any other, [`Error`](SyntaxKind::Error).
    pub fn from_raw(raw: u16) -> Self {
        ALL.get(raw as usize).copied().unwrap_or(K::Error)
    }

    /// Space or comment.
    #[inline]
    pub fn is_trivia(self) -> bool {
        matches!(self, K::Whitespace | K::LineComment | K::BlockComment)
    }

    /// Whether it is the kind of a token, not of a node.
    #[inline]
    pub fn is_token(self) -> bool {
        (self as u8) < (K::Root as u8)
    }

    /// Whether it is a keyword that cannot be a name.
    pub fn is_keyword(self) -> bool {
        matches!(
            self,
            K::If | K::Then | K::Else | K::Assert | K::With | K::Let | K::In | K::Rec | K::Inherit
        )
    }

    /// Whether a simple expression (an operand or argument) can begin with this token.
    #[inline]
    pub fn begins_operand(self) -> bool {
        matches!(
            self,
            K::Ident
                | K::Integer
                | K::Float
                | K::Path
                | K::HomePath
                | K::SearchPath
                | K::Uri
                | K::Let
                | K::Rec
                | K::IndentedOpen
                | K::Quote
                | K::LeftParen
                | K::LeftBrace
                | K::LeftBracket
        )
    }

    /// Whether an attribute name can begin with this token.
    #[inline]
    pub fn begins_name(self) -> bool {
        matches!(self, K::Ident | K::Or | K::Quote | K::DollarBrace)
    }

    /// How messages call a token.
    pub fn describe(self) -> &'static str {
        match self {
            K::Eof => "end of file",
            K::Ident => "identifier",
            K::Integer => "integer",
            K::Float => "floating-point literal",
            K::Path | K::PathBeforeInterpolation => "path",
            K::HomePath | K::HomePathBeforeInterpolation => "'~/…' path",
            K::SearchPath => "'<…>' path",
            K::Uri => "URI",
            K::PathEnd => "end of path",
            K::StringText | K::PathText => "string",
            K::IndentedText | K::IndentedEscape => "indented string",
            K::IndentedOpen => "start of an indented string",
            K::IndentedClose => "end of an indented string",
            K::If => "'if'",
            K::Then => "'then'",
            K::Else => "'else'",
            K::Assert => "'assert'",
            K::With => "'with'",
            K::Let => "'let'",
            K::In => "'in'",
            K::Rec => "'rec'",
            K::Inherit => "'inherit'",
            K::Or => "'or'",
            K::Ellipsis => "'...'",
            K::EqualEqual => "'=='",
            K::NotEqual => "'!='",
            K::LessEqual => "'<='",
            K::GreaterEqual => "'>='",
            K::Less => "'<'",
            K::Greater => "'>'",
            K::AndAnd => "'&&'",
            K::OrOr => "'||'",
            K::Arrow => "'->'",
            K::Update => "'//'",
            K::Concat => "'++'",
            K::PipeFrom => "'<|'",
            K::PipeInto => "'|>'",
            K::Plus => "'+'",
            K::Minus => "'-'",
            K::Star => "'*'",
            K::Slash => "'/'",
            K::Bang => "'!'",
            K::Question => "'?'",
            K::Equal => "'='",
            K::Colon => "':'",
            K::Semicolon => "';'",
            K::Comma => "','",
            K::Dot => "'.'",
            K::At => "'@'",
            K::LeftParen => "'('",
            K::RightParen => "')'",
            K::LeftBracket => "'['",
            K::RightBracket => "']'",
            K::LeftBrace => "'{'",
            K::RightBrace => "'}'",
            K::DollarBrace => "'${'",
            K::Quote => "'\"'",
            _ => "invalid token",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_stands_at_its_number() {
        for (number, kind) in ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, number);
        }
        assert_eq!(
            SyntaxKind::from_raw(K::InheritSource as u16),
            K::InheritSource
        );
        assert_eq!(SyntaxKind::from_raw(ALL.len() as u16), K::Error);
    }
}
