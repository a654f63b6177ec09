//! Cargo subcommands that the steps use, in the versions that they were tried with.

use anyhow::{Context as _, Result};
use xshell::{Shell, cmd};

use crate::workspace;

/// A subcommand of cargo, by the name of its package.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tool {
    pub(crate) package: &'static str,
    pub(crate) version: &'static str,
}

/// Two minutes to build on two cores.
pub(crate) const DENY: Tool = Tool {
    package: "cargo-deny",
    version: "0.20.2",
};
pub(crate) const HACK: Tool = Tool {
    package: "cargo-hack",
    version: "0.6.46",
};
pub(crate) const LLVM_COV: Tool = Tool {
    package: "cargo-llvm-cov",
    version: "0.9.1",
};

impl Tool {
    /// Whether it is there, in whatever version.
    pub(crate) fn is_there(self, shell: &Shell) -> bool {
        let name = self.package.trim_start_matches("cargo-");
        let version = cmd!(shell, "cargo {name} --version")
            .quiet()
            .ignore_stdout()
            .ignore_stderr();
        version.run().is_ok()
    }

    /// Installs it unless it is there.
    pub(crate) fn bring(self, shell: &Shell) -> Result<()> {
        if self.is_there(shell) {
            return Ok(());
        }
        let Self { package, version } = self;
        println!("{package} is missing: installing {version}");
        cmd!(
            shell,
            "cargo install --quiet {package} --version {version} --locked"
        )
        .run()
        .with_context(|| format!("{package} cannot be installed"))
    }

    /// Installs it in CI. Elsewhere only says how to: true where it is there.
    pub(crate) fn bring_in_ci(self, shell: &Shell) -> Result<bool> {
        if workspace::in_ci() {
            self.bring(shell)?;
        }
        Ok(self.is_there(shell))
    }

    /// How a person brings it.
    pub(crate) fn advice(self) -> String {
        let Self { package, version } = self;
        format!("`cargo install {package} --version {version} --locked` brings it")
    }
}
