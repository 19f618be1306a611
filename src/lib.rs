//! The commands of rx: command lines, terminal output and one module for each command.

pub mod cli;
pub mod commands;
pub mod eval_session;
pub mod execute;
pub mod installables;
pub mod machine;
pub mod operands;
pub mod realise;
pub mod search;
pub mod store_session;
pub mod ui;
