//! Options may stand before the command's word: they are moved behind it, where clap wants them.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};

use clap::{Arg, ArgAction, Command};

/// The same command line with the command's word first.
pub(crate) fn command_first(
    argv: impl IntoIterator<Item = OsString>,
    tree: &Command,
) -> Vec<OsString> {
    let mut argv: Vec<OsString> = argv.into_iter().collect();
    let options = Options::of(tree);
    let mut at = 1;
    while let Some(word) = argv.get(at).and_then(|word| word.to_str()) {
        if word == "--" || matches!(word, "-h" | "--help" | "-V" | "--version") {
            // No command, or none that matters: what stands before is not looked at.
            argv.drain(1..at);
            return argv;
        }
        if !word.starts_with('-') {
            // The command: everything before it goes behind it.
            if let Some(options) = argv.get_mut(1..=at) {
                options.rotate_right(1);
            }
            return argv;
        }
        at += if options.take_next(word) { 2 } else { 1 };
    }
    argv
}

/// Whether `--json` is asked for, on a command line that may be wrong otherwise.
pub(crate) fn wants_json(argv: &[OsString]) -> bool {
    let own = argv.iter().take_while(|word| *word != OsStr::new("--"));
    own.into_iter().any(|word| word == OsStr::new("--json"))
}

/// Which options of any command take a value.
struct Options(HashMap<String, bool>);

impl Options {
    fn of(tree: &Command) -> Self {
        let arguments = tree.get_subcommands().flat_map(Command::get_arguments);
        let named = arguments.filter_map(|argument| {
            let takes = matches!(argument.get_action(), ArgAction::Set | ArgAction::Append);
            argument
                .get_long()
                .map(|long| (format!("--{long}"), takes && !is_positional(argument)))
        });
        Self(named.collect())
    }

    fn take_next(&self, word: &str) -> bool {
        self.0.get(word).copied().unwrap_or(false)
    }
}

fn is_positional(argument: &Arg) -> bool {
    argument.is_positional()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use clap::CommandFactory;

    fn moved(words: &[&str]) -> Vec<String> {
        let argv = std::iter::once(&"mcpt").chain(words).map(OsString::from);
        let moved = command_first(argv, &Cli::command());
        moved
            .into_iter()
            .skip(1)
            .map(|word| word.into_string().unwrap())
            .collect()
    }

    #[test]
    fn options_go_behind_the_command() {
        for (given, meant) in [
            (&["tools"][..], &["tools"][..]),
            (&["--json", "tools", "a"], &["tools", "--json", "a"]),
            (
                &["--config", "f", "--user=u", "call", "s", "t", "--json"],
                &["call", "--config", "f", "--user=u", "s", "t", "--json"],
            ),
            (
                &["--url", "http://h/", "--header", "A: b", "call", "t"],
                &["call", "--url", "http://h/", "--header", "A: b", "t"],
            ),
            (
                &["--stdio", "tools", "--", "x", "--json"],
                &["tools", "--stdio", "--", "x", "--json"],
            ),
            (&["--json", "--help", "tools"], &["--help", "tools"]),
            (&["--json"], &["--json"]),
            (
                &["--timeout", "1s", "call", "s", "t"],
                &["call", "--timeout", "1s", "s", "t"],
            ),
        ] {
            assert_eq!(moved(given), meant, "{given:?}");
        }
    }

    #[test]
    fn the_childs_words_are_its_own() {
        let argv = ["mcpt", "tools", "--", "x", "--json"].map(OsString::from);
        assert!(!wants_json(&argv));
        assert!(wants_json(&["mcpt", "--json"].map(OsString::from)));
    }
}
