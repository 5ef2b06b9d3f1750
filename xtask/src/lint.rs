//! Clippy and rustdoc over our own crates, beside dependencies that are compiled once. `cargo clippy` and `cargo doc` take every
//! dependency a second time, for its metadata alone, which in a new folder is nine tenths of their work. Here both are a `cargo build`,
//! in which this program stands in for the compiler of our own crates (`RUSTC_WORKSPACE_WRAPPER`): it has clippy and rustdoc read a
//! crate where cargo asks for it to be compiled. The dependencies are those of the program and its tests.

use crate::{
    build::{cargo, run},
    folders,
};
use anyhow::{Context, Result, bail};
use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Set where this program stands in for the compiler; its value is the folder of the documentation, empty where none is made.
const MARK: &str = "SAESCOPE_LINT";

/// Has the crates of `selection` read; with `documented`, their documentation is written as well. A warning is an error.
///
/// # Errors
/// When a crate has one, or does not compile.
pub fn lint(selection: &[&str], documented: bool) -> Result<()> {
    let folders = folders::ask()?;
    let documentation = if documented {
        folders.target.join("doc")
    } else {
        PathBuf::new()
    };
    let own = env::current_exe().context("cannot find this program's own file")?;
    run(cargo()?
        .arg("build")
        .args(selection)
        .env("RUSTC_WORKSPACE_WRAPPER", own)
        .env(MARK, documentation)
        .env("CLIPPY_ARGS", "-D__CLIPPY_HACKERY__warnings")
        // programs that were not linked must not replace those that were
        .env("CARGO_BUILD_BUILD_DIR", &folders.build)
        .env("CARGO_TARGET_DIR", folders.target.join("lint")))
}

/// Whether what this program was asked in place of a compiler went well, when it was: `COMPILER ARGS…` with the mark set.
pub fn asked(args: &[String]) -> Option<Result<bool>> {
    let documentation = PathBuf::from(env::var_os(MARK)?);
    let (compiler, args) = args.split_first()?;
    let call = Call {
        compiler: Path::new(compiler),
        args,
    };
    Some(call.answer((documentation != Path::new("")).then_some(&documentation)))
}

/// One call of the compiler, as cargo made it.
struct Call<'a> {
    compiler: &'a Path,
    args: &'a [String],
}

/// What a call is for.
#[derive(PartialEq, Debug)]
enum Purpose {
    /// Cargo asks what the compiler is.
    Question,
    /// Something that cargo runs or loads while it builds: it has to be there whole.
    Tool,
    /// A library of ours.
    Library,
    /// The page's module.
    Module,
    /// A program of ours.
    Program,
    /// Tests or a benchmark.
    Test,
}

impl Call<'_> {
    /// Whether the compiler, or what reads in its place, found nothing wrong; it has said itself what it found.
    fn answer(&self, documentation: Option<&PathBuf>) -> Result<bool> {
        let purpose = self.purpose();
        match purpose {
            Purpose::Question => return succeeds(Command::new(self.compiler).args(self.args)),
            Purpose::Tool => return succeeds(self.clippy().args(self.args)),
            Purpose::Library | Purpose::Module | Purpose::Program | Purpose::Test => {}
        }
        if !succeeds(self.clippy().args(self.metadata_only(is_stub)))? {
            return Ok(false);
        }
        if let Some(stub) = self.stub(&purpose)? {
            fs::write(&stub, "").with_context(|| format!("cannot write {}", stub.display()))?;
        }
        match documentation {
            Some(folder) if matches!(purpose, Purpose::Library | Purpose::Program) => succeeds(
                self.tool("rustdoc")
                    .args(self.documented(&purpose, is_stub))
                    .arg("-o")
                    .arg(folder),
            ),
            _ => Ok(true),
        }
    }

    fn purpose(&self) -> Purpose {
        let is = |word: &str| self.args.iter().any(|arg| arg == word);
        match (self.after("--crate-name"), self.after("--crate-type")) {
            (None | Some("___"), _) => Purpose::Question,
            (Some("build_script_build"), _) | (_, Some("proc-macro")) => Purpose::Tool,
            (_, Some("lib" | "rlib")) => Purpose::Library,
            (_, Some("cdylib")) => Purpose::Module,
            _ if is("--test") || self.after("--cfg") == Some("test") => Purpose::Test,
            _ => Purpose::Program,
        }
    }

    /// The word after `flag`.
    fn after(&self, flag: &str) -> Option<&str> {
        let at = self.args.iter().position(|arg| arg == flag)?;
        self.args.get(at + 1).map(String::as_str)
    }

    /// A program of the compiler's own toolchain, or by its name where the compiler is called by its name.
    fn tool(&self, name: &str) -> Command {
        let beside = self.compiler.with_file_name(format!("{name}{}", env::consts::EXE_SUFFIX));
        Command::new(if beside.is_file() {
            beside.into_os_string()
        } else {
            OsString::from(name)
        })
    }

    fn clippy(&self) -> Command {
        let mut command = self.tool("clippy-driver");
        command.arg(self.compiler);
        command
    }

    /// The arguments, but that nothing is generated or linked. What was only read has its metadata in a file of its own.
    fn metadata_only(&self, is_stub: impl Fn(&Path) -> bool) -> Vec<String> {
        let changed = |arg: &String| match arg.strip_prefix("--emit=") {
            Some(_) => "--emit=dep-info,metadata".to_owned(),
            None => beside_stub(arg, &is_stub),
        };
        self.args.iter().map(changed).collect()
    }

    /// The arguments that rustdoc shares with the compiler, as cargo gives them to it.
    fn documented(&self, purpose: &Purpose, is_stub: impl Fn(&Path) -> bool) -> Vec<String> {
        let mut shared = Vec::new();
        let mut args = self.args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "-C" | "--out-dir" => {
                    args.next();
                }
                arg if arg.starts_with("--emit=") => {}
                arg => shared.push(beside_stub(arg, &is_stub)),
            }
        }
        if *purpose == Purpose::Program {
            shared.extend([
                "--document-private-items".to_owned(),
                "-Arustdoc::private-intra-doc-links".to_owned(),
            ]);
        }
        shared.extend(["-D".to_owned(), "warnings".to_owned()]);
        shared
    }

    /// The file that cargo looks for to see that the crate is as its sources are. The page's module has none: its name says
    /// nothing of who made it, and the page's own must stay.
    fn stub(&self, purpose: &Purpose) -> Result<Option<PathBuf>> {
        if *purpose == Purpose::Module {
            return Ok(None);
        }
        let name = self.after("--crate-name").unwrap_or_default();
        let extra = self.args.iter().find_map(|arg| arg.strip_prefix("extra-filename="));
        let (Some(folder), Some(extra)) = (self.after("--out-dir"), extra) else {
            bail!("cargo gave the crate {name} no --out-dir or no extra-filename");
        };
        let file = match purpose {
            Purpose::Library => format!("lib{name}{extra}.rlib"),
            _ => format!("{name}{extra}{}", env::consts::EXE_SUFFIX),
        };
        Ok(Some(Path::new(folder).join(file)))
    }
}

/// `NAME=…/libNAME.rlib` of a crate that was only read becomes the file of its metadata.
fn beside_stub(arg: &str, is_stub: impl Fn(&Path) -> bool) -> String {
    match arg.strip_suffix(".rlib").zip(arg.split_once('=')) {
        Some((start, (_, file))) if is_stub(Path::new(file)) => format!("{start}.rmeta"),
        _ => arg.to_owned(),
    }
}

fn is_stub(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|known| known.len() == 0)
}

fn succeeds(command: &mut Command) -> Result<bool> {
    let status = command.status();
    let status = status.with_context(|| format!("cannot start `{}`", command.get_program().to_string_lossy()))?;
    Ok(status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIBRARY: &str = "--crate-name engine --edition=2024 server/engine/src/lib.rs --error-format=json --crate-type lib \
        --emit=dep-info,metadata,link -C opt-level=3 --warn=missing_docs -C metadata=11 -C extra-filename=-22 --out-dir /t/deps \
        -L dependency=/t/deps --extern api=/t/deps/libapi-33.rlib --extern serde=/t/deps/libserde-44.rlib";

    fn with<T>(line: &str, f: impl FnOnce(Call<'_>) -> T) -> T {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        f(Call {
            compiler: Path::new("rustc"),
            args: &args,
        })
    }

    fn api_is_stub(file: &Path) -> bool {
        file == Path::new("/t/deps/libapi-33.rlib")
    }

    #[test]
    fn every_call_of_cargo_has_its_purpose() {
        for (line, purpose) in [
            ("-vV", Purpose::Question),
            ("- --crate-name ___ --print=file-names --crate-type bin", Purpose::Question),
            (
                "--crate-name build_script_build server/build.rs --crate-type bin",
                Purpose::Tool,
            ),
            ("--crate-name m lib.rs --crate-type proc-macro", Purpose::Tool),
            (LIBRARY, Purpose::Library),
            ("--crate-name frontend lib.rs --crate-type cdylib", Purpose::Module),
            (
                "--crate-name saescope main.rs --crate-type bin --emit=dep-info,link",
                Purpose::Program,
            ),
            ("--crate-name saescope main.rs --emit=dep-info,link --test", Purpose::Test),
            ("--crate-name step step.rs --emit=dep-info,link --cfg test", Purpose::Test),
        ] {
            assert_eq!(with(line, |call| call.purpose()), purpose, "{line}");
        }
    }

    #[test]
    fn a_crate_is_read_with_what_was_compiled_and_what_was_read() {
        let args = with(LIBRARY, |call| call.metadata_only(api_is_stub)).join(" ");
        let expected = LIBRARY
            .replace("--emit=dep-info,metadata,link", "--emit=dep-info,metadata")
            .replace("libapi-33.rlib", "libapi-33.rmeta");
        assert_eq!(args, expected.split_whitespace().collect::<Vec<_>>().join(" "));
    }

    #[test]
    fn rustdoc_is_given_what_it_shares_with_the_compiler() {
        let args = with(LIBRARY, |call| call.documented(&Purpose::Library, api_is_stub)).join(" ");
        assert_eq!(
            args,
            "--crate-name engine --edition=2024 server/engine/src/lib.rs --error-format=json --crate-type lib --warn=missing_docs \
             -L dependency=/t/deps --extern api=/t/deps/libapi-33.rmeta --extern serde=/t/deps/libserde-44.rlib -D warnings"
        );
    }

    #[test]
    fn cargo_finds_a_file_for_what_was_read_but_never_the_pages_module() {
        let stub = |purpose: Purpose| with(LIBRARY, |call| call.stub(&purpose)).unwrap();
        assert_eq!(stub(Purpose::Library), Some("/t/deps/libengine-22.rlib".into()));
        assert_eq!(stub(Purpose::Test).unwrap().file_stem(), Some("engine-22".as_ref()));
        assert_eq!(stub(Purpose::Module), None);
    }
}
