//! Prints the JSON Schema of the configuration file. `cargo xtask schema` keeps a copy in `schema`.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "that is what it is for")]

fn main() -> Result<(), serde_json::Error> {
    let schema = schemars::schema_for!(mcp_toolkit::config::Config);
    println!("{}", serde_json::to_string_pretty(&schema)?);
    Ok(())
}
