//! Each rule sees what it is about, and only that.

use super::Found;

fn faults(path: &str, text: &str) -> Vec<String> {
    let mut found = Found::default();
    found.look_at(path, text);
    found.faults
}

fn lines(count: usize) -> String {
    "//! Long.\n".to_owned() + &"// line\n".repeat(count - 1)
}

#[test]
fn a_source_file_opens_with_its_job() {
    assert!(faults("a.rs", "//! Job.\n").is_empty());
    assert!(
        faults(
            "a.rs",
            "#![expect(dead_code, reason = \"x\")]\n\n//! Job.\n"
        )
        .is_empty()
    );
    assert_eq!(faults("a.rs", "use std::fmt;\n").len(), 1);
    assert_eq!(faults("a.rs", "").len(), 1);
}

#[test]
fn a_long_file_is_warned_of_and_a_longer_one_is_a_fault() {
    let mut found = Found::default();
    found.look_at("a.rs", &lines(400));
    assert!(found.warnings.is_empty());
    found.look_at("a.rs", &lines(401));
    assert_eq!((found.warnings.len(), found.faults.len()), (1, 0));
    found.look_at("a.rs", &lines(601));
    assert_eq!((found.warnings.len(), found.faults.len()), (1, 1));
}

#[test]
fn an_allowance_is_a_fault() {
    let allow = concat!("//! Job.\n    #[", "allow(dead_code)]\n");
    assert_eq!(
        faults("a.rs", allow),
        ["a.rs:2: use `#[expect(lint, reason = \"…\")]`"]
    );
}

#[test]
fn a_root_rules_out_what_is_unsafe_but_for_one() {
    let bare = "//! Job.\n";
    let safe = "//! Job.\n#![forbid(unsafe_code)]\n";
    for root in [
        "crates/a/src/lib.rs",
        "xtask/src/main.rs",
        "crates/mcp-stdio/x/main.rs",
    ] {
        assert_eq!(faults(root, bare).len(), 1, "{root}");
        assert!(faults(root, safe).is_empty(), "{root}");
    }
    assert!(faults("crates/mcp-stdio/src/lib.rs", bare).is_empty());
    assert!(faults("crates/a/src/other.rs", bare).is_empty());
    let expected = concat!("//! Job.\n#[expect(\n    unsafe", "_code,\n)]\n");
    assert_eq!(faults("crates/a/src/other.rs", expected).len(), 1);
    assert!(faults("crates/mcp-stdio/src/parent_death.rs", expected).is_empty());
}

#[test]
fn a_promise_has_an_issue() {
    let promise = concat!("# TO", "DO later\n");
    assert_eq!(
        faults("a.py", promise),
        ["a.py:1: a promise without an issue number"]
    );
    assert!(faults("a.py", concat!("# TO", "DO(#12) later\n")).is_empty());
    assert!(faults("a.py", "mastodon\n").is_empty());
}

#[test]
fn a_registry_host_or_a_machine_path_is_a_fault_in_any_file() {
    assert_eq!(
        faults("a.txt", concat!("https://registry.", "npmjs.org/x\n")).len(),
        1
    );
    assert_eq!(faults("a.json", concat!("\"/ro", "ot/.cargo\"\n")).len(), 1);
    assert!(faults("a.txt", concat!("target/wo", "rk/x ./wo", "rk/y\n")).is_empty());
}

#[test]
fn a_manifest_inherits_versions_and_lints() {
    let good = "[package]\nversion.workspace = true\n[lints]\nworkspace = true\n[dependencies]\n\
                a.workspace = true\nb = { workspace = true, features = [\"x\"] }\n";
    assert!(faults("crates/a/Cargo.toml", good).is_empty());
    let itself = "[lints]\nworkspace = true\n[dev-dependencies]\n\
                  a = { path = \".\", features = [\"x\"] }\n";
    assert!(faults("crates/a/Cargo.toml", itself).is_empty());
    let bad = "[dependencies]\na = \"1\"\n";
    assert_eq!(faults("crates/a/Cargo.toml", bad).len(), 2);
    assert!(faults("Cargo.toml", bad).is_empty());
}

#[test]
fn a_lock_file_has_no_addresses() {
    let lock = concat!("  \"resol", "ved\": \"x\",\n");
    assert_eq!(faults("x/package-lock.json", lock).len(), 1);
}
