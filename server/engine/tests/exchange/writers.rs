//! What is particular to a format that is written: conditions under which it can say a kind, and what else it keeps.

use api::{DictionaryKind, KindName, Objective};
use engine::{
    dictionary::{Dictionary, Normaliser, TokenNorm},
    exchange::{Facts, Format, write},
};
use std::path::Path;

use crate::{
    outputs, outputs_through, read_any, relative,
    round_trip::{AT, D_IN, D_SAE, contributions, dictionaries, facts, lengths, place, tokens},
};

/// Their code normalises each token where the activation is TopK, and nowhere else.
#[test]
fn openais_topk_is_that_under_layer_norm() {
    let x = tokens();
    let topk = &dictionaries()[7];
    assert_eq!(topk.kind().name(), KindName::TopK);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(place(Format::OpenAi));
    let layer_norm = Normaliser::Token(TokenNorm::Layer);
    write(topk, &facts(Format::OpenAi, layer_norm), None, &path).unwrap();
    let again = read_any(&path);
    assert_eq!(again.facts.normaliser, layer_norm);
    assert_eq!(again.facts.at(), Some(AT.parse().unwrap()));
    assert_eq!(again.dictionary.parameters(), topk.parameters());
    let [a, b] = [topk, &again.dictionary].map(|one| outputs_through(layer_norm, one, &x));
    assert_eq!(a, b);
    for other in [
        Normaliser::default(),
        Normaliser::Scale(0.5),
        Normaliser::Token(TokenNorm::Constant),
    ] {
        let error = write(topk, &facts(Format::OpenAi, other), None, &path)
            .unwrap_err()
            .to_string();
        let says = format!(
            "found the input scale {}; OpenAI's dictionaries with TopK have layer_norm",
            other.input_scale()
        );
        assert!(error.contains(&says), "{error}");
    }
}

/// Their files are called by the layer whose output they are of.
#[test]
fn openais_files_are_called_by_their_layer() {
    for (hook, name) in [
        (AT, "3.pt"),
        ("blocks.3.hook_resid_pre", "2.pt"),
        ("blocks.3.mlp.hook_post", "3.pt"),
        ("blocks.0.hook_resid_pre", "autoencoder.pt"),
        ("blocks.3.attn.hook_z", "autoencoder.pt"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let facts = Facts {
            hook: Some(hook.into()),
            ..facts(Format::OpenAi, Normaliser::default())
        };
        write(&dictionaries()[0], &facts, None, folder.path()).unwrap();
        assert!(folder.path().join(name).is_file(), "{hook}");
    }
}

/// A dictionary without a bias of the decoder's is an untied one of sparse_coding's.
#[test]
fn sparse_codings_untied_dictionaries_have_no_bias() {
    let x = tokens();
    for mut dictionary in dictionaries().into_iter().take(5) {
        let folder = tempfile::tempdir().unwrap();
        let objective = Some(Objective::Local { sparsity: 0.7 });
        let facts = Facts {
            objective,
            ..facts(Format::SparseCoding, Normaliser::default())
        };
        let error = write(&dictionary, &facts, None, folder.path()).unwrap_err().to_string();
        assert!(error.contains("found a bias of the decoder"), "{error}");
        dictionary.update(|parameters| {
            let biases = parameters.0.iter_mut().filter(|tensor| tensor.name == "b_dec");
            biases.for_each(|tensor| tensor.data.fill(0.0));
        });
        write(&dictionary, &facts, None, folder.path()).unwrap();
        let again = read_any(folder.path());
        assert_eq!(again.dictionary.kind().name(), KindName::Relu);
        let off = again.facts.objective.unwrap().sparsity() - 0.7;
        assert!(off.abs() < 1e-12, "{off}");
        let [(a, x_hat), (b, x_hat_again)] = [&dictionary, &again.dictionary].map(|one| outputs(one, &x));
        let (a, b) = (contributions(&a, &lengths(&dictionary)), b);
        let name = dictionary.kind().name();
        assert!(relative(&b, &a) < 1e-6 && relative(&x_hat_again, &x_hat) < 1e-6, "{name}");
    }
}

/// A tied dictionary with a bias that is subtracted: random directions with both signs are one.
#[test]
fn sparse_codings_tied_dictionaries_may_have_one() {
    let x = tokens();
    let mut dictionary = Dictionary::<f32>::random(DictionaryKind::ReluUnit, D_IN, D_SAE, 3);
    let rows = dictionary.directions().to_vec();
    dictionary.update(|parameters| {
        for tensor in &mut parameters.0 {
            match tensor.name {
                "b_dec" => tensor
                    .data
                    .iter_mut()
                    .enumerate()
                    .for_each(|(i, b)| *b = 0.1 * i as f32 - 0.2),
                "b_enc" => tensor.data.fill(-0.3),
                _ => tensor.data.clone_from(&rows),
            }
        }
    });
    let folder = tempfile::tempdir().unwrap();
    write(
        &dictionary,
        &facts(Format::SparseCoding, Normaliser::default()),
        None,
        folder.path(),
    )
    .unwrap();
    let again = read_any(folder.path()).dictionary;
    assert_eq!(again.kind().name(), KindName::ReluUnit);
    let [a, b] = [&dictionary, &again].map(|one| outputs(one, &x));
    assert!(relative(&b.0, &a.0) < 1e-6 && relative(&b.1, &a.1) < 1e-6);
}

/// Gemma Scope's of the embedding see it without the model's factor, and are told by their folder.
#[test]
fn gemma_scopes_embeddings_come_back() {
    let x = tokens();
    let dictionary = &dictionaries()[10];
    let of_embedding = Facts {
        hook: Some("hook_embed".into()),
        ..facts(Format::GemmaScope, Normaliser::default())
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scope-2b-pt-res/embedding/width_16k/average_l0_5");
    write(dictionary, &of_embedding, None, &path).unwrap();
    let again = read_any(&path);
    assert_eq!(again.facts.hook.as_deref(), Some("hook_embed"));
    let [a, b] = [dictionary, &again.dictionary].map(|one| outputs(one, &x));
    assert!(relative(&b.0, &a.0) < 1e-6 && relative(&b.1, &a.1) < 1e-6);
    // what is written is of the embedding itself: elsewhere, nobody would know
    let copy = folder.path().join("params.npz");
    std::fs::copy(path.join("params.npz"), &copy).unwrap();
    let theirs = read_any(&copy).dictionary;
    let size = (D_IN as f32).sqrt();
    let embedding: Vec<f32> = x.iter().map(|x| x / size).collect();
    let (codes, x_hat) = outputs(&theirs, &embedding);
    let embedded: Vec<f32> = x_hat.iter().map(|x| x * size).collect();
    let codes: Vec<f32> = codes.iter().map(|c| c * size).collect();
    assert!(relative(&codes, &a.0) < 1e-6 && relative(&embedded, &a.1) < 1e-6);
    for (facts, place) in [
        (&of_embedding, folder.path()),
        (&facts(Format::GemmaScope, Normaliser::default()), &path),
    ] {
        let error = write(dictionary, facts, None, place).unwrap_err().to_string();
        assert!(error.contains("of the embedding lie in a folder 'embedding'"), "{error}");
    }
}

/// What the yaml beside e2e_sae's checkpoint keeps.
#[test]
fn e2e_saes_config_keeps_the_run() {
    for objective in [
        Objective::Local { sparsity: 0.8 },
        Objective::E2e { sparsity: 1.5, kl: 1.0 },
        Objective::E2eDs {
            sparsity: 1e-7,
            kl: 0.5,
            downstream: 2.5,
        },
    ] {
        let facts = Facts {
            objective: Some(objective),
            lr: Some(5e-4),
            seed: Some(3),
            tokens: Some(409_600),
            n_ctx: Some(1024),
            model: Some("EleutherAI/pythia-70m: a b".into()),
            ..facts(Format::E2eSae, Normaliser::default())
        };
        let folder = tempfile::tempdir().unwrap();
        write(&dictionaries()[0], &facts, None, folder.path()).unwrap();
        assert!(folder.path().join("samples_400.pt").is_file());
        assert_eq!(read_any(folder.path()).facts, facts);
    }
    let nowhere = Facts {
        hook: None,
        ..facts(Format::E2eSae, Normaliser::default())
    };
    let error = write(&dictionaries()[0], &nowhere, None, Path::new("unwritten")).unwrap_err();
    assert!(error.to_string().contains("found no hook point"), "{error}");
}
