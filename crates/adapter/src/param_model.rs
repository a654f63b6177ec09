//! The parameter model of a tool: its arguments as named, typed fields.

mod read;

use std::fmt;

use serde_json::Value;

/// The arguments of a tool, read out of its JSON Schema for people and programs to look at.
///
/// Validation does not use it: the schema itself decides what fits. What the model cannot say (an
/// `allOf`, a conditional) is left out of it and nowhere else.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ParamModel {
    /// `MCP_<tool>_Input`, with the tool's name on its server, whatever name it has here. For a
    /// tool made with [`AgentTool::local`](crate::AgentTool::local): `<tool>_Input`.
    pub name: String,
    /// The fields, in the schema's order.
    pub fields: Vec<ParamField>,
    /// Whether the schema lets pass arguments that it does not name.
    pub open: bool,
}

/// One argument.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ParamField {
    /// Its name.
    pub name: String,
    /// What it takes.
    pub kind: ParamType,
    /// Whether it has to be there.
    pub required: bool,
    /// What it is when it is left out, as far as the schema says.
    pub default: Option<Value>,
    /// The values it may have, where the schema lists them (`enum`, `const`).
    pub choices: Vec<Value>,
    /// What it means.
    pub description: Option<String>,
    /// Further rules for its value.
    pub bounds: ParamBounds,
}

/// Rules for a value. Only what the schema says is set.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ParamBounds {
    /// A regular expression that text has to match.
    pub pattern: Option<String>,
    /// The format of text, such as `date-time`.
    pub format: Option<String>,
    /// The least number.
    pub minimum: Option<f64>,
    /// The greatest number.
    pub maximum: Option<f64>,
    /// The least length of text, in characters.
    pub min_length: Option<u64>,
    /// The greatest length of text, in characters.
    pub max_length: Option<u64>,
    /// The least number of items.
    pub min_items: Option<u64>,
    /// The greatest number of items.
    pub max_items: Option<u64>,
}

/// What an argument takes.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ParamType {
    /// Anything, or more than can be said here.
    Any,
    /// `null`.
    Null,
    /// A truth value.
    Boolean,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// Text.
    String,
    /// A list of one kind of items.
    Array(Box<ParamType>),
    /// An object with these fields; none where the schema names none.
    Object(Vec<ParamField>),
    /// One of several.
    Union(Vec<ParamType>),
}

impl ParamModel {
    /// The field of a name.
    pub fn field(&self, name: &str) -> Option<&ParamField> {
        self.fields.iter().find(|field| field.name == name)
    }

    pub(crate) fn read(name: &str, schema: &str) -> Self {
        let (fields, open) = read::fields_of(schema);
        Self {
            name: name.to_owned(),
            fields,
            open,
        }
    }
}

/// In words: `integer`, `array of string`, `string or null`.
impl fmt::Display for ParamType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "any",
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::String => "string",
            Self::Object(_) => "object",
            Self::Array(items) if **items == Self::Any => "array",
            Self::Array(items) => return write!(f, "array of {items}"),
            Self::Union(kinds) => {
                for (index, kind) in kinds.iter().enumerate() {
                    let separator = if index == 0 { "" } else { " or " };
                    write!(f, "{separator}{kind}")?;
                }
                return Ok(());
            }
        })
    }
}

/// Where a tool comes from, as the name of its parameter model tells.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum ModelKind {
    /// A tool of an MCP server, or made by hand to be one.
    Mcp,
    /// An ordinary function of this program.
    Local,
}

impl ModelKind {
    pub(crate) fn model_name(self, tool: &str) -> Box<str> {
        match self {
            Self::Mcp => format!("MCP_{tool}_Input"),
            // A name of one's own choice must not pass for an MCP tool.
            Self::Local if tool.starts_with("MCP_") => format!("Local_{tool}_Input"),
            Self::Local => format!("{tool}_Input"),
        }
        .into_boxed_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mcp_tools_have_the_prefix() {
        assert_eq!(&*ModelKind::Mcp.model_name("a.b"), "MCP_a.b_Input");
        assert_eq!(&*ModelKind::Local.model_name("add"), "add_Input");
        assert!(!ModelKind::Local.model_name("MCP_x").starts_with("MCP_"));
    }
}
