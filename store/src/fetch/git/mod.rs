//! Git repositories, through the `git` program.
//!
//! A repository is not trusted, wherever it lies: its hooks, filters and monitors never run, its
//! addresses cannot become options, and files come out of the object database as they are stored,
//! without the conversions that a checkout makes.
//!
//! | file | what |
//! |---|---|
//! | `command` | running `git` with everything dangerous switched off |
//! | `put` | files that are written into a work tree |
//! | `repo` | questions to one repository: commits, trees, the state of the work tree |
//! | `mirror` | bare copies of remote repositories below the cache directory |
//! | `tree` | the files of a commit or a work tree as a NAR |
//! | `verify` | signatures of commits |

mod command;
mod lfs;
mod mirror;
mod put;
mod repo;
mod tree;
mod verify;

pub use command::GitError;
pub use lfs::LfsSource;
pub use mirror::{Mirror, remote_head};
pub use put::record;
pub use repo::{Repo, Submodule, WorkTree, is_legal_ref_name};
pub use tree::GitTree;
pub use verify::{PublicKey, parse_public_keys, verify_commit};
