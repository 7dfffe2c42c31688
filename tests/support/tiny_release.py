"""One tiny model with random weights for all tests: every part of a release, in a second; and a shallower tokenizer.

`tests/conftest.py` offers it as the session fixtures `tiny_parts` (in memory) and `tiny_release` (as a folder). Neither
may be changed by a test; a test that changes weights makes its own by `make_tiny_parts`.
"""

from pathlib import Path

import torch

from anymo_hf.modeling.configuration_anymo import AnyMoConfig, AnyMoPQVAEConfig, AnyMoSTGCNConfig
from anymo_hf.modeling.feature_extraction_anymo import AnyMoFeatureExtractor
from anymo_hf.modeling.modeling_anymo import AnyMoForConditionalGeneration
from anymo_hf.modeling.modeling_pqvae import AnyMoPQVAEModel
from anymo_hf.modeling.modeling_stgcn import AnyMoSTGCNModel
from anymo_hf.modeling.processing_anymo import AnyMoProcessor
from anymo_hf.modeling.release import save_release
from anymo_hf.modeling.tokenization_anymo import AnyMoTokenizer

TEXTS = ["a person walks up the stairs", "someone sits on a chair", "left forearm, head and right upper leg"] * 5


def make_tiny_parts(layers: int = 2, positions: int = 1024, encoder: dict | None = None, **changes):
    """A model for generation in evaluation mode and the processor of the same codebook.

    Args:
        layers: decoder layers of the language model.
        positions: longest sequence of the language model.
        encoder: fields of `AnyMoSTGCNConfig` that differ from preset `nano`.
        changes: other fields of `AnyMoConfig`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        pqvae = AnyMoPQVAEConfig(input_dim=48, bottleneck_dim=8, codebook_size=16, decoder_dim=16)
        tokenizer = AnyMoTokenizer.train_from_texts(TEXTS, vocab_size=400, num_codes=32)
        text = {
            "model_type": "qwen2", "vocab_size": len(tokenizer), "hidden_size": 32, "intermediate_size": 48,
            "num_hidden_layers": layers, "num_attention_heads": 4, "num_key_value_heads": 2,
            "max_position_embeddings": positions, "tie_word_embeddings": False,
        }  # fmt: skip
        settings = {
            "pqvae_config": pqvae, "text_config": text, "pooler_latents": 4, "projection_dim": 24,
            "projector_hidden": 16, "imu_token_offset": tokenizer.imu_token_offset,
            "imu_bos_token_id": tokenizer.imu_bos_token_id, "imu_eos_token_id": tokenizer.imu_eos_token_id,
        }  # fmt: skip
        config = AnyMoConfig.from_preset("nano", **(settings | changes))
        stgcn = AnyMoSTGCNModel(AnyMoSTGCNConfig.from_preset("nano", **(encoder or {})))
        extractor = AnyMoFeatureExtractor(stgcn, AnyMoPQVAEModel(pqvae))
        model = AnyMoForConditionalGeneration(config)
        model.set_codebook(extractor.pqvae)
        model.init_code_head()
    return model.eval(), AnyMoProcessor(extractor, tokenizer)


def make_shallow_tokenizer(
    wrist: str = "forearm",
    channels: tuple[int, ...] = (8, 8, 16, 16),
    strides: tuple[int, ...] = (1, 2, 1, 2),
    signal_channels: tuple[int, ...] = (),
) -> AnyMoFeatureExtractor:
    """A feature extractor of few layers with dropout: for exports, which trace every layer of an encoder."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = AnyMoSTGCNConfig(
            channels=[*channels], strides=[*strides], dropout=0.1, signal_channels=[*signal_channels]
        )
        encoder = AnyMoSTGCNModel(config)
        pqvae = AnyMoPQVAEModel(
            AnyMoPQVAEConfig(input_dim=config.latent_dim, bottleneck_dim=12, codebook_size=64, decoder_dim=8)
        )
    return AnyMoFeatureExtractor(encoder, pqvae, wrist=wrist)


def write_tiny_release(folder: Path, **options) -> str:
    """A release folder of `make_tiny_parts(**options)`; gives its path."""
    return str(save_release(folder, *make_tiny_parts(**options)))
