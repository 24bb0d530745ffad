//! The environment of a run.

use std::fs;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Software and machine of a run, on which its numbers depend besides configuration and data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// Version of the program.
    pub version: String,
    /// Commit it was built from, `unknown` outside a repository.
    pub commit: String,
    /// The command line.
    pub command: String,
    /// Device that computed.
    pub device: String,
    /// Threads used.
    pub threads: usize,
    /// Processor, as the operating system names it.
    pub processor: String,
    /// Bytes of memory of the machine, where the operating system says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Operating system and architecture.
    pub system: String,
    /// Start, UTC, ISO 8601.
    pub started: String,
}

/// A build of the program, for provenance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// Version of the program.
    pub version: String,
    /// Commit it was built from, `unknown` outside a repository.
    pub commit: String,
}

impl std::fmt::Display for Build {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "version {} (commit {})", self.version, self.commit)
    }
}

impl Environment {
    /// The build part of the environment.
    pub fn build(&self) -> Build {
        Build { version: self.version.clone(), commit: self.commit.clone() }
    }

    /// The machine at hand and the time now; the rest as given.
    pub fn here(version: &str, commit: &str, command: &str, device: &str, threads: usize) -> Self {
        Self {
            version: version.into(),
            commit: commit.into(),
            command: command.into(),
            device: device.into(),
            threads,
            processor: processor(),
            memory: memory(),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            started: utc(Timestamp::now()),
        }
    }
}

fn processor() -> String {
    let linux = || {
        let info = fs::read_to_string("/proc/cpuinfo").ok()?;
        let line = info.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let macos = || {
        let output =
            std::process::Command::new("sysctl").args(["-n", "machdep.cpu.brand_string"]).output().ok()?;
        Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
    };
    let windows = || std::env::var("PROCESSOR_IDENTIFIER").ok();
    linux()
        .or_else(macos)
        .or_else(windows)
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "unknown".into())
}

fn memory() -> Option<u64> {
    let info = fs::read_to_string("/proc/meminfo").ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(1024 * line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?)
}

/// A point in time as `YYYY-MM-DDThh:mm:ssZ`.
fn utc(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn memory_is_in_bytes() {
        assert!((64 << 20..1 << 50).contains(&memory().unwrap()), "{:?}", memory());
    }

    #[test]
    fn times_are_utc() {
        let at = |seconds| utc(Timestamp::from_second(seconds).unwrap());
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_827_696), "2000-02-29T12:34:56Z");
        assert_eq!(at(1_798_761_599), "2026-12-31T23:59:59Z");
    }
}
