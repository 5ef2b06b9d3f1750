//! Files of every format give the activations and reconstructions that the tools' own formulas give.

use api::{DictionaryKind, HookPoint, InputScale, KindName, Objective, ResidualFrame, Site};
use engine::{
    dictionary::Normaliser,
    exchange::{Choice, Format, Imported, read},
};
use safetensors::SafeTensors;
use std::path::Path;

use crate::{folder, outputs_through, read_any, relative};

/// The reference numbers.
struct Golden(Vec<u8>);

impl Golden {
    fn read() -> Self {
        Self(std::fs::read(folder().join("golden.safetensors")).unwrap())
    }

    fn numbers(&self, name: &str) -> Vec<f32> {
        let tensors = SafeTensors::deserialize(&self.0).unwrap();
        bytemuck::pod_collect_to_vec(tensors.tensor(name).unwrap().data())
    }

    /// Activations, taken times the lengths of the tool's rows, and reconstructions are the tool's.
    fn check(&self, name: &str, imported: &Imported) {
        let (codes, x_hat) = outputs_through(imported.facts.normaliser, &imported.dictionary, &self.numbers("x"));
        let lengths = match imported.dictionary.kind().name() {
            // these keep the rows' lengths
            KindName::ReluUnit | KindName::ReluApril | KindName::ReluSaelens | KindName::MatchingPursuit => {
                vec![1.0; imported.dictionary.d_sae()]
            }
            _ => self.numbers(&format!("{name}.lengths")),
        };
        let theirs: Vec<f32> = self.numbers(&format!("{name}.acts"));
        let theirs: Vec<f32> = theirs.iter().zip(lengths.iter().cycle()).map(|(a, n)| a * n).collect();
        let fire = |all: &[f32]| all.iter().map(|c| *c != 0.0).collect::<Vec<_>>();
        assert_eq!(fire(&codes), fire(&theirs), "{name}: other features fire");
        for (what, off) in [
            ("activations", relative(&codes, &theirs)),
            ("reconstructions", relative(&x_hat, &self.numbers(&format!("{name}.x_hat")))),
        ] {
            assert!(off <= 1e-5, "{name}: {what} are {off:.1e} off");
        }
        let d_in = imported.dictionary.d_in();
        for row in imported.dictionary.directions().chunks_exact(d_in) {
            let length = row.iter().map(|w| w * w).sum::<f32>().sqrt();
            assert!((length - 1.0).abs() < 1e-5, "{name}: a direction is {length} long");
        }
    }
}

/// Reads each case, checks its numbers, and answers what was read.
fn checked(cases: &[(&str, &str, KindName)]) -> Vec<Imported> {
    let golden = Golden::read();
    let check = |(name, file, kind): &(&str, &str, KindName)| {
        let imported = read_any(&folder().join(name).join(file));
        assert_eq!(imported.dictionary.kind().name(), *kind, "{name}");
        golden.check(name, &imported);
        imported
    };
    cases.iter().map(check).collect()
}

#[test]
fn saelens_architectures_and_versions() {
    let all = checked(&[
        ("saelens_standard", "", KindName::ReluSaelens),
        ("saelens_standard", "sae_weights.safetensors", KindName::ReluSaelens),
        ("saelens_standard_plain", "", KindName::ReluApril),
        ("saelens_flat", "", KindName::ReluSaelens),
        ("saelens_f16", "", KindName::ReluSaelens),
        ("saelens_bf16", "", KindName::ReluSaelens),
        ("saelens_f64", "", KindName::ReluSaelens),
        ("saelens_finetuned", "", KindName::ReluSaelens),
        ("saelens_gated", "", KindName::Gated),
        ("saelens_gated_plain", "", KindName::Gated),
        ("saelens_jumprelu", "", KindName::JumpRelu),
        ("saelens_jumprelu_centred", "", KindName::JumpRelu),
        ("saelens_topk", "", KindName::TopK),
        ("saelens_topk_plain", "", KindName::TopK),
        ("saelens_flat_topk", "", KindName::TopK),
        ("saelens_topk_rescaled", "", KindName::TopK),
        ("saelens_batchtopk", "", KindName::BatchTopK),
        ("saelens_abstopk", "", KindName::AbsTopK),
        ("saelens_abstopk_plain", "", KindName::AbsTopK),
        ("saelens_matching_pursuit", "", KindName::MatchingPursuit),
        ("saelens_matching_pursuit_on", "", KindName::MatchingPursuit),
        ("saelens_matching_pursuit_plain", "", KindName::MatchingPursuit),
    ]);
    for imported in &all {
        let facts = &imported.facts;
        assert_eq!(facts.format, Format::SaeLens);
        assert_eq!(facts.at(), Some("blocks.1.hook_resid_pre".parse().unwrap()));
        // TransformerLens centres unless it is told not to
        assert_eq!(
            (facts.model.as_deref(), facts.residual),
            (Some("tiny"), Some(ResidualFrame::Centred))
        );
    }
    let sparsity = all[0].facts.log_sparsity.as_ref().unwrap();
    assert_eq!((sparsity.len(), sparsity[0], sparsity[9]), (10, -6.0, -1.0));
    let flat = &all[3].facts;
    assert_eq!(
        (flat.lr, flat.seed, flat.tokens, flat.n_ctx),
        (Some(4e-4), Some(7), Some(1000), Some(32))
    );
}

#[test]
fn saelens_normalisations() {
    let all = checked(&[
        ("saelens_layer_norm", "", KindName::ReluUnit),
        ("saelens_layer_norm_topk", "", KindName::TopK),
        ("saelens_constant_norm", "", KindName::ReluUnit),
        ("saelens_constant_norm_topk", "", KindName::TopK),
        ("saelens_scaled", "", KindName::ReluSaelens),
        ("saelens_scaled_batchtopk", "", KindName::BatchTopK),
        ("saelens_scaled_matching_pursuit", "", KindName::MatchingPursuit),
    ]);
    let scales: Vec<InputScale> = all.iter().map(|one| one.facts.normaliser.input_scale()).collect();
    let expected = [InputScale::LayerNorm, InputScale::ConstantNorm].map(|scale| [scale; 2]);
    assert_eq!(scales[..4], expected.concat());
    // one number is in the weights
    assert!(scales[4..].iter().all(|scale| *scale == InputScale::None));
    let DictionaryKind::MatchingPursuit { residual_threshold, .. } = all[6].dictionary.kind() else {
        panic!()
    };
    assert!((residual_threshold - 0.2 / 0.37).abs() < 1e-12);
    // a number that is given is taken in place of the one beside it
    let choice = Choice {
        normaliser: Some(Normaliser::Scale(0.74)),
        ..Choice::default()
    };
    let other = read(&folder().join("saelens_scaled"), &choice).unwrap().dictionary;
    let [once, twice] = [&all[4].dictionary, &other].map(|one| one.parameters().0[0].data[0]);
    assert!((twice / once - 2.0).abs() < 1e-6);
}

#[test]
fn llama_scope_says_its_scale_or_is_told_it() {
    let golden = Golden::read();
    let at = |imported: &Imported| (imported.facts.at().map(|at| at.to_string()), imported.facts.residual);
    let expected = (Some("blocks.1.hook_resid_post".to_owned()), Some(ResidualFrame::Raw));
    let place = "Llama3_1-8B-Base-L1R-8x";
    for file in [place.to_owned(), format!("{place}/checkpoints/final.safetensors")] {
        let one = &checked(&[("llama_scope", &file, KindName::JumpRelu)])[0];
        assert_eq!(at(one), expected);
    }
    let folder = folder().join("llama_scope_r1/L1R");
    let error = read(&folder, &Choice::default()).unwrap_err().to_string();
    assert!(error.contains("does not say by what its activations are divided"), "{error}");
    let choice = Choice {
        normaliser: Some(Normaliser::Scale(0.4)),
        ..Choice::default()
    };
    let distilled = read(&folder, &choice).unwrap();
    golden.check("llama_scope_r1", &distilled);
    assert_eq!(at(&distilled), expected);
}

#[test]
fn files_of_two_layers_or_four_matrices() {
    let all = checked(&[
        ("goodfire", "Llama-3.3-70B-Instruct-SAE-l1.pt", KindName::ReluApril),
        ("deepseek_r1", "DeepSeek-R1-Distill-Llama-8B-SAE-l1.pt", KindName::ReluApril),
        (
            "qwen_scope",
            "SAE-Res-Qwen3-1.7B-Base-W32K-L0_3/layer1.sae.pt",
            KindName::TopK,
        ),
        ("attention_saes", "gpt2-small_L1_Hcat_z_v9.pt", KindName::ReluSaelens),
    ]);
    let formats = [Format::Goodfire, Format::Goodfire, Format::QwenScope, Format::AttentionSaes];
    for (imported, format) in all.iter().zip(formats) {
        let (site, residual) = match format {
            Format::AttentionSaes => (Site::Z, ResidualFrame::Centred),
            _ => (Site::ResidPost, ResidualFrame::Raw),
        };
        let facts = &imported.facts;
        assert_eq!(
            (facts.format, facts.at(), facts.residual),
            (format, Some(HookPoint::block(1, site)), Some(residual))
        );
    }
}

#[test]
fn dictionary_learning_classes() {
    let all = checked(&[
        ("dictionary_learning_standard", "", KindName::ReluSaelens),
        ("dictionary_learning_bare", "ae.pt", KindName::ReluSaelens),
        ("dictionary_learning_new", "", KindName::ReluApril),
        ("dictionary_learning_gated", "", KindName::Gated),
        ("dictionary_learning_jumprelu", "", KindName::JumpRelu),
        ("dictionary_learning_topk", "", KindName::TopK),
        ("dictionary_learning_batchtopk", "", KindName::BatchTopK),
        ("dictionary_learning_matryoshka", "", KindName::BatchTopK),
        ("dictionary_learning_batchtopk_free", "", KindName::JumpRelu),
    ]);
    let facts = &all[0].facts;
    assert_eq!(facts.at(), Some("blocks.1.hook_resid_post".parse().unwrap()));
    assert_eq!((facts.lr, facts.residual), (Some(3e-4), Some(ResidualFrame::Raw)));
    assert_eq!(all[1].facts.at(), None);
}

#[test]
fn what_an_interrupted_run_of_dictionary_learning_leaves() {
    let all = checked(&[
        ("dictionary_learning_interrupted", "", KindName::ReluSaelens),
        ("dictionary_learning_interrupted", "ae.pt", KindName::ReluSaelens),
        // without a config.json the one inside says the class and the place
        ("dictionary_learning_interrupted_gated", "", KindName::Gated),
        ("dictionary_learning_interrupted_jumprelu", "", KindName::JumpRelu),
        ("dictionary_learning_interrupted_topk", "checkpoint_5.pt", KindName::TopK),
        (
            "dictionary_learning_interrupted_batchtopk",
            "checkpoint_5.pt",
            KindName::BatchTopK,
        ),
    ]);
    for imported in &all {
        let facts = &imported.facts;
        assert_eq!(facts.format, Format::DictionaryLearning);
        assert_eq!(facts.at(), Some("blocks.1.hook_resid_post".parse().unwrap()));
        assert_eq!((facts.lr, facts.model.as_deref()), (Some(3e-4), Some("tiny")));
        // its number is in the weights
        assert_eq!(facts.normaliser, Normaliser::default());
    }
}

#[test]
fn sparsify_openai_and_gemma_scope() {
    let at = |imported: &Imported| imported.facts.at().map(|at| at.to_string());
    let all = checked(&[
        ("sparsify", "layers.1.mlp", KindName::TopK),
        ("openai_relu", "4.pt", KindName::ReluSaelens),
        (
            "openai_topk",
            "gpt2-small/resid_post_mlp_v5_32k/autoencoders/4.pt",
            KindName::TopK,
        ),
        (
            "gemma_scope",
            "scope-2b-pt-res/layer_1/width_16k/average_l0_5",
            KindName::JumpRelu,
        ),
        (
            "gemma_scope_packed",
            "scope-2b-pt-res/layer_1/width_16k/average_l0_5/params.npz",
            KindName::JumpRelu,
        ),
        ("gemma_scope_2", "resid_post/layer_1_width_16k_l0_small", KindName::JumpRelu),
        (
            "gemma_scope_embedding",
            "scope-2b-pt-res/embedding/width_16k/average_l0_5",
            KindName::JumpRelu,
        ),
        ("sparsify_signed", "layers.1", KindName::AbsTopK),
    ]);
    assert_eq!(at(&all[0]).as_deref(), Some("blocks.1.hook_mlp_out"));
    assert_eq!(at(&all[2]).as_deref(), Some("blocks.4.hook_resid_post"));
    assert_eq!(all[2].facts.normaliser.input_scale(), InputScale::LayerNorm);
    for gemma in &all[3..6] {
        assert_eq!(at(gemma).as_deref(), Some("blocks.1.hook_resid_post"));
    }
    assert_eq!(at(&all[6]).as_deref(), Some("hook_embed"));
    assert_eq!(at(&all[7]).as_deref(), Some("blocks.1.hook_resid_post"));
}

#[test]
fn e2e_sae_published_and_as_runs_leave_them() {
    let published = &checked(&[("e2e_sae", "downstream_similar_ce_layer_1.pt", KindName::Relu)])[0].facts;
    let objective = Objective::E2eDs {
        sparsity: 1.5,
        kl: 0.5,
        downstream: 2.5,
    };
    assert_eq!(published.objective, Some(objective));
    assert_eq!(
        (published.model.as_deref(), published.residual),
        (Some("gpt2-small"), Some(ResidualFrame::Centred))
    );
    assert_eq!(
        (published.seed, published.lr, published.tokens),
        (Some(3), Some(5e-4), Some(409_600_000))
    );
    let golden = Golden::read();
    for layer in [0, 1] {
        let name = format!("e2e_sae_run_{layer}");
        let choice = Choice {
            at: Some(HookPoint::resid_pre(layer)),
            ..Choice::default()
        };
        let imported = read(&folder().join(&name), &choice).unwrap();
        assert_eq!(imported.facts.at(), choice.at);
        golden.check(&name, &imported);
    }
    let error = read(&folder().join("e2e_sae_run_0"), &Choice::default())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("blocks.0.hook_resid_pre, blocks.1.hook_resid_pre; choose one"),
        "{error}"
    );
}

#[test]
fn sparse_codings_objects_are_read_as_their_attributes() {
    let golden = Golden::read();
    let kinds = [KindName::Tied, KindName::Relu, KindName::ReluSaelens, KindName::ReluUnit];
    for (i, kind) in kinds.into_iter().enumerate() {
        let name = format!("sparse_coding_{i}");
        let choice = Choice {
            index: Some(i),
            ..Choice::default()
        };
        let imported = read(&folder().join(&name), &choice).unwrap();
        assert_eq!(imported.dictionary.kind().name(), kind);
        golden.check(&name, &imported);
        // l1_alpha is per token, ours per token and dimension
        let sparsity = imported.facts.objective.unwrap().sparsity();
        assert!((sparsity - 0.001 * (i + 1) as f64 * 6.0).abs() < 1e-12);
    }
    for (index, says) in [(None, "holds 4 dictionaries; choose one"), (Some(4), "no number 4")] {
        let choice = Choice {
            index,
            ..Choice::default()
        };
        let error = read(&folder().join("sparse_coding_0"), &choice).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn a_path_says_where_a_dictionary_is() {
    // the folder alone, without what is above it, says nothing
    let copy = tempfile::tempdir().unwrap();
    let from = folder().join("gemma_scope/scope-2b-pt-res/layer_1/width_16k/average_l0_5/params.npz");
    std::fs::copy(from, copy.path().join("params.npz")).unwrap();
    assert_eq!(read_any(Path::new(copy.path())).facts.at(), None);
    // in the second release a folder says which part of the block it is; attention's are the heads' outputs
    let from = folder().join("gemma_scope_2/resid_post/layer_1_width_16k_l0_small/params.safetensors");
    for (name, site) in [
        ("resid_post", Site::ResidPost),
        ("mlp_out", Site::MlpOut),
        ("attn_out", Site::Z),
        ("attn_out_all", Site::Z),
    ] {
        let place = copy.path().join(name).join("layer_12_width_16k_l0_small");
        std::fs::create_dir_all(&place).unwrap();
        std::fs::copy(&from, place.join("params.safetensors")).unwrap();
        assert_eq!(read_any(&place).facts.at(), Some(HookPoint::block(12, site)), "{name}");
    }
}
