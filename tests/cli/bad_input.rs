//! Input that cannot be used: each gives one clear message with the file or field, what was found and what was expected, on
//! the command line and over the API, and nothing that was there before is lost.

use crate::line::{Line, Place, dictionaries};
use anyhow::{Context, Result, ensure};
use http::StatusCode;
use serde_json::{Value, json};
use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
};
use tests::{Server, given, http::post};

/// A copy of the tiny model's folder that `change` damages.
fn damaged(place: &Place, name: &str, change: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let folder = place.path(name);
    fs::create_dir(&folder)?;
    for file in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
        fs::copy(given::tiny_model().join(file), folder.join(file)).with_context(|| format!("cannot copy {file}"))?;
    }
    change(&folder)?;
    Ok(folder)
}

fn edit(file: &Path, change: impl FnOnce(&mut Value)) -> Result<()> {
    let mut value = serde_json::from_slice(&fs::read(file)?)?;
    change(&mut value);
    Ok(fs::write(file, value.to_string())?)
}

/// The models that cannot be read, with what the message must hold.
fn unusable_models(place: &Place) -> Result<Vec<(PathBuf, Vec<&'static str>)>> {
    let truncated = damaged(place, "truncated", |folder| {
        let file = folder.join("model.safetensors");
        let bytes = fs::read(&file)?;
        Ok(fs::write(&file, &bytes[..bytes.len() / 2])?)
    })?;
    let pickle = damaged(place, "pickle", |folder| {
        Ok(fs::rename(
            folder.join("model.safetensors"),
            folder.join("pytorch_model.bin"),
        )?)
    })?;
    let family = damaged(place, "family", |folder| {
        edit(&folder.join("config.json"), |config| config["model_type"] = json!("mamba"))
    })?;
    let activation = damaged(place, "activation", |folder| {
        edit(&folder.join("config.json"), |config| {
            config["activation_function"] = json!("snake")
        })
    })?;
    let width = damaged(place, "width", |folder| {
        edit(&folder.join("config.json"), |config| config["n_embd"] = json!(36))
    })?;
    let vocabulary = damaged(place, "vocabulary", |folder| {
        edit(&folder.join("tokenizer.json"), |tokenizer| {
            tokenizer["model"]["vocab"]["<|more|>"] = json!(384);
        })
    })?;
    Ok(vec![
        (place.path("missing"), vec!["missing'"]),
        (truncated, vec!["truncated/model.safetensors'", "damaged"]),
        (
            pickle,
            vec!["no model.safetensors", "pytorch_model.bin", "pickle", "save_pretrained"],
        ),
        (
            family,
            vec![
                "family/config.json'",
                "model_type",
                "\"mamba\"",
                "gpt2, gpt_neo, gpt_neox, llama, mistral, qwen2, qwen3, gemma2",
            ],
        ),
        (
            activation,
            vec!["activation/config.json'", "activation_function", "\"snake\"", "expected"],
        ),
        (width, vec!["[384, 32]", "[384, 36]"]),
        (vocabulary, vec!["vocabulary/tokenizer.json'", "up to 384", "384 entries"]),
    ])
}

/// The texts that cannot be read.
fn unusable_texts(place: &Place) -> Result<Vec<(PathBuf, Vec<&'static str>)>> {
    let write = |name: &str, bytes: &[u8]| -> Result<PathBuf> {
        let file = place.path(name);
        fs::write(&file, bytes)?;
        Ok(file)
    };
    Ok(vec![
        (place.path("no.txt"), vec!["no.txt'"]),
        (write("empty.txt", b"")?, vec!["empty.txt'", "holds no text"]),
        (write("latin1.txt", b"caf\xe9")?, vec!["latin1.txt'", "UTF-8", "byte 3"]),
        (
            write("broken.jsonl", b"{\"text\": \"a\"}\n{\"text\": ")?,
            vec!["broken.jsonl'", "line 2"],
        ),
    ])
}

#[test]
fn on_the_command_line_each_has_one_message_and_nothing_is_lost() -> Result<()> {
    let place = Place::new()?;
    let good = Line::sweep(&place).with("--coefficient", "0.1");
    good.expect(0)?;
    let made = dictionaries(&place.data())?;

    for (model, parts) in unusable_models(&place)? {
        let said = good.clone().with("--model", model.display()).run()?;
        ensure!(matches!(said.code, Some(1 | 2)), "{model:?}; {said}");
        said.complains(&parts)?;
    }
    for (text, parts) in unusable_texts(&place)? {
        let said = good.clone().with("--corpus", text.display()).run()?;
        ensure!(matches!(said.code, Some(1 | 2)), "{text:?}; {said}");
        said.complains(&parts)?;
    }
    let values: &[(&str, &str, &[&str])] = &[
        (
            "--at",
            "blocks.9.hook_resid_pre",
            &["at: ", "'blocks.9.hook_resid_pre'", "blocks.2.hook_resid_post"],
        ),
        (
            "--at",
            "blocks.1.hook_nothing",
            &["--at", "'blocks.1.hook_nothing'", "hook_resid_pre"],
        ),
        ("--kind", "relo", &["--kind", "relo", "relu"]),
        (
            "--kind",
            "topk",
            &["coefficient: found '0.1'", "topk has no sparsity term", "give k"],
        ),
        (
            "--target-l0",
            "16",
            &["coefficient: found '0.1' with target_l0", "give one of them"],
        ),
        ("--k", "8", &["k: found with kind relu", "topk and abstopk"]),
        ("--bandwidth", "0.1", &["bandwidth: found with kind relu", "jumprelu"]),
        ("--objective", "e3e", &["--objective", "'e3e'", "local, e2e, e2e+ds"]),
        ("--coefficient", "e2e=1", &["coefficient", "'e2e=1'", "local"]),
        ("--lr", "0", &["lr: found 0", "above 0"]),
        ("--lr", "-1", &["lr: found -1", "above 0"]),
        ("--coefficient", "-0.1,1", &["coefficient: found -0.1", "0 or more"]),
        ("--ds-coefficient", "-2.5", &["ds_coefficient: found -2.5", "above 0"]),
        ("--max-grad-norm", "-1", &["max_grad_norm: found -1", "above 0"]),
        ("--adam-beta1", "-0.9", &["adam_beta1: found -0.9", "below 1"]),
        ("--batch", "-1", &["--batch", "'-1'", "whole number"]),
        ("--seed", "0,-1", &["--seed", "'-1'", "whole number"]),
        (
            "--batch",
            "1000000000000",
            &["batch: found 1000000000000", "tokens in a batch"],
        ),
        ("--d-sae", "1000000000000", &["d_sae: found 1000000000000", "or less"]),
        (
            "--tokens",
            "1000000000000000000",
            &["tokens: found 1000000000000000000", "or less"],
        ),
        ("--n-ctx", "1000000000", &["n_ctx: found 1000000000", "at most 64"]),
        (
            "--accumulation",
            "18446744073709551615",
            &["accumulation: found 18446744073709551615", "optimiser step"],
        ),
        ("--lr", "nan", &["--lr", "'nan' is not a number"]),
        ("--n-ctx", "65", &["n_ctx: found 65", "at most 64"]),
        ("--n-ctx", "1", &["n_ctx: found 1", "2 or more"]),
        ("--d-sae", "0", &["d_sae: found 0", "1 or more"]),
        ("--batch", "0", &["batch: found 0", "1 or more"]),
        ("--tokens", "0", &["tokens: found 0", "1 or more"]),
        ("--tokens", "many", &["--tokens", "'many'"]),
        ("--warmup-steps", "30", &["warmup_steps: found 30", "30 steps"]),
        ("--device", "cuda", &["device: found cuda", "cpu"]),
        ("--csv", "no/such/folder.csv", &["csv: ", "'no/such'"]),
    ];
    for (option, value, parts) in values {
        let said = good
            .clone()
            .with(option, value)
            .expect(2)
            .with_context(|| format!("{option} {value}"))?;
        said.complains(parts)?;
    }
    // each size within the limits, together some tens of TiB
    let many: Vec<String> = (1..=40).map(|n| n.to_string()).collect();
    good.clone()
        .with("--d-sae", 268_000_000)
        .with("--coefficient", many.join(","))
        .expect(2)?
        .complains(&["d_sae: found 268000000", "120 dictionaries", "GiB", "free"])?;
    let pull = Line::on(&place, &["pull", "nobody/nothing"]).command();
    let mut pull = pull?;
    pull.env("HF_ENDPOINT", "http://127.0.0.1:9")
        .env("HF_HOME", place.path("hub"));
    let said = crate::line::Running::start(pull)?.end()?;
    ensure!(said.code == Some(1), "offline: {said}");
    said.complains(&["nobody/nothing", "folder"])?;

    // none of them has left a job or touched a dictionary
    let jobs = Line::on(&place, &["jobs"]).expect(0)?;
    ensure!(jobs.out.lines().count() == 1 && jobs.out.starts_with("1\tdone"), "{jobs}");
    ensure!(dictionaries(&place.data())? == made, "the dictionaries have changed");
    good.expect(0)?.tells(&["job 1: the same run is done already"])
}

#[tokio::test(flavor = "multi_thread")]
async fn over_the_api_each_is_a_400_with_the_field() -> Result<()> {
    let place = Place::new()?;
    let server = Server::on(&place.data(), &[]).await?;
    let refused = async |path: &str, body: Value, parts: &[&str], field: Option<&str>| -> Result<()> {
        let answer = post(&server.url(path), &body).await?;
        let said = answer.json()?;
        let message = said["message"].as_str().unwrap_or_default();
        ensure!(answer.status == StatusCode::BAD_REQUEST, "{body}: {} {said}", answer.status);
        ensure!(
            parts.iter().all(|part| message.contains(part)),
            "{body}: expected {parts:?} in {said}"
        );
        ensure!(
            field.is_none() || said["field"].as_str() == field,
            "{body}: expected the field {field:?}: {said}"
        );
        Ok(())
    };
    for (folder, parts) in unusable_models(&place)? {
        refused("/api/models", json!({"folder": folder}), &parts, None).await?;
    }
    for (path, parts) in unusable_texts(&place)? {
        refused("/api/corpora", json!({"path": path}), &parts, None).await?;
    }
    for (path, body) in [
        ("/api/models", json!({"folder": given::tiny_model()})),
        ("/api/corpora", json!({"path": place.stories})),
    ] {
        let answer = post(&server.url(path), &body).await?;
        ensure!(answer.status == StatusCode::OK, "{}", answer.text());
    }
    let sweep = |field: &str, value: Value| {
        let mut sweep = json!({
            "model": "tiny", "corpus": "stories.json", "at": "blocks.1.hook_resid_pre", "objectives": ["local"],
            "coefficient": "0.1", "d_sae": 64, "tokens": 640, "n_ctx": 16, "batch": 4,
        });
        sweep[field] = value;
        sweep
    };
    let cases: &[(&str, Value, &[&str])] = &[
        ("d_sea", json!(64), &["unknown field 'd_sea'", "'d_sae'"]),
        ("model", json!("other"), &["'other'"]),
        (
            "at",
            json!("blocks.9.hook_resid_pre"),
            &["blocks.9.hook_resid_pre", "blocks.2.hook_resid_post"],
        ),
        ("lr", json!("0"), &["found 0", "above 0"]),
        ("n_ctx", json!(65), &["found 65", "at most 64"]),
        ("tokens", json!("many"), &["tokens", "many"]),
    ];
    for (field, value, parts) in cases {
        let named = match *field {
            "d_sea" | "tokens" => None, // serde names it in the message
            "objectives" => Some("objective"),
            field => Some(field),
        };
        refused("/api/sweeps", sweep(field, value.clone()), parts, named).await?;
    }
    let jobs = tests::http::get_json(&server.url("/api/jobs")).await?;
    ensure!(jobs == json!([]), "something was started: {jobs}");
    Ok(())
}

/// The loss becomes infinite at step 2, after a checkpoint at step 1: that one is kept, and a second attempt begins there.
#[test]
fn a_loss_that_is_no_number_names_its_step_and_keeps_the_checkpoint() -> Result<()> {
    let place = Place::new()?;
    let line = Line::long_sweep(&place)
        .with("--objective", "local")
        .with("--kl-coefficient", 1)
        .with("--lr", "1e30")
        .with("--tokens", 1536)
        .with("--warmup-steps", 4);
    let table = place.path("out.csv");
    fs::write(&table, "the table of an earlier sweep\n")?;
    let said = line.expect(1)?;
    said.tells(&["out.csv' is left as it was"])?;
    ensure!(
        fs::read_to_string(&table)? == "the table of an earlier sweep\n",
        "the table was written over"
    );
    said.complains(&[
        "step 2",
        "the loss is inf",
        "smaller learning rate",
        "checkpoint, of step 1, is kept",
    ])?;
    let checkpoint = fs::read(place.checkpoint(1))?;
    ensure!(dictionaries(&place.data())?.is_empty(), "it has a dictionary");
    let again = line.expect(1)?;
    again.tells(&["job 1: goes on from its last checkpoint", "step 2"])?;
    ensure!(fs::read(place.checkpoint(1))? == checkpoint, "the checkpoint has changed");
    Ok(())
}

#[test]
fn a_port_in_use_is_named_and_no_data_folder_is_made() -> Result<()> {
    let place = Place::new()?;
    let taken = TcpListener::bind(("127.0.0.1", 0))?;
    let address = taken.local_addr()?.to_string();
    Line::on(&place, &["serve", "--bind", &address])
        .expect(1)?
        .complains(&[&address, "in use", "--bind"])?;
    ensure!(!place.data().exists(), "there is a data folder now");
    Ok(())
}
