//! Makes tables of the page's files and of the shipped set's, so that the binary holds both. The page's files are what `cargo xtask page`
//! left in `target/site` (another folder: `SAESCOPE_SITE`); where it was not run, the table is empty and the server says so.

use std::{
    env,
    error::Error,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

fn main() -> Result<(), Box<dyn Error>> {
    let site = site()?;
    println!("cargo::rerun-if-env-changed=SAESCOPE_SITE");
    println!("cargo::rerun-if-changed={}", site.display());
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo gave no OUT_DIR")?).join("site.rs");
    fs::write(out, table(&site)?)?;

    let demo = root()?.join("demo");
    println!("cargo::rerun-if-changed={}", demo.display());
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo gave no OUT_DIR")?).join("demo.rs");
    Ok(fs::write(out, demo_table(&demo)?)?)
}

fn root() -> Result<PathBuf, Box<dyn Error>> {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR")?).parent().map(Path::to_path_buf);
    root.ok_or_else(|| "server lies in the workspace".into())
}

/// The shipped set as a table in Rust: every file of `demo/`, by its path in it.
fn demo_table(demo: &Path) -> Result<String, Box<dyn Error>> {
    let mut files = Vec::new();
    let mut folders = vec![demo.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort_unstable();
    let mut rust = String::from("static DEMO: &[(&str, &[u8])] = &[\n");
    for file in files {
        let name = file
            .strip_prefix(demo)?
            .to_str()
            .ok_or("a file of demo/ has a name that is not UTF-8")?;
        writeln!(rust, "({name:?}, include_bytes!({file:?})),")?;
    }
    rust.push_str("];\n");
    Ok(rust)
}

/// The folder of the page. It is made where it is missing: cargo would take a missing one for changed at every build.
fn site() -> Result<PathBuf, Box<dyn Error>> {
    if let Some(folder) = env::var_os("SAESCOPE_SITE") {
        return Ok(folder.into());
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo gave no OUT_DIR")?);
    let target = env::var("TARGET")?;
    let site = built(&out, &target)
        .ok_or_else(|| format!("OUT_DIR is {}, expected …/PROFILE/build/server-HASH/out", out.display()))?
        .join("site");
    fs::create_dir_all(&site)?;
    Ok(site)
}

/// Cargo's own folder, above `[TARGET/]PROFILE/build/server-HASH/out`. `CARGO_TARGET_DIR` would not do: it may be relative to
/// a folder that a build script is not told, and configuration files name another, too.
fn built<'a>(out: &'a Path, target: &str) -> Option<&'a Path> {
    let folder = out.ancestors().nth(4)?;
    if folder.ends_with(target) {
        folder.parent()
    } else {
        Some(folder)
    }
}

/// The table as Rust, sorted by path as the manifest is.
fn table(site: &Path) -> Result<String, Box<dyn Error>> {
    let manifest = fs::read_to_string(site.join("manifest")).unwrap_or_default();
    let mut rust = String::from("static FILES: &[(&str, Asset)] = &[\n");
    for line in manifest.lines() {
        let (hash, path) = line
            .split_once(' ')
            .ok_or_else(|| format!("the site's manifest has the line `{line}`"))?;
        let file = site.join(path);
        let brotli = site.join(format!("{path}.br"));
        let brotli = if brotli.is_file() {
            format!("Some(include_bytes!({brotli:?}))")
        } else {
            "None".to_owned()
        };
        let content_type = content_type(path)?;
        writeln!(
            rust,
            "({path:?}, Asset {{ bytes: include_bytes!({file:?}), brotli: {brotli}, \
             content_type: {content_type:?}, hash: {hash:?} }}),"
        )?;
    }
    rust.push_str("];\n");
    Ok(rust)
}

fn content_type(path: &str) -> Result<&'static str, String> {
    Ok(match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("js") => "text/javascript; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("css") => "text/css; charset=utf-8",
        Some("txt") => "text/plain; charset=utf-8",
        Some("html") => "text/html; charset=utf-8",
        Some("json" | "webmanifest") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("ttf") => "font/ttf",
        _ => {
            return Err(format!(
                "`{path}` in the site has no content type; give its extension one in server/build.rs"
            ));
        }
    })
}
