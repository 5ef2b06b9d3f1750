"""Writes the golden files: `python tests/golden/generate.py NAME ...`, a NAME per module in this folder (such as `models`).

Needs torch, transformers, tokenizers and safetensors; `assignment` needs scipy, `bootstrap` and `matched` numpy, `known` and `probing` numpy and scikit-learn. The files are committed; tests only read them.
"""

import importlib
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    modules = sorted(path.stem for path in HERE.glob("*.py") if path.stem != "generate" and path.stem[0] != "_")
    names = sys.argv[1:]
    if not names or any(name not in modules for name in names):
        sys.exit(f"usage: generate.py NAME ..., with NAME one of {', '.join(modules)}")
    for name in names:
        importlib.import_module(name).generate(HERE / name)


if __name__ == "__main__":
    main()
