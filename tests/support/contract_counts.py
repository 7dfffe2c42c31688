"""Counts of transformers' common tests before and after, by class, with the reason of each failure and skip.

python tests/support/contract_counts.py before.xml after.xml results/transformers_contract.json
"""

import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter, defaultdict
from pathlib import Path

WHY = {  # what still fails, and why it is left
    "test_init_weights_can_init_buffers": "codebooks start at random on purpose; a trained tokenizer's replace them",
    "test_resize": "the test shrinks the vocabulary below the motion codes, which is refused, or embeds input_ids",
    "test_training_gradient_checkpointing": "its mock replays the last call of a layer; each layer runs for either side",
    "test_generation_tester_mixin_inheritance": "the generation mixin is not in the source archive",
    "test_model_get_set_embeddings": "signals and latents have no embedding table",
    "test_model_outputs_equivalence": "the test subtracts outputs, and a mask is bool",
    "test_num_layers_is_small": "the encoder has ten blocks by design",
    "test_training": "the encoder alone has no loss",
    "test_batching_equivalence": "pre-training stacks the two views of a batch, so a row is not one example",
}


def read(path: str) -> dict:
    """Class -> run, pass, failures and skips."""
    found: dict = defaultdict(lambda: {"run": 0, "pass": 0, "fail": {}, "skip": Counter()})
    for case in ElementTree.parse(path).iter("testcase"):
        if not case.get("classname"):
            continue
        row = found[case.get("classname", "").rpartition(".")[2]]
        failure = case.find("failure") if case.find("failure") is not None else case.find("error")
        skipped, name = case.find("skipped"), case.get("name", "")
        row["run"] += 1
        if failure is not None:
            said = re.sub(r"/\S+/\S*|0x[0-9a-f]+", "...", (failure.get("message") or "").splitlines()[0])[:160]
            why = next((text for start, text in WHY.items() if name.startswith(start)), None)
            row["fail"][name] = said if why is None else f"{why} ({said})"
        elif skipped is not None:
            row["skip"][re.sub(r"/\S+/\S*", "...", skipped.get("message") or "")[:160]] += 1
        else:
            row["pass"] += 1
    return dict(found)


def main() -> None:
    """Writes both counts."""
    before, after, out = sys.argv[1:]
    counts = {
        "command": __doc__.strip().splitlines()[-1].strip(),
        "before (6dde495)": read(before),
        "after": read(after),
    }
    Path(out).write_text(json.dumps(counts, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
