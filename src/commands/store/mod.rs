//! `rx-store`: everything that can be asked of a store and done with it, in one command.
//!
//! One flag is the operation, others belong to it. Which go together is checked when all are known.

mod database;
mod garbage;
mod graphs;
mod query;
mod realise;
mod transfer;

use std::ffi::OsString;
use std::io::{BufRead, IsTerminal};
use std::os::unix::ffi::OsStringExt;

use rx_store::hash::{Algorithm, Format, Hash};
use rx_store::progress;
use rx_store::store::Store;

use super::hash::check_algorithm;
use crate::cli::{ClassicCommand, Flag, Invocation, Options};
use crate::store_session::{open_local, open_store, store_path};
use crate::ui::{self, Failure, UsageError};

pub use garbage::{delete_paths, print_freed};
pub use transfer::{add_path, base_name};

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Realise,
    Add,
    AddFixed,
    PrintFixedPath,
    Delete,
    Query,
    PrintEnv,
    ReadLog,
    DumpDb,
    LoadDb,
    RegisterValidity,
    CheckValidity,
    Gc,
    Dump,
    Restore,
    Export,
    Import,
    Init,
    Verify,
    VerifyPath,
    RepairPath,
    Optimise,
    GenerateKey,
}

/// Options of `rx-store`.
#[derive(Debug, Default)]
pub struct StoreCommand {
    operation: Option<Operation>,
    several_operations: bool,
    /// Flags of operations, in order.
    flags: Vec<&'static str>,
    max_freed: Option<u64>,
    root: Option<OsString>,
    stdin: bool,
    no_output: bool,
    arguments: Vec<OsString>,
}

impl StoreCommand {
    fn operation(&mut self, operation: Operation) {
        self.several_operations |= self.operation.is_some_and(|before| before != operation);
        self.operation = Some(operation);
    }

    /// The operation's flags must be among these.
    fn only(&self, allowed: &[&str]) -> Result<(), UsageError> {
        match self.flags.iter().find(|flag| !allowed.contains(flag)) {
            Some(flag) => Err(UsageError::new(format!("unknown flag '{flag}'"))),
            None => Ok(()),
        }
    }

    fn has(&self, flag: &str) -> bool {
        self.flags.contains(&flag)
    }

    fn no_arguments(&self) -> Result<(), UsageError> {
        if self.arguments.is_empty() {
            Ok(())
        } else {
            Err(UsageError::new("no arguments expected"))
        }
    }
}

macro_rules! operation {
    ($long:literal, $operation:ident, $help:literal) => {
        Flag::switch($long, $help, |o: &mut StoreCommand| {
            o.operation(Operation::$operation)
        })
    };
}

macro_rules! flag {
    ($long:literal, $help:literal) => {
        Flag::switch($long, $help, |o: &mut StoreCommand| {
            o.flags.push(concat!("--", $long))
        })
    };
}

impl Options for StoreCommand {
    const FLAGS: &'static [Flag<Self>] = &[
        operation!("realise", Realise, "Build or fetch paths.")
            .short('r')
            .alias(&["realize"]),
        operation!("add", Add, "Copy files and trees to the store.").short('A'),
        operation!(
            "add-fixed",
            AddFixed,
            "Copy files as outputs of fixed hash: ALGORITHM FILE..."
        ),
        operation!(
            "print-fixed-path",
            PrintFixedPath,
            "Print a path: ALGORITHM HASH NAME."
        ),
        operation!("delete", Delete, "Delete paths that nothing needs."),
        operation!(
            "query",
            Query,
            "Ask what is known of paths (see the flags below)."
        )
        .short('q'),
        operation!(
            "print-env",
            PrintEnv,
            "Print a derivation's environment for a shell."
        ),
        operation!("read-log", ReadLog, "Print build logs.").short('l'),
        operation!("dump-db", DumpDb, "Print the database."),
        operation!("load-db", LoadDb, "Read what --dump-db printed."),
        operation!(
            "register-validity",
            RegisterValidity,
            "Register paths that are in place."
        ),
        operation!(
            "check-validity",
            CheckValidity,
            "Fail if a path is not valid."
        ),
        operation!("gc", Gc, "Collect garbage."),
        operation!("dump", Dump, "Write the archive of a file or tree."),
        operation!("restore", Restore, "Unpack an archive from standard input."),
        operation!("export", Export, "Write paths with what is known of them."),
        operation!("import", Import, "Add what --export wrote."),
        operation!("init", Init, "Make an empty store."),
        operation!("verify", Verify, "Check the whole store."),
        operation!("verify-path", VerifyPath, "Check the contents of paths."),
        operation!("repair-path", RepairPath, "Restore the contents of paths."),
        operation!("optimise", Optimise, "Link identical files together.").alias(&["optimize"]),
        operation!(
            "generate-binary-cache-key",
            GenerateKey,
            "Make keys to sign with: NAME SECRET-FILE PUBLIC-FILE."
        ),
        Flag::value(
            "add-root",
            &["path"],
            "With --realise: make a link that keeps the result.",
            |o: &mut Self, values| {
                o.root = Some(values.os());
                Ok(())
            },
        ),
        Flag::switch(
            "indirect",
            "Has no effect any more: all roots are indirect.",
            |_: &mut Self| {},
        ),
        Flag::switch(
            "stdin",
            "Read further arguments from standard input.",
            |o: &mut Self| o.stdin = true,
        ),
        Flag::switch(
            "no-output",
            "With --realise: print nothing.",
            |o: &mut Self| o.no_output = true,
        ),
        flag!("dry-run", "With --realise: only tell what would be done."),
        flag!(
            "ignore-unknown",
            "With --realise: skip what nobody can make."
        ),
        flag!("check", "With --realise: build again and compare."),
        flag!(
            "repair",
            "With --verify or --realise: restore what is damaged."
        ),
        flag!("check-contents", "With --verify: hash all contents."),
        flag!(
            "ignore-liveness",
            "With --delete: delete even what a root needs."
        ),
        flag!(
            "recursive",
            "With --add-fixed: hash archives, not contents."
        ),
        flag!(
            "print-invalid",
            "With --check-validity: print invalid paths instead of failing."
        ),
        flag!(
            "reregister",
            "With --register-validity: replace what is known."
        ),
        flag!(
            "hash-given",
            "With --register-validity: hashes are in the input."
        ),
        flag!("print-roots", "With --gc: print roots."),
        flag!("print-live", "With --gc: print what roots need."),
        flag!("print-dead", "With --gc: print what no root needs."),
        Flag::value(
            "max-freed",
            &["bytes"],
            "With --gc: stop when this much is freed.",
            |o: &mut Self, values| {
                o.max_freed = Some(values.number()?);
                Ok(())
            },
        ),
        flag!(
            "outputs",
            "With --query: outputs of derivations (the default)."
        ),
        flag!("requisites", "With --query: everything that a path needs.").short('R'),
        flag!("references", "With --query: what a path refers to."),
        flag!("referrers", "With --query: what refers to a path.").alias(&["referers"]),
        flag!(
            "referrers-closure",
            "With --query: everything that needs a path."
        )
        .alias(&["referers-closure"]),
        flag!("deriver", "With --query: the derivation that built a path.").short('d'),
        flag!(
            "valid-derivers",
            "With --query: derivations with this output."
        ),
        flag!(
            "binding",
            "With --query: a variable of a derivation: NAME PATH..."
        )
        .short('b'),
        flag!("hash", "With --query: the hash of the archive."),
        flag!("size", "With --query: the size of the archive."),
        flag!("tree", "With --query: references as a tree."),
        flag!("graph", "With --query: references for Graphviz."),
        flag!("graphml", "With --query: references as GraphML."),
        flag!(
            "resolve",
            "With --query: the store path that a link leads to."
        ),
        flag!("roots", "With --query: roots that keep a path."),
        flag!(
            "use-output",
            "With --query: take outputs of derivations instead of them."
        )
        .short('u'),
        flag!("force-realise", "With --query: build first.")
            .short('f')
            .alias(&["force-realize"]),
        flag!(
            "include-outputs",
            "With --query --requisites: also outputs of derivations."
        ),
    ];

    fn argument(&mut self, argument: OsString) -> Result<(), UsageError> {
        self.arguments.push(argument);
        Ok(())
    }

    fn other(
        &mut self,
        flag: &str,
        _rest: &mut dyn Iterator<Item = OsString>,
    ) -> Result<bool, UsageError> {
        Err(UsageError::new(format!("unknown flag '{flag}'")))
    }
}

impl ClassicCommand for StoreCommand {
    const NAME: &'static str = "store";
    const ABOUT: &'static str = "look into the store and change it";
    const USAGE: &'static [&'static str] = &[
        "--realise [--add-root LINK] [--dry-run | --check | --repair] PATH...",
        "--query [--references | --requisites | --referrers | --deriver | --roots | ...] PATH...",
        "--gc [--print-roots | --print-live | --print-dead | --max-freed BYTES]",
        "--add FILE... | --delete PATH... | --verify [--check-contents] [--repair]",
        "--export PATH... | --import | --dump FILE | --restore FILE",
    ];

    fn run(mut self, invocation: &Invocation) -> Result<(), Failure> {
        if self.several_operations {
            return Err(UsageError::new("only one operation may be specified").into());
        }
        let Some(operation) = self.operation else {
            return Err(UsageError::new("no operation specified").into());
        };
        let reads_stdin = matches!(operation, Operation::Import | Operation::Restore);
        if self.stdin && !reads_stdin && !std::io::stdin().is_terminal() {
            self.read_arguments()?;
        }
        match operation {
            Operation::Realise => self.realise(invocation),
            Operation::Add => self.add(invocation),
            Operation::AddFixed => self.add_fixed(invocation),
            Operation::PrintFixedPath => self.print_fixed_path(invocation),
            Operation::Delete => self.delete(invocation),
            Operation::Query => self.query(invocation),
            Operation::PrintEnv => self.print_env(invocation),
            Operation::ReadLog => self.read_log(invocation),
            Operation::DumpDb => self.dump_db(invocation),
            Operation::LoadDb => self.load_db(invocation),
            Operation::RegisterValidity => self.register_validity(invocation),
            Operation::CheckValidity => self.check_validity(invocation),
            Operation::Gc => self.collect_garbage(invocation),
            Operation::Dump => self.dump(invocation),
            Operation::Restore => self.restore(invocation),
            Operation::Export => self.export(invocation),
            Operation::Import => self.import(invocation),
            Operation::Init => {
                self.only(&[])?;
                self.no_arguments()?;
                open_store(invocation).map(drop)
            }
            Operation::Verify => self.verify(invocation),
            Operation::VerifyPath => self.verify_path(invocation),
            Operation::RepairPath => self.repair_path(invocation),
            Operation::Optimise => {
                self.only(&[])?;
                self.no_arguments()?;
                Ok(open_store(invocation)?.optimise()?)
            }
            Operation::GenerateKey => self.generate_key(),
        }
    }
}

impl StoreCommand {
    fn read_arguments(&mut self) -> Result<(), Failure> {
        for line in std::io::stdin().lock().split(b'\n') {
            for word in line?
                .split(u8::is_ascii_whitespace)
                .filter(|word| !word.is_empty())
            {
                self.arguments.push(OsString::from_vec(word.to_vec()));
            }
        }
        Ok(())
    }

    fn check_validity(self, invocation: &Invocation) -> Result<(), Failure> {
        self.only(&["--print-invalid"])?;
        let store = open_store(invocation)?;
        let mut out = Vec::new();
        for argument in &self.arguments {
            let path = store_path(&*store, argument)?;
            if store.is_valid(&path)? {
                continue;
            }
            if !self.has("--print-invalid") {
                return Err(rx_store::store::StoreError::InvalidPath(
                    store.dir().display(&path).to_string(),
                )
                .into());
            }
            out.extend_from_slice(&store.dir().print(&path));
            out.push(b'\n');
        }
        ui::print_bytes(&out)
    }

    fn verify(self, invocation: &Invocation) -> Result<(), Failure> {
        self.no_arguments()?;
        self.only(&["--check-contents", "--repair"])?;
        let store = open_store(invocation)?;
        if store.verify(self.has("--check-contents"), self.has("--repair"))? {
            progress::warn("not all store errors were fixed");
            return Err(Failure::Status(1));
        }
        Ok(())
    }

    fn verify_path(self, invocation: &Invocation) -> Result<(), Failure> {
        if !self.flags.is_empty() {
            return Err(UsageError::new("no flags expected").into());
        }
        let store = open_store(invocation)?;
        let mut damaged = false;
        for argument in &self.arguments {
            let path = store_path(&*store, argument)?;
            damaged |= !contents_are_intact(&*store, &path)?;
        }
        if damaged {
            Err(Failure::Status(1))
        } else {
            Ok(())
        }
    }

    fn repair_path(self, invocation: &Invocation) -> Result<(), Failure> {
        if !self.flags.is_empty() {
            return Err(UsageError::new("no flags expected").into());
        }
        let store = open_store(invocation)?;
        for argument in &self.arguments {
            let path = store_path(&*store, argument)?;
            match store.builder() {
                Some(builder) => builder.repair_path(&path)?,
                None => {
                    let path = store.dir().display(&path).to_string();
                    return Err(Failure::message(format!("cannot repair path '{path}'")));
                }
            }
        }
        Ok(())
    }

    fn print_fixed_path(self, invocation: &Invocation) -> Result<(), Failure> {
        use rx_store::content_address::{ContentAddress, Method, References};
        self.only(&["--recursive"])?;
        let [algorithm, hash, name] = self.arguments.as_slice() else {
            return Err(UsageError::new("'--print-fixed-path' requires three arguments").into());
        };
        let algorithm = algorithm_of(invocation, algorithm)?;
        let hash = Hash::parse_any(hash.as_encoded_bytes(), Some(algorithm))?;
        let method = if self.has("--recursive") {
            Method::NixArchive
        } else {
            Method::Flat
        };
        let dir = rx_store::path::StoreDir::new(
            invocation
                .settings
                .places
                .store_dir
                .as_os_str()
                .as_encoded_bytes(),
        )?;
        let name = name.to_string_lossy();
        let address = ContentAddress { method, hash };
        let path = dir.make_content_path(&name, &address, &References::default())?;
        ui::print(&format!("{}\n", dir.display(&path)))
    }

    fn generate_key(self) -> Result<(), Failure> {
        use rx_store::store::signature::SecretKey;
        use std::io::Write;
        use std::os::unix::fs::OpenOptionsExt;
        self.only(&[])?;
        let [name, secret_file, public_file] = self.arguments.as_slice() else {
            return Err(UsageError::new("three arguments expected").into());
        };
        let key = SecretKey::generate(&name.to_string_lossy())?;
        let write = |file: &OsString, mode: u32, text: String| -> std::io::Result<()> {
            let mut file = std::fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(mode)
                .open(file)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        write(public_file, 0o666, key.public().to_string())?;
        write(secret_file, 0o600, key.to_string())?;
        Ok(())
    }

    fn read_log(self, invocation: &Invocation) -> Result<(), Failure> {
        self.only(&[])?;
        let store = open_store(invocation)?;
        for argument in &self.arguments {
            let path = store_path(&*store, argument)?;
            // What is not valid has no deriver whose log could be meant.
            let known = path.is_derivation() || store.is_valid(&path)?;
            let log = if known { store.build_log(&path)? } else { None };
            match log {
                Some(log) => ui::print_bytes(&log)?,
                None => {
                    return Err(Failure::message(format!(
                        "build log of derivation '{}' is not available",
                        store.dir().display(&path)
                    )));
                }
            }
        }
        Ok(())
    }

    fn print_env(self, invocation: &Invocation) -> Result<(), Failure> {
        self.only(&[])?;
        let [path] = self.arguments.as_slice() else {
            return Err(UsageError::new("'--print-env' requires one derivation store path").into());
        };
        let store = open_store(invocation)?;
        let path = store.dir().parse(path.as_encoded_bytes())?;
        let derivation = store.read_derivation(&path)?;
        let mut out = Vec::new();
        for (name, value) in &derivation.env {
            if name == rx_store::derivation::STRUCTURED_ATTRS {
                continue;
            }
            out.extend_from_slice(b"export ");
            out.extend_from_slice(name);
            out.extend_from_slice(b"; ");
            out.extend_from_slice(name);
            out.push(b'=');
            shell_quote(value, &mut out);
            out.extend_from_slice(b"\n\n");
        }
        out.extend_from_slice(b"export _args; _args=");
        shell_quote(&derivation.args.join(&b' '), &mut out);
        out.push(b'\n');
        ui::print_bytes(&out)
    }
}

/// Quotes text for a shell, always.
fn shell_quote(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'\'');
    for &c in text {
        if c == b'\'' {
            out.extend_from_slice(b"'\\''");
        } else {
            out.push(c);
        }
    }
    out.push(b'\'');
}

fn algorithm_of(invocation: &Invocation, name: &OsString) -> Result<Algorithm, Failure> {
    let algorithm = Algorithm::parse(name.as_encoded_bytes())
        .map_err(|error| UsageError::new(error.to_string()))?;
    check_algorithm(algorithm, invocation)?;
    Ok(algorithm)
}

/// Hashes an object's contents and complains when they are not what is registered.
pub fn contents_are_intact(
    store: &dyn Store,
    path: &rx_store::path::StorePath,
) -> Result<bool, Failure> {
    let shown = store.dir().display(path).to_string();
    progress::talkative(format_args!("checking path '{shown}'..."));
    let info = store.path_info(path)?;
    let mut hasher = rx_store::hash::Hasher::new(Algorithm::Sha256);
    store.nar_from_path(path, &mut hasher)?;
    let found = hasher.finish();
    if found == info.nar_hash {
        return Ok(true);
    }
    progress::log(
        progress::Level::Error,
        format_args!(
            "path '{shown}' was modified! expected hash '{}', got '{}'",
            info.nar_hash.format(Format::Nix32, true),
            found.format(Format::Nix32, true)
        ),
    );
    Ok(false)
}

/// The local store, for operations that no other kind has.
fn local(invocation: &Invocation) -> Result<std::sync::Arc<rx_store::store::LocalStore>, Failure> {
    open_local(invocation)
}
