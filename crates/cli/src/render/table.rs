//! Tables that fit the terminal.

use comfy_table::{ContentArrangement, Table, presets};

use crate::terminal::Look;

/// An empty table with these headings.
pub(super) fn table(headings: &[&str], look: Look) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(headings);
    // Without a terminal there is no width to fit, and a program may read the lines.
    if let Some(width) = look.width {
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(width);
    }
    table
}
