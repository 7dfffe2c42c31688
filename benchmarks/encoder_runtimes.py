"""Benchmark of the IMU tokenizer, from windows at 60 Hz to codes, in every form and runtime there is.

    python benchmarks/encoder_runtimes.py [--threads 1 2] [--windows 40] [--batch 8] [--compile] [--preset small]

Forms take turns on the same windows, which simulated people wear whom training never drew. Each figure is the best of its
rounds, in CPU time of the process, which other work on the machine changes less than the clock. Equal tokens and labels
are those of the plain form; labels are the nearest of the everyday list. With --preset the weights are random, and only
speed is told. onnxruntime, onnxscript and openvino are measured where they are installed.
"""

from __future__ import annotations

import argparse
import copy
import importlib.util
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from encoder import processor_name, write_json
from transformers import AutoModel, AutoProcessor

from anymo_hf.modeling.configuration_anymo import AnyMoPQVAEConfig, AnyMoSTGCNConfig
from anymo_hf.modeling.export_anymo import export_onnx
from anymo_hf.modeling.feature_extraction_anymo import AnyMoFeatureExtractor
from anymo_hf.modeling.modeling_pqvae import AnyMoPQVAEModel
from anymo_hf.modeling.modeling_stgcn import AnyMoSTGCNModel
from anymo_hf.systems.activity_labels import EVERYDAY
from anymo_hf.systems.embeddings import embed_codes, embed_labels
from anymo_hf.systems.held_out_windows import held_out_windows

Form = Callable[[torch.Tensor, torch.Tensor], np.ndarray]  # windows (B, T, 23, 6) and node mask -> codes (B, 2L)


def worn_windows(processor, count: int) -> tuple[torch.Tensor, torch.Tensor, list[list[int]]]:
    """Encoder inputs of held-out people, `(count, 300, 23, 6)` and `(count, 23)`, and where they wear sensors."""
    seen, extractor = [], processor.feature_extractor
    encode = extractor.encode
    extractor.encode = lambda imu, mask: seen.append((imu, mask)) or encode(imu, mask)
    try:
        placements = held_out_windows(processor, count).placements
    finally:
        del extractor.encode
    return torch.cat([imu for imu, _ in seen]), torch.cat([mask for _, mask in seen]), placements


def torch_forms(extractor: AnyMoFeatureExtractor, compiled: bool) -> dict[str, Form]:
    """The plain form, the fast one, and the plain one compiled and in bfloat16."""

    def form(plain: bool, half: bool = False, compile_it: bool = False) -> Form:
        own = copy.deepcopy(extractor)
        own.stgcn.fast_inference = not plain
        if compile_it:
            own.stgcn.compile()

        def run(imu: torch.Tensor, nodes: torch.Tensor) -> np.ndarray:
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                return own.encode(imu, nodes)[0].numpy()

        return run

    forms = {"plain": form(True), "fast (default on a CPU)": form(False), "plain, bfloat16": form(True, half=True)}
    return forms | ({"plain, torch.compile": form(True, compile_it=True)} if compiled else {})


def exported_forms(extractor: AnyMoFeatureExtractor, batch: int, threads: int, folder: Path) -> dict[str, Form]:
    """ONNX Runtime in float32 and with int8 weights, OpenVINO in float32 and bfloat16; what is not installed is left out."""
    forms: dict[str, Form] = {}
    if any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxscript", "onnxruntime")):
        return forms
    import onnxruntime
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    extractor.save_pretrained(folder / "checkpoint")
    path = export_onnx(folder / "checkpoint", folder / "onnx") / "tokenizer.onnx"

    def feed(imu: torch.Tensor, nodes: torch.Tensor) -> dict[str, np.ndarray]:
        return {"imu": imu.numpy(), "node_mask": nodes.numpy(), "frame_mask": np.ones(imu.shape[:2], bool)}

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    small = path.with_name("int8.onnx")
    files = {"ONNX Runtime": path}
    try:
        prepared = path.with_name("prepared.onnx")
        quant_pre_process(path, prepared, skip_symbolic_shape=True)
        quantize_dynamic(prepared, small, weight_type=QuantType.QUInt8, op_types_to_quantize=["Conv", "MatMul"])
        files["ONNX Runtime, int8"] = small
    except (ValueError, RuntimeError) as error:
        print(f"ONNX Runtime cannot make int8 weights of the encoder: {error}")
    for name, file in files.items():
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        forms[name] = lambda imu, nodes, session=session: session.run(None, feed(imu, nodes))[0]
    if importlib.util.find_spec("openvino") is None:
        return forms
    import openvino

    for name, precision in (("OpenVINO", "f32"), ("OpenVINO, bfloat16", "bf16")):
        core = openvino.Core()
        network = core.read_model(path)
        # sizes that are known make it nearly twice as fast
        network.reshape({"imu": [batch, 300, 23, 6], "node_mask": [batch, 23], "frame_mask": [batch, 300]})
        settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": precision, "NUM_STREAMS": 1}
        program = core.compile_model(network, "CPU", settings)
        forms[name] = lambda imu, nodes, program=program: program(feed(imu, nodes))[0].copy()
    return forms


def random_extractor(preset: str) -> AnyMoFeatureExtractor:
    """Random weights, whose codes say nothing."""
    torch.manual_seed(0)
    stgcn = AnyMoSTGCNModel(AnyMoSTGCNConfig.from_preset(preset))
    return AnyMoFeatureExtractor(stgcn, AnyMoPQVAEModel(AnyMoPQVAEConfig.from_preset(preset)))


def measure(forms: dict[str, Form], imu: torch.Tensor, nodes: torch.Tensor, batch: int, rounds: int) -> dict[str, dict]:
    """Codes, and CPU and clock milliseconds a window of each form."""
    parts = list(zip(imu.split(batch), nodes.split(batch), strict=True))
    rows = {name: {"codes": np.concatenate([form(*part) for part in parts])} for name, form in forms.items()}
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in forms}
    for number in range(rounds * len(parts)):
        for name, form in forms.items():
            began, spent = time.perf_counter(), time.process_time()
            form(*parts[number % len(parts)])
            taken[name].append((time.process_time() - spent, time.perf_counter() - began))
    for name, row in rows.items():
        row["cpu_ms"], row["ms"] = (1e3 * min(pair[n] for pair in taken[name]) / batch for n in (0, 1))
    return rows


def table(rows: dict[str, dict], labels: Callable[[np.ndarray], np.ndarray] | None) -> list[dict]:
    """A row for each form, beside the plain one."""
    plain = rows["plain"]
    shown = []
    for name, row in rows.items():
        shown.append({"form": name, "cpu_ms": row["cpu_ms"], "ms": row["ms"], "times": plain["cpu_ms"] / row["cpu_ms"]})
        if labels is not None:
            shown[-1]["equal_tokens"] = float((row["codes"] == plain["codes"]).mean())
            shown[-1]["equal_labels"] = float((labels(row["codes"]) == labels(plain["codes"])).mean())
    return shown


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="anymo")
    parser.add_argument("--preset", help="random weights of this size instead of the model's")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--windows", type=int, default=40)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compile", action="store_true", help="torch.compile as well; needs a C++ compiler")
    parser.add_argument("--output", type=Path, default=Path("results/encoder_runtimes.json"))
    args = parser.parse_args()
    if args.windows % args.batch:
        parser.error("--windows must be a multiple of --batch")
    warnings.simplefilter("ignore")
    result: dict = {"machine": processor_name(), "torch": torch.__version__, "load_before": os.getloadavg()[0]}
    labels = None
    if args.preset is None:
        processor, model = AutoProcessor.from_pretrained(args.model), AutoModel.from_pretrained(args.model).eval()
        extractor = processor.feature_extractor
        imu, nodes, placements = worn_windows(processor, args.windows)
        texts = embed_labels(model, processor, EVERYDAY)

        def labels(codes: np.ndarray) -> np.ndarray:
            return (embed_codes(model, processor, list(codes), placements) @ texts.T).argmax(1)

    else:
        extractor = random_extractor(args.preset)
        imu, nodes = torch.randn(args.windows, 300, 23, 6), torch.ones(args.windows, 23, dtype=torch.bool)
    for threads in args.threads:
        torch.set_num_threads(threads)
        with tempfile.TemporaryDirectory() as folder:
            forms = torch_forms(extractor, args.compile) | exported_forms(extractor, args.batch, threads, Path(folder))
            rows = table(measure(forms, imu, nodes, args.batch, args.rounds), labels)
        result[f"threads_{threads}"] = rows
        print(f"\n{args.preset or args.model}, {threads} threads, {args.batch} windows a call\n")
        print("| form | CPU ms a window | ms a window | times the plain form | equal tokens | equal labels |")
        print("| --- | ---: | ---: | ---: | ---: | ---: |")
        for row in rows:
            shares = [f"{100 * row[name]:.2f} %" if name in row else "-" for name in ("equal_tokens", "equal_labels")]
            numbers = f"{row['cpu_ms']:.2f} | {row['ms']:.2f} | {row['times']:.2f}"
            print(f"| {row['form']} | {numbers} | {shares[0]} | {shares[1]} |")
    write_json(args.output, result)
    print(f"\nwritten: {args.output}")


if __name__ == "__main__":
    main()
