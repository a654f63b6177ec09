//! What a report is written with: numbers, and a page that it replaces a part of.

use std::path::Path;

use anyhow::{Context as _, Result};

/// As many digits as mean something.
pub fn number(value: f64) -> String {
    match value {
        _ if (value - value.round()).abs() < 1e-9 => format!("{value:.0}"),
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// Replaces what stands on a page between `<!-- part: begin -->` and `<!-- part: end -->`.
///
/// # Errors
/// The file cannot be read or written, or has no such part.
pub fn replace(page: &Path, part: &str, with: &str) -> Result<()> {
    let text = std::fs::read_to_string(page).with_context(|| page.display().to_string())?;
    let replaced = replaced(&text, part, with)
        .with_context(|| format!("{} has no part `{part}`", page.display()))?;
    std::fs::write(page, replaced).with_context(|| page.display().to_string())
}

fn replaced(text: &str, part: &str, with: &str) -> Option<String> {
    let (begin, end) = (
        format!("<!-- {part}: begin -->"),
        format!("<!-- {part}: end -->"),
    );
    let (before, rest) = text.split_once(&begin)?;
    let (_, behind) = rest.split_once(&end)?;
    Some(format!(
        "{before}{begin}\n{}\n{end}{behind}",
        with.trim_end()
    ))
}

#[test]
fn numbers_have_the_digits_that_mean_something() {
    let written = [0.02, 3.0, 12.34, 1_234.6].map(number);
    assert_eq!(written, ["0.02", "3", "12.3", "1235"]);
}

#[test]
fn a_part_of_a_page_is_replaced_and_the_rest_stays() {
    let page = "a\n<!-- built: begin -->\nold\n<!-- built: end -->\nb\n";
    let expected = "a\n<!-- built: begin -->\nnew\n<!-- built: end -->\nb\n";
    assert_eq!(replaced(page, "built", "new\n").as_deref(), Some(expected));
    assert_eq!(replaced(page, "measured", "new"), None);
}
