//! Names with a fixed symbol, the same in every table.

use super::Symbol;

/// All of them, in the order of their symbols.
///
/// The order is what a program can see: attributes are compared and forced in the order of their symbols, and the
/// reference knows these before it reads the first file.
#[rustfmt::skip]
pub const NAMES: &[&str] = &[
    // What the reference's evaluator speaks of.
    "<with>", "outPath", "drvPath", "type", "meta", "name", "value", "system", "__overrides",
    "outputs", "outputName", "__ignoreNulls", "file", "line", "column", "__functor",
    "__toString", "right", "wrong", "__structuredAttrs", "__json", "allowedReferences",
    "allowedRequisites", "disallowedReferences", "disallowedRequisites", "maxSize",
    "maxClosureSize", "builder", "args", "__contentAddressed", "__impure", "outputHash",
    "outputHashAlgo", "outputHashMode", "recurseForDerivations", "description", "self", "",
    "startSet", "operator", "key", "path", "prefix", "outputSpecified", "__sub", "__lessThan",
    "__mul", "__div", "or", "__findFile", "__nixPath", "body",
    // What is in scope everywhere, as it comes there.
    "builtins", "true", "false", "null", "__currentTime", "currentTime", "__currentSystem",
    "currentSystem", "__nixVersion", "nixVersion", "__storeDir", "storeDir", "__langVersion",
    "langVersion", "__traceVerbose", "traceVerbose", "nixPath", "scopedImport", "import",
    "__typeOf", "typeOf", "isNull", "__isFunction", "isFunction", "__isInt", "isInt",
    "__isFloat", "isFloat", "__isString", "isString", "__isBool", "isBool", "__isPath",
    "isPath", "__genericClosure", "genericClosure", "break", "abort", "throw",
    "__addErrorContext", "addErrorContext", "__ceil", "ceil", "__floor", "floor", "__tryEval",
    "tryEval", "__getEnv", "getEnv", "__seq", "seq", "__deepSeq", "deepSeq", "__trace",
    "trace", "__warn", "warn", "derivationStrict", "placeholder", "__toPath", "toPath",
    "__storePath", "storePath", "__pathExists", "pathExists", "baseNameOf", "dirOf",
    "__readFile", "readFile", "findFile", "__hashFile", "hashFile", "__readFileType",
    "readFileType", "__readDir", "readDir", "__toXML", "toXML", "__toJSON", "toJSON",
    "__fromJSON", "fromJSON", "__toFile", "toFile", "__filterSource", "filterSource",
    "__attrNames", "attrNames", "__attrValues", "attrValues", "__getAttr", "getAttr",
    "__unsafeGetAttrPos", "unsafeGetAttrPos", "__hasAttr", "hasAttr", "__isAttrs", "isAttrs",
    "removeAttrs", "__listToAttrs", "listToAttrs", "__intersectAttrs", "intersectAttrs",
    "__catAttrs", "catAttrs", "__functionArgs", "functionArgs", "__mapAttrs", "mapAttrs",
    "__zipAttrsWith", "zipAttrsWith", "__isList", "isList", "__elemAt", "elemAt", "__head",
    "head", "__tail", "tail", "map", "__filter", "filter", "__elem", "elem", "__concatLists",
    "concatLists", "__length", "length", "__foldl'", "foldl'", "__any", "any", "__all", "all",
    "__genList", "genList", "__sort", "sort", "__partition", "partition", "__groupBy",
    "groupBy", "__concatMap", "concatMap", "__add", "add", "sub", "mul", "div", "__bitAnd",
    "bitAnd", "__bitOr", "bitOr", "__bitXor", "bitXor", "lessThan", "toString", "__substring",
    "substring", "__stringLength", "stringLength", "__hashString", "hashString",
    "__convertHash", "convertHash", "__match", "match", "__split", "split",
    "__concatStringsSep", "concatStringsSep", "__replaceStrings", "replaceStrings",
    "__parseDrvName", "parseDrvName", "__compareVersions", "compareVersions", "__splitVersion",
    "splitVersion", "__unsafeDiscardStringContext", "unsafeDiscardStringContext",
    "__hasContext", "hasContext", "__unsafeDiscardOutputDependency",
    "unsafeDiscardOutputDependency", "__addDrvOutputDependencies", "addDrvOutputDependencies",
    "__getContext", "getContext", "__appendContext", "appendContext", "fetchMercurial",
    "fetchTree", "fetchurl", "fetchTarball", "fetchGit", "fromTOML", "__getFlake", "getFlake",
    "__parseFlakeRef", "parseFlakeRef", "__flakeRefToString", "flakeRefToString", "derivation",
    "strict", "drvAttrs", "commonAttrs", "outputsList", "x", "outputToAttrListElement",
    // Not known to the reference; no attribute has this name.
    "__curPos",
];

const fn symbol_of(text: &str) -> Symbol {
    let mut at = 0;
    while !same(NAMES[at].as_bytes(), text.as_bytes()) {
        at += 1;
    }
    Symbol(at as u32)
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

macro_rules! known {
    ($($constant:ident = $text:literal),* $(,)?) => {
        $(
            #[doc = concat!("`", $text, "`")]
            pub const $constant: Symbol = symbol_of($text);
        )*
    };
}

known! {
    OUT_PATH = "outPath",
    DRV_PATH = "drvPath",
    TYPE = "type",
    NAME = "name",
    VALUE = "value",
    SYSTEM = "system",
    OVERRIDES = "__overrides",
    OUTPUTS = "outputs",
    OUTPUT_NAME = "outputName",
    IGNORE_NULLS = "__ignoreNulls",
    FILE = "file",
    LINE = "line",
    COLUMN = "column",
    FUNCTOR = "__functor",
    TO_STRING = "__toString",
    RIGHT = "right",
    WRONG = "wrong",
    STRUCTURED_ATTRS = "__structuredAttrs",
    BUILDER = "builder",
    ARGS = "args",
    CONTENT_ADDRESSED = "__contentAddressed",
    IMPURE = "__impure",
    OUTPUT_HASH = "outputHash",
    OUTPUT_HASH_ALGO = "outputHashAlgo",
    OUTPUT_HASH_MODE = "outputHashMode",
    RECURSE_FOR_DERIVATIONS = "recurseForDerivations",
    EMPTY = "",
    START_SET = "startSet",
    OPERATOR = "operator",
    KEY = "key",
    PATH = "path",
    PREFIX = "prefix",
    SUB = "__sub",
    LESS_THAN = "__lessThan",
    MUL = "__mul",
    DIV = "__div",
    OR = "or",
    FIND_FILE = "__findFile",
    NIX_PATH = "__nixPath",
    BODY = "body",
    BUILTINS = "builtins",
    DERIVATION = "derivation",
    CUR_POS = "__curPos",
}
