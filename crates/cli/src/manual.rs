//! What packagers want: completions for shells, and the manual page.

use clap::CommandFactory as _;

use crate::args::Cli;
use crate::exit::Exit;
use crate::terminal;

pub(crate) fn completions(shell: clap_complete::Shell) -> Exit {
    let mut written = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "mcpt", &mut written);
    print(&written)
}

pub(crate) fn page() -> Exit {
    let mut written = Vec::new();
    // Writing to memory does not fail.
    let _done = clap_mangen::Man::new(Cli::command()).render(&mut written);
    for command in Cli::command().get_subcommands() {
        if !command.is_hide_set() {
            let _done = clap_mangen::Man::new(command.clone()).render(&mut written);
        }
    }
    print(&written)
}

fn print(written: &[u8]) -> Exit {
    terminal::print(&String::from_utf8_lossy(written));
    Exit::Done
}
