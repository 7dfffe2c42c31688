"""PEFT adapters on the language layers: they alone learn, and save, load and merge to the same outputs; int8 layers."""

import json

import pytest
import torch
from peft import (
    AutoPeftModelForCausalLM,
    AutoPeftModelForFeatureExtraction,
    AutoPeftModelForSequenceClassification,
    LoraConfig,
    PeftModel,
    get_peft_model,
)
from safetensors.torch import load_file
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification, Qwen2Config

import anymo_hf  # noqa: F401
from anymo_hf.modeling.configuration_anymo import AnyMoConfig, AnyMoPQVAEConfig, AnyMoSTGCNConfig
from anymo_hf.modeling.int8_anymo import AnyMoInt8Config, Int8Linear
from anymo_hf.modeling.modeling_anymo import AnyMoForConditionalGeneration

OFFSET, VOCAB = 40, 58
LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
IDS = torch.tensor([[1, OFFSET, OFFSET + 5], [1, OFFSET + 3, OFFSET + 9], [2, OFFSET + 7, OFFSET + 15]])
BATCHES = {
    "SEQ_CLS": {"imu_input_ids": IDS, "labels": torch.tensor([0, 2, 1])},
    "CAUSAL_LM": {"input_ids": IDS, "labels": IDS},
    "FEATURE_EXTRACTION": {"imu_input_ids": IDS, "input_ids": IDS[:, :1] + 5, "return_loss": True},
}
CLASSES = {
    "SEQ_CLS": (AutoModelForSequenceClassification, AutoPeftModelForSequenceClassification),
    "CAUSAL_LM": (AutoModelForCausalLM, AutoPeftModelForCausalLM),
    "FEATURE_EXTRACTION": (AutoModel, AutoPeftModelForFeatureExtraction),
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    text = Qwen2Config(
        vocab_size=VOCAB,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=False,
        initializer_range=0.1,
        eos_token_id=2,
        pad_token_id=0,
    )
    config = AnyMoConfig(
        stgcn_config=AnyMoSTGCNConfig.from_preset("nano"),
        pqvae_config=AnyMoPQVAEConfig(input_dim=8, bottleneck_dim=8, codebook_size=8, decoder_dim=8),
        text_config=text,
        pooler_latents=4,
        pooler_heads=4,
        projection_dim=12,
        projector_hidden=10,
        imu_token_offset=OFFSET,
    )
    folder = tmp_path_factory.mktemp("base")
    AnyMoForConditionalGeneration(config).save_pretrained(folder)
    return folder


def extra(task: str) -> dict:
    return {"num_labels": 3} if task == "SEQ_CLS" else {}


def adapted(task: str, checkpoint):
    torch.manual_seed(1)
    base = CLASSES[task][0].from_pretrained(checkpoint, **extra(task))
    kept = ["classifier"] if task == "SEQ_CLS" else None
    return get_peft_model(base, LoraConfig(task_type=task, r=4, target_modules=LAYERS, modules_to_save=kept))


@torch.no_grad()
def outputs(model, task: str) -> torch.Tensor:
    out = model.eval()(**BATCHES[task])
    return torch.cat([out.imu_embeds, out.text_embeds]) if task == "FEATURE_EXTRACTION" else out.logits


def train(model, task: str, steps: int = 4) -> list[float]:
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 1e-2)
    losses = []
    for _ in range(steps):
        loss = model.train()(**BATCHES[task]).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("task", CLASSES)
def test_adapters_alone_learn_and_save_load_and_merge_to_the_same_outputs(tmp_path, checkpoint, task):
    model = adapted(task, checkpoint)
    before, plain = {name: value.clone() for name, value in model.state_dict().items()}, outputs(model, task)
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert all("lora_" in name or "classifier.modules_to_save" in name for name in trainable)
    assert any("classifier.modules_to_save" in name for name in trainable) == (task == "SEQ_CLS")
    losses = train(model, task)
    assert losses[-1] < losses[0]
    grown = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert grown == trainable
    expected = outputs(model, task)
    assert (expected - plain).abs().max() > 1e-2

    model.save_pretrained(tmp_path / "adapter")
    size = (tmp_path / "adapter/adapter_model.safetensors").stat().st_size
    weights = sum(p.numel() for p in model.parameters() if p.requires_grad) * 4
    assert size < weights + 8_192
    fresh = CLASSES[task][0].from_pretrained(checkpoint, **extra(task))
    for again in (
        PeftModel.from_pretrained(fresh, tmp_path / "adapter"),
        CLASSES[task][1].from_pretrained(tmp_path / "adapter", **extra(task)),
    ):
        torch.testing.assert_close(outputs(again, task), expected, atol=1e-5, rtol=1e-5)
    merged = again.merge_and_unload()
    torch.testing.assert_close(outputs(merged, task), expected, atol=1e-5, rtol=1e-5)
    merged.save_pretrained(tmp_path / "merged")
    whole = CLASSES[task][0].from_pretrained(tmp_path / "merged")
    torch.testing.assert_close(outputs(whole, task), expected, atol=1e-5, rtol=1e-5)


def test_an_adapted_model_generates_as_the_merged_one(checkpoint):
    model = adapted("CAUSAL_LM", checkpoint)
    train(model, "CAUSAL_LM")
    settings = dict(input_ids=IDS, attention_mask=torch.ones_like(IDS), do_sample=False, max_new_tokens=6)
    ours = model.eval().generate(**settings).tolist()
    assert ours == model.merge_and_unload().eval().generate(**settings).tolist()


def test_adapted_models_keep_their_features(checkpoint):
    model = adapted("FEATURE_EXTRACTION", checkpoint)
    train(model, "FEATURE_EXTRACTION")
    out = model.eval()(**BATCHES["FEATURE_EXTRACTION"])
    torch.testing.assert_close(model.get_imu_features(IDS).pooler_output, out.imu_embeds)
    with model.disable_adapter():
        base = AutoModel.from_pretrained(checkpoint).eval()
        torch.testing.assert_close(model.get_imu_features(IDS).pooler_output, base.get_imu_features(IDS).pooler_output)


def test_gradients_reach_the_adapters_through_checkpointed_layers(checkpoint):
    grads = []
    for checkpointed in (False, True):
        model = adapted("SEQ_CLS", checkpoint)
        if checkpointed:
            model.gradient_checkpointing_enable({"use_reentrant": False})
            model.enable_input_require_grads()
        model.train()(**BATCHES["SEQ_CLS"]).loss.backward()
        grads.append({name: p.grad for name, p in model.named_parameters() if p.requires_grad})
    for name, grad in grads[0].items():
        torch.testing.assert_close(grads[1][name], grad, msg=name)


def test_int8_layers_equal_rounded_weights_and_inputs():
    torch.manual_seed(0)
    layer = torch.nn.Linear(24, 40).double()
    x = torch.randn(3, 5, 24)
    scale = layer.weight.abs().amax(1) / 127
    weight = (layer.weight / scale[:, None]).round() * scale[:, None]
    step = x.double().abs().amax(-1, keepdim=True) / 127
    expected = (x.double() / step).round() * step @ weight.t() + layer.bias
    ours = Int8Linear.from_linear(layer.float())
    assert ours.weight.dtype == torch.int8 and ours.weight.abs().amax(1).eq(127).all()
    torch.testing.assert_close(ours(x).double(), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours(x[0, 0]), ours(x)[0, 0])
    assert torch.equal(ours(torch.zeros(2, 24)), ours.bias.expand(2, -1))
    zero = Int8Linear.from_linear(
        torch.nn.Linear(4, 2, bias=False).requires_grad_(False).apply(lambda m: m.weight.zero_())
    )
    assert torch.equal(zero(torch.ones(1, 4)), torch.zeros(1, 2))


def test_int8_models_save_as_safetensors_and_load_without_an_argument(tmp_path, checkpoint):
    model = AutoModelForCausalLM.from_pretrained(checkpoint, quantization_config=AnyMoInt8Config()).eval()
    whole = AutoModelForCausalLM.from_pretrained(checkpoint).eval()
    rounded = {name for name, module in model.named_modules() if isinstance(module, Int8Linear)}
    assert len(rounded) == 2 * 7 and all(name.startswith("language_model.model.layers.") for name in rounded)
    assert torch.equal(model.get_output_embeddings().weight, whole.get_output_embeddings().weight)
    with torch.no_grad():
        expected, exact = model(input_ids=IDS).logits, whole(input_ids=IDS).logits
    assert 0 < (expected - exact).norm() < 0.05 * exact.norm()
    model.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["quantization_config"] == {"quant_method": "anymo_int8"}
    stored = load_file(tmp_path / "model.safetensors")
    assert all(stored[f"{name}.weight"].dtype == torch.int8 for name in rounded)
    for kind in (AutoModelForCausalLM, AutoModel, AutoModelForSequenceClassification):
        again = kind.from_pretrained(tmp_path).eval()
        assert sum(isinstance(module, Int8Linear) for module in again.modules()) == len(rounded)
        with torch.no_grad():
            torch.testing.assert_close(
                again.get_imu_features(IDS).pooler_output, model.get_imu_features(IDS).pooler_output
            )
    again = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    settings = dict(input_ids=IDS, attention_mask=torch.ones_like(IDS), do_sample=False, max_new_tokens=6)
    assert again.generate(**settings).tolist() == model.generate(**settings).tolist()
    with torch.no_grad():
        torch.testing.assert_close(again(input_ids=IDS).logits, expected)
    (tmp_path / "config.json").write_text(
        (tmp_path / "config.json").read_text().replace('"anymo_int8"', '"anymo_int8", "bits": 4')
    )
    with pytest.raises(ValueError, match="bits"):
        AutoModelForCausalLM.from_pretrained(tmp_path)
