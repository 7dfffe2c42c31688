"""Published names and shapes, strict loading, and errors that say what to fetch."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from anymo_hf.evaluation.system_recognition import weights_of
from anymo_hf.systems import clip_text, normwear
from anymo_hf.systems.clip_text import ClipTextTower
from anymo_hf.systems.imagebind import SKIPPED, ImageBindTowers
from anymo_hf.systems.imu2clip import IMU2CLIPEncoder
from anymo_hf.systems.interface import load_system
from anymo_hf.systems.limu_bert import LimuBert
from anymo_hf.systems.mantis import Mantis
from anymo_hf.systems.normwear import SKIPPED as DECODER
from anymo_hf.systems.normwear import NormWearEncoder, ZeroShotHead
from anymo_hf.systems.published_weights import build, load_network, mean_of_parts, read_tensors, run_batches
from anymo_hf.systems.unimts import UniMTSNetwork

SHAPES = json.loads((Path(__file__).parent / "published_shapes.json").read_text())
PUBLISHED = {
    "unimts": UniMTSNetwork,
    "clip_text": ClipTextTower,
    "imagebind": ImageBindTowers,
    "imu2clip": IMU2CLIPEncoder,
    "normwear_encoder": NormWearEncoder,
    "normwear_head": ZeroShotHead,
    "mantis_v2": lambda: Mantis(2),
    "mantis_8m": lambda: Mantis(1),
    "limu_bert": LimuBert,
}
# tensors and values as counted in the authors' modules
COUNTS = {
    "clip_text": (150, 63_428_097), "imagebind": (388, 19_600_385 + 354_038_570), "imu2clip": (11, 850_892),
    "normwear_encoder": (222, 128_118_528), "normwear_head": (16, 57_695_746), "mantis_v2": (151, 4_188_690),
    "mantis_8m": (158, 8_112_402), "limu_bert": (29, 62_646),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_names_and_shapes_are_the_published_ones(name):
    found = build(PUBLISHED[name]).state_dict()
    assert {tensor: list(value.shape) for tensor, value in found.items()} == SHAPES[name]
    if name in COUNTS:
        values = sum(int(np.prod(shape)) for shape in SHAPES[name].values())
        assert (len(SHAPES[name]), values) == COUNTS[name]


def same(first, second):
    return all(torch.equal(value, second.state_dict()[name]) for name, value in first.state_dict().items())


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_state_dict_goes_there_and_back_and_every_misfit_is_refused(name, small_networks, tmp_path):
    network = small_networks[name]()
    state = {key: value.clone().contiguous() for key, value in network.state_dict().items()}
    path, safe = tmp_path / "weights.pth", tmp_path / "weights.safetensors"
    torch.save(state, path)
    save_file(state, safe)
    for file in (path, safe):
        found = load_network(small_networks[name], file)
        assert same(network, found) and not found.training and not any(part.is_meta for part in found.parameters())
    first = next(key for key, value in state.items() if value.dim() and value.is_floating_point())
    missing = {key: value for key, value in state.items() if key != first}
    misshaped = state | {first: torch.zeros(3, *state[first].shape)}
    kind = state | {first: torch.zeros(state[first].shape, dtype=torch.long)}
    for wrong, message in (
        (missing, "is missing"), (state | {"stray.weight": torch.zeros(2)}, "stray.weight is not a tensor"),
        (misshaped, "and must be"), (kind, "of type torch.int64"),
    ):  # fmt: skip
        torch.save(wrong, path)
        with pytest.raises(ValueError, match=f"weights of another model: .*{message}"):
            load_network(small_networks[name], path)


def test_what_is_skipped_is_named_and_wrappings_come_off(small_networks, tmp_path):
    towers, path = small_networks["imagebind"](), tmp_path / "whole.pth"
    others = {f"{prefix}weight": torch.zeros(2) for prefix in SKIPPED}
    assert len(others) == 16 and not any(name.startswith(SKIPPED) for name in SHAPES["imagebind"])
    torch.save({"model": {f"module.{name}": value for name, value in (towers.state_dict() | others).items()}}, path)
    assert same(towers, load_network(small_networks["imagebind"], path, SKIPPED))
    with pytest.raises(ValueError, match="and 15 more tensors do not fit"):
        load_network(small_networks["imagebind"], path)
    assert not any(name.startswith(DECODER) for name in SHAPES["normwear_encoder"])


def test_no_code_is_run_and_damaged_files_are_named(tmp_path):
    class Harm:
        def __reduce__(self):
            return (print, ("harm",))

    path = tmp_path / "weights.pth"
    torch.save({"a": Harm()}, path)
    with pytest.raises(OSError, match="holds more than tensors, which could run code, and is refused"):
        read_tensors(path)
    torch.save({"a": torch.zeros(9)}, path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(OSError, match="weights.pth"):
        read_tensors(path)
    torch.save([1, 2], path)
    with pytest.raises(OSError, match="holds no state dict"):
        read_tensors(path)
    (tmp_path / "weights.safetensors").write_bytes(b"nothing")
    with pytest.raises(OSError, match="is damaged or no file of weights"):
        read_tensors(tmp_path / "weights.safetensors")


@pytest.mark.parametrize(("name", "words"), [
    ("unimts", ["UniMTS.pth", "xiyuanz/UniMTS", "Apache-2.0", "unimts/UniMTS.pth"]),
    ("imagebind", ["imagebind_huge.pth", "CC BY-NC-SA 4.0", "imagebind/imagebind_huge.pth"]),
    ("imu2clip", ["imu2clip.safetensors", "authors published none", "CC BY-NC"]),
    ("normwear", ["normwear_pretrain_ckpt.pth", "v1.0.0-alpha", "Apache-2.0"]),
    ("mantis_v2", ["model.safetensors", "paris-noah/MantisV2", "Apache-2.0"]),
    ("mantis_v2_finetuned", ["model.safetensors", "paris-noah/MantisV2"]),
    ("mantis_v2_bench", ["model.safetensors", "paris-noah/MantisV2"]),
    ("mantis_8m", ["model.safetensors", "paris-noah/Mantis-8M"]),
    ("limu_bert", ["pretrain_base_uci_20_120.pt", "dapowan", "MIT"]),
])  # fmt: skip
def test_missing_weights_say_what_whence_and_where(name, words, tmp_path, monkeypatch):
    monkeypatch.setenv("ANYMO_WEIGHTS", str(tmp_path))
    for source in (None, str(tmp_path), str(tmp_path / "none.pth")):
        with pytest.raises(OSError, match="licence") as caught:
            load_system(name, source)
        assert all(word in str(caught.value) for word in words) and str(tmp_path) in str(caught.value)


def test_weights_lie_in_the_folder_of_weights(small_networks, tmp_path, monkeypatch):
    monkeypatch.setenv("ANYMO_WEIGHTS", str(tmp_path))
    (tmp_path / "mantis-8m").mkdir()
    torch.manual_seed(0)
    network = Mantis(1)
    old = {name.replace("transf_unit.", "vit_unit."): value for name, value in network.state_dict().items()}
    save_file(old, tmp_path / "mantis-8m" / "model.safetensors")  # the names of the published file
    assert same(network.eval(), load_system("mantis_8m").network)
    save_file(small_networks["mantis_v2"]().state_dict(), tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="weights of another model"):
        load_system("mantis_8m", str(tmp_path))


@pytest.mark.filterwarnings("ignore:.*takes hours without a GPU")
@pytest.mark.parametrize("name", ["mantis_v2", "mantis_v2_finetuned", "mantis_v2_bench"])
def test_weights_of_mantis_are_told_apart_whatever_is_learned_from_them(name, small_networks, tmp_path):
    found = []
    for folder, seed in (("a", 0), ("b", 1), ("c", 0)):
        torch.manual_seed(seed)
        (tmp_path / folder).mkdir()
        save_file(Mantis(2).state_dict(), tmp_path / folder / "model.safetensors")
        found.append(weights_of(load_system(name, str(tmp_path / folder))))
    assert found[0] and found[0] == found[2] != found[1]


def test_a_vocabulary_that_does_not_fit_together_is_damaged(tmp_path):
    with pytest.raises(OSError, match="merges.txt is damaged .*fetch it again"):
        clip_text._checked([("un", "known")] * clip_text._MERGES, tmp_path / "merges.txt")


def write_text_model(folder):
    """A small Llama with a tokenizer of four words."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaModel, PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({"</s>": 0, "the": 1, "person": 2, "walks": 3}, unk_token="</s>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, eos_token="</s>", unk_token="</s>").save_pretrained(folder)
    torch.manual_seed(0)
    size = {"hidden_size": 8, "intermediate_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1}
    model = LlamaModel(LlamaConfig(vocab_size=4, **size)).eval()
    model.save_pretrained(folder)
    return model


def test_the_text_model_of_normwear_lies_beside_its_files(small_networks, tmp_path, monkeypatch):
    placed = []
    monkeypatch.setenv("ANYMO_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr(normwear, "default_device", lambda: placed.append("text model") or "cpu")
    monkeypatch.setattr(normwear, "NormWearEncoder", small_networks["normwear_encoder"])
    monkeypatch.setattr(normwear, "ZeroShotHead", small_networks["normwear_head"])
    source = tmp_path / "mine"
    source.mkdir()
    torch.save(small_networks["normwear_encoder"]().state_dict(), source / normwear.ENCODER.file)
    torch.save(small_networks["normwear_head"]().state_dict(), source / normwear.HEAD.file)
    with pytest.raises(OSError, match="text model muzammil-eds/tinyllama.*licence .*put its folder at") as caught:
        load_system("normwear", str(source))
    assert str(tmp_path / "weights" / "normwear" / "tinyllama-2.5T-Clinical-v2") in str(caught.value)
    with pytest.raises(OSError, match="text model"):  # one of the files names the folder of both
        load_system("normwear", str(source / normwear.ENCODER.file))
    for folder in (tmp_path / "weights" / "normwear", source):
        model = write_text_model(folder / "tinyllama-2.5T-Clinical-v2")
        found = load_system("normwear", str(source)).encode_text(["the person walks", "walks"])
        with torch.inference_mode():
            states = [model(torch.tensor([tokens])).last_hidden_state[0].mean(0).numpy() for tokens in ([1, 2, 3], [3])]
        np.testing.assert_allclose(found, states, atol=1e-6)
        assert placed.pop() == "text model"


def test_batches_keep_order_whatever_the_shapes():
    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=(length,)) for length in (3, 5, 3, 4, 5, 3)]
    found = run_batches(lambda x: torch.stack([x.sum(1), x[:, 0]], 1), inputs, torch.device("cpu"), 2)
    np.testing.assert_allclose(found, [[value.sum(), value[0]] for value in inputs], rtol=1e-5)


def test_placements_are_averaged_as_directions():
    found = mean_of_parts(np.array([[3.0, 0], [0, 5], [0, -2]]), [0, 0, 1])
    np.testing.assert_allclose(found, [[0.5**0.5, 0.5**0.5], [0, -1]])
