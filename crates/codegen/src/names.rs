//! Names of any text as Rust's.

use std::collections::HashSet;

use proc_macro2::{Ident, Span};

/// Gives out each name once.
#[derive(Default)]
pub(crate) struct Names(HashSet<String>);

impl Names {
    /// The name of a model: `MCP_<tool>_Input` with `_` for what Rust does not take, and a number
    /// where two come out the same.
    pub(crate) fn model(&mut self, tool: &str, what: &str) -> Ident {
        self.distinct(&format!("MCP_{}_{what}", word(tool)))
    }

    /// The name of a module.
    pub(crate) fn module(&mut self, name: &str) -> Ident {
        let name = word(&name.to_lowercase());
        let starts_well = name.starts_with(|first: char| first.is_ascii_lowercase());
        let usable = starts_well && syn::parse_str::<Ident>(&name).is_ok();
        self.distinct(&if usable { name } else { format!("mcp_{name}") })
    }

    fn distinct(&mut self, wanted: &str) -> Ident {
        let mut name = wanted.to_owned();
        let mut number = 1;
        while !self.0.insert(name.clone()) {
            number += 1;
            name = format!("{wanted}_{number}");
        }
        Ident::new(&name, Span::call_site())
    }
}

/// ASCII letters and digits, and `_` for all else; not without end.
fn word(name: &str) -> String {
    let clean = |character: char| match character {
        character if character.is_ascii_alphanumeric() => character,
        _ => '_',
    };
    name.chars().take(128).map(clean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_an_identifier_and_given_once() {
        let mut names = Names::default();
        let mut model = |tool: &str| names.model(tool, "Input").to_string();
        assert_eq!(model("search"), "MCP_search_Input");
        assert_eq!(model("a.b"), "MCP_a_b_Input");
        assert_eq!(model("a/b"), "MCP_a_b_Input_2");
        assert_eq!(model("\u{1b}]}; fn x"), "MCP______fn_x_Input");
        let mut names = Names::default();
        let mut module = |name: &str| names.module(name).to_string();
        assert_eq!(module("GitHub"), "github");
        assert_eq!(module("git.hub"), "git_hub");
        assert_eq!(module("self"), "mcp_self");
        assert_eq!(module("7"), "mcp_7");
        assert_eq!(module(""), "mcp_");
    }
}
