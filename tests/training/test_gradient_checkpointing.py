"""Running layers again for their gradients changes nothing but the memory, with dropout and GradCache too."""

import pytest
import torch
from torch import nn

from anymo_hf.modeling.configuration_anymo import AnyMoConfig, AnyMoPQVAEConfig
from anymo_hf.modeling.modeling_anymo import AnyMoForConditionalGeneration
from anymo_hf.training.grad_cache import cached_backward
from anymo_hf.training.language_model import prepare_model
from anymo_hf.training.losses.matched_contrast import matched_contrastive_loss
from anymo_hf.training.losses.next_token import token_loss
from anymo_hf.training.settings import ContrastiveSettings

ROWS, LENGTH, WORDS = 6, 11, 40


def network(accelerator, checkpointing):
    torch.manual_seed(0)
    config = AnyMoConfig.from_preset(
        "nano",
        pqvae_config=AnyMoPQVAEConfig.from_preset("nano", codebook_size=16),
        text_config={
            "vocab_size": WORDS + 34, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3,
            "num_attention_heads": 4, "num_key_value_heads": 2, "attention_dropout": 0.3,
        },
    )  # fmt: skip
    model = AnyMoForConditionalGeneration(config).double()
    model, _ = prepare_model(model, ContrastiveSettings(gradient_checkpointing=checkpointing), accelerator)
    return model.train()


def batch():
    torch.manual_seed(1)
    codes, words = torch.randint(WORDS + 1, WORDS + 33, (ROWS, LENGTH)), torch.randint(WORDS, (ROWS, LENGTH))
    return codes, words


def gradients(accelerator, checkpointing, chunk):
    """Of the contrastive and the token loss, with the bytes that the latter keeps for its backward pass."""
    model, (codes, words) = network(accelerator, checkpointing), batch()
    torch.manual_seed(2)
    groups = [
        [lambda method=method, rows=rows: method(rows).pooler_output for rows in ids.split(chunk)]
        for method, ids in ((model.get_imu_features, codes), (model.get_text_features, words))
    ]
    fits = torch.eye(ROWS, dtype=torch.bool)
    cached_backward(groups, lambda imu, text: matched_contrastive_loss(imu, text, fits, None, 0.1).double())
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.nbytes) or x, lambda x: x):
        ids = torch.cat([words, codes], 1)
        loss = token_loss(model, {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids}, accelerator)
    loss.backward()
    found = {name: value.grad for name, value in model.named_parameters()}
    assert all(value is not None for value in found.values())
    return found, sum(kept)


@pytest.mark.parametrize("chunk", [2, 4, ROWS])
def test_gradients_are_the_same_and_less_is_kept(accelerator, chunk):
    plain, much = gradients(accelerator, False, chunk)
    again, little = gradients(accelerator, True, chunk)
    assert little < 0.6 * much
    for name, value in plain.items():
        torch.testing.assert_close(again[name], value, rtol=1e-9, atol=1e-12, msg=lambda m, n=name: f"{n}: {m}")
    # dropout does fall, so the above is about random states too
    other, _ = gradients(accelerator, False, 3)
    assert (
        nn.utils.parameters_to_vector(other.values()).sub(nn.utils.parameters_to_vector(plain.values())).norm() > 1e-3
    )


def test_token_losses_of_chunks_add_up_to_that_of_the_batch(accelerator):
    model, (codes, words) = network(accelerator, False).eval(), batch()
    ids = torch.cat([words, codes], 1)
    labels = ids.masked_fill(torch.arange(ids.shape[1]) < torch.arange(ROWS)[:, None] + 3, -100)  # unequal numbers
    whole = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}
    wanted = token_loss(model, whole, accelerator)
    chunks = [{name: value[begin : begin + 4] for name, value in whole.items()} for begin in (0, 4)]
    found = sum(token_loss(model, chunk, accelerator, labels) for chunk in chunks)
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=0)
