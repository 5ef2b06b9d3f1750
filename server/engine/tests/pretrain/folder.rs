//! The folder that is written: read again it is the model that was trained, and transformers finds the same in it.

use api::{HookPoint, ResidualFrame, WeightType};
use engine::{
    corpus::{END_OF_TEXT, load_tokenizer, special_tokens},
    model::{Cut, Model, NoHooks, Trainable, Work},
    pretrain::{Facts, new_model, write_folder},
};
use safetensors::SafeTensors;
use std::{fs, path::Path};

use crate::workplace::{Text, config, golden_folder};

fn logits(model: &Model<f32>, tokens: &[u32]) -> Vec<f32> {
    let (mut cut, mut out, mut work) = (Cut::default(), Vec::new(), Work::default());
    model
        .prefix(tokens, HookPoint::Embed, &mut cut, &mut NoHooks, &mut work)
        .unwrap();
    model
        .suffix(&cut, &cut.value, &mut out, &mut NoHooks, None, &mut work)
        .unwrap();
    let mut logits = vec![0.0; tokens.len() * model.facts().d_vocab];
    model.logits(&out, &mut logits);
    logits
}

fn write(trainable: &Trainable<f32>, dtype: WeightType, tokenizer: &Path, to: &Path) {
    let config = api::PretrainConfig { dtype, ..config() };
    let facts = Facts {
        config: &config,
        tokenizer,
        bos: Some((0, END_OF_TEXT)),
        eos: Some((0, END_OF_TEXT)),
        readme: "made by a test\n",
    };
    write_folder(trainable, facts, to).unwrap();
}

#[test]
fn what_is_written_is_what_was_trained() {
    let text = Text::new(&config());
    let mut trainable = Trainable::new(new_model(&config().shape, 300, 3).unwrap());
    let tokens: Vec<u32> = (0..32).map(|i| i * 9).collect();
    let to = text.folder.path().join("f32");
    write(&trainable, WeightType::F32, &text.tokenizer, &to);
    let read = Model::load(&to, ResidualFrame::Raw).unwrap();
    assert_eq!(read.facts(), trainable.model().facts());
    assert!(logits(&read, &tokens) == logits(trainable.model(), &tokens));
    load_tokenizer(&to, 300).unwrap();
    let special = special_tokens(&to).unwrap();
    assert_eq!((special.bos, special.eos, special.all), (Some(0), Some(0), vec![0]));

    // in half precision, what was rounded before is written as it is
    trainable.update(|weights| weights.iter_mut().for_each(|w| *w = half::f16::from_f32(*w).to_f32()));
    let to = text.folder.path().join("f16");
    write(&trainable, WeightType::F16, &text.tokenizer, &to);
    let read = Model::load(&to, ResidualFrame::Raw).unwrap();
    assert!(logits(&read, &tokens) == logits(trainable.model(), &tokens));
    let n_bytes = fs::metadata(to.join("model.safetensors")).unwrap().len();
    assert!(n_bytes < 2 * read.facts().n_params + 8_000, "{n_bytes}");
}

#[test]
fn a_folder_that_is_there_is_not_overwritten() {
    let text = Text::new(&config());
    let trainable = Trainable::new(new_model(&config().shape, 300, 3).unwrap());
    let to = text.folder.path().join("model");
    fs::create_dir(&to).unwrap();
    fs::write(to.join("precious"), "mine").unwrap();
    let config = config();
    let facts = Facts {
        config: &config,
        tokenizer: &text.tokenizer,
        bos: None,
        eos: None,
        readme: "",
    };
    let message = write_folder(&trainable, facts, &to).unwrap_err().to_string();
    assert!(message.contains("cannot be written"), "{message}");
    assert_eq!(fs::read_to_string(to.join("precious")).unwrap(), "mine");
    // and nothing is left beside it
    let beside = fs::read_dir(text.folder.path()).unwrap().filter_map(Result::ok);
    assert!(
        beside
            .into_iter()
            .all(|e| !e.file_name().to_string_lossy().starts_with(".writing"))
    );
}

#[test]
fn initial_weights_are_gpt2s() {
    let shape = api::ModelShape {
        n_layers: 2,
        d_model: 96,
        n_heads: 3,
        n_ctx: 32,
    };
    let trainable = Trainable::new(new_model(&shape, 300, 3).unwrap());
    for t in trainable.tensors() {
        let numbers = &trainable.numbers()[t.place.clone()];
        let n = numbers.len() as f64;
        let mean = numbers.iter().map(|x| f64::from(*x)).sum::<f64>() / n;
        let std = (numbers.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / n).sqrt();
        let (expected_mean, expected_std) = match t.name.as_str() {
            name if name.ends_with("c_proj.weight") => (0.0, 0.02 / 2.0),
            name if name.ends_with("bias") => (0.0, 0.0),
            _ if t.shape.len() == 1 => (1.0, 0.0),
            _ => (0.0, 0.02),
        };
        assert!(
            (mean - expected_mean).abs() <= 4.0 * expected_std / n.sqrt(),
            "{}: mean {mean}",
            t.name
        );
        // the relative error of a standard deviation is 1 / √(2n)
        assert!(
            (std - expected_std).abs() <= 4.0 * expected_std / (2.0 * n).sqrt(),
            "{}: {std}",
            t.name
        );
    }
}

#[test]
fn transformers_finds_the_same_logits() {
    let folder = golden_folder().join("pretraining");
    let model = Model::load(&folder.join("written"), ResidualFrame::Raw).unwrap();
    let bytes = fs::read(folder.join("written.safetensors")).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let text = &metadata.metadata().as_ref().unwrap()["text"];
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let tokens: Vec<u32> = bytemuck::pod_collect_to_vec(tensors.tensor("tokens").unwrap().data());
    let torchs: Vec<f32> = bytemuck::pod_collect_to_vec(tensors.tensor("logits").unwrap().data());
    // the tokenizer is read alike, too
    let tokenizer = load_tokenizer(&folder.join("written"), model.facts().d_vocab).unwrap();
    let ids = tokenizer.encode(text.as_str(), false).unwrap();
    assert!(tokens[1..] == ids.get_ids()[..tokens.len() - 1] && tokens.len() > 8);
    let ours = logits(&model, &tokens);
    let largest = torchs.iter().fold(1.0f32, |m, x| m.max(x.abs()));
    let off = ours.iter().zip(&torchs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(off / largest < 1e-5 && ours.len() == torchs.len(), "{off}");
    // what the program writes today is what was written then
    let again = tempfile::tempdir().unwrap();
    let trainable = Trainable::new(model);
    let config: serde_json::Value = serde_json::from_slice(&fs::read(folder.join("written/config.json")).unwrap()).unwrap();
    let size = |name: &str| config[name].as_u64().unwrap() as usize;
    let config = api::PretrainConfig {
        shape: api::ModelShape {
            n_layers: size("n_layer"),
            d_model: size("n_embd"),
            n_heads: size("n_head"),
            n_ctx: size("n_positions"),
        },
        dtype: WeightType::F16,
        ..crate::workplace::config()
    };
    let facts = Facts {
        config: &config,
        tokenizer: &folder.join("written/tokenizer.json"),
        bos: Some((0, END_OF_TEXT)),
        eos: Some((0, END_OF_TEXT)),
        readme: "",
    };
    write_folder(&trainable, facts, &again.path().join("again")).unwrap();
    for name in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
        let (then, now) = (folder.join("written").join(name), again.path().join("again").join(name));
        assert!(fs::read(then).unwrap() == fs::read(now).unwrap(), "{name}");
    }
}
