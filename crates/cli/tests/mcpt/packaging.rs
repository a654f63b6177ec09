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
