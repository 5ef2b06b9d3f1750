//! Makes a table of the files of `migrations/`, so that the binary holds them and no file can be forgotten. sqlx has a macro for it,
//! which compiles sqlx and SQLite itself a second time, for the compiler to load.

use std::{
    env,
    error::Error,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("cargo gave no CARGO_MANIFEST_DIR")?).join("migrations");
    println!("cargo::rerun-if-changed={}", folder.display());
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo gave no OUT_DIR")?).join("migrations.rs");
    Ok(fs::write(out, table(&folder)?)?)
}

/// The table as Rust: number, words and content of each file, by its number.
fn table(folder: &Path) -> Result<String, Box<dyn Error>> {
    let mut rows = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let (number, words) = name
            .strip_suffix(".sql")
            .and_then(|name| name.split_once('_'))
            .ok_or_else(|| format!("migrations/ holds `{name}`, expected NUMBER_words.sql"))?;
        let number: i64 = number
            .parse()
            .map_err(|_| format!("migrations/{name} begins with `{number}`, expected a number"))?;
        rows.push((number, words.replace('_', " "), path));
    }
    rows.sort_unstable();
    let mut rust = String::from("static MIGRATIONS: &[(i64, &str, &str)] = &[\n");
    for (number, words, path) in rows {
        writeln!(rust, "({number}, {words:?}, include_str!({path:?})),")?;
    }
    rust.push_str("];\n");
    Ok(rust)
}
