"""Benchmark of the language stages: tokens a second of next-token and contrastive steps, in float32 and bfloat16.

    python benchmarks/language.py [--threads 2] [--layers 2] [--output results/language_benchmark.json]

At paper size the model has Qwen2.5-0.5B's shapes with `--layers` of its 24 layers, and weights drawn at random: speed does
not depend on them. The whole is extrapolated, from this run and one of a single layer: a line through both. A step is
forward and backward; the optimizer is not in it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from encoder import machine, medians, write_json

from anymo_hf.modeling.configuration_anymo import AnyMoConfig
from anymo_hf.modeling.modeling_anymo import AnyMoForConditionalGeneration, info_nce_loss

CODES, PROMPT, ANSWER, TEXT = 150, 40, 20, 16  # tokens: 75 latents of two books, question, answer, a narration
ROWS = {"nano": 12, "paper": 2}


def shortened(preset: str, layers: int | None) -> AnyMoConfig:
    """The preset with this many layers; None keeps all."""
    config = AnyMoConfig.from_preset(preset)
    if layers is None:
        return config
    text = config.text_config.to_dict() | {"num_hidden_layers": layers, "layer_types": None}
    return AnyMoConfig.from_preset(preset, text_config=text)


def batches(config: AnyMoConfig, rows: int) -> dict[str, dict[str, torch.Tensor]]:
    """Token ids of a language batch, of windows, and of texts."""
    generator = torch.Generator().manual_seed(0)
    size, books = config.pqvae_config.codebook_size, config.pqvae_config.num_codebooks

    def words(count: int) -> torch.Tensor:
        return torch.randint(config.imu_bos_token_id, (rows, count), generator=generator)

    steps = torch.randint(size, (rows, CODES // books, books), generator=generator)
    codes = (steps + size * torch.arange(books) + config.imu_token_offset).flatten(1)
    ids = torch.cat([words(PROMPT), codes, words(ANSWER)], 1)
    labels = ids.clone()
    labels[:, :-ANSWER] = -100
    plain = {"window": torch.cat([words(PROMPT), codes], 1), "text": words(TEXT)}
    return {
        "language": {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels},
        "window": {"imu_input_ids": plain["window"], "imu_attention_mask": torch.ones_like(plain["window"])},
        "text": {"input_ids": plain["text"], "attention_mask": torch.ones_like(plain["text"])},
    }


def step_seconds(preset: str, layers: int | None, half: bool, seconds: float) -> dict[str, tuple[float, int]]:
    """Median seconds of a language and a contrastive step, and the tokens in each."""
    torch.manual_seed(0)
    config = shortened(preset, layers)
    model = AnyMoForConditionalGeneration(config).train()
    parts = batches(config, ROWS[preset])

    def work(kind: str) -> None:
        model.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            if kind == "language":
                loss = model(**parts["language"]).loss
            else:
                imu, text = (
                    model.get_imu_features(**parts["window"]).pooler_output,
                    model.get_text_features(**parts["text"]).pooler_output,
                )
                loss = info_nce_loss(imu, text, config.contrastive_temperature)
        loss.backward()

    tokens = {name: next(iter(part.values())).numel() for name, part in parts.items()}
    counts = {"language": tokens["language"], "contrastive": tokens["window"] + tokens["text"]}
    spent = medians({kind: lambda kind=kind: work(kind) for kind in counts}, seconds, 2)
    return {kind: (spent[kind], counts[kind]) for kind in counts}


def measure(layers: int, seconds: float, presets: list[str]) -> list[dict]:
    """One row for each size, precision and stage."""
    rows = []
    for preset in presets:
        for precision in ("float32", "bfloat16"):
            half = precision == "bfloat16"
            if preset == "nano":
                runs = {"all": step_seconds(preset, None, half, seconds)}
            else:
                one = step_seconds(preset, 1, half, seconds)
                few = step_seconds(preset, layers, half, seconds)
                whole = AnyMoConfig.from_preset(preset).text_config.num_hidden_layers
                grown = {
                    kind: (one[kind][0] + (few[kind][0] - one[kind][0]) * (whole - 1) / (layers - 1), one[kind][1])
                    for kind in one
                }
                runs = {f"{layers} of {whole}": few, f"{whole}, extrapolated": grown}
            for name, run in runs.items():
                for kind, (spent, tokens) in run.items():
                    # a busy machine may time one layer above two; then there is no line to follow
                    rate = tokens / spent if spent > 0 else float("nan")
                    rows.append(
                        {
                            "size": preset, "layers": name, "stage": kind, "precision": precision,
                            "seconds": spent, "tokens_per_step": tokens, "tokens_per_second": rate,
                        }
                    )  # fmt: skip
    return rows


def markdown(result: dict) -> str:
    """The table as RESULTS.md shows it."""
    lines = [
        f"Language stages, forward and backward. {result['machine']}.",
        "",
        "| size | layers | stage | precision | tokens a step | seconds | tokens a second |",
        "| --- | --- | --- | --- | ---: | ---: | ---: |",
    ]
    for row in result["rows"]:
        lines.append(
            f"| {row['size']} | {row['layers']} | {row['stage']} | {row['precision']} | {row['tokens_per_step']:,} | "
            f"{row['seconds']:.2f} | {row['tokens_per_second']:,.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Benchmark of the language stages.")
    parser.add_argument("--sizes", nargs="+", default=["nano", "paper"], choices=["nano", "paper"])
    parser.add_argument("--layers", type=int, default=2, help="of the paper's 24; 2 or more")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=5.0, help="time for each size and precision, at least 2 steps")
    parser.add_argument("--output", type=Path, default=Path("results/language_benchmark.json"))
    args = parser.parse_args()
    if args.layers < 2:
        sys.exit(f"error: --layers must be 2 or more, got {args.layers}")
    torch.set_num_threads(args.threads)
    described = machine()
    result = {"machine": described, "rows": measure(args.layers, args.seconds, args.sizes)}
    print(markdown(result))
    write_json(args.output, result)
    print(f"\nwritten: {args.output}")


if __name__ == "__main__":
    main()
