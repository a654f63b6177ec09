//! What packagers want: completions for shells, the manual pages, and the schema of the file.

use std::path::Path;

use clap::CommandFactory as _;
use clap_mangen::Man;
use mcp_core::Error;

use crate::args::Cli;
use crate::exit::Exit;
use crate::{failure, terminal};

pub(crate) fn completions(shell: clap_complete::Shell) -> Exit {
    let mut written = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "mcpt", &mut written);
    print(&written)
}

/// One page for the command as a whole and one for each of its commands: all on standard output,
/// or each in a file of the folder.
pub(crate) fn pages(folder: Option<&Path>) -> Exit {
    if let Some(folder) = folder {
        let made = std::fs::create_dir_all(folder);
        return match made.and_then(|()| clap_mangen::generate_to(Cli::command(), folder)) {
            Ok(()) => Exit::Done,
            Err(error) => {
                let message = format!("`{}` cannot be written", folder.display());
                let error = Error::config_because(message, error);
                failure::complain(&error);
                error.kind().into()
            }
        };
    }
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let shown = command.get_subcommands().filter(|it| !it.is_hide_set());
    let mut pages = vec![command.clone()];
    pages.extend(shown.cloned());
    let mut written = Vec::new();
    for page in pages {
        // Writing to memory does not fail.
        let _done = Man::new(page).render(&mut written);
    }
    print(&written)
}

pub(crate) fn schema() -> Exit {
    print(mcp_toolkit::config::SCHEMA.as_bytes())
}

fn print(written: &[u8]) -> Exit {
    terminal::print(&String::from_utf8_lossy(written));
    Exit::Done
}
