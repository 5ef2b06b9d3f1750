//! Builds the page: the `frontend` crate as WebAssembly, its JavaScript glue by wasm-bindgen as a library,
//! and the static files beside them.

use crate::{
    build::{self, WASM, cargo, root, run, target},
    site::{Site, sha256},
};
use anyhow::{Context, Result};
use std::{fs, path::Path};

/// Builds `target/site`; what did not change is not touched, so that cargo rebuilds nothing that embeds it.
///
/// # Errors
/// When the toolchain lacks the target and cannot get it, a build fails, or a file cannot be read or written.
pub fn build() -> Result<()> {
    build::ensure_wasm_target()?;
    run(cargo().args(["build", "-p", "frontend", "--target", WASM, "--profile", "wasm-release"]))?;
    let bound = bind()?;

    let mut site = Site::new(target().join("site"), target().join("site-cache"));
    for name in ["saescope.js", "saescope_bg.wasm"] {
        site.add(
            &format!("pkg/{name}"),
            fs::read(bound.join(name)).with_context(|| format!("wasm-bindgen wrote no {name}"))?,
        );
    }
    site.add("style.css", style(&root().join("style"))?);
    add_folder(&mut site, &root().join("public"), "")?;
    let (bytes, sent) = site.write()?;
    println!("the page: {} kB, {} kB compressed", bytes.div_ceil(1000), sent.div_ceil(1000));
    Ok(())
}

/// Runs wasm-bindgen when the module is not the one it ran on last.
fn bind() -> Result<std::path::PathBuf> {
    let module = target().join(WASM).join("wasm-release/frontend.wasm");
    let hash = sha256(&fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?);
    let out = target().join("site-bindgen");
    let stamp = out.join("module.sha256");
    if fs::read_to_string(&stamp).is_ok_and(|old| old == hash) {
        return Ok(out);
    }
    fs::create_dir_all(&out).with_context(|| format!("cannot create {}", out.display()))?;
    wasm_bindgen_cli_support::Bindgen::new()
        .input_path(&module)
        .web(true)?
        .typescript(false)
        .omit_default_module_path(false)
        .out_name("saescope")
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(&out)
        .context("wasm-bindgen failed on the page's module")?;
    fs::write(&stamp, hash).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(out)
}

/// The style sheets in the order of their names (`_tokens.css` comes before any letter), as one.
fn style(folder: &Path) -> Result<Vec<u8>> {
    let mut sheets = Vec::new();
    if folder.is_dir() {
        for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "css") {
                sheets.push(path);
            }
        }
    }
    sheets.sort();
    let mut whole = Vec::new();
    for sheet in sheets {
        whole.extend(fs::read(&sheet).with_context(|| format!("cannot read {}", sheet.display()))?);
        whole.push(b'\n');
    }
    Ok(whole)
}

/// Every file below `folder`, under its path from there.
fn add_folder(site: &mut Site, folder: &Path, prefix: &str) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            add_folder(site, &entry.path(), &format!("{name}/"))?;
        } else {
            site.add(
                &name,
                fs::read(entry.path()).with_context(|| format!("cannot read {}", entry.path().display()))?,
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn style_sheets_are_joined_by_name_with_the_tokens_first() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("table.css", "t{}"),
            ("_tokens.css", ":root{}"),
            ("notes.txt", "not me"),
            ("button.css", "b{}"),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        assert_eq!(
            String::from_utf8(style(folder.path()).unwrap()).unwrap(),
            ":root{}\nb{}\nt{}\n"
        );
    }

    #[test]
    fn no_style_folder_is_an_empty_sheet() {
        assert!(style(Path::new("no/such/folder")).unwrap().is_empty());
    }
}
