//! Files that commands write for other programs.

use anyhow::{Context as _, Result};
use std::path::Path;

/// Writes `bytes` to `path`, whole or not at all.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    use std::io::Write as _;
    store::write_atomic(path, |file| file.write_all(bytes)).with_context(|| format!("cannot write '{}'", path.display()))
}
