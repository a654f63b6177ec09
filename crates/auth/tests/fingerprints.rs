//! The fingerprint of one token differs from process to process: what one logs is of no use to
//! somebody who holds a list of tokens and another process.

use std::process::Command;

use mcp_auth::Credentials;

const ASKED: &str = "MCP_AUTH_TEST_FINGERPRINT";

#[test]
fn two_processes_have_two_fingerprints_of_one_token() {
    let fingerprint = Credentials::bearer("test-token")
        .unwrap()
        .fingerprint()
        .to_string();
    if std::env::var_os(ASKED).is_some() {
        println!("[{fingerprint}]");
        return;
    }
    let again = Credentials::bearer("test-token").unwrap().fingerprint();
    assert_eq!(again.to_string(), fingerprint);
    let other = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("two_processes_have_two_fingerprints_of_one_token")
        .env(ASKED, "1")
        .output()
        .unwrap();
    let printed = String::from_utf8(other.stdout).unwrap();
    let (_, behind) = printed.split_once('[').unwrap();
    let (other, _) = behind.split_once(']').unwrap();
    assert_eq!(other.len(), fingerprint.len());
    assert_ne!(other, fingerprint);
}
