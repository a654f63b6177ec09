//! A validator's findings in words that a model can act on, without repeating the values.

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use mcp_core::ArgumentProblem;
use serde_json::Value;

/// The longest message, in bytes.
const MAX_MESSAGE: usize = 256;

/// Where, and what to do.
pub(super) fn problem(error: &ValidationError<'_>) -> ArgumentProblem {
    let pointer = error.instance_path().as_str();
    ArgumentProblem::new(pointer, cut(&message(error)))
}

fn message(error: &ValidationError<'_>) -> String {
    match error.kind() {
        Kind::Required { property } => format!("the argument {property} is missing"),
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            format!("there is no argument {}", names(unexpected))
        }
        Kind::Type { kind } => {
            format!("must be {}, is {}", types(kind), kind_of(error.instance()))
        }
        Kind::Enum { options } => format!("must be one of {}", list(options)),
        Kind::Constant { expected_value } => format!("must be {expected_value}"),
        Kind::Minimum { limit } => format!("must be at least {limit}"),
        Kind::Maximum { limit } => format!("must be at most {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("must be more than {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("must be less than {limit}"),
        Kind::MultipleOf { multiple_of } => format!("must be a multiple of {multiple_of}"),
        Kind::MinLength { limit } => format!("must have at least {limit} characters"),
        Kind::MaxLength { limit } => format!("must have at most {limit} characters"),
        Kind::MinItems { limit } => format!("must have at least {limit} items"),
        Kind::MaxItems { limit } => format!("must have at most {limit} items"),
        Kind::AdditionalItems { limit } => format!("must have at most {limit} items"),
        Kind::MinProperties { limit } => format!("must have at least {limit} fields"),
        Kind::MaxProperties { limit } => format!("must have at most {limit} fields"),
        Kind::UniqueItems => "must not have an item twice".to_owned(),
        Kind::Contains => "lacks an item of the kind that it must contain".to_owned(),
        Kind::Pattern { pattern } => format!("must match the pattern {pattern}"),
        Kind::Format { format } => format!("must be a {format}"),
        Kind::PropertyNames { error } => format!("has a field whose name {}", message(error)),
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => alternatives(context),
        Kind::OneOfMultipleValid { .. } => {
            "fits more than one of the forms it may have; must fit just one".to_owned()
        }
        Kind::Not { .. } => "has a form that is not allowed".to_owned(),
        // `additionalProperties: false` where no property is named.
        Kind::FalseSchema
            if error
                .schema_path()
                .as_str()
                .ends_with("/additionalProperties") =>
        {
            "must be an empty object".to_owned()
        }
        Kind::FalseSchema => "must not be there".to_owned(),
        // The library's own words, with the value left out.
        _ => error.masked_with("the value").to_string(),
    }
}

/// What each alternative would need, shortest first.
fn alternatives(context: &[Vec<ValidationError<'static>>]) -> String {
    let mut ways: Vec<String> = Vec::new();
    for branch in context {
        let Some(first) = branch.first() else {
            continue;
        };
        let way = message(first);
        if !ways.contains(&way) {
            ways.push(way);
        }
    }
    if ways.is_empty() {
        return "fits none of the forms it may have".to_owned();
    }
    ways.sort_by_key(String::len);
    ways.truncate(4);
    format!("fits none of its forms: {}", ways.join(", or "))
}

fn types(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(one) => one.to_string(),
        TypeKind::Multiple(several) => {
            let names: Vec<String> = several.iter().map(|one| one.to_string()).collect();
            names.join(" or ")
        }
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn names(unexpected: &[String]) -> String {
    let shown: Vec<String> = unexpected
        .iter()
        .take(5)
        .map(|name| Value::from(name.as_str()).to_string())
        .collect();
    shown.join(", ")
}

fn list(options: &Value) -> String {
    let Some(options) = options.as_array() else {
        return options.to_string();
    };
    let shown: Vec<String> = options.iter().take(20).map(Value::to_string).collect();
    let more = if options.len() > 20 { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

/// A text within the bound.
pub(super) fn cut(text: &str) -> String {
    if text.len() <= MAX_MESSAGE {
        return text.to_owned();
    }
    let mut end = MAX_MESSAGE;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", text.get(..end).unwrap_or_default())
}
