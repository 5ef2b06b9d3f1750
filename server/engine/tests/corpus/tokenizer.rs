//! Special tokens.

use engine::corpus::special_tokens;

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
