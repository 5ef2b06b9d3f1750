"""Writes `table.txt` from SAELens' registry: `python make.py pretrained_saes.yaml`.

A line `= RELEASE REPOSITORY [NORMALISATION]` opens a release; the lines below it are its dictionaries, `ID [PATH [FACTOR]]`, with the path in
the repository where it is not the id, and the number that its activations are taken times. Left out are the releases whose files are
read as something other than a dictionary at the path that the registry gives.
"""

import sys
from pathlib import Path

import yaml

# the loaders whose files are told here by what they hold
READ = {None, "connor_rob_hook_z", "deepseek_r1", "dictionary_learning_1", "gemma_2", "llama_scope", "llama_scope_r1_distill"}


def main() -> None:
    registry = yaml.safe_load(Path(sys.argv[1]).read_text())
    lines = ["# SAELens' names of published dictionaries: sae_lens/pretrained_saes.yaml (MIT License, Copyright 2023 Joseph Bloom), by make.py"]
    for release, facts in registry.items():
        if facts["conversion_func"] not in READ:
            continue
        normalisation = facts.get("config_overrides", {}).get("normalize_activations")
        lines.append(" ".join(filter(None, ["=", release, facts["repo_id"], normalisation])))
        for sae in facts["saes"]:
            factor = sae.get("norm_scaling_factor")
            words = [sae["id"]]
            if sae["path"] != sae["id"] or factor is not None:
                words.append(sae["path"])
            if factor is not None:
                words.append(repr(float(factor)))
            assert all(word and not set(word) & set(" \n") for word in words), words
            lines.append(" ".join(words))
    Path(__file__).with_name("table.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
