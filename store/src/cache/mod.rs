//! Binary caches: stores behind HTTP, S3 or a directory, as files that never change.
//!
//! ```text
//! nix-cache-info                 StoreDir, WantMassQuery, Priority
//! <hash>.narinfo                 what is known of a path, and where its archive is
//! nar/<file hash>.nar.<ext>      the archive, compressed
//! <hash>.ls                      what is in the archive (optional)
//! realisations/<id>.doi          what an output was built to
//! log/<derivation>               build logs
//! ```
//!
//! | file | what |
//! |---|---|
//! | `narinfo` | the `.narinfo` text |
//! | `info` | the `nix-cache-info` text |
//! | `compression` | how archives are compressed |
//! | `transport` | getting and putting files: directory, HTTP, S3 |
//! | `memo` | answers of caches, remembered on disk |
//! | `binary` | [`BinaryCacheStore`], a cache as a store |
//! | `copy` | copying paths between stores of any kind |
//! | `substituters` | all caches of the user together, for whoever needs a path |

mod binary;
mod compression;
mod copy;
mod info;
mod memo;
mod narinfo;
mod substituters;
#[cfg(test)]
mod tests;
mod transport;

pub use binary::{BinaryCacheStore, CacheOptions};
pub use compression::Compression;
pub use copy::{CopyOptions, copy_path, copy_paths};
pub use info::CacheInfo;
pub use memo::{Lifetimes, LookupMemo};
pub use narinfo::{NarInfo, NarInfoError};
pub use substituters::{Available, Fetched, Substituters};
pub use transport::{CacheError, Transport};
