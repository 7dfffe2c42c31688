"""The exported IMU tokenizer gives PyTorch's codes for any batch and length, and ONNX runs where there is no PyTorch."""

import contextlib
import io
import json
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from support.tiny_release import make_shallow_tokenizer

from anymo_hf import cli
from anymo_hf.modeling import export_anymo
from anymo_hf.modeling.body_segments import SEGMENT_INDEX
from anymo_hf.modeling.export_anymo import INPUTS, export_onnx, export_program, export_torch
from anymo_hf.modeling.feature_extraction_anymo import AnyMoFeatureExtractor

pytestmark = pytest.mark.slow

RELEASE = Path(__file__).parents[2] / "anymo"
SHAPES = [(1, 60), (1, 61), (2, 62), (3, 122), (5, 123), (1, 360), (4, 300), (2, 7)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A shallow tokenizer, a branch beside its graph, whose statistics and weights are not those of the start."""
    extractor = make_shallow_tokenizer(wrist="hand", signal_channels=(6, 8, 8))
    stgcn, pqvae = extractor.stgcn, extractor.pqvae
    torch.manual_seed(0)
    with torch.no_grad():
        stgcn.mask_token.normal_()
        for weight in stgcn.edge_importance:
            weight.uniform_(0.5, 1.5)
        stgcn.signal_branch.segments.normal_()
        stgcn.train()
        for _ in range(5):
            stgcn(windows(8, 100)[0])
        stgcn.eval()
    pqvae.quantizer.initialise(pqvae.project(stgcn(*windows(16, 100)).last_hidden_state).flatten(0, 1))
    path = tmp_path_factory.mktemp("tokenizer")
    extractor.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def extractor(folder):
    return AnyMoFeatureExtractor.from_pretrained(folder)


@pytest.fixture(scope="module")
def program(extractor):
    return export_program(extractor)


@pytest.fixture
def traced_before(program, monkeypatch):
    """What is said about files needs no trace of its own."""
    monkeypatch.setattr(export_anymo, "export_program", lambda _: program)


@pytest.fixture(scope="module")
def exported(folder, program, tmp_path_factory):
    """What `anymo export onnx` writes."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    out, said = tmp_path_factory.mktemp("out") / "program", io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said), pytest.raises(SystemExit) as stopped:
        patch.setattr(export_anymo, "export_program", lambda _: program)
        patch.setattr(sys, "argv", ["anymo", "export", "onnx", str(folder), str(out)])
        cli.main()
    assert stopped.value.code == 0 and said.getvalue() == f"written: {out / 'tokenizer.onnx'}\n"
    return out


def windows(batch: int, frames: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Signals, sensors worn and real frames; every second window is shorter, with rubbish in its padding."""
    generator = torch.Generator().manual_seed(1000 * batch + frames)
    imu = 4 * torch.randn(batch, frames, 23, 6, generator=generator)
    worn = torch.rand(batch, 23, generator=generator) < 0.2
    worn[:, 9] = True
    real = torch.arange(frames) < torch.tensor([frames - (row % 2) * (frames // 3) for row in range(batch)])[:, None]
    return imu, worn, real


def check_against(extractor, run):
    seen = set()
    for batch, frames in SHAPES:
        inputs = windows(batch, frames)
        codes, mask = run(*inputs)
        expected, kept = extractor.encode(*inputs)
        np.testing.assert_array_equal(codes, expected)
        np.testing.assert_array_equal(mask, kept)
        seen |= set(np.asarray(codes).ravel().tolist())
    assert len(seen) > 20


def test_the_torch_program_gives_the_same_codes_for_any_batch_and_length(extractor, program, folder, tmp_path):
    check_against(extractor, program.module())
    export_torch(folder, tmp_path / "out")
    check_against(extractor, torch.export.load(tmp_path / "out/tokenizer.pt2").module())


@pytest.mark.usefixtures("traced_before")
def test_a_full_disk_is_told_and_leaves_no_half_program(folder, tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))  # as if the disk were full there
    try:
        with pytest.raises(OSError, match=r"could not write .*out .*; make room there"):
            export_torch(folder, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())


def test_onnx_gives_the_same_codes_for_any_batch_and_length(extractor, exported):
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(exported / "tokenizer.onnx")
    shapes = {value.name: value.shape for value in (*session.get_inputs(), *session.get_outputs())}
    assert shapes["imu"] == ["batch", "frames", 23, 6] and shapes["node_mask"] == ["batch", 23]
    assert shapes["frame_mask"] == ["batch", "frames"] and shapes["imu_codes"] == ["batch", "codes"]

    def run(*inputs):
        return session.run(None, {name: value.numpy() for name, value in zip(INPUTS, inputs, strict=True)})

    check_against(extractor, run)


WITHOUT_TORCH = """
import json, sys
for name in ("torch", "transformers", "anymo_hf"):
    sys.modules[name] = None  # an import of it now fails
import numpy, onnxruntime
out, file = sys.argv[1:]
session = onnxruntime.InferenceSession(out + "/tokenizer.onnx")
facts = json.load(open(out + "/preprocessing.json"))
recordings = numpy.load(file)
imu = numpy.zeros((1, len(recordings["left_wrist"]), 23, 6), "float32")
node_mask = numpy.zeros((1, 23), bool)
for name, signal in recordings.items():
    node = facts["placements"][name]
    imu[0, :, node, : signal.shape[1]] = signal
    imu[0, :, node, signal.shape[1] :] = facts["missing_gyroscope"]
    node_mask[0, node] = True
codes, mask = session.run(None, {"imu": imu, "node_mask": node_mask, "frame_mask": numpy.ones(imu.shape[:2], bool)})
assert mask.all()
try:
    import torch
except ImportError:
    print(json.dumps(codes[0].tolist()))
"""


def without_torch(out: Path, extractor, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    recording = {
        "left_wrist": rng.normal(0, 4, (181, 6)),
        "head": rng.normal(0, 4, (181, 3)),
        "right_pocket": rng.normal(0, 4, (181, 6)),
    }
    np.savez(tmp_path / "recording.npz", **recording)
    command = [sys.executable, "-c", WITHOUT_TORCH, str(out), str(tmp_path / "recording.npz")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == extractor(recording, sampling_rate=60).imu_codes[0]


def test_a_process_without_torch_goes_from_recording_to_codes(extractor, exported, tmp_path):
    pytest.importorskip("onnxruntime")
    without_torch(exported, extractor, tmp_path)


def test_the_released_tokenizer_runs_without_torch(tmp_path):
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name)
    out = export_onnx(RELEASE, tmp_path / "out")
    without_torch(out, AnyMoFeatureExtractor.from_pretrained(RELEASE), tmp_path)


def test_facts_say_how_recordings_become_inputs(extractor, exported):
    assert sorted(path.name for path in exported.iterdir()) == ["preprocessing.json", "tokenizer.onnx"]
    facts = json.loads((exported / "preprocessing.json").read_text())
    assert facts["sampling_rate"] == 60 and facts["units"] == ["m/s^2"] * 3 + ["rad/s"] * 3
    assert facts["placements"]["left_wrist"] == SEGMENT_INDEX["L_Hand"]  # as the saved extractor has it
    assert facts["segments"][facts["placements"]["waist"]] == "L5"
    assert (facts["frames_per_step"], facts["num_codebooks"], facts["codebook_size"]) == (4, 2, 64)
    codes, _ = extractor.encode(*windows(1, 121))
    assert codes.shape[1] == facts["num_codebooks"] * -(-121 // facts["frames_per_step"])


@pytest.mark.usefixtures("traced_before")
def test_a_new_export_replaces_an_old_one_and_nothing_else(folder, tmp_path, monkeypatch):
    out = export_torch(folder, tmp_path / "out")
    before = (out / "tokenizer.pt2").stat().st_mtime_ns
    assert export_torch(folder, out) == out and (out / "tokenizer.pt2").stat().st_mtime_ns > before
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/cat.png").write_bytes(b"")
    (tmp_path / "file").write_text("")
    for taken in ("photos", "file"):
        with pytest.raises(ValueError, match=f"{taken}: holds something else"):
            export_torch(folder, tmp_path / taken)

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(torch.export, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        export_torch(folder, tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "out", "photos"]


def test_bad_checkpoints_are_refused(extractor, folder, tmp_path, monkeypatch):
    with pytest.raises(OSError, match="none: no such folder; give a checkpoint"):
        export_torch(tmp_path / "none", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(OSError, match="preprocessor_config.json"):
        export_torch(tmp_path / "empty", tmp_path / "out")
    extractor.save_pretrained(tmp_path / "cut")
    weights = tmp_path / "cut/imu_tokenizer/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-9])
    with pytest.raises(OSError, match="damaged"):
        export_torch(tmp_path / "cut", tmp_path / "out")
    half = AnyMoFeatureExtractor.from_pretrained(folder)
    half.stgcn.bfloat16()
    with pytest.raises(ValueError, match=r"float32 on the CPU, the tokenizer is torch.bfloat16"):
        export_program(half)
    monkeypatch.setattr(export_anymo.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install onnx onnxscript"):
        export_onnx(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()
