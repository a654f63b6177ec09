//! What each crate depends on: how much, how new, on what it must not, and in which direction.

mod age;
mod arrows;
mod deny;
mod weight;

use anyhow::{Result, ensure};

use crate::workspace;

pub(crate) fn run() -> Result<()> {
    let shell = workspace::shell()?;
    let packages = workspace::packages(&shell)?;
    let mut faults = arrows::faults(&packages);
    faults.extend(age::faults(&shell, &packages)?);
    faults.extend(weight::faults(&shell, &packages)?);
    for fault in &faults {
        eprintln!("{fault}");
    }
    let licenses = deny::check(&shell);
    ensure!(
        faults.is_empty(),
        "{} faults in the crates' dependencies",
        faults.len()
    );
    licenses
}
