//! One command of `cargo xtask`: its name, what it takes, what it does, and its help.

use std::fmt::Write as _;

use anyhow::{Result, bail};

/// A row of the table in `commands.rs`.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) name: &'static str,
    /// One line.
    pub(crate) about: &'static str,
    /// What else there is to know, for the command's own help; may be empty.
    pub(crate) more: &'static str,
    pub(crate) options: &'static [Flag],
    pub(crate) words: Words,
    pub(crate) run: Run,
}

/// An option: `--quick`, or `--seconds <n>` where it takes a value.
#[derive(Debug)]
pub(crate) struct Flag(pub(crate) &'static str, pub(crate) &'static str);

/// What a command takes besides its options.
#[derive(Debug)]
pub(crate) enum Words {
    None,
    /// Everything after `--` goes on to another program.
    AfterDashes(&'static str),
    /// All words go on to another program, which knows them.
    All(&'static str),
}

/// What a command does.
#[derive(Debug)]
pub(crate) enum Run {
    /// One step.
    Step(fn() -> Result<()>),
    /// One step that is told how.
    StepWith(fn(&[&str]) -> Result<()>),
    /// Several steps: it shows by itself how they went.
    Steps(fn(&[&str]) -> Result<()>),
    /// What it prints is for a program or a file, and stays as it is.
    Plain(fn(&[&str]) -> Result<()>),
}

impl Flag {
    fn name(&self) -> &'static str {
        self.0.split(' ').next().unwrap_or_default()
    }

    fn takes_value(&self) -> bool {
        self.0.contains(' ')
    }
}

impl Command {
    /// Looks for options that nobody knows, and words that nobody wants.
    pub(crate) fn check(&self, args: &[&str]) -> Result<()> {
        if matches!(self.words, Words::All(_)) {
            return Ok(());
        }
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            if *arg == "--" && matches!(self.words, Words::AfterDashes(_)) {
                return Ok(());
            }
            let Some(flag) = self.options.iter().find(|flag| flag.name() == *arg) else {
                let names = self.options.iter().map(Flag::name);
                let hint = nearest(arg, names).map_or_else(
                    || format!("see `cargo xtask {} --help`", self.name),
                    |near| format!("did you mean `{near}`?"),
                );
                bail!("`cargo xtask {}` does not know `{arg}`; {hint}", self.name);
            };
            if flag.takes_value() && args.next().is_none() {
                bail!("`cargo xtask {}`: write `{}`", self.name, flag.0);
            }
        }
        Ok(())
    }

    /// `cargo xtask fuzz [--seconds <n>] [--seed <n>]`
    fn usage(&self) -> String {
        let mut usage = format!("cargo xtask {}", self.name);
        for flag in self.options {
            let _written = write!(usage, " [{}]", flag.0);
        }
        match self.words {
            Words::None => {}
            Words::AfterDashes(words) => {
                let _written = write!(usage, " [-- {words}]");
            }
            Words::All(words) => {
                let _written = write!(usage, " [{words}]");
            }
        }
        usage
    }

    /// The command's own help.
    pub(crate) fn help(&self) -> String {
        let mut help = format!("{}\n\n  {}\n", self.about, self.usage());
        if !self.options.is_empty() {
            help.push('\n');
        }
        let width = self.options.iter().map(|flag| flag.0.len()).max();
        let width = width.unwrap_or_default();
        for Flag(form, about) in self.options {
            let _written = writeln!(help, "  {form:<width$}  {about}");
        }
        if !self.more.is_empty() {
            let _written = writeln!(help, "\n{}", self.more);
        }
        help
    }
}

/// The help of all commands together.
pub(crate) fn overview(commands: &[Command]) -> String {
    let mut help = "cargo xtask <command>\n\n".to_owned();
    for Command { name, about, .. } in commands {
        let _written = writeln!(help, "  {name:<12} {about}");
    }
    help.push_str("\n`cargo xtask <command> --help` tells more of one.\n");
    help
}

/// The command of this name.
pub(crate) fn find<'c>(commands: &'c [Command], name: &str) -> Result<&'c Command> {
    if let Some(command) = commands.iter().find(|command| command.name == name) {
        return Ok(command);
    }
    match nearest(name, commands.iter().map(|command| command.name)) {
        Some(near) => bail!("there is no command `{name}`; did you mean `{near}`?"),
        None => bail!("there is no command `{name}`; `cargo xtask --help` lists them"),
    }
}

/// The known name that is most like the given one, if any is.
fn nearest<'n>(given: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let likeness = |name: &str| strsim::jaro_winkler(given, name);
    known
        .map(|name| (likeness(name), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FUZZ: Command = Command {
        name: "fuzz",
        about: "Damages inputs.",
        more: "",
        options: &[Flag("--seconds <n>", "how long"), Flag("--quick", "less")],
        words: Words::AfterDashes("<args>"),
        run: Run::Step(|| Ok(())),
    };

    #[test]
    fn what_is_not_in_the_table_is_refused_with_a_hint() {
        let wrong = |args: &[&str]| FUZZ.check(args).unwrap_err().to_string();
        FUZZ.check(&["--quick", "--seconds", "7", "--", "--any"])
            .unwrap();
        assert!(wrong(&["--second", "7"]).ends_with("did you mean `--seconds`?"));
        assert!(wrong(&["--seconds"]).ends_with("write `--seconds <n>`"));
        assert!(wrong(&["word"]).contains("`cargo xtask fuzz --help`"));
        let error = find(&[FUZZ], "fuz").unwrap_err().to_string();
        assert!(error.ends_with("did you mean `fuzz`?"), "{error}");
        assert!(
            find(&[FUZZ], "xyz")
                .unwrap_err()
                .to_string()
                .contains("--help")
        );
    }

    #[test]
    fn help_is_made_from_the_table() {
        let help = FUZZ.help();
        let usage = "cargo xtask fuzz [--seconds <n>] [--quick] [-- <args>]";
        assert!(help.contains(usage), "{help}");
        assert!(help.contains("--seconds <n>  how long\n"), "{help}");
        assert!(help.contains("--quick        less\n"), "{help}");
    }
}
