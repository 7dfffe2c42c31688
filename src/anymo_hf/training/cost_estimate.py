"""Memory and time per step of the paper's four stages on 1, 2, 8 and 64 GPUs, on paper.

Work is counted, not guessed: FLOPs by torch's counter, activations by the tensors that autograd saves. The language
model runs on the meta device at its real shapes, encoder and PQ-VAE on the CPU at two small batches that give a line.
Time is FLOPs / (peak x utilisation) plus bytes sent / bandwidth, without overlap. What is not counted: reading data,
simulating sensors, tokenizing, a fragmented allocator. The memory of activations is checked against the allocator's
peak in a real step of a small model (`validate`); the time of a step is not checked against anything.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ..atomic_write import write_json
from ..interruption import ending_in_words
from ..markdown import table
from ..modeling.configuration_anymo import AnyMoConfig, AnyMoPQVAEConfig, AnyMoSTGCNConfig
from ..modeling.modeling_anymo import AnyMoForConditionalGeneration
from ..modeling.modeling_pqvae import AnyMoPQVAEModel
from ..modeling.modeling_stgcn import AnyMoSTGCNForPreTraining
from ..modeling.processing_anymo import AnyMoProcessor
from ..motion.procedural import ACTIVITIES
from .losses.next_token import token_loss
from .settings import (
    ContrastiveSettings,
    EncoderSettings,
    LanguageSettings,
    TokenizerSettings,
    load_settings,
)

GPUS, GPUS_PER_NODE = (1, 2, 8, 64), 8
CAUSAL = {"full_attention": None}  # no padding: what attention costs does not depend on it


@dataclass(frozen=True)
class Work:
    """What one forward and backward pass costs.

    Args:
        forward, both: FLOPs of the forward pass alone and of both.
        kept: bytes that the backward pass needs, weights aside.
        peak: bytes beyond them at the worst moment.
    """

    forward: float
    both: float
    kept: float
    peak: float = 0.0


@dataclass(frozen=True)
class Cost:
    """One row of the table; bytes and seconds are of one GPU and one step."""

    stage: str
    gpus: int
    sharded: bool
    gradient_checkpointing: bool
    batch: int
    states: float
    activations: float
    memory: float
    flops: float
    compute_seconds: float
    exchange_seconds: float
    steps: int

    @property
    def hours(self) -> float:
        """Of the whole stage."""
        return self.steps * (self.compute_seconds + self.exchange_seconds) / 3600


@dataclass(frozen=True)
class Hardware:
    """FLOP/s at best in bfloat16 and in float32, the share of it that is reached, and bytes/s between GPUs of a node and
    of several nodes."""

    peak: float = 989e12
    peak_float32: float = 67e12
    utilisation: float = 0.4
    inside: float = 450e9
    between: float = 50e9

    def compute(self, flops: float, precision: str) -> float:
        """Seconds; `precision` is that of the settings, "bf16" or "no"."""
        return flops / (self.peak if precision == "bf16" else self.peak_float32) / self.utilisation

    def exchange(self, sent: float, gpus: int) -> float:
        """Seconds to send `sent` bytes from every GPU."""
        return sent / (self.inside if gpus <= GPUS_PER_NODE else self.between)


def count(model: nn.Module, run: Callable[[], torch.Tensor]) -> Work:
    """Work of `run`, which returns a scalar, and of its backward pass; weights of `model` are not counted as kept."""
    own = {parameter.untyped_storage()._cdata for parameter in model.parameters()}
    kept: dict[int, torch.UntypedStorage] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage  # held, so that its number is not used again
        return tensor

    forward, backward = FlopCounterMode(display=False), FlopCounterMode(display=False)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        with forward:
            loss = run()
        held = sum(storage.nbytes() for storage in kept.values())
        with backward:
            loss.backward()
    first = forward.get_total_flops()
    return Work(first, first + backward.get_total_flops(), held)


def allocator_peak(run: Callable[[], object]) -> int:
    """Most bytes that the CPU allocator holds during `run` beyond what it held before."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        run()
    sizes = [event.nbytes() for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    return int(max(np.cumsum(sizes), default=0))


def decoder_work(
    config: AnyMoConfig, rows: int, length: int, predicted: int | None, checkpointing: bool, dtype: torch.dtype
) -> Work:
    """Work of the language model on `rows` sequences of `length` tokens, on the meta device.

    Args:
        config: of the model.
        predicted: tokens that the head scores; None pools the sequences instead, as the contrastive branches do.
        checkpointing: as in the settings.
        dtype: that activations have, torch.bfloat16 in mixed precision.
    """
    with torch.device("meta"):
        model = AnyMoForConditionalGeneration(config).to(dtype).train()
        if checkpointing:
            model.activation_checkpointing_enable()
        embeds = torch.zeros(rows, length, config.text_config.hidden_size, dtype=dtype, requires_grad=True)
        labels = torch.zeros(predicted or 0, dtype=torch.long)
        mask = torch.ones(rows, length, dtype=torch.bool)

        def run() -> torch.Tensor:
            hidden = model.language_model.base_model(
                inputs_embeds=embeds, attention_mask=CAUSAL, use_cache=False
            ).last_hidden_state
            if predicted is None:
                return F.normalize(model.imu_embedding_head(model.imu_pooler(hidden, mask)), dim=-1).sum()
            logits = model.get_output_embeddings()(hidden.flatten(0, 1)[:predicted])
            return F.cross_entropy(logits.float(), labels, reduction="sum")

        work = count(model, run)
        # the score's gradient twice in float32: of the logarithm, and of the softmax before it
        scores = 8.0 * (predicted or 0) * config.text_config.vocab_size
        again = 0.0
        if checkpointing:  # a layer that runs again keeps everything for a moment
            layers = config.text_config.num_hidden_layers
            plain = decoder_work(config, rows, length, predicted, False, dtype)
            again = (plain.kept - work.kept) / layers
        return Work(work.forward, work.both, work.kept, max(scores, again))


def line(small: Work, large: Work, at: tuple[int, int], size: float) -> Work:
    """Work at batch `size` from that at two small batches; all of it grows evenly with the batch."""
    values = []
    for name in ("forward", "both", "kept", "peak"):
        first, second = getattr(small, name), getattr(large, name)
        slope = (second - first) / (at[1] - at[0])
        values.append(max(0.0, first + slope * (size - at[0])))
    return Work(*values)


def measured_work(model: nn.Module, run: Callable[[int], torch.Tensor], at: tuple[int, int]) -> tuple[Work, Work]:
    """Work of `run(batch)` at two batches on the CPU, with the allocator's peak beyond what is kept."""
    found = []
    for size in at:
        work = count(model, lambda size=size: run(size))  # gradients exist from here on
        beyond = allocator_peak(lambda size=size: run(size).backward()) - work.kept
        found.append(Work(work.forward, work.both, work.kept, max(0.0, beyond)))
    return found[0], found[1]


def token_lengths(release: str | Path, latents: int, candidates: int) -> dict[str, int]:
    """Tokens of each kind of sequence at a full window, from a release's tokenizer and prompts.

    Raises:
        OSError: no release there.
    """
    processor = AnyMoProcessor.from_pretrained(release)
    codes, labels = np.arange(2 * latents) % 2, [activity.class_name for activity in ACTIVITIES.values()]
    options = [labels[number % len(labels)] for number in range(candidates)]
    text = "a person walks up the stairs slowly while holding a box in both hands"
    examples = {
        "motion": processor.language_example(codes, [22], "motion"),
        "narration": processor.language_example(codes, [22], "narration", text),
        "question": processor.language_example(codes, [22], "multiple_choice", options[0], options),
    }
    found = {name: len(example["input_ids"]) for name, example in examples.items()}
    found |= {f"{name} answer": sum(x >= 0 for x in example["labels"]) for name, example in examples.items()}
    found["imu"] = processor(imu_codes=[codes], imu_placements=[[22]], return_tensors="pt")["imu_input_ids"].shape[1]
    found["text"] = processor(text=[text], return_tensors="pt")["input_ids"].shape[1]
    return found


def small_stages(configs: Path) -> dict[str, tuple[nn.Module, tuple[Work, Work], tuple[int, int]]]:
    """Encoder and PQ-VAE at the paper's size: the model, its work at two batches, and these batches."""
    torch.manual_seed(0)
    encoder = AnyMoSTGCNForPreTraining(AnyMoSTGCNConfig.from_preset("paper")).train()
    frames = load_settings(configs / "encoder.yaml", EncoderSettings).frames[0]
    quantizer = AnyMoPQVAEModel(AnyMoPQVAEConfig.from_preset("paper")).train()

    def encode(batch: int) -> torch.Tensor:
        views = torch.randn(2, batch, frames, encoder.config.num_nodes, encoder.config.in_channels)
        return encoder(*views, *(encoder.sample_visible(batch) for _ in range(2))).loss

    def quantize(batch: int) -> torch.Tensor:
        steps = -(-frames // 4)
        mask = torch.ones(batch, steps, dtype=torch.bool)
        return quantizer(torch.randn(batch, steps, quantizer.config.input_dim), mask).loss

    return {
        "encoder": (encoder, measured_work(encoder, encode, (2, 4)), (2, 4)),
        "tokenizer": (quantizer, measured_work(quantizer, quantize, (8, 16)), (8, 16)),
    }


def plain_cost(parameters: int, gpus: int, half: bool, activations: float, hardware: Hardware) -> tuple[float, ...]:
    """States, memory and seconds of exchange where every GPU holds the whole model."""
    states = 16.0 * parameters  # float32 weight, gradient and two moments of AdamW
    copies = 2.0 * parameters if half else 0.0  # autocast keeps its bfloat16 weights during a pass
    # after the pass: gradients in one piece and their mean, or the square roots of AdamW's second moments
    after = (8.0 if gpus > 1 else 4.0) * parameters
    sent = 2 * (gpus - 1) / gpus * 4 * parameters
    return states, states + max(activations + copies, after), hardware.exchange(sent, gpus)


def sharded_cost(
    units: list[int], rest: int, gpus: int, activations: float, gathers: int, reductions: int, hardware: Hardware
) -> tuple[float, ...]:
    """The same under FSDP2: `units` are gathered when they run, `rest` for a whole pass, both in bfloat16.

    Args:
        units: parameters of each layer, the embedding and the head.
        rest: other parameters.
        gathers, reductions: of the whole model in a step.
    """
    parameters, largest = sum(units) + rest, max(units)
    states = 16.0 * parameters / gpus
    # the unit that runs, the one gathered ahead, and the gradient of one: bfloat16, and float32 for the sum
    gathered = 2.0 * (rest + 2 * largest) + 6.0 * largest
    after = 4.0 * parameters / gpus
    sent = (gpus - 1) / gpus * parameters * (2.0 * gathers + 4.0 * reductions)
    return states, states + max(activations + gathered, after), hardware.exchange(sent, gpus)


def estimate(hardware: Hardware, release: str | Path, configs: Path) -> tuple[list[Cost], dict[str, int]]:
    """Every row of the table, and the token lengths behind it; GPUs over which a batch does not divide are left out."""
    costs = []
    kinds = {"encoder": EncoderSettings, "tokenizer": TokenizerSettings}
    for stage, (model, works, at) in small_stages(configs).items():
        settings = load_settings(configs / f"{stage}.yaml", kinds[stage])
        parameters = sum(parameter.numel() for parameter in model.parameters())
        for gpus in GPUS:
            if settings.batch_size % gpus:
                continue
            work = line(*works, at, settings.batch_size / gpus)
            activations = work.kept + work.peak
            states, memory, exchange = plain_cost(parameters, gpus, False, activations, hardware)
            seconds = hardware.compute(work.both, settings.mixed_precision)
            costs.append(
                Cost(stage, gpus, False, False, settings.batch_size, states, activations, memory, work.both, seconds,
                     exchange, settings.steps)
            )  # fmt: skip
    language = load_settings(configs / "language.yaml", LanguageSettings)
    contrastive = load_settings(configs / "contrastive.yaml", ContrastiveSettings)
    lengths = token_lengths(release, language.latents, contrastive.candidates)
    config = AnyMoConfig.from_preset("paper")
    with torch.device("meta"):
        model = AnyMoForConditionalGeneration(config)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    parts = [*model.language_model.base_model.layers, model.get_input_embeddings(), model.get_output_embeddings()]
    units = [sum(parameter.numel() for parameter in part.parameters()) for part in parts]
    for checkpointing in (False, True):
        for gpus in GPUS:
            for stage, settings in (("language", language), ("contrastive", contrastive)):
                whole = settings.for_processes(gpus)
                if whole.batch_size % gpus:
                    continue
                if stage == "language":
                    flops, activations, passes = _language_step(
                        config, whole.batch_size // gpus, lengths, checkpointing
                    )
                    steps = settings.steps
                else:
                    flops, activations, passes = _contrastive_step(config, settings, lengths, checkpointing)
                    steps = -(-settings.steps * 2 // gpus)  # the file's steps are for two GPUs
                seconds = hardware.compute(flops, settings.mixed_precision)
                for sharded in (False, True) if gpus > 1 else (False,):
                    if sharded:
                        found = sharded_cost(units, parameters - sum(units), gpus, activations, *passes, hardware)
                    else:
                        found = plain_cost(parameters, gpus, True, activations, hardware)
                    states, memory, exchange = found
                    costs.append(
                        Cost(stage, gpus, sharded, checkpointing, whole.batch_size, states, activations, memory, flops,
                             seconds, exchange, steps)
                    )  # fmt: skip
    return sorted(
        costs, key=lambda cost: ["encoder", "tokenizer", "language", "contrastive"].index(cost.stage)
    ), lengths


def _language_step(config, rows, lengths, checkpointing) -> tuple[float, float, tuple[int, int]]:
    """FLOPs, bytes of activations, and how often all weights are gathered and their gradients summed."""
    work = decoder_work(config, rows, lengths["motion"], rows * lengths["motion answer"], checkpointing, torch.bfloat16)
    return work.both, work.kept + work.peak, (2, 1)


def _contrastive_step(config, settings, lengths, checkpointing) -> tuple[float, float, tuple[int, int]]:
    """As `_language_step`; GradCache embeds every chunk twice, and one chunk's activations are there at a time."""
    rows = settings.chunk_size
    half = torch.bfloat16
    imu = decoder_work(config, rows, lengths["imu"], None, checkpointing, half)
    text = decoder_work(config, rows, lengths["text"] + config.soft_prompt_length, None, checkpointing, half)
    answers = rows * (lengths["narration answer"] + lengths["question answer"]) // 2
    # a chunk is padded to its longest, a question
    instruct = decoder_work(config, rows, lengths["question"], answers, checkpointing, half)
    chunks = settings.batch_size // rows
    instructions = settings.lm_batch_size // rows
    flops = chunks * (imu.forward + imu.both) + 2 * chunks * (text.forward + text.both) + instructions * instruct.both
    activations = max(work.kept + work.peak for work in (imu, text, instruct))
    # text has two branches, narrations and labels
    return flops, activations, (3 * chunks * 3 + 2 * instructions, 3 * chunks + instructions)


def validate(checkpointing: bool = False, rows: int = 8, length: int = 120) -> dict[str, float]:
    """Activations of the nano language model as predicted on the meta device, and as the CPU allocator's peak.

    The measured step is training's own `token_loss` in float32, with gradients there from a step before.

    Returns:
        predicted, measured: bytes; states_predicted, states_measured: of weights, gradients and AdamW moments.
    """
    torch.manual_seed(0)
    config, accelerator = AnyMoConfig.from_preset("nano"), Accelerator(cpu=True)
    model = AnyMoForConditionalGeneration(config).train()
    if checkpointing:
        model.activation_checkpointing_enable()
    # only rows of the motion codes, so that every token passes the projector
    ids = torch.randint(config.imu_token_offset, config.imu_token_offset + 64, (rows, length))
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids}
    optimizer = torch.optim.AdamW(model.parameters())
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    measured = allocator_peak(lambda: token_loss(model, batch, accelerator).backward())
    moments = sum(value.nbytes for state in optimizer.state.values() for value in state.values() if value.ndim)
    states = moments + sum(parameter.nbytes + parameter.grad.nbytes for parameter in model.parameters())
    work = decoder_work(config, rows, length, rows * (length - 1), checkpointing, torch.float32)
    return {
        "predicted": work.kept + work.peak,
        "measured": measured,
        "states_predicted": 16.0 * sum(parameter.numel() for parameter in model.parameters()),
        "states_measured": states,
    }


def cost_table(costs: list[Cost]) -> str:
    """Markdown; GB are 1e9 bytes of one GPU."""
    head = [
        "stage", "GPUs", "weights", "checkpointing", "batch", "states GB", "activations GB", "memory GB", "TFLOP",
        "compute ms", "exchange ms", "steps", "hours",
    ]  # fmt: skip
    rows = [
        [cost.stage, f"{cost.gpus}", "sharded" if cost.sharded else "whole",
         "yes" if cost.gradient_checkpointing else "no", f"{cost.batch}", f"{cost.states / 1e9:.2f}",
         f"{cost.activations / 1e9:.2f}", f"{cost.memory / 1e9:.2f}", f"{cost.flops / 1e12:.2f}",
         f"{1e3 * cost.compute_seconds:.1f}", f"{1e3 * cost.exchange_seconds:.1f}", f"{cost.steps}", f"{cost.hours:.1f}"]
        for cost in costs
    ]  # fmt: skip
    return table(head, rows, words=4)


@ending_in_words("cost_estimate")
def main(configs: str | Path = "training/configs/paper", words: list[str] | None = None) -> None:
    """Prints the table and writes it as JSON; `configs` is the default folder of the paper's YAML files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", default="results/training_cost.json", help="JSON to write")
    parser.add_argument("--release", default="anymo", help="its tokenizer counts the tokens (default anymo)")
    parser.add_argument("--peak", type=float, default=989e12, help="FLOP/s of a GPU (default 989e12, H100 in bf16)")
    parser.add_argument("--peak-float32", type=float, default=67e12, help="the same in float32 (default 67e12)")
    parser.add_argument("--utilisation", type=float, default=0.4, help="share of it that is reached (default 0.4)")
    parser.add_argument("--inside", type=float, default=450e9, help="bytes/s between GPUs of a node (default 450e9)")
    parser.add_argument("--between", type=float, default=50e9, help="bytes/s of a GPU to other nodes (default 50e9)")
    parser.add_argument("--configs", default=str(configs), help=f"folder with the four YAML files (default {configs})")
    arguments = parser.parse_args(words)
    rates = arguments.peak, arguments.peak_float32, arguments.inside, arguments.between
    if not 0 < arguments.utilisation <= 1 or min(rates) <= 0:
        parser.error("--utilisation must be above 0 and at most 1, the other rates above 0")
    peak, peak_float32, inside, between = rates
    hardware = Hardware(peak, peak_float32, arguments.utilisation, inside, between)
    costs, lengths = estimate(hardware, arguments.release, Path(arguments.configs))
    checks = {name: validate(flag) for name, flag in (("plain", False), ("gradient_checkpointing", True))}
    print(cost_table(costs))
    print(f"\ntokens: {lengths}; a batch that does not divide over the GPUs has no row")
    for name, check in checks.items():
        ratio = check["predicted"] / check["measured"]
        print(
            f"\ncheck, {name}: activations of the nano model predicted {check['predicted'] / 1e6:.1f} MB, measured "
            f"{check['measured'] / 1e6:.1f} MB (x{ratio:.2f}); states {check['states_predicted'] / 1e6:.1f} and "
            f"{check['states_measured'] / 1e6:.1f} MB"
        )
    rows = [asdict(cost) | {"hours": cost.hours} for cost in costs]
    result = {"hardware": asdict(hardware), "token_lengths": lengths, "costs": rows, "checks": checks}
    print(f"\nwrote {write_json(arguments.output, result)}")
