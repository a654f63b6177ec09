//! Arguments against the tool's JSON Schema, compiled once for everybody.

mod bounds;
mod wording;

use mcp_core::{ArgumentProblem, Error, Failure};
use serde_json::Value;

/// Problems that one error names; a model mends a few at a time.
const MAX_PROBLEMS: usize = 8;

/// A compiled schema, or why there is none.
#[derive(Debug)]
pub(crate) struct Validation(State);

#[derive(Debug)]
enum State {
    /// The schema lets every object pass.
    Open,
    Compiled {
        validator: Box<jsonschema::Validator>,
        /// How deep the arguments may be nested, where a schema makes depth expensive.
        max_depth: Option<usize>,
    },
    Unchecked(String),
}

impl Validation {
    /// Compiles a schema. Nothing is fetched: a reference to elsewhere does not compile.
    ///
    /// The dialect is what `$schema` says, 2020-12 where it says nothing (2026-07-28,
    /// server/tools).
    pub(crate) fn compile(schema: &str) -> Self {
        match Self::try_compile(schema) {
            Ok(state) => Self(state),
            Err(reason) => Self(State::Unchecked(reason)),
        }
    }

    fn try_compile(schema: &str) -> Result<State, String> {
        bounds::check_text(schema)?;
        let schema: Value = serde_json::from_str(schema).map_err(|error| error.to_string())?;
        if is_open(&schema) {
            return Ok(State::Open);
        }
        let max_depth = bounds::check(&schema)?;
        // `build` may recurse as deep as the schema does, and a library's panic is not our caller's.
        let built = std::panic::catch_unwind(|| {
            jsonschema::options()
                .offline()
                .with_pattern_options(
                    jsonschema::PatternOptions::regex()
                        .size_limit(bounds::REGEX_BYTES)
                        .dfa_size_limit(bounds::REGEX_BYTES),
                )
                .build(&schema)
        });
        match built {
            Ok(Ok(validator)) => Ok(State::Compiled {
                validator: Box::new(validator),
                max_depth,
            }),
            Ok(Err(error)) => Err(wording::cut(&error.to_string())),
            Err(_) => Err("the schema broke the validator".to_owned()),
        }
    }

    /// Why arguments pass unchecked, if they do.
    pub(crate) fn unchecked(&self) -> Option<&str> {
        match &self.0 {
            State::Unchecked(reason) => Some(reason),
            State::Open | State::Compiled { .. } => None,
        }
    }

    /// # Errors
    /// [`Failure::InvalidArguments`], with where and what for each problem.
    pub(crate) fn check(&self, value: &Value) -> Result<(), Error> {
        let State::Compiled {
            validator,
            max_depth,
        } = &self.0
        else {
            return Ok(());
        };
        if let Some(limit) = max_depth
            && bounds::depth_of(value) > *limit
        {
            let message = format!("is nested more than {limit} levels deep");
            return Err(Failure::InvalidArguments(vec![ArgumentProblem::new("", message)]).into());
        }
        if validator.is_valid(value) {
            return Ok(());
        }
        let mut problems: Vec<ArgumentProblem> = Vec::new();
        let mut more = 0_usize;
        for error in validator.iter_errors(value) {
            let problem = wording::problem(&error);
            if problems.contains(&problem) {
                continue;
            }
            if problems.len() < MAX_PROBLEMS {
                problems.push(problem);
            } else {
                more += 1;
            }
        }
        if more > 0 {
            problems.push(ArgumentProblem::new("", format!("{more} more problems")));
        }
        Err(Failure::InvalidArguments(problems).into())
    }
}

/// `{}` and `{"type":"object"}` say nothing about an object of arguments.
fn is_open(schema: &Value) -> bool {
    schema.as_object().is_some_and(|schema| {
        schema.iter().all(|(key, value)| match key.as_str() {
            "$schema" | "title" | "description" => true,
            "type" => value == "object",
            "properties" => value.as_object().is_some_and(serde_json::Map::is_empty),
            "additionalProperties" => *value == Value::Bool(true),
            "required" => value.as_array().is_some_and(Vec::is_empty),
            _ => false,
        })
    })
}

#[cfg(test)]
mod tests;
