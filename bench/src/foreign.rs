//! Contenders that are programs of their own: those in other languages, and the command.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use mcp_harness::process::Pinning;
use tokio::time::Instant;

use crate::measure::Sample;
use crate::process::{client, sample};

/// Where those programs are.
#[derive(Debug)]
pub(crate) struct Places {
    /// What `cargo xtask servers` installed.
    pub(crate) servers: PathBuf,
    /// The contenders' scripts.
    pub(crate) scripts: PathBuf,
    /// `mcpt`, built as a release is.
    pub(crate) mcpt: PathBuf,
}

/// What there is of them.
#[derive(Debug)]
pub(crate) struct Foreign {
    places: Places,
    /// What is compared, with its version.
    pub(crate) versions: Vec<String>,
    /// Contenders that are not there, and why.
    missing: BTreeMap<&'static str, String>,
}

/// A contender's way of working, as its script calls it.
fn pattern(contender: &str) -> Option<(&'static str, &'static str)> {
    Some(match contender {
        "Python SDK" => ("Python", "kept"),
        "Python SDK, fresh session" => ("Python", "fresh"),
        "Python SDK, load-connect-call-close" => ("Python", "load"),
        "TypeScript SDK" => ("Node", "kept"),
        _ => return None,
    })
}

/// Whether a contender is one of this program's.
pub(crate) fn is_ours(contender: &str) -> bool {
    pattern(contender).is_none()
}

impl Foreign {
    pub(crate) fn find(places: Places) -> Self {
        let mut found = Self {
            versions: Vec::new(),
            missing: BTreeMap::new(),
            places,
        };
        let (python, node) = (found.python(), found.node());
        for (language, version) in [("Python", python), ("Node", node)] {
            match version {
                Ok(version) => found.versions.push(version),
                Err(error) => drop(found.missing.insert(language, format!("{error:#}"))),
            }
        }
        if !found.places.mcpt.is_file() {
            let why = "it is not built".to_owned();
            found.missing.insert("mcpt", why);
        }
        found
    }

    /// Which kinds of contenders are left out, and why.
    pub(crate) fn missing(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let missing = self.missing.iter();
        missing.map(|(kind, why)| (*kind, why.as_str()))
    }

    fn program(&self) -> PathBuf {
        let venv = self.places.servers.join("python");
        if cfg!(windows) {
            venv.join("Scripts/python.exe")
        } else {
            venv.join("bin/python")
        }
    }

    fn modules(&self) -> PathBuf {
        self.places.servers.join("npm/node_modules")
    }

    fn python(&self) -> Result<String> {
        let asks = "import importlib.metadata as m, platform as p; \
                    print(f'mcp {m.version(\"mcp\")} on Python {p.python_version()}')";
        said(Command::new(self.program()).args(["-c", asks]))
    }

    fn node(&self) -> Result<String> {
        let package = self
            .modules()
            .join("@modelcontextprotocol/sdk/package.json");
        let package = std::fs::read(&package).context("the TypeScript SDK is not installed")?;
        let package: serde_json::Value = serde_json::from_slice(&package)?;
        let version = package["version"].as_str().unwrap_or("unknown");
        let node = said(Command::new("node").arg("--version"))?;
        Ok(format!(
            "@modelcontextprotocol/sdk {version} on Node {node}"
        ))
    }

    /// Runs a contender in another language; `None` where it is one of this program's, or missing.
    pub(crate) fn cell(
        &self,
        pinning: Pinning,
        contender: &str,
        url: &str,
        calls: u64,
    ) -> Result<Option<Sample>> {
        let Some((language, pattern)) = pattern(contender) else {
            return Ok(None);
        };
        let calls = calls.to_string();
        let scripts = &self.places.scripts;
        let mut command = if language == "Python" {
            let mut command = client(pinning, &self.program());
            command.arg(scripts.join("sdk.py")).args([pattern]);
            command
        } else {
            let mut command = client(pinning, Path::new("node"));
            command.arg(scripts.join("sdk.mjs")).arg(self.modules());
            command
        };
        command.args([url, &calls]);
        sample(&mut command, contender).map(Some)
    }

    /// Whether a contender can be run here.
    pub(crate) fn is_there(&self, contender: &str) -> bool {
        let kind = match pattern(contender) {
            Some((language, _)) => language,
            None if contender.starts_with("mcpt") => "mcpt",
            None => return true,
        };
        !self.missing.contains_key(kind)
    }

    /// Starts a command so many times and waits for its exit.
    pub(crate) fn command(
        &self,
        pinning: Pinning,
        contender: &str,
        address: &str,
        times: u64,
    ) -> Result<Sample> {
        // What a user keeps in the home directory must not be part of it.
        let home = std::env::temp_dir().join(format!("mcp-bench-{}", std::process::id()));
        std::fs::create_dir_all(&home)?;
        let url = format!("http://{address}/json");
        let mut took = Vec::new();
        for n in 0..=times {
            let mut command = match contender {
                "true" => client(pinning, Path::new("true")),
                _ => client(pinning, &std::path::absolute(&self.places.mcpt)?),
            };
            match contender {
                "mcpt --version" => drop(command.arg("--version")),
                "mcpt call" => {
                    let arguments = r#"{"city":"Zurich","days":3,"units":"metric"}"#;
                    command.args(["call", "weather", "--url", &url, "--args", arguments]);
                }
                _ => {}
            }
            command.current_dir(&home);
            for variable in ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"] {
                command.env(variable, &home);
            }
            let began = Instant::now();
            let output = command.stdin(Stdio::null()).output()?;
            let ended = began.elapsed();
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "{contender} failed: {said}");
            // The first one reads the file from the disk.
            if n > 0 {
                took.push(ended);
            }
        }
        let _ = std::fs::remove_dir_all(&home);
        took.sort_unstable();
        let median = took.get(took.len() / 2).context("not once")?.as_nanos() as f64;
        Ok(Sample {
            wall_ns: median,
            p50_ns: median,
            ..Sample::default()
        })
    }

    /// The size of the command's file.
    pub(crate) fn size(&self) -> Result<Sample> {
        Ok(Sample {
            allocated_bytes: std::fs::metadata(&self.places.mcpt)?.len() as f64,
            ..Sample::default()
        })
    }
}

/// The one line that a program prints.
fn said(command: &mut Command) -> Result<String> {
    let name = Path::new(command.get_program()).file_name().map_or_else(
        || "a program".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    );
    let output = command
        .output()
        .with_context(|| format!("{name} is not there"))?;
    ensure!(output.status.success(), "{name} has not what is measured");
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
