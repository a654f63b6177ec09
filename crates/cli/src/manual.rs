//! What packagers want: completions for shells, the manual pages, and the schema of the file.

use std::path::Path;

use clap_mangen::Man;
use mcp_core::Error;

use crate::args::Cli;
use crate::exit::Exit;
use crate::{failure, reference, terminal};

pub(crate) fn completions(shell: clap_complete::Shell) -> Exit {
    let mut written = Vec::new();
    clap_complete::generate(shell, &mut Cli::tree(), "mcpt", &mut written);
    print(&written)
}

/// One page for the command as a whole and one for each of its commands: all on standard output,
/// or each in a file of the folder.
pub(crate) fn pages(folder: Option<&Path>) -> Exit {
    let mut command = Cli::tree().disable_help_subcommand(true);
    command.build();
    let shown = command.get_subcommands().filter(|it| !it.is_hide_set());
    let commands: Vec<_> = std::iter::once(command.clone())
        .chain(shown.cloned())
        .collect();
    let pages = commands.into_iter().map(page);
    let Some(folder) = folder else {
        return print(&pages.map(|(_, page)| page).collect::<Vec<_>>().concat());
    };
    let written = std::fs::create_dir_all(folder).and_then(|()| {
        let mut pages = pages;
        pages.try_for_each(|(name, page)| std::fs::write(folder.join(name), page))
    });
    let Err(error) = written else {
        return Exit::Done;
    };
    let message = format!("`{}` cannot be written", folder.display());
    let error = Error::config_because(message, error);
    failure::complain(&error);
    error.kind().into()
}

/// The name of the page's file, and the page.
fn page(command: clap::Command) -> (String, Vec<u8>) {
    let is_whole = command.has_subcommands();
    let command = if is_whole {
        // The page has sections of its own in place of one text.
        command.after_long_help(reference::AFTER)
    } else {
        command
    };
    let man = Man::new(command);
    let mut page = Vec::new();
    // Writing to memory does not fail.
    let _done = man.render(&mut page);
    if is_whole {
        page.extend(reference::roff().into_bytes());
    }
    (man.get_filename(), page)
}

pub(crate) fn schema() -> Exit {
    print(mcp_toolkit::config::SCHEMA.as_bytes())
}

fn print(written: &[u8]) -> Exit {
    terminal::print(&String::from_utf8_lossy(written));
    Exit::Done
}
