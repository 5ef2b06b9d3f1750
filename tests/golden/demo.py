"""What transformers makes of the language model that is shipped in `demo/model`.

`logits.safetensors` holds `tokens` [n], the TEXT behind BOS by its tokenizer, and `logits` [n, d_vocab], in f32 from the f16 weights.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

TEXT = 'When Mary and John got to the market (in 1732), John gave the kite to Mary. "The lamps that the sailor loved'


def generate(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    shipped = folder.parents[2] / "demo" / "model"
    tokenizer = AutoTokenizer.from_pretrained(shipped)
    model = AutoModelForCausalLM.from_pretrained(shipped, dtype=torch.float32).eval()
    tokens = torch.tensor([tokenizer.bos_token_id, *tokenizer(TEXT, add_special_tokens=False).input_ids])
    with torch.no_grad():
        logits = model(tokens[None]).logits[0]
    save_file({"tokens": tokens.int(), "logits": logits.contiguous()}, folder / "logits.safetensors")
