//! The rules, one function each.

#[cfg(test)]
mod tests;

use std::path::Path;

/// A file of this many lines wants a second file.
const LONG: usize = 400;
/// A file of this many lines gets one.
const TOO_LONG: usize = 600;

/// Hosts of package registries, and folders of somebody's machine.
/// Spelled in halves, because this file is looked at too.
const FOREIGN: &[&str] = &[
    concat!("registry.", "npmjs"),
    concat!("registry.", "yarnpkg"),
    concat!("pypi.", "org"),
    concat!("python", "hosted.org"),
    concat!("index.", "crates.io"),
    concat!("static.", "crates.io"),
    concat!("arti", "factory"),
];
const MACHINE_PATHS: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
];

/// Every root of a crate says so, except that of the one crate with an unsafe call in it.
const FORBID_UNSAFE: &str = "#![forbid(unsafe_code)]";
const MAY_BE_UNSAFE: &str = "crates/mcp-stdio/src/lib.rs";
/// Where that call is.
const UNSAFE_CALL: &str = "crates/mcp-stdio/src/parent_death.rs";

/// What was found, each with its place.
#[derive(Default)]
pub(super) struct Found {
    pub(super) faults: Vec<String>,
    pub(super) warnings: Vec<String>,
}

impl Found {
    /// Applies every rule that is about such a file.
    pub(super) fn look_at(&mut self, path: &str, text: &str) {
        self.places(path, text);
        match Path::new(path)
            .extension()
            .and_then(|extension| extension.to_str())
        {
            Some("rs") => {
                self.opening(path, text);
                self.length(path, text);
                self.bare_allow(path, text);
                self.promises(path, text);
                self.safety(path, text);
            }
            Some("md" | "toml" | "py" | "mjs" | "js" | "sh") => self.promises(path, text),
            _ => {}
        }
        match path.rsplit('/').next() {
            Some("Cargo.toml") if path != "Cargo.toml" => self.manifest(path, text),
            Some("package-lock.json") => self.lock_file(path, text),
            _ => {}
        }
    }

    fn fault(&mut self, path: &str, line: usize, what: impl std::fmt::Display) {
        self.faults.push(format!("{path}:{line}: {what}"));
    }

    /// A reader learns from the first line what the file is for.
    fn opening(&mut self, path: &str, text: &str) {
        let first = text
            .lines()
            .find(|line| !line.is_empty() && !line.starts_with("#!["));
        if !first.is_some_and(|line| line.starts_with("//!")) {
            self.fault(path, 1, "does not open with `//!` and its job");
        }
    }

    fn length(&mut self, path: &str, text: &str) {
        let lines = text.lines().count();
        if lines > TOO_LONG {
            self.fault(
                path,
                lines,
                format_args!("longer than {TOO_LONG} lines: split it"),
            );
        } else if lines > LONG {
            self.warnings.push(format!(
                "{path}: {lines} lines: is there a second idea in it?"
            ));
        }
    }

    /// No crate but one can have unsafe code, and that one says where.
    fn safety(&mut self, path: &str, text: &str) {
        let name = path.rsplit('/').next();
        let is_root = matches!(name, Some("lib.rs" | "main.rs")) && path != MAY_BE_UNSAFE;
        if is_root && !text.lines().any(|line| line == FORBID_UNSAFE) {
            self.fault(
                path,
                1,
                format_args!("a crate's root without `{FORBID_UNSAFE}`"),
            );
        }
        for (number, line) in numbered(text).filter(|_| path != UNSAFE_CALL) {
            if line.contains(concat!("unsafe", "_code")) && !line.contains(FORBID_UNSAFE) {
                self.fault(
                    path,
                    number,
                    format_args!("unsafe code is for {UNSAFE_CALL}"),
                );
            }
        }
    }

    /// An expectation says when it is no longer needed; an allowance stays for ever.
    fn bare_allow(&mut self, path: &str, text: &str) {
        for (number, line) in numbered(text) {
            let line = line.trim_start();
            if [concat!("#[", "allow("), concat!("#![", "allow(")]
                .iter()
                .any(|a| line.starts_with(a))
            {
                self.fault(path, number, "use `#[expect(lint, reason = \"…\")]`");
            }
        }
    }

    /// What is left to do has an issue.
    fn promises(&mut self, path: &str, text: &str) {
        for (number, line) in numbered(text) {
            let promise = [
                concat!("TO", "DO"),
                concat!("FIX", "ME"),
                concat!("XX", "X"),
            ]
            .iter()
            .any(|word| is_word_in(line, word));
            let issue = line
                .split('#')
                .skip(1)
                .any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
            if promise && !issue {
                self.fault(path, number, "a promise without an issue number");
            }
        }
    }

    /// Nothing here depends on, or tells of, the machine that it was written on.
    fn places(&mut self, path: &str, text: &str) {
        for (number, line) in numbered(text) {
            for host in FOREIGN.iter().filter(|host| line.contains(**host)) {
                self.fault(path, number, format_args!("names the registry host {host}"));
            }
            for folder in MACHINE_PATHS {
                let starts_a_path = line.match_indices(folder).any(|(at, _)| {
                    !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-~/*}>".contains(c))
                });
                if starts_a_path {
                    self.fault(
                        path,
                        number,
                        format_args!("names a machine's folder {folder}"),
                    );
                }
            }
        }
    }

    /// Versions and lints come from the root manifest.
    fn manifest(&mut self, path: &str, text: &str) {
        // A workspace of its own, such as an example whose dependency stays out of this one.
        if text.lines().any(|line| line.trim() == "[workspace]") {
            return;
        }
        let mut section = "";
        let mut inherits_lints = false;
        for (number, line) in numbered(text) {
            let line = line.trim();
            if let Some(header) = line.strip_prefix('[') {
                section = header.trim_end_matches(']');
                continue;
            }
            inherits_lints |= section == "lints" && line == "workspace = true";
            let names_a_dependency = section.ends_with("dependencies")
                && line.contains('=')
                && line.starts_with(|c: char| c.is_alphanumeric());
            // A crate that depends on itself, for its tests, names no version.
            let inherits = line.contains(".workspace = true")
                || line.contains("workspace = true,")
                || line.contains("workspace = true }")
                || line.contains("{ path = \".\",");
            if names_a_dependency && !inherits {
                self.fault(
                    path,
                    number,
                    "the version belongs in the root manifest's table",
                );
            }
        }
        if !inherits_lints {
            self.fault(path, 1, "does not inherit the workspace's lints");
        }
    }

    /// `npm` finds the packages by name; where one machine found them is its own affair.
    fn lock_file(&mut self, path: &str, text: &str) {
        for (number, line) in numbered(text) {
            if line.trim_start().starts_with(concat!("\"resol", "ved\"")) {
                self.fault(path, number, "strip the address");
            }
        }
    }
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line))
}

fn is_word_in(line: &str, word: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric())
        .any(|found| found == word)
}
