//! Fetching: downloads, archives, Git and the other kinds of inputs.

pub mod attrs;
pub mod cache;
pub mod download;
pub mod flake_ref;
pub mod git;
pub mod input;
pub mod netrc;
pub mod registry;
pub mod s3;
#[cfg(test)]
pub mod test_server;
pub mod time;
pub mod unpack;
pub mod url;
