//! What packagers ask the command for.

use crate::command::Shell;

#[tokio::test]
async fn packagers_get_completions_and_a_manual() {
    let shell = Shell::new();
    for name in ["bash", "fish", "zsh"] {
        let ran = shell.run(&["completions", name]).await;
        assert!(ran.code == 0 && ran.stdout.contains("doctor"), "{name}");
    }
    let ran = shell.run(&["man"]).await;
    assert!(
        ran.code == 0 && ran.stdout.contains(".TH mcpt"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("headless"));
}

#[tokio::test]
async fn each_command_has_a_manual_page_of_its_own() {
    let shell = Shell::new();
    let ran = shell.run(&["man", "--out", "man/man1"]).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{}", ran.stderr);
    let read = |name: &str| {
        let path = shell.folder().join("man/man1").join(name);
        std::fs::read_to_string(path).unwrap()
    };
    for (command, word) in [
        ("call", "concurrency"),
        ("doctor", "timeout"),
        ("login", "headless"),
        ("logout", "tenant"),
        ("tools", "bearer"),
    ] {
        let page = read(&format!("mcpt-{command}.1"));
        assert!(page.contains(&format!(".TH mcpt-{command} 1")), "{page}");
        assert!(page.contains(word), "{page}");
    }
    let whole = read("mcpt.1");
    for section in ["EXIT STATUS", "ENVIRONMENT", "FILES"] {
        assert!(whole.contains(&format!(".SH \"{section}\"")), "{whole}");
    }
    shell.write("file", "");
    let ran = shell.run(&["man", "--out", "file"]).await;
    assert_eq!(ran.code, 2, "{}", ran.stderr);
}

#[tokio::test]
async fn the_schema_is_at_hand() {
    let ran = Shell::new().run(&["schema"]).await;
    assert_eq!(ran.json()["title"], "McpConfig");
    assert_eq!(ran.code, 0);
}

/// The scripts are tried in the shells that are there.
#[tokio::test]
async fn completions_are_taken_by_their_shells() {
    let shell = Shell::new();
    for (name, check) in [("bash", "-n"), ("zsh", "-n"), ("fish", "-n")] {
        let ran = shell.run(&["completions", name]).await;
        shell.write(name, &ran.stdout);
        let mut program = std::process::Command::new(name);
        let program = program.args([check, name]).current_dir(shell.folder());
        if let Ok(output) = program.output() {
            assert!(output.status.success(), "{name}: {output:?}");
        }
    }
}
