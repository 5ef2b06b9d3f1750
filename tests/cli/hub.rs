//! Models and data sets from a hub.

use crate::{
    line::{Line, Place, Said},
    loopback::{Hub, Repository, TOKEN},
};
use anyhow::{Result, ensure};
use std::path::PathBuf;
use tests::given;

/// A hub with the model `owner/tiny`, the same model gated as `gated/tiny`, and the data set `owner/stories` of two files.
fn hub(stories: PathBuf) -> Result<Hub> {
    let files = [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "README.md",
        "pytorch_model.bin",
    ];
    let model = |name: &str| Repository::model(name, &given::tiny_model(), &files);
    let data = [
        ("README.md", PathBuf::new()),
        ("data/train.json", stories),
        ("data/test.json", PathBuf::new()),
    ];
    let stories = Repository {
        kind: "datasets",
        name: "owner/stories".into(),
        files: data.map(|(file, place)| (file.to_string(), place)).into(),
    };
    Hub::open(vec![model("owner/tiny"), model("gated/tiny"), stories])
}

/// `saescope pull WORDS` with `hub`, or where it was.
fn pull(hub: &Hub, place: &Place, words: &[&str], token: Option<&str>) -> Result<Said> {
    hub.run(place, &Line::on(place, &[&["pull"], words].concat()), token)
}

#[test]
fn what_was_pulled_once_is_there_when_the_hub_is_not() -> Result<()> {
    let place = Place::new()?;
    let mut hub = hub(place.stories.clone())?;
    let data_set = ["--dataset", "owner/stories", "--file", "data/train.json"];
    let model = pull(&hub, &place, &["owner/tiny"], None)?;
    ensure!(model.code == Some(0) && model.out.contains("gpt2"), "{model}");
    let text = pull(&hub, &place, &data_set, None)?;
    ensure!(text.code == Some(0) && text.out.contains("400 documents"), "{text}");
    let heard = hub.heard();
    ensure!(
        heard.iter().all(|(_, token)| token.is_none()),
        "a token from nowhere: {heard:?}"
    );
    let weights = "/owner/tiny/resolve/main/model.safetensors";
    ensure!(heard.iter().any(|(path, _)| path == weights), "{heard:?}");
    let unwanted = ["pytorch_model.bin", "README.md", "test.json"];
    ensure!(
        !heard.iter().any(|(path, _)| unwanted.iter().any(|file| path.ends_with(file))),
        "{heard:?}"
    );

    // the second time only the list of files is asked for
    let again = pull(&hub, &place, &["owner/tiny"], None)?;
    ensure!(again.code == Some(0) && again.out == model.out, "{again}");
    let asked: Vec<_> = hub.heard().split_off(heard.len()).into_iter().map(|(path, _)| path).collect();
    ensure!(asked == ["/api/models/owner/tiny/revision/main"], "{asked:?}");

    hub.close();
    for (words, before) in [(&["owner/tiny"][..], &model), (&data_set[..], &text)] {
        // into an empty data folder, so that nothing but HF_HOME has it
        let other = Line::new(&[&["pull"], words].concat()).with("--data", place.path("other").display());
        let said = hub.run(&place, &other, None)?;
        ensure!(said.code == Some(0) && said.out == before.out, "{said}");
        said.tells(&["cannot be reached", "HF_HOME"])?;
    }
    let missing = pull(&hub, &place, &["owner/other"], None)?;
    ensure!(missing.code == Some(1), "{missing}");
    missing.complains(&["'owner/other'", "network", "HF_ENDPOINT"])?;
    // a file of the data set that was never fetched
    let missing = pull(
        &hub,
        &place,
        &["--dataset", "owner/stories", "--file", "data/test.json"],
        None,
    )?;
    ensure!(missing.code == Some(1), "{missing}");
    missing.complains(&["data/test.json", "data/train.json"])
}

#[test]
fn a_token_opens_what_is_gated_and_refusals_say_what_to_do() -> Result<()> {
    let place = Place::new()?;
    let hub = hub(place.stories.clone())?;
    for token in [None, Some("hf_wrong")] {
        let said = pull(&hub, &place, &["gated/tiny"], token)?;
        ensure!(said.code == Some(1), "{said}");
        said.complains(&["'gated/tiny'", "401", "HF_TOKEN"])?;
        ensure!(
            !said.err.contains("hf_wrong") && !said.err.contains("Bearer"),
            "the token is shown: {said}"
        );
    }
    let said = pull(&hub, &place, &["gated/tiny"], Some(TOKEN))?;
    ensure!(said.code == Some(0), "{said}");
    let bearer = Some(format!("Bearer {TOKEN}"));
    let weights = "/gated/tiny/resolve/main/model.safetensors";
    ensure!(
        hub.heard().iter().any(|(path, token)| path == weights && *token == bearer),
        "{:?}",
        hub.heard()
    );

    let said = pull(&hub, &place, &["owner/nothing"], None)?;
    ensure!(said.code == Some(1), "{said}");
    said.complains(&["'owner/nothing'", "404", "no such name"])?;
    let said = pull(
        &hub,
        &place,
        &["--dataset", "owner/stories", "--file", "data/none.json"],
        None,
    )?;
    ensure!(said.code == Some(1), "{said}");
    said.complains(&["'data/none.json'", "data/train.json"])
}
