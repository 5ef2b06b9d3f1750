//! Files of dictionaries as people have published them, where there are any: their formats, not their numbers.

use engine::exchange::{Choice, read};
use std::path::PathBuf;

fn file(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("SAESCOPE_TEST_DATA").map(PathBuf::from);
    let path = folder
        .map(|folder| folder.join("dictionaries").join(name))
        .filter(|path| path.is_file());
    if path.is_none() {
        println!("skipped: SAESCOPE_TEST_DATA has no dictionaries/{name}");
    }
    path
}

#[test]
fn a_published_ae_pt_without_its_config() {
    let Some(path) = file("1semele_ae2.pt") else { return };
    let imported = read(&path, &Choice::default()).unwrap();
    assert_eq!((imported.dictionary.d_in(), imported.dictionary.d_sae()), (120, 1920));
    assert_eq!(imported.dictionary.kind().name(), api::KindName::ReluUnit);
}

#[test]
fn what_is_none_of_the_formats_is_named_by_its_tensors() {
    for (name, says) in [
        (
            "prestoj_sae_128_4.pt",
            "decoder_weights, encoder_bias, encoder_weights, pre_bias",
        ),
        (
            "prestoj_sae_1024_4.pt",
            "decoder_weights, encoder_bias, encoder_weights, pre_bias",
        ),
        ("e2e_tiny-gpt2_epoch_1.pt", "blocks.0.attn.IGNORE"),
    ] {
        let Some(path) = file(name) else { return };
        let error = read(&path, &Choice::default()).unwrap_err().to_string();
        assert!(
            error.contains(says) && error.contains("expected those of dictionary_learning"),
            "{error}"
        );
    }
}
