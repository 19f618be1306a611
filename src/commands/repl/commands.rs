//! The commands that begin with a colon.

use rx_lang::{ParseOptions, symbol};

use super::input;
use super::memory::Step;
use super::pager;
use super::session::{Outcome, Repl};
use crate::ui::{self, Failure, report};

/// A command: its names, its argument, and what it does.
pub(super) struct Command {
    /// The names, with the colon.
    pub names: &'static [&'static str],
    /// What follows it.
    pub argument: &'static str,
    /// What it does; lines are separated.
    pub about: &'static [&'static str],
    /// What kind of thing its argument is.
    pub takes: Takes,
}

/// What a command's argument is, for completion and for input that goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Takes {
    /// Nothing.
    Nothing,
    /// An expression.
    Expression,
    /// The path of a file.
    Path,
    /// Something else.
    Word,
}

const fn command(
    names: &'static [&'static str],
    argument: &'static str,
    takes: Takes,
    about: &'static [&'static str],
) -> Command {
    Command {
        names,
        argument,
        about,
        takes,
    }
}

/// The commands, in the order of the overview.
pub(super) const COMMANDS: &[Command] = &[
    command(
        &[":a", ":add"],
        "<expr>",
        Takes::Expression,
        &["Add attributes from resulting set to scope"],
    ),
    command(
        &[":b"],
        "<expr>",
        Takes::Expression,
        &["Build a derivation"],
    ),
    command(
        &[":bl"],
        "<expr>",
        Takes::Expression,
        &[
            "Build a derivation, creating GC roots in the",
            "working directory",
        ],
    ),
    command(
        &[":e", ":edit"],
        "<expr>",
        Takes::Expression,
        &["Open package or function in $EDITOR"],
    ),
    command(
        &[":i"],
        "<expr>",
        Takes::Expression,
        &[
            "Build derivation, then install result into",
            "current profile",
        ],
    ),
    command(
        &[":l", ":load"],
        "<path>",
        Takes::Path,
        &["Load Nix expression and add it to scope"],
    ),
    command(
        &[":lf", ":load-flake"],
        "<ref>",
        Takes::Path,
        &["Load Nix flake and add it to scope"],
    ),
    command(
        &[":ll", ":last-loaded"],
        "",
        Takes::Nothing,
        &["Show most recently loaded variables added to scope"],
    ),
    command(
        &[":p", ":print"],
        "<expr>",
        Takes::Expression,
        &[
            "Evaluate and print expression recursively",
            "Strings are printed directly, without escaping.",
        ],
    ),
    command(&[":q", ":quit"], "", Takes::Nothing, &["Exit nix-repl"]),
    command(
        &[":r", ":reload"],
        "",
        Takes::Nothing,
        &["Reload all files"],
    ),
    command(
        &[":sh"],
        "<expr>",
        Takes::Expression,
        &["Build dependencies of derivation, then start", "nix-shell"],
    ),
    command(
        &[":t"],
        "<expr>",
        Takes::Expression,
        &["Describe result of evaluation"],
    ),
    command(
        &[":u"],
        "<expr>",
        Takes::Expression,
        &["Build derivation, then start nix-shell"],
    ),
    command(
        &[":doc"],
        "<expr>",
        Takes::Expression,
        &["Show documentation of a builtin function"],
    ),
    command(
        &[":log"],
        "<expr>",
        Takes::Expression,
        &["Show logs for a derivation"],
    ),
    command(
        &[":te", ":trace-enable"],
        "[bool]",
        Takes::Word,
        &["Enable, disable or toggle showing traces for", "errors"],
    ),
    command(
        &[":?", ":help"],
        "",
        Takes::Nothing,
        &["Brings up this help menu"],
    ),
];

/// The commands that there are beside them in the debugger.
pub(super) const DEBUG_COMMANDS: &[Command] = &[
    command(&[":env"], "", Takes::Nothing, &["Show env stack"]),
    command(
        &[":bt", ":backtrace"],
        "",
        Takes::Nothing,
        &["Show trace stack"],
    ),
    command(
        &[":st"],
        "[idx]",
        Takes::Word,
        &[
            "Show current trace, or change to another",
            "trace in the stack",
        ],
    ),
    command(
        &[":c", ":continue"],
        "",
        Takes::Nothing,
        &["Go until end of program, exception, or", "builtins.break"],
    ),
    command(&[":s", ":step"], "", Takes::Nothing, &["Go one step"]),
];

impl Repl<'_> {
    /// Runs a text that begins with a colon. `complete` says that nothing follows.
    pub fn command(&mut self, text: &str, complete: bool) -> Result<Outcome, Failure> {
        let (name, argument) = split(text);
        if self.vm.has_debugger()
            && let Some(known) = find_in(DEBUG_COMMANDS, name)
        {
            return self.debug_command(known.names[0], argument);
        }
        let Some(known) = find(name) else {
            return Err(unknown(name));
        };
        if known.takes == Takes::Expression && argument.is_empty() {
            return Err(Failure::message(format!("'{name}' needs an expression")));
        }
        if !complete && is_incomplete(text, &self.vm.ev.settings.syntax) {
            return Ok(Outcome::More);
        }
        match known.names[0] {
            ":?" => ui::print(&overview(self.vm.has_debugger()))?,
            ":a" => {
                let value = self.eval(argument)?;
                self.add_attributes(value)?;
                self.steps.push(Step::Add(argument.to_owned()));
            }
            ":b" | ":bl" => self.build(argument, name == ":bl")?,
            ":i" => self.install(argument)?,
            ":sh" => self.shell_of(argument)?,
            ":u" => self.shell_with(argument)?,
            ":log" => self.log(argument)?,
            ":e" => self.edit(argument)?,
            ":l" => {
                if argument.is_empty() {
                    return Err(Failure::message(format!(
                        "'{name}' needs the path of a file"
                    )));
                }
                self.vm.ev.forget_files();
                self.load_file(argument.as_ref())?;
            }
            ":lf" => self.load_flake(argument)?,
            ":ll" => self.show_last_loaded()?,
            ":r" => self.reload(),
            ":p" => {
                let value = self.eval(argument)?;
                self.print_whole(value)?;
            }
            ":t" => {
                let value = self.eval(argument)?;
                ui::print(&format!("{}\n", value.type_phrase()))?;
            }
            ":doc" => self.show_documentation(argument)?,
            ":te" => self.enable_traces(name, argument)?,
            ":q" => return Ok(Outcome::Quit),
            _ => return Err(unknown(name)),
        }
        Ok(Outcome::Again)
    }

    fn enable_traces(&mut self, name: &str, argument: &str) -> Result<(), Failure> {
        self.show_trace = match argument {
            "true" => true,
            "false" => false,
            "" => !self.show_trace,
            _ => {
                return Err(Failure::message(format!(
                    "unexpected argument '{argument}' to {name}"
                )));
            }
        };
        report::set_show_trace(self.show_trace);
        ui::print(if self.show_trace {
            "showing error traces\n"
        } else {
            "not showing error traces\n"
        })
    }

    fn show_last_loaded(&self) -> Result<(), Failure> {
        let Some(names) = &self.last_loaded else {
            return Err(Failure::message("nothing has been loaded yet"));
        };
        let mut text = Vec::new();
        for &name in names {
            text.extend_from_slice(symbol::name(name));
            text.push(b'\n');
        }
        pager::show(&text)
    }
}

/// A command's name and its argument.
fn split(text: &str) -> (&str, &str) {
    match text.find([' ', '\t', '\r', '\n']) {
        Some(end) => (&text[..end], text[end..].trim()),
        None => (text, ""),
    }
}

fn find(name: &str) -> Option<&'static Command> {
    find_in(COMMANDS, name)
}

fn find_in(commands: &'static [Command], name: &str) -> Option<&'static Command> {
    commands
        .iter()
        .find(|command| command.names.contains(&name))
}

/// Whether a command's expression goes on.
pub(super) fn is_incomplete(text: &str, options: &ParseOptions<'_>) -> bool {
    let (name, argument) = split(text);
    find(name).is_some_and(|command| command.takes == Takes::Expression)
        && !argument.is_empty()
        && input::is_incomplete(argument.as_bytes(), options)
}

fn unknown(name: &str) -> Failure {
    Failure::message(format!("unknown command '{name}'"))
}

/// The list of commands.
fn overview(debugger: bool) -> String {
    let mut text = String::from(
        "The following commands are available:\n\n  \
         <expr>                       Evaluate and print expression\n  \
         <x> = <expr>                 Bind expression to variable\n",
    );
    list(COMMANDS, &mut text);
    if debugger {
        text += "\n        Debug mode commands\n";
        list(DEBUG_COMMANDS, &mut text);
    }
    text
}

fn list(commands: &[Command], text: &mut String) {
    for command in commands {
        let names = command.names.join(", ");
        let left = format!("{names} {}", command.argument);
        let (first, more) = command.about.split_first().unwrap_or((&"", &[]));
        *text += &format!("  {left:<28} {first}\n");
        for line in more {
            *text += &format!("  {:<28} {line}\n", "");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_overview_names_every_command_once() {
        let text = overview(true);
        for command in COMMANDS.iter().chain(DEBUG_COMMANDS) {
            for name in command.names {
                let named = text.matches(&format!("{name} ")).count()
                    + text.matches(&format!("{name},")).count();
                assert!(named >= 1, "{name}");
            }
        }
        assert!(text.lines().all(|line| line.len() < 82), "{text}");
    }
}
