"""Benchmark of the language model in int8: bytes and speed at the paper's width, agreement on simulated windows.

    python benchmarks/int8.py [--threads 1] [--windows 40] [--model anymo] [--output results/int8_benchmark.json]

Speed is of random layers with the shapes of Qwen2.5-0.5B (`AnyMoConfig.from_preset("paper")`), only a few of them, without
the embedding and the head, which stay as they are. The forms are timed in turn, several rounds, and the best of each
counts. "quantize_dynamic" is torch.ao.quantization's, for comparison: it is deprecated, and what it makes cannot be saved
as safetensors. Agreement compares greedy captions and their scores with those of the float model.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import warnings
from pathlib import Path

import torch
import transformers
from encoder import processor_name, write_json
from transformers import AutoModel, AutoModelForCausalLM, AutoProcessor

from anymo_hf.modeling.configuration_anymo import AnyMoConfig
from anymo_hf.modeling.embedding import embed_windows
from anymo_hf.modeling.int8_anymo import AnyMoInt8Config, Int8Linear
from anymo_hf.systems.captions import generate_captions
from anymo_hf.systems.held_out_windows import held_out_windows

LAYERS, ROUNDS = 3, 5
SHAPES = {"next token, batch 1": (1, 1), "prompt of 128, batch 1": (1, 128), "prompt of 128, batch 4": (4, 128)}


def decoder(width: torch.dtype = torch.float32) -> torch.nn.Module:
    """Random decoder layers of the paper's shape."""
    torch.manual_seed(0)
    config = AnyMoConfig.from_preset("paper").text_config
    config.num_hidden_layers, config.vocab_size = LAYERS, 8
    config.layer_types = config.layer_types[:LAYERS] if getattr(config, "layer_types", None) else None
    return AutoModel.from_config(config).eval().to(width)


def with_int8(model: torch.nn.Module) -> torch.nn.Module:
    """Its linear layers replaced in place."""
    for name, module in list(model.layers.named_modules()):
        if isinstance(module, torch.nn.Linear):
            parent, _, last = name.rpartition(".")
            setattr(model.layers.get_submodule(parent), last, Int8Linear.from_linear(module))
    return model


def with_quantize_dynamic(model: torch.nn.Module) -> torch.nn.Module:
    """PyTorch's own dynamic quantization, per output channel."""
    quantization = torch.ao.quantization
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        recipe = {torch.nn.Linear: quantization.per_channel_dynamic_qconfig}
        return quantization.quantize_dynamic(model, recipe, dtype=torch.qint8)


def speed() -> dict[str, dict[str, float]]:
    """Milliseconds of each form for each shape, and bytes of a layer where it has plain tensors."""
    forms = {
        "float32": decoder(),
        "bfloat16": decoder(torch.bfloat16),
        "int8": with_int8(decoder()),
        "quantize_dynamic": with_quantize_dynamic(decoder()),
    }
    table: dict[str, dict[str, float]] = {name: {} for name in forms}
    for shape, (batch, length) in SHAPES.items():
        ids = torch.arange(batch * length).view(batch, length) % 8
        for _ in range(ROUNDS):
            for name, model in forms.items():
                start = time.perf_counter()
                model(input_ids=ids, use_cache=False)
                taken = (time.perf_counter() - start) * 1000
                table[name][shape] = min(table[name].get(shape, taken), taken)
    for name in ("float32", "bfloat16", "int8"):
        tensors = forms[name].layers.state_dict().values()
        table[name]["megabytes of the layers"] = sum(t.numel() * t.element_size() for t in tensors) / 1e6
    return {name: {field: round(value, 2) for field, value in row.items()} for name, row in table.items()}


def agreement(folder: str, count: int) -> dict[str, float]:
    """The released model in int8 beside itself in float32."""
    processor = AutoProcessor.from_pretrained(folder)
    whole = AutoModelForCausalLM.from_pretrained(folder).eval()
    rounded = AutoModelForCausalLM.from_pretrained(folder, quantization_config=AnyMoInt8Config()).eval()
    found = held_out_windows(processor, count)
    codes, placements = found.codes, found.placements
    captions = [generate_captions(model, processor, codes, placements) for model in (whole, rounded)]
    embeds = [embed_windows(model, processor, [[row] for row in codes], placements) for model in (whole, rounded)]
    batch = processor.generation_inputs(imu_codes=codes, imu_placements=placements)
    start = batch["input_ids"].shape[1]
    tokens = whole.generate(**batch, do_sample=False, max_new_tokens=64)
    real = tokens[:, start:] != processor.tokenizer.pad_token_id
    mask = torch.cat([batch["attention_mask"], real.long()], 1)
    positions = (mask.cumsum(1) - 1).clamp_min(0)
    # the scores that choose each token of the float model's captions
    first, second = (
        model(input_ids=tokens, attention_mask=mask, position_ids=positions).logits[:, start - 1 : -1][real]
        for model in (whole, rounded)
    )
    with tempfile.TemporaryDirectory() as saved:
        sizes = []
        for name, model in (("float32", whole), ("int8", rounded)):
            model.save_pretrained(Path(saved) / name)
            sizes.append((Path(saved) / name / "model.safetensors").stat().st_size / 1e6)
    divergence = (first.log_softmax(-1).exp() * (first.log_softmax(-1) - second.log_softmax(-1))).sum(-1)
    figures = {
        "windows": count,
        "tokens": len(first),
        "same captions": sum(a == b for a, b in zip(*captions, strict=True)) / count,
        "same best token": (first.argmax(-1) == second.argmax(-1)).float().mean(),
        "mean KL divergence, nats": divergence.mean(),
        "mean cosine of embeddings": (embeds[0] * embeds[1]).sum(-1).mean(),
        "megabytes, float32": sizes[0],
        "megabytes, int8": sizes[1],
    }
    return {name: round(float(value), 5) for name, value in figures.items()}


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--windows", type=int, default=40)
    parser.add_argument("--model", default="anymo")
    parser.add_argument("--output", type=Path, default=Path("results/int8_benchmark.json"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    load = os.getloadavg()[0]
    result = {
        "machine": {
            "cpu": processor_name(),
            "instructions": torch.backends.cpu.get_cpu_capability(),
            "threads": arguments.threads,
            "load_before": load,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
        "layers": LAYERS,
        "milliseconds": speed(),
        "agreement": agreement(arguments.model, arguments.windows),
    }
    for name, row in result["milliseconds"].items():
        print(f"{name:>17}  " + "  ".join(f"{field}: {value}" for field, value in row.items()))
    for name, value in result["agreement"].items():
        print(f"{name:>27}  {value}")
    write_json(arguments.output, result)
    print(f"written: {arguments.output}")


if __name__ == "__main__":
    main()
