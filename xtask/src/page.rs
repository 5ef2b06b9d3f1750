//! Builds the page: the `frontend` crate as WebAssembly, its JavaScript glue by wasm-bindgen as a library,
//! and the static files beside them.

use crate::{
    build::{self, PAGE, WASM, cargo, root, run},
    folders,
    site::{Site, sha256},
};
use anyhow::{Context, Result};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Builds `target/site`; what did not change is not touched, so that cargo rebuilds nothing that embeds it.
///
/// # Errors
/// When the toolchain lacks the target and cannot get it, a build fails, or a file cannot be read or written.
pub fn build() -> Result<()> {
    build::ensure_wasm_target()?;
    run(cargo()?.arg("build").args(PAGE))?;
    let bound = bind()?;

    // where the server's build script looks: beside what cargo makes on the way
    let build = &folders::ask()?.build;
    let mut site = Site::new(build.join("site"), build.join("site-cache"));
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
fn bind() -> Result<PathBuf> {
    let folders = folders::ask()?;
    let module = folders.target.join(WASM).join("wasm-release/frontend.wasm");
    let hash = sha256(&fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?);
    let out = folders.build.join("site-bindgen");
    once(&out, &hash, || {
        wasm_bindgen_cli_support::Bindgen::new()
            .input_path(&module)
            .web(true)?
            .typescript(false)
            .omit_default_module_path(false)
            .out_name("saescope")
            .remove_name_section(true)
            .remove_producers_section(true)
            .generate(&out)
            .context("wasm-bindgen failed on the page's module")
    })?;
    Ok(out)
}

/// Fills `folder` with `work`, unless it holds what came of the same module. Work that was interrupted has no stamp,
/// so that what it left is taken for nobody's.
fn once(folder: &Path, module: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let stamp = folder.join("module.sha256");
    if fs::read_to_string(&stamp).is_ok_and(|old| old == module) {
        return Ok(());
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    if stamp.exists() {
        fs::remove_file(&stamp).with_context(|| format!("cannot remove {}", stamp.display()))?;
    }
    work()?;
    fs::write(&stamp, module).with_context(|| format!("cannot write {}", stamp.display()))
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
    fn what_an_interrupted_build_left_is_taken_for_no_modules() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("saescope.js");
        let write = |content: &'static str| {
            let file = file.clone();
            move || Ok(fs::write(file, content)?)
        };
        once(folder.path(), "one", write("one")).unwrap();
        once(folder.path(), "one", || anyhow::bail!("done twice")).unwrap();
        let half = once(folder.path(), "two", || {
            fs::write(&file, "half of two")?;
            anyhow::bail!("killed")
        });
        assert!(half.is_err());
        once(folder.path(), "one", write("one")).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "one");
    }

    #[test]
    fn no_style_folder_is_an_empty_sheet() {
        assert!(style(Path::new("no/such/folder")).unwrap().is_empty());
    }
}
