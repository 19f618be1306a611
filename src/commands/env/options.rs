//! The command line of `rx-env`.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use rx_store::store::BuildMode;

use super::Env;
use super::source::Kind;
use crate::cli::{Flag, Group, Options};
use crate::ui::UsageError;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `-i`
    Install,
    /// `-u`
    Upgrade,
    /// `-e`
    Uninstall,
    /// `--set`
    Set,
    /// `--set-flag`
    SetFlag,
    /// `-q`
    Query,
    /// `-S`
    SwitchProfile,
    /// `-G`
    SwitchGeneration,
    /// `--rollback`
    Rollback,
    /// `--list-generations`
    ListGenerations,
    /// `--delete-generations`
    DeleteGenerations,
}

/// Which versions an upgrade takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Upgrade {
    /// Newer ones.
    #[default]
    Newer,
    /// Newer ones and those of the same version.
    NewerOrSame,
    /// Those of the same version.
    Same,
    /// Any.
    Any,
}

/// What a query shows.
#[derive(Debug, Default)]
pub struct Columns {
    /// `-a`
    pub available: bool,
    /// `-s`
    pub status: bool,
    /// `--no-name`
    pub no_name: bool,
    /// `-P`
    pub attr_path: bool,
    /// `--system`
    pub system: bool,
    /// `--drv-path`
    pub drv_path: bool,
    /// `--out-path`
    pub out_path: bool,
    /// `--description`
    pub description: bool,
    /// `--meta`
    pub meta: bool,
    /// `-c`
    pub compare: bool,
    /// `--xml`
    pub xml: bool,
    /// `--json`
    pub json: bool,
    /// `-A`
    pub below: Vec<u8>,
}

impl Env {
    fn operate(&mut self, operation: Operation) {
        if self.operation.is_some_and(|other| other != operation) {
            self.several_operations = true;
        }
        self.operation = Some(operation);
    }

    /// Notes a flag that only some operations have.
    fn only(&mut self, flag: &'static str, operations: &'static [Operation]) {
        self.special.push((flag, operations));
    }
}

const QUERY: &[Operation] = &[Operation::Query];
const INSTALL: &[Operation] = &[Operation::Install];
const UPGRADE: &[Operation] = &[Operation::Upgrade];
const SOURCES: &[Operation] = &[Operation::Install, Operation::Upgrade, Operation::Set];

impl Options for Env {
    const FLAGS: &'static [Flag<Self>] = &[
        Flag::switch("install", "Install packages.", |o: &mut Self| {
            o.operate(Operation::Install)
        })
        .short('i'),
        Flag::switch("upgrade", "Upgrade packages.", |o: &mut Self| {
            o.operate(Operation::Upgrade)
        })
        .short('u'),
        Flag::switch("uninstall", "Remove packages.", |o: &mut Self| {
            o.operate(Operation::Uninstall)
        })
        .short('e'),
        Flag::switch("set", "Make the profile be one package.", |o: &mut Self| {
            o.operate(Operation::Set)
        }),
        Flag::switch(
            "set-flag",
            "Set priority, active or keep of installed packages: NAME VALUE PACKAGE...",
            |o: &mut Self| o.operate(Operation::SetFlag),
        ),
        Flag::switch("query", "List packages.", |o: &mut Self| {
            o.operate(Operation::Query)
        })
        .short('q'),
        Flag::switch(
            "switch-profile",
            "Use another profile from now on.",
            |o: &mut Self| {
                o.operate(Operation::SwitchProfile);
            },
        )
        .short('S'),
        Flag::switch(
            "switch-generation",
            "Go to a generation.",
            |o: &mut Self| {
                o.operate(Operation::SwitchGeneration);
            },
        )
        .short('G'),
        Flag::switch(
            "rollback",
            "Go back to the generation before.",
            |o: &mut Self| {
                o.operate(Operation::Rollback);
            },
        ),
        Flag::switch(
            "list-generations",
            "List the generations.",
            |o: &mut Self| {
                o.operate(Operation::ListGenerations);
            },
        ),
        Flag::switch(
            "delete-generations",
            "Delete generations: numbers, 'old', '+N' (all but the last N), '30d' (older ones).",
            |o: &mut Self| o.operate(Operation::DeleteGenerations),
        ),
        Flag::value(
            "profile",
            &["path"],
            "The profile to work on.",
            |o: &mut Self, values| {
                o.profile = Some(PathBuf::from(values.os()));
                Ok(())
            },
        )
        .short('p'),
        Flag::value(
            "file",
            &["path"],
            "The expression that packages come from: a file, a directory of files, a URL or '-'.",
            |o: &mut Self, values| {
                o.source.file = Some(values.os());
                Ok(())
            },
        )
        .short('f'),
        Flag::switch(
            "dry-run",
            "Only tell what would be done.",
            |o: &mut Self| {
                o.dry_run = true;
            },
        ),
        Flag::switch(
            "repair",
            "Replace what is damaged in the store.",
            |o: &mut Self| o.mode = BuildMode::Repair,
        ),
        Flag::value(
            "system-filter",
            &["system"],
            "Only packages for this system; '*' means all.",
            |o: &mut Self, values| {
                let system = values.os().into_vec();
                o.source.system = (system != b"*").then_some(system);
                Ok(())
            },
        ),
        Flag::switch(
            "prebuilt-only",
            "Only packages that need not be built.",
            |o: &mut Self| o.prebuilt_only = true,
        )
        .short('b'),
        Flag::value(
            "force-name",
            &["name"],
            "Install under this name.",
            |o: &mut Self, values| {
                o.force_name = values.os().into_vec();
                Ok(())
            },
        ),
        Flag::switch(
            "from-expression",
            "Arguments are functions of the expression.",
            |o: &mut Self| {
                o.only("--from-expression", SOURCES);
                o.source.kind = Kind::Functions;
            },
        )
        .short('E'),
        Flag::value(
            "from-profile",
            &["path"],
            "Take packages from another profile.",
            |o: &mut Self, values| {
                o.only("--from-profile", SOURCES);
                o.source.kind = Kind::Profile(PathBuf::from(values.os()));
                Ok(())
            },
        ),
        Flag::switch(
            "preserve-installed",
            "Keep installed packages of the same name.",
            |o: &mut Self| {
                o.only("--preserve-installed", INSTALL);
                o.preserve_installed = true;
            },
        ),
        Flag::switch(
            "remove-all",
            "Remove all other packages first.",
            |o: &mut Self| {
                o.only("--remove-all", INSTALL);
                o.remove_all = true;
            },
        )
        .short('r'),
        Flag::value(
            "priority",
            &["number"],
            "The priority of what is installed; files of lower numbers win.",
            |o: &mut Self, values| {
                o.only("--priority", INSTALL);
                let number = values
                    .text()?
                    .parse()
                    .map_err(|_| UsageError::new("'--priority' requires an integer argument"))?;
                o.priority = Some(number);
                Ok(())
            },
        ),
        Flag::switch("lt", "Take newer versions.", |o: &mut Self| {
            o.only("--lt", UPGRADE);
            o.upgrade = Upgrade::Newer;
        }),
        Flag::switch("leq", "Take newer and same versions.", |o: &mut Self| {
            o.only("--leq", UPGRADE);
            o.upgrade = Upgrade::NewerOrSame;
        }),
        Flag::switch("eq", "Take same versions.", |o: &mut Self| {
            o.only("--eq", UPGRADE);
            o.upgrade = Upgrade::Same;
        }),
        Flag::switch("always", "Take any version.", |o: &mut Self| {
            o.only("--always", UPGRADE);
            o.upgrade = Upgrade::Any;
        }),
        Flag::switch("installed", "List what is installed.", |o: &mut Self| {
            o.only("--installed", QUERY);
            o.columns.available = false;
        }),
        Flag::switch(
            "available",
            "List what can be installed.",
            |o: &mut Self| {
                o.only("--available", QUERY);
                o.columns.available = true;
            },
        )
        .short('a'),
        Flag::switch(
            "status",
            "Show whether packages are Installed, Present, and on a Substituter.",
            |o: &mut Self| {
                o.only("--status", QUERY);
                o.columns.status = true;
            },
        )
        .short('s'),
        Flag::switch("no-name", "Do not show names.", |o: &mut Self| {
            o.only("--no-name", QUERY);
            o.columns.no_name = true;
        }),
        Flag::switch("attr-path", "Show attribute paths.", |o: &mut Self| {
            o.only("--attr-path", QUERY);
            o.columns.attr_path = true;
        }),
        Flag::switch("system", "Show systems.", |o: &mut Self| {
            o.only("--system", QUERY);
            o.columns.system = true;
        }),
        Flag::switch("drv-path", "Show paths of derivations.", |o: &mut Self| {
            o.only("--drv-path", QUERY);
            o.columns.drv_path = true;
        }),
        Flag::switch("out-path", "Show paths of outputs.", |o: &mut Self| {
            o.only("--out-path", QUERY);
            o.columns.out_path = true;
        }),
        Flag::switch("description", "Show descriptions.", |o: &mut Self| {
            o.only("--description", QUERY);
            o.columns.description = true;
        }),
        Flag::switch(
            "meta",
            "Show all of 'meta' (with --xml or --json).",
            |o: &mut Self| {
                o.only("--meta", QUERY);
                o.columns.meta = true;
            },
        ),
        Flag::switch(
            "compare-versions",
            "Compare installed with available versions.",
            |o: &mut Self| {
                o.only("--compare-versions", QUERY);
                o.columns.compare = true;
            },
        )
        .short('c'),
        Flag::switch("xml", "Print XML.", |o: &mut Self| {
            o.only("--xml", QUERY);
            o.columns.xml = true;
        }),
        Flag::switch("json", "Print JSON.", |o: &mut Self| {
            o.only("--json", QUERY);
            o.columns.json = true;
        }),
    ];

    const GROUPS: &'static [Group<Self>] = &[Group::new("Evaluation", |options| &mut options.eval)];

    fn argument(&mut self, argument: OsString) -> Result<(), UsageError> {
        self.arguments.push(argument.into_vec());
        Ok(())
    }

    fn other(
        &mut self,
        flag: &str,
        rest: &mut dyn Iterator<Item = OsString>,
    ) -> Result<bool, UsageError> {
        match flag {
            // What these mean depends on the operation, which comes before them.
            "-A" | "--attr" if self.operation == Some(Operation::Query) => {
                let path = rest
                    .next()
                    .ok_or_else(|| UsageError::new(format!("'{flag}' requires an argument")))?;
                self.columns.below = path.as_bytes().to_vec();
            }
            "-A" | "--attr" => {
                self.only("--attr", SOURCES);
                self.source.kind = Kind::Attributes;
            }
            "-P" if self.operation == Some(Operation::Query) => {
                self.only("--attr-path", QUERY);
                self.columns.attr_path = true;
            }
            "-P" => {
                self.only("--preserve-installed", INSTALL);
                self.preserve_installed = true;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}
