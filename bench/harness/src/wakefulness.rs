//! Whether a core that waits sleeps at once.
//!
//! On a virtual machine a core that sleeps is given to others, and to have it back costs whoever waits
//! about 5 µs of processor time in bad minutes and nearly nothing in good ones: more than what clients
//! differ in. Where the kernel lets it be said, cores look for work for a moment before they sleep.

use std::fs;
use std::io::Read as _;
use std::process::{Child, Command, Stdio};

/// For how long Linux's `haltpoll` governor looks for work, in nanoseconds; 0 is not at all.
const PARAMETER: &str = "/sys/module/haltpoll/parameters/guest_halt_poll_ns";
const GOVERNOR: &str = "/sys/devices/system/cpu/cpuidle/current_governor";
const LOOKS: &str = "200000";

/// Keeps cores from sleeping at once until it is dropped, or this process ends in whatever way.
#[derive(Debug)]
pub struct Wakeful {
    /// A shell that puts the parameter back when its input ends.
    keeper: Child,
}

impl Wakeful {
    /// Whether the kernel can be told.
    pub fn can_be() -> bool {
        let governor = fs::read_to_string(GOVERNOR);
        let governs = governor.is_ok_and(|governor| governor.trim() == "haltpoll");
        let before = fs::read_to_string(PARAMETER);
        governs && before.is_ok_and(|before| fs::write(PARAMETER, before).is_ok())
    }

    /// Tells the kernel, where it can be told.
    pub fn keep() -> Option<Self> {
        if !Self::can_be() {
            return None;
        }
        let before = fs::read_to_string(PARAMETER).ok()?;
        let script =
            r#"trap "" INT TERM HUP; echo "$2" > "$1"; echo; cat > /dev/null; echo "$3" > "$1""#;
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh", PARAMETER, LOOKS, before.trim()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut keeper = command.spawn().ok()?;
        let mut done = [0];
        let told = keeper.stdout.as_mut()?.read_exact(&mut done);
        let wakeful = Self { keeper };
        told.is_ok().then_some(wakeful)
    }
}

impl Drop for Wakeful {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ended = self.keeper.wait();
    }
}
