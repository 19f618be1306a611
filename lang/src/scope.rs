//! Which names a program uses without binding them.
//!
//! One walk over the compact syntax, without native recursion. A count per symbol says how many enclosing scopes bind it. Inside
//! a `with` nothing is undefined, since its attributes are not known.

use crate::ast::{Ast, AttrName, AttrPath, AttrSetId, BindingValue, Expr, ExprId, LambdaId};
use crate::diagnostic::Diagnostic;
use crate::symbol::Symbol;

/// Finds undefined variables. Keep one to look through many files: it reuses its memory.
pub struct Resolver {
    /// How many scopes bind a symbol, the global one included.
    bound: Vec<u32>,
    withs: u32,
    steps: Vec<Step>,
    /// Whether what is found is told, in order. First it is only asked whether there is anything.
    telling: bool,
    any: bool,
    found: Vec<Diagnostic>,
    /// Nothing more is looked at; what is open is only left.
    stopped: bool,
}

/// Steps between two looks at whether the user wants to stop.
const PATIENCE: u32 = 0x10000;

#[derive(Clone, Copy)]
enum Step {
    Expr(ExprId),
    LeaveSet(AttrSetId),
    LeaveLambda(LambdaId),
    EnterWith(ExprId),
    LeaveWith,
}

impl Resolver {
    /// With these names bound around every program.
    pub fn new(globals: impl IntoIterator<Item = Symbol>) -> Self {
        let mut resolver = Resolver {
            bound: Vec::new(),
            withs: 0,
            steps: Vec::new(),
            telling: false,
            any: false,
            found: Vec::new(),
            stopped: false,
        };
        for symbol in globals {
            resolver.bind(symbol);
        }
        resolver
    }

    /// The uses of undefined variables in a file, in the order in which binding meets them.
    pub fn undefined(&mut self, ast: &Ast) -> Vec<Diagnostic> {
        self.undefined_unless(ast, &|| false).unwrap_or_default()
    }

    /// The same, or nothing when `interrupted`, which is asked now and then, says true.
    pub fn undefined_unless(
        &mut self,
        ast: &Ast,
        interrupted: &dyn Fn() -> bool,
    ) -> Option<Vec<Diagnostic>> {
        self.walk(ast, interrupted);
        if self.any {
            (self.telling, self.any) = (true, false);
            self.walk(ast, interrupted);
            self.telling = false;
        }
        let found = std::mem::take(&mut self.found);
        (!std::mem::take(&mut self.stopped)).then_some(found)
    }

    fn walk(&mut self, ast: &Ast, interrupted: &dyn Fn() -> bool) {
        let mut count = 0_u32;
        self.steps.push(Step::Expr(ast.root()));
        while let Some(step) = self.steps.pop() {
            count += 1;
            if count.is_multiple_of(PATIENCE) {
                self.stopped |= interrupted();
            }
            match step {
                Step::Expr(_) if self.stopped => {}
                Step::Expr(id) => self.expr(ast, id),
                Step::LeaveSet(set) => {
                    for binding in ast.bindings(ast.set(set)) {
                        self.unbind(binding.name);
                    }
                }
                Step::LeaveLambda(id) => {
                    let lambda = ast.lambda(id);
                    lambda.arg.into_iter().for_each(|arg| self.unbind(arg));
                    for formal in ast.formals(lambda).unwrap_or_default() {
                        self.unbind(formal.name);
                    }
                }
                Step::EnterWith(body) => {
                    self.withs += 1;
                    self.steps.push(Step::Expr(body));
                }
                Step::LeaveWith => self.withs -= 1,
            }
        }
    }

    #[inline]
    fn bind(&mut self, symbol: Symbol) {
        let index = symbol.index();
        if index >= self.bound.len() {
            self.bound.resize(index + 1 + index / 2, 0);
        }
        self.bound[index] += 1;
    }

    #[inline]
    fn unbind(&mut self, symbol: Symbol) {
        self.bound[symbol.index()] -= 1;
    }

    #[inline]
    fn check(&mut self, symbol: Symbol, offset: u32) {
        if self.withs == 0
            && self
                .bound
                .get(symbol.index())
                .is_none_or(|&count| count == 0)
        {
            self.report(symbol, offset);
        }
    }

    #[cold]
    fn report(&mut self, symbol: Symbol, offset: u32) {
        if !self.telling {
            self.any = true;
            return;
        }
        if self.found.len() >= crate::diagnostic::MOST {
            return;
        }
        let end = offset + symbol.name().len() as u32;
        let mut diagnostic =
            Diagnostic::error(offset..end, format!("undefined variable '{symbol}'"));
        if let Some(near) = self.nearest(symbol) {
            diagnostic = diagnostic.with_help(format!("did you mean '{near}'?"));
        }
        self.found.push(diagnostic);
    }

    /// The name in scope that differs least from one that is not, if that is little.
    fn nearest(&self, symbol: Symbol) -> Option<Symbol> {
        let name = symbol.name();
        let limit = match name.len() {
            0..=2 => return None,
            3..=5 => 1,
            _ => 2,
        };
        let in_scope = self
            .bound
            .iter()
            .enumerate()
            .filter(|&(_, &count)| count > 0)
            .map(|(index, _)| Symbol(index as u32));
        in_scope
            .filter(|candidate| candidate.name().len().abs_diff(name.len()) <= limit)
            .map(|candidate| (edits(name, candidate.name()), candidate))
            .filter(|&(edits, _)| edits <= limit)
            .min_by_key(|&(edits, candidate)| (edits, candidate.name()))
            .map(|(_, candidate)| candidate)
    }

    /// Plans to look at an expression; what has no parts is looked at now, since the scope is the same.
    #[inline(always)]
    fn visit(&mut self, ast: &Ast, id: ExprId) {
        if !self.telling {
            match ast.expr(id) {
                Expr::Int(_) | Expr::Float(_) | Expr::Str(_) | Expr::Path(_) => return,
                Expr::Var(symbol) => return self.check(symbol, ast.offset(id)),
                _ => {}
            }
        }
        self.steps.push(Step::Expr(id));
    }

    #[inline(always)]
    fn visit_all(&mut self, ast: &Ast, all: &[ExprId]) {
        for &id in all.iter().rev() {
            self.visit(ast, id);
        }
    }

    fn path(&mut self, ast: &Ast, path: AttrPath) {
        for name in ast.attr_path(path).iter().rev() {
            if let AttrName::Dynamic(id) = *name {
                self.visit(ast, id);
            }
        }
    }

    fn expr(&mut self, ast: &Ast, id: ExprId) {
        match ast.expr(id) {
            Expr::Int(_)
            | Expr::Float(_)
            | Expr::Str(_)
            | Expr::Path(_)
            | Expr::SearchPath(_)
            | Expr::CurPos => {}
            Expr::Var(symbol) => self.check(symbol, ast.offset(id)),
            Expr::Interp(parts) | Expr::PathInterp(parts) => {
                for part in ast.parts(parts).iter().rev() {
                    self.visit(ast, part.expr);
                }
            }
            Expr::Select { base, path } | Expr::HasAttr { base, path } => {
                self.path(ast, path);
                self.visit(ast, base);
            }
            Expr::SelectOr {
                base,
                path,
                default,
            } => {
                self.path(ast, path);
                self.visit(ast, default);
                self.visit(ast, base);
            }
            Expr::Call { func, args } => {
                self.visit_all(ast, ast.list(args));
                self.visit(ast, func);
            }
            Expr::List(elements) => self.visit_all(ast, ast.list(elements)),
            Expr::Lambda(id) => self.lambda(ast, id),
            Expr::Attrs(set) => {
                if ast.set(set).recursive {
                    self.steps.push(Step::LeaveSet(set));
                }
                self.set(ast, set);
            }
            Expr::Let { set, body } => {
                self.steps.extend([Step::LeaveSet(set), Step::Expr(body)]);
                self.set(ast, set);
            }
            Expr::With { scope, body } => {
                self.steps
                    .extend([Step::LeaveWith, Step::EnterWith(body), Step::Expr(scope)]);
            }
            Expr::Assert { condition, body } => {
                self.visit(ast, body);
                self.visit(ast, condition);
            }
            Expr::If { condition, yes, no } => self.visit_all(ast, &[condition, yes, no]),
            Expr::Not(operand) | Expr::Neg(operand) => self.visit(ast, operand),
            Expr::And(left, right)
            | Expr::Or(left, right)
            | Expr::Impl(left, right)
            | Expr::Eq(left, right)
            | Expr::NotEq(left, right)
            | Expr::Update(left, right)
            | Expr::Concat(left, right)
            | Expr::Add { left, right, .. }
            | Expr::Sub(left, right)
            | Expr::Mul(left, right)
            | Expr::Div(left, right)
            | Expr::Less(left, right) => {
                self.visit(ast, right);
                self.visit(ast, left);
            }
        }
    }

    fn lambda(&mut self, ast: &Ast, id: LambdaId) {
        let lambda = ast.lambda(id);
        lambda.arg.into_iter().for_each(|arg| self.bind(arg));
        self.steps
            .extend([Step::LeaveLambda(id), Step::Expr(lambda.body)]);
        let formals = ast.formals(lambda).unwrap_or_default();
        for formal in formals {
            self.bind(formal.name);
        }
        for default in formals.iter().rev().filter_map(|formal| formal.default) {
            self.visit(ast, default);
        }
    }

    /// Checks plain inherits in the scope around the set, then binds the names and plans the values.
    fn set(&mut self, ast: &Ast, id: AttrSetId) {
        let set = ast.set(id);
        let bindings = ast.bindings(set);
        for binding in bindings {
            if binding.value == BindingValue::Inherit {
                self.check(binding.name, binding.offset);
            }
        }
        if set.recursive {
            for binding in bindings {
                self.bind(binding.name);
            }
        }
        for dynamic in ast.dynamics(set).iter().rev() {
            self.visit(ast, dynamic.value);
            self.visit(ast, dynamic.name);
        }
        for binding in bindings.iter().rev() {
            if let BindingValue::Plain(value) = binding.value {
                self.visit(ast, value);
            }
        }
        self.visit_all(ast, ast.inherit_sources(set));
    }
}

/// How many bytes must be inserted, removed, replaced or swapped with their neighbour to make one name of the other.
fn edits(from: &[u8], to: &[u8]) -> usize {
    let mut before = vec![0; to.len() + 1];
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1; to.len() + 1];
        for (j, b) in to.iter().enumerate() {
            row[j + 1] = (last[j] + usize::from(a != b))
                .min(last[j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                row[j + 1] = row[j + 1].min(before[j - 1] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[to.len()]
}

/// The names that C++ Nix binds around every program.
#[rustfmt::skip]
pub const GLOBALS: &[&str] = &[
    "abort", "baseNameOf", "break", "builtins", "derivation", "derivationStrict", "dirOf", "false",
    "fetchGit", "fetchMercurial", "fetchTarball", "fetchTree", "fromTOML", "import", "isNull",
    "map", "null", "placeholder", "removeAttrs", "scopedImport", "throw", "toString", "true",
    "__add", "__addDrvOutputDependencies", "__addErrorContext", "__all", "__any", "__appendContext",
    "__attrNames", "__attrValues", "__bitAnd", "__bitOr", "__bitXor", "__catAttrs", "__ceil",
    "__compareVersions", "__concatLists", "__concatMap", "__concatStringsSep", "__convertHash",
    "__currentSystem", "__currentTime", "__deepSeq", "__div", "__elem", "__elemAt", "__fetchurl",
    "__filter", "__filterSource", "__findFile", "__flakeRefToString", "__floor", "__foldl'",
    "__fromJSON", "__functionArgs", "__genList", "__genericClosure", "__getAttr", "__getContext",
    "__getEnv", "__getFlake", "__groupBy", "__hasAttr", "__hasContext", "__hashFile",
    "__hashString", "__head", "__intersectAttrs", "__isAttrs", "__isBool", "__isFloat",
    "__isFunction", "__isInt", "__isList", "__isPath", "__isString", "__langVersion", "__length",
    "__lessThan", "__listToAttrs", "__mapAttrs", "__match", "__mul", "__nixPath", "__nixVersion",
    "__parseDrvName", "__parseFlakeRef", "__partition", "__path", "__pathExists", "__readDir",
    "__readFile", "__readFileType", "__replaceStrings", "__seq", "__sort", "__split",
    "__splitVersion", "__storeDir", "__storePath", "__stringLength", "__sub", "__substring",
    "__tail", "__toFile", "__toJSON", "__toPath", "__toXML", "__trace", "__traceVerbose",
    "__tryEval", "__typeOf", "__unsafeDiscardOutputDependency", "__unsafeDiscardStringContext",
    "__unsafeGetAttrPos", "__warn", "__zipAttrsWith",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ParseOptions, parse, symbol};

    fn undefined(source: &str) -> Vec<String> {
        let mut resolver =
            Resolver::new(GLOBALS.iter().map(|name| symbol::intern(name.as_bytes())));
        let ast = parse(source.as_bytes(), &ParseOptions::default()).expect("a program");
        let found = resolver.undefined(&ast);
        assert!(
            resolver
                .undefined(&parse(b"true", &ParseOptions::default()).expect("a program"))
                .is_empty()
        );
        found
            .iter()
            .map(|one| source[one.range.start as usize..one.range.end as usize].to_owned())
            .collect()
    }

    #[test]
    fn every_scope_binds_what_it_should() {
        let none: [&str; 11] = [
            "x: y: x y",
            "{ a, b ? a, ... }@c: a b c",
            "let a = b; b = 1; in a",
            "let a = 1; in { inherit a; b = a; }",
            "rec { a = b; b = 1; ${a} = b; }",
            "with { }; a b c",
            "x: with x; { inherit y; }",
            "let { body = a; a = 1; }",
            "let x = { }; inherit (x) a; in a",
            "map toString [ __sub null ]",
            "x: x.y.${x} or x",
        ];
        for source in none {
            assert_eq!(undefined(source), [""; 0], "{source}");
        }
    }

    #[test]
    fn names_out_of_scope_are_found_everywhere() {
        assert_eq!(undefined("(x: x) x"), ["x"]);
        assert_eq!(undefined("{ a = 1; b = a; }"), ["a"]);
        assert_eq!(undefined("rec { inherit a; }"), ["a"]);
        assert_eq!(undefined("let a = 1; in rec { inherit a; }"), [""; 0]);
        assert_eq!(undefined("[ (with a; b) b ]"), ["a", "b"]);
        assert_eq!(
            undefined("\"${a}\" + ./x/${b} + c.d or e"),
            ["a", "b", "c", "e"]
        );
        assert_eq!(undefined("{ a ? b }: a"), ["b"]);
    }

    #[test]
    fn a_walk_that_is_interrupted_leaves_the_scope_as_it_was() {
        let source = format!(
            "x: with x; let a = 1; in rec {{ b = [ {} ]; }}",
            "(y: y) ".repeat(100_000)
        );
        let ast = parse(source.as_bytes(), &ParseOptions::default()).expect("a program");
        let mut resolver = Resolver::new([]);
        assert_eq!(resolver.undefined_unless(&ast, &|| true), None);
        let ast = parse(b"[ x a b ]", &ParseOptions::default()).expect("a program");
        assert_eq!(resolver.undefined(&ast).len(), 3);
    }

    #[test]
    fn a_typing_mistake_gets_a_suggestion() {
        let ast = parse(b"let concat = 1; in cocnat", &ParseOptions::default()).expect("a program");
        let found = Resolver::new([]).undefined(&ast);
        assert_eq!(found[0].help.as_deref(), Some("did you mean 'concat'?"));
    }
}
