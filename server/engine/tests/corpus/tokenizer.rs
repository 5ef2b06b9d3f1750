//! Special tokens.

use engine::corpus::{load_tokenizer, pieces, special_tokens};

use crate::workplace::*;

#[test]
fn special_tokens_are_found_beside_the_tokenizer() {
    let folder = workplace();
    let found = || {
        let special = special_tokens(folder.path()).unwrap();
        (special.bos, special.eos, special.all)
    };
    assert_eq!(found(), (Some(0), Some(1), vec![0, 1, 2]));
    write(&folder, "generation_config.json", r#"{"bos_token_id": 5}"#);
    assert_eq!(found(), (Some(5), Some(1), vec![0, 1, 2, 5]));
    // a default id of some config, which the tokenizer does not have
    write(&folder, "generation_config.json", r#"{"bos_token_id": 50256}"#);
    assert_eq!(found(), (None, Some(1), vec![0, 1, 2]));
    write(
        &folder,
        "tokenizer_config.json",
        r#"{"bos_token": {"content": "<unk>"}, "eos_token": null}"#,
    );
    assert_eq!(found(), (Some(2), None, vec![0, 1, 2]));
    write(&folder, "tokenizer_config.json", r#"{"bos_token": "<bos>"}"#);
    assert!(
        message(special_tokens(folder.path())).contains("bos_token is '<bos>', which tokenizer.json beside it does not have")
    );
}

#[test]
fn pieces_are_the_text_of_each_token_and_together_the_whole() {
    let tiny = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/models/tiny");
    let tokenizer = load_tokenizer(&tiny, 512).unwrap();
    let text = "One day, Lily saw a café — 你好!\nThe end.";
    let ids = tokenizer.encode_fast(text, false).unwrap().get_ids().to_vec();
    let found = pieces(&tokenizer, &ids);
    assert_eq!(found.len(), ids.len());
    // what ends within a character stands for itself until that is whole
    assert!(
        found.iter().any(|piece| piece == "\u{fffd}") && found.iter().any(|piece| piece == "你"),
        "{found:?}"
    );
    assert_eq!(found.concat().replace('\u{fffd}', ""), text);
    // a token reads the same wherever the shown part begins
    let later = pieces(&tokenizer, &ids[3..]);
    assert_eq!(later[4..], found[7..]);
    assert!(pieces(&tokenizer, &[]).is_empty());
}
