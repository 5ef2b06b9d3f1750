//! A sweep and what is done with its dictionaries afterwards.

use crate::line::{Line, Place, dictionaries};
use anyhow::{Context, Result, ensure};
use std::fs;

/// The columns that scripts rely on.
const COLUMNS: &str = "objective,coefficient,seed,l0,alive,ce_model,ce_spliced,ce_increase,kl,explained_variance,n_tokens";

#[test]
fn a_sweep_writes_a_row_per_dictionary_and_is_not_run_twice() -> Result<()> {
    let place = Place::new()?;
    let line = Line::sweep(&place).with("--seed", "0,1");
    let said = line.expect(0)?;
    for field in [
        "residual",
        "input_scale",
        "accumulation",
        "bos",
        "eos",
        "warmup_steps",
        "min_lr_factor",
        "hold_steps",
        "max_grad_norm",
        "adam_beta1",
        "adam_beta2",
        "adam_eps",
        "log_every_steps",
        "checkpoint_every_steps",
        "evaluate_on",
        "eval_tokens",
        "validation_tokens",
        "eval_every_steps",
    ] {
        said.tells(&[&format!("default: {field} = ")])?;
    }
    let given = [
        "kind",
        "lr",
        "d_sae",
        "n_ctx",
        "batch",
        "tokens",
        "seed",
        "kl_coefficient",
        "ds_coefficient",
    ];
    for field in given {
        let line = format!("default: {field} = ");
        ensure!(!said.err.contains(&line), "{field} was given: {said}");
    }

    let table = fs::read_to_string(place.path("out.csv"))?;
    let mut rows = table.lines();
    let head = rows.next().context("the table is empty")?;
    ensure!(
        head == COLUMNS || head.starts_with(&format!("{COLUMNS},")),
        "the columns are {head}"
    );
    let rows: Vec<Vec<&str>> = rows.map(|row| row.split(',').take(11).collect()).collect();
    let named: Vec<String> = rows.iter().map(|row| row[..3].join(" ")).collect();
    ensure!(
        named
            == [
                "local 0.03 0",
                "local 0.3 0",
                "e2e 0.1 0",
                "e2e+ds 0.1 0",
                "e2e+ds 1 0",
                "local 0.03 1",
                "local 0.3 1",
                "e2e 0.1 1",
                "e2e+ds 0.1 1",
                "e2e+ds 1 1",
            ],
        "the rows are {named:?}"
    );
    for row in &rows {
        let value = |column: usize| -> Result<f64> {
            let value: f64 = row[column].parse().with_context(|| format!("`{}` in {row:?}", row[column]))?;
            ensure!(value.is_finite(), "{row:?}");
            Ok(value)
        };
        let (l0, alive, ce_loss_without_sae, ce_loss_with_sae, increase) =
            (value(3)?, value(4)?, value(5)?, value(6)?, value(7)?);
        ensure!(l0 > 0.0 && l0 <= alive && alive <= 64.0, "{row:?}");
        ensure!((ce_loss_with_sae - ce_loss_without_sae - increase).abs() < 1e-9, "{row:?}");
        ensure!(value(8)? >= 0.0 && value(9)? <= 1.0 && value(10)? > 100.0, "{row:?}");
    }

    let made = dictionaries(&place.data())?;
    ensure!(made.len() == 10, "{} dictionaries", made.len());
    let again = line.expect(0)?;
    again.tells(&[
        "job 1: the same run is done already",
        "job 2: the same run is done already",
        "--fresh",
    ])?;
    ensure!(fs::read_to_string(place.path("out.csv"))? == table, "the table has changed");
    ensure!(dictionaries(&place.data())? == made, "the dictionaries have changed");
    Ok(())
}

#[test]
fn its_dictionaries_are_measured_again_to_the_same_values_and_plotted() -> Result<()> {
    let place = Place::new()?;
    Line::sweep(&place).expect(0)?;

    for id in ["1", "5"] {
        let said = Line::on(&place, &["evaluate", "--dictionary", id]).expect(0)?;
        ensure!(said.out.contains("ce_increase: ") && said.out.lines().count() > 10, "{said}");
        for line in said.out.lines() {
            ensure!(
                line.contains("(stored ") && line.contains("differs by 0.0e0;"),
                "dictionary {id}: {line}"
            );
        }
    }

    for (ending, begins) in [
        ("svg", &b"<svg"[..]),
        ("png", b"\x89PNG\r\n\x1a\n"),
        ("csv", b"objective,coefficient,seed,l0,"),
    ] {
        let file = place.path(&format!("pareto.{ending}"));
        Line::on(&place, &["plot"]).with("--out", file.display()).expect(0)?;
        let bytes = fs::read(&file)?;
        ensure!(
            bytes.starts_with(begins),
            "{ending} begins with {:?}",
            &bytes[..bytes.len().min(40)]
        );
        match ending {
            "svg" => {
                let marks = String::from_utf8(bytes)?.matches("class=\"mark\"").count();
                ensure!(marks == 5, "{marks} marks for five dictionaries");
            }
            "csv" => ensure!(String::from_utf8(bytes)?.lines().count() == 6, "not a row per dictionary"),
            _ => {}
        }
    }
    let wrong = place.path("pareto.pdf");
    Line::on(&place, &["plot"])
        .with("--out", wrong.display())
        .expect(2)?
        .complains(&["pareto.pdf", ".svg"])
}

#[test]
fn settings_can_be_chosen_on_validation_text_and_no_comparison_mixes_the_texts() -> Result<()> {
    let place = Place::new()?;
    let column = |name: &str| -> Result<Vec<String>> {
        let table = fs::read_to_string(place.path("out.csv"))?;
        let mut rows = table.lines().map(|row| row.split(',').map(String::from).collect::<Vec<_>>());
        let at = rows.next().and_then(|head| head.iter().position(|column| column == name));
        let at = at.with_context(|| format!("no column {name}"))?;
        Ok(rows.map(|row| row[at].clone()).collect())
    };
    let line = Line::sweep(&place).with("--lr", "1e-3,2e-3").with("--objective", "e2e+ds");
    let line = line.with("--coefficient", "0.1");
    line.clone().with("--evaluate-on", "validation").expect(0)?;
    ensure!(column("evaluated_on")? == ["validation"; 2] && column("lr")? == ["0.001", "0.002"]);
    ensure!(column("kl_coefficient")? == ["0.5"; 2] && column("ds_coefficient")? == ["2.5"; 2]);
    let on_validation = column("ce_loss_with_sae")?;

    let out = place.path("pareto.csv");
    let plot = Line::on(&place, &["plot"]).with("--out", out.display());
    plot.expect(1)?
        .complains(&["2 measured on validation text are left out", "--evaluated-on validation"])?;
    let n_plotted = |plot: &Line| -> Result<usize> {
        plot.expect(0)?;
        Ok(fs::read_to_string(&out)?.lines().count() - 1)
    };
    ensure!(n_plotted(&plot.clone().with("--evaluated-on", "validation"))? == 2);

    // the same on held-out text is another run, with the same weights and other figures
    line.expect(0)?.tells(&["default: evaluate_on = held_out"])?;
    ensure!(column("evaluated_on")? == ["held_out"; 2] && column("ce_loss_with_sae")? != on_validation);
    ensure!(n_plotted(&plot)? == 2);
    let held_out = fs::read_to_string(place.path("out.csv"))?;

    // the chosen dictionary can be measured on held-out text, but its figures there do not take the others' place
    let again = Line::on(&place, &["evaluate", "--dictionary", "1"]);
    ensure!(again.expect(0)?.out.lines().all(|line| line.contains("differs by 0.0e0;")));
    let again = again.with("--evaluate-on", "held_out");
    let said = again.expect(0)?;
    let ce = held_out
        .lines()
        .nth(1)
        .and_then(|row| row.split(',').nth(6))
        .context("no row")?;
    let ce = format!("ce_loss_with_sae: {:.6}", ce.parse::<f64>()?);
    ensure!(
        said.out.contains(&ce) && said.out.contains("not stored"),
        "expected {ce}; {said}"
    );
    Line::on(&place, &["evaluate", "--store"])
        .with("--dictionary", 1)
        .with("--evaluate-on", "held_out")
        .expect(2)?
        .complains(&["dictionary 1 was measured on validation text", "--store"])
}

#[test]
fn train_is_a_sweep_of_one() -> Result<()> {
    let place = Place::new()?;
    let mut words: Vec<String> = Vec::new();
    for word in [
        "train",
        "--objective",
        "e2e",
        "--coefficient",
        "0.1",
        "--at",
        "blocks.1.hook_resid_pre",
    ] {
        words.push(word.into());
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let line = Line::on(&place, &words)
        .with("--model", tests::given::tiny_model().display())
        .with("--corpus", place.stories.display())
        .with("--d-sae", 32)
        .with("--n-ctx", 16)
        .with("--batch", 4)
        .with("--tokens", 640);
    line.expect(0)?.tells(&[
        "default: kl_coefficient = e2e=1",
        "default: lr = e2e=0.024",
        "default: seed = 0",
    ])?;
    ensure!(dictionaries(&place.data())?.len() == 1);
    line.clone()
        .with("--coefficient", "0.1,1")
        .expect(2)?
        .complains(&["found 2 dictionaries", "saescope sweep"])?;
    // with model, text and place alone it is asked for so many features per token
    line.without("--coefficient")
        .without("--objective")
        .expect(0)?
        .tells(&["default: target_l0 = 16", "default: objective = local"])?;
    ensure!(dictionaries(&place.data())?.len() == 2);
    Ok(())
}

#[test]
fn without_a_word_on_sparsity_a_sweep_asks_for_features_per_token() -> Result<()> {
    let place = Place::new()?;
    let bare = Line::sweep(&place).without("--coefficient").without("--objective");
    for (kind, default) in [("relu", "target_l0"), ("topk", "k")] {
        let said = bare.clone().with("--kind", kind).with("--d-sae", 128).expect(0)?;
        said.tells(&[&format!("default: {default} = 16,32,64"), "default: objective = local"])?;
        let table = fs::read_to_string(place.path("out.csv"))?;
        ensure!(table.lines().count() == 4, "{kind}: {table}");
    }
    for (option, value, says) in [
        ("--target-l0", "16,65", "target_l0: found 65; expected 64 or less"),
        ("--target-l0", "0.5", "target_l0: found 0.5; expected 1 or more"),
    ] {
        bare.clone().with(option, value).expect(2)?.complains(&[says])?;
    }
    Ok(())
}

#[test]
fn a_run_that_went_wrong_says_so_with_what_to_try() -> Result<()> {
    let place = Place::new()?;
    let line = Line::sweep(&place)
        .with("--objective", "local")
        .with("--coefficient", "0.01")
        .with("--lr", 10);
    let said = line.expect(0)?;
    said.tells(&["dictionary 1: ", "principal components", "to try: ", "--lr"])?;
    let listed = Line::on(&place, &["jobs"]).expect(0)?;
    ensure!(listed.out.contains("to look at"), "{listed}");
    Ok(())
}

#[test]
fn every_kind_is_swept_under_every_objective() -> Result<()> {
    let place = Place::new()?;
    let of = |kind: &str| Line::sweep(&place).with("--kind", kind).with("--input-scale", "unit_norm");
    let by_k = |kind: &str| of(kind).without("--coefficient").with("--k", "2,4");
    let lines = [
        ("relu-unit", of("relu-unit")),
        ("relu-april", of("relu-april")),
        ("relu-saelens", of("relu-saelens")),
        ("p-anneal", of("p-anneal").with("--final-p", 0.4)),
        ("tied", of("tied")),
        ("gated", of("gated")),
        ("topk", by_k("topk").with("--dead-tokens", 500)),
        ("abstopk", by_k("abstopk").with("--input-scale", "layer_norm")),
        ("batchtopk", by_k("batchtopk")),
        ("matryoshka", by_k("matryoshka").with("--groups", 3)),
        ("jumprelu", of("jumprelu").with("--bandwidth", 0.05)),
        ("pursuit", by_k("pursuit")),
        (
            "matching-pursuit",
            by_k("matching-pursuit").with("--input-scale", "constant_norm"),
        ),
    ];
    for (kind, line) in lines {
        let said = line.expect(0).context(kind)?;
        ensure!(said.out.contains(&format!("{kind}, e2e+ds")), "{kind}: {said}");
        let table = fs::read_to_string(place.path("out.csv"))?;
        let head = table.lines().next().context("the table is empty")?;
        let column = |name: &str| head.split(',').position(|column| column == name).context("no such column");
        let (kinds, k, l0) = (column("kind")?, column("k")?, column("l0")?);
        let rows: Vec<Vec<&str>> = table.lines().skip(1).map(|row| row.split(',').collect()).collect();
        // two of local, one or two of e2e, two of e2e+ds
        ensure!(
            rows.len()
                == if kind.ends_with("topk") || matches!(kind, "matryoshka" | "pursuit" | "matching-pursuit") {
                    6
                } else {
                    5
                },
            "{kind}: {table}"
        );
        for row in rows {
            ensure!(row[kinds] == kind, "{table}");
            if matches!(kind, "topk" | "abstopk") {
                ensure!(row[l0] == row[k], "{table}");
            }
        }
    }
    Ok(())
}

#[test]
fn dictionaries_at_every_site_are_swept_and_verified() -> Result<()> {
    let place = Place::new()?;
    // the tiny model's width is 32, its MLP's hidden layer's 128
    let sites = [
        ("hook_mlp_out", 32),
        ("mlp.hook_post", 128),
        ("attn.hook_z", 32),
        ("hook_attn_out", 32),
        ("hook_resid_mid", 32),
        ("ln1.hook_normalized", 32),
        ("ln2.hook_normalized", 32),
        ("hook_resid_post", 32),
    ];
    for (k, (site, width)) in sites.into_iter().enumerate() {
        let said = Line::sweep(&place)
            .with("--at", format!("blocks.0.{site}"))
            .with("--coefficient", "0.1")
            .without("--d-sae")
            .expect(0)
            .context(site)?;
        said.tells(&[&format!("default: d_sae = {}", 16 * width)])?;
        ensure!(dictionaries(&place.data())?.len() == 3 * (k + 1), "{site}: {said}");
    }
    let verified = Line::on(&place, &["verify", "--dictionary", "all"]).expect(0)?;
    ensure!(verified.out.matches("verified,").count() == 24, "{verified}");
    // nothing is downstream of the last block
    Line::sweep(&place)
        .with("--at", "blocks.2.mlp.hook_post")
        .expect(2)?
        .complains(&["e2e+ds at blocks.2.mlp.hook_post", "use e2e there"])
}

#[test]
fn a_sweep_from_a_buffer_leaves_its_activations_for_later_runs() -> Result<()> {
    let place = Place::new()?;
    let line = Line::sweep(&place)
        .with("--objective", "local")
        .with("--coefficient", "0.03,0.3")
        .without("--kl-coefficient")
        .without("--ds-coefficient")
        .with("--buffer-tokens", 512);
    line.expect(0)?
        .tells(&["default: buffer_mixing = 0.5", "default: buffer_on = memory"])?;
    let in_memory = dictionaries(&place.data())?;
    let on_disk = line.with("--buffer-on", "disk");
    on_disk.expect(0)?;
    let made = dictionaries(&place.data())?;
    ensure!(made.len() == 4, "{} dictionaries", made.len());
    for (memory, disk) in in_memory.iter().zip(&made[2..]) {
        ensure!(memory.1 == disk.1, "{} and {} differ", memory.0, disk.0);
    }
    on_disk.clone().with("--lr", "2e-3").expect(0)?;
    let kept = place.data().join("cache/activations");
    let entries: Vec<_> = fs::read_dir(&kept)?.collect::<Result<_, _>>()?;
    ensure!(entries.len() == 1, "{} entries", entries.len());
    let file = entries[0].path().join("activations.bin");
    let mut bytes = fs::read(&file)?;
    bytes[77] ^= 1;
    fs::write(&file, bytes)?;
    on_disk
        .clone()
        .with("--lr", "3e-3")
        .expect(1)?
        .complains(&["activations.bin: damaged", "remove the folder"])?;
    on_disk
        .with("--objective", "local,e2e")
        .expect(2)?
        .complains(&["buffer_tokens", "found with e2e", "only local"])
}

#[test]
fn transcoders_are_swept_under_every_objective_and_verified() -> Result<()> {
    let place = Place::new()?;
    for (kind, read_at) in [
        ("transcoder", "blocks.1.hook_resid_mid"),
        ("jumprelu-transcoder", "blocks.1.mlp.hook_post"),
        ("skip-transcoder", "blocks.1.ln2.hook_normalized"),
        ("topk-skip-transcoder", "blocks.1.ln2.hook_normalized"),
    ] {
        let line = Line::sweep(&place).with("--at", "blocks.1.hook_mlp_out").with("--kind", kind);
        let line = match kind.starts_with("topk") {
            true => line.without("--coefficient").with("--k", 4),
            false => line.with("--coefficient", "0.1"),
        };
        line.expect(2)?.complains(&["read_at", "nothing is given"])?;
        let said = line.with("--read-at", read_at).expect(0).context(kind)?;
        ensure!(said.out.contains(&format!("{kind}, e2e+ds")), "{said}");
    }
    ensure!(dictionaries(&place.data())?.len() == 12);
    let verified = Line::on(&place, &["verify", "--dictionary", "all"]).expect(0)?;
    ensure!(verified.out.matches("verified,").count() == 12, "{verified}");
    let known = Line::on(&place, &["known", "--dictionary", "1"]);
    known.expect(2)?.complains(&["found a transcoder", "reads elsewhere"])
}
