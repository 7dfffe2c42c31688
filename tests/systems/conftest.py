"""Small networks with random weights in place of published ones; only tests have them."""

import json
import re
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from support.chat_server import Chat

from anymo_hf.annotation.language_client import Endpoint, LanguageClient
from anymo_hf.annotation.stage_cache import StageCache
from anymo_hf.systems.checkpoint import load_checkpoint
from anymo_hf.systems.clip_text import ClipTextTower
from anymo_hf.systems.comodo_student import COMODOStudent
from anymo_hf.systems.deep_conv_lstm import DeepConvLSTM, DeepConvLSTMBench, DeepConvLSTMSettings
from anymo_hf.systems.imagebind import ImageBind, ImageBindPadded, ImageBindTowers
from anymo_hf.systems.imu2clip import IMU2CLIP, IMU2CLIPEncoder, IMU2CLIPFixed
from anymo_hf.systems.interface import load_system
from anymo_hf.systems.language_model import HarGpt, LanguagePlot, LanguageSettings, LanguageText
from anymo_hf.systems.limu_bert import LimuBert, LimuBertFrozen
from anymo_hf.systems.mantis import (
    Mantis,
    Mantis8MFrozen,
    MantisTraining,
    MantisV2Bench,
    MantisV2FineTuned,
    MantisV2Frozen,
    MantisV2Scratch,
)
from anymo_hf.systems.normwear import NormWear, NormWearEncoder, NormWearMended, ZeroShotHead
from anymo_hf.systems.retrained import AnyMoSameBudget, VirtualForest, retrained_systems
from anymo_hf.systems.retrained_networks import AlignedNetwork
from anymo_hf.systems.unimts import GraphEncoder, UniMTS, UniMTSMended, UniMTSNetwork
from anymo_hf.systems.virtual_windows import VirtualBank

VOCABULARY = 60
CHECKPOINT = str(Path(__file__).parents[2] / "anymo")


def randomised(network, seed=0):
    """Every tensor random, running variances positive, tables such as masks as they are."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if value.is_floating_point() and not name.endswith(("mask", "scales", ".pe", ".A")):
                value.copy_(torch.randn(value.shape, generator=rng) * 0.3)
                if name.endswith("running_var"):
                    value.abs_().add_(0.5)
                if "log_logit_scale" in name:
                    value.fill_(1.0)
    return network.eval()


def tokens(texts):
    """`(n, 77)`: a number a letter, then the end token, the highest."""
    found = np.zeros((len(texts), 77), dtype=np.int64)
    for row, text in enumerate(texts):
        numbers = [VOCABULARY - 2, *(ord(letter) % (VOCABULARY - 2) for letter in text[:70]), VOCABULARY - 1]
        found[row, : len(numbers)] = numbers
    return found


def sentences(texts):
    """A vector of 20 for each text."""
    return np.stack([np.random.default_rng([ord(letter) for letter in text]).normal(size=20) for text in texts])


def small_text(dim=16):
    return randomised(ClipTextTower(16, 2, 2, VOCABULARY, 77, dim), 1)


def small_unimts():
    return randomised(UniMTSNetwork(GraphEncoder((4, 4, 4, 4, 8, 8, 8, 8, 8, 16)), small_text()))


def small_towers():
    return randomised(ImageBindTowers(16, 2, 2, 16, 2, 2, 12, VOCABULARY, 80))


def small_mantis(version=2):
    torch.manual_seed(3)
    return randomised(Mantis(version, 16, 3, 2, 8, 16, 32))


SMALL_ENCODERS = {
    "joint_graph": {"share": 1 / 16}, "convolution_gru": {"dim": 16}, "patch_transformer": {"width": 16, "layers": 1},
    "channel_transformer": {"dim": 16, "layers": 1, "hidden": 16}, "surface_graph": {},
}  # fmt: skip


def vectors(texts):
    """A unit vector of 384 for each text."""
    drawn = [np.random.default_rng([ord(letter) for letter in text]).normal(size=384) for text in texts]
    return torch.nn.functional.normalize(torch.tensor(np.array(drawn), dtype=torch.float32), dim=-1)


def small_retrained(kind):
    """One of table B with random weights."""
    if issubclass(kind, VirtualForest):
        bank = VirtualBank(40)
        bank.features = torch.randn(bank.features.shape, generator=torch.Generator().manual_seed(0)).half()
        bank.vectors = vectors([str(number) for number in range(40)]).half()
        return kind(bank, 5, 4, vectors=vectors)
    torch.manual_seed(5)
    objective = "queue" if kind.encoder == "channel_transformer" else "contrast"
    return kind(AlignedNetwork(kind.encoder, objective, encoder_options=SMALL_ENCODERS[kind.encoder]), 4, vectors)


SMALL = {
    **{name: lambda kind=kind: small_retrained(kind) for name, kind in retrained_systems().items()},
    "anymo_same_budget": lambda: AnyMoSameBudget(*load_checkpoint(CHECKPOINT)),
    "comodo_student": lambda: COMODOStudent(small_retrained(retrained_systems()["comodo_objective"]).network.encoder),
    "anymo": lambda: load_system("anymo", CHECKPOINT),
    "deep_conv_lstm": lambda: DeepConvLSTM(DeepConvLSTMSettings(presentations=48)),
    "deep_conv_lstm_bench": lambda: DeepConvLSTMBench(DeepConvLSTMSettings(presentations=48)),
    "unimts": lambda: UniMTS(small_unimts(), tokens),
    "imagebind": lambda: ImageBind(small_towers(), tokens),
    "imu2clip": lambda: IMU2CLIP(randomised(IMU2CLIPEncoder("released", 32, 16)), small_text(), tokens),
    "normwear": lambda: NormWear(
        randomised(NormWearEncoder(24, 2, 2)), randomised(ZeroShotHead(24, 20)), sentences
    ),
    "unimts_mended": lambda: UniMTSMended(small_unimts(), tokens, "mended"),
    "imagebind_padded": lambda: ImageBindPadded(small_towers(), tokens, "pad"),
    "imu2clip_fixed": lambda: IMU2CLIPFixed(randomised(IMU2CLIPEncoder("fixed", 32, 16)), small_text(), tokens),
    "normwear_mended": lambda: NormWearMended(
        randomised(NormWearEncoder(24, 2, 2)), randomised(ZeroShotHead(24, 20)), sentences, "mended"
    ),
    "mantis_v2": lambda: MantisV2Frozen(small_mantis()),
    "mantis_8m": lambda: Mantis8MFrozen(small_mantis(1)),
    "mantis_v2_finetuned": lambda: MantisV2FineTuned(small_mantis, MantisTraining(presentations=24, batch_size=8)),
    "mantis_v2_bench": lambda: MantisV2Bench(small_mantis, MantisTraining(presentations=24, batch_size=8)),
    "mantis_v2_scratch": lambda: MantisV2Scratch(small_mantis, MantisTraining(presentations=24, batch_size=8)),
    "limu_bert": lambda: LimuBertFrozen(randomised(LimuBert(8, 16, 2, 2, 120))),
}  # fmt: skip


def favourite(messages, times):
    """Two options by what they and the window say, whatever their order; without options a sentence."""
    content = messages[1]["content"]
    text = content if isinstance(content, str) else content[0]["image_url"]["url"] + content[1]["text"]
    signals = re.sub(r"Options:.*|\[[^\]]*[a-z][^\]]*\]", "", text, flags=re.S)

    def liking(label):
        return sha256((signals + label).encode()).hexdigest()

    if listed := re.search(r"following: \[(.*?)\]", text):
        return "Answer: " + min(listed[1].split(", "), key=liking)
    options = dict(re.findall(r"^([a-z]+)\) (.*)$", text, re.M))
    if not options:
        return "The person walks."
    return json.dumps({"ranking": sorted(options, key=lambda key: liking(options[key]))[:2]})


@pytest.fixture(scope="module")  # a whole session would leave the Hub open to the tests behind it
def small_system(tmp_path_factory):
    """Name -> the system at a size for tests; those that need nothing as they are."""
    languages = {"language_text": LanguageText, "language_plot": LanguagePlot, "hargpt": HarGpt}
    folder = tmp_path_factory.mktemp("replies")
    with pytest.MonkeyPatch.context() as patch, Chat(favourite) as server:
        patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        patch.setenv("NO_PROXY", "127.0.0.1")

        def make(name):
            if name in languages:
                cache = StageCache(folder / f"{name}-{len(list(folder.iterdir()))}.jsonl")
                return languages[name](LanguageSettings("m"), LanguageClient(Endpoint(server.url), cache))
            return SMALL[name]() if name in SMALL else load_system(name)

        yield make


@pytest.fixture(scope="session")
def small_networks():
    """Kind -> a maker of a small network, the same random weights each time."""
    return {
        "unimts": small_unimts,
        "clip_text": small_text,
        "imagebind": small_towers,
        "imu2clip": lambda: randomised(IMU2CLIPEncoder("released", 32, 16)),
        "normwear_encoder": lambda: randomised(NormWearEncoder(24, 2, 2)),
        "normwear_head": lambda: randomised(ZeroShotHead(24, 20)),
        "mantis_v2": small_mantis,
        "mantis_8m": lambda: small_mantis(1),
        "limu_bert": lambda: randomised(LimuBert(8, 16, 2, 2, 120)),
    }
