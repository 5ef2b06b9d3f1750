//! The browser and its driver that the tests of the page need: found, or installed where that is allowed.

use crate::build::run;
use anyhow::{Result, bail};
use std::{env, path::PathBuf, process::Command};

const BROWSERS: &[&str] = &["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const DRIVERS: &[&str] = &["chromedriver", "chromium.chromedriver"];

/// Where the two programs are.
pub struct Programs {
    /// Chromium or Chrome.
    pub browser: PathBuf,
    /// Its WebDriver.
    pub driver: PathBuf,
}

/// Finds both (`SAESCOPE_CHROMIUM` and `SAESCOPE_CHROMEDRIVER` win over `PATH`); on Debian and its kin, as root,
/// installs what is missing.
///
/// # Errors
/// When they are missing and cannot be installed from here; the message says what to install.
pub fn ensure() -> Result<Programs> {
    if let Some(programs) = find() {
        return Ok(programs);
    }
    if !may_install() {
        bail!(
            "the tests of the page need chromium and chromedriver on PATH and found no pair; install them \
             (Debian and Ubuntu: sudo apt-get install chromium chromium-driver), or name them in \
             SAESCOPE_CHROMIUM and SAESCOPE_CHROMEDRIVER"
        );
    }
    println!("no chromium with chromedriver on PATH: installing them");
    run(Command::new("apt-get").arg("update"))?;
    run(Command::new("apt-get")
        .args(["install", "-y", "--no-install-recommends", "chromium", "chromium-driver"])
        .env("DEBIAN_FRONTEND", "noninteractive"))?;
    match find() {
        Some(programs) => Ok(programs),
        None => bail!("apt-get installed chromium and chromium-driver, yet neither pair of names is on PATH"),
    }
}

fn find() -> Option<Programs> {
    Some(Programs {
        browser: program("SAESCOPE_CHROMIUM", BROWSERS)?,
        driver: program("SAESCOPE_CHROMEDRIVER", DRIVERS)?,
    })
}

fn program(variable: &str, names: &[&str]) -> Option<PathBuf> {
    if let Some(path) = env::var_os(variable) {
        return Some(path.into());
    }
    let path = env::var_os("PATH")?;
    let folders: Vec<PathBuf> = env::split_paths(&path).collect();
    names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|file| file.is_file())
}

/// Whether this is root on a system with apt-get. The owner of this process's folder under /proc is its user.
fn may_install() -> bool {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0) && program("", &["apt-get"]).is_some()
    }
    #[cfg(not(target_os = "linux"))]
    {
        false
    }
}
