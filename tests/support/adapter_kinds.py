"""Every kind of PEFT adapter on every part of AnyMo: what it changes before and after it is merged.

PYTHONPATH=src:tests python -m support.adapter_kinds results/peft_adapters.json
"""

import copy
import json
import sys
from pathlib import Path

import torch
from peft import IA3Config, LNTuningConfig, LoHaConfig, LoKrConfig, LoraConfig, OFTConfig, VeraConfig, get_peft_model

from anymo_hf.modeling.modeling_anymo import AnyMoForConditionalGeneration, AnyMoForSequenceClassification, AnyMoModel
from anymo_hf.modeling.modeling_imu_tokenizer import AnyMoIMUTokenizerModel
from anymo_hf.modeling.modeling_pqvae import AnyMoPQVAEModel
from anymo_hf.modeling.modeling_stgcn import AnyMoSTGCNForPreTraining

from .tiny_release import make_tiny_parts

ENCODER = r".*st_gcn_networks.*(gcn\.conv|tcn\.2|residual\.0)"
WORDS, CODE = [300, 301], 5  # ids of words in the prompts below, and a motion code of them

# name -> model, configuration
KINDS = {
    "LoRA on the language layers": ("embed", lambda: LoraConfig(target_modules=["q_proj", "down_proj"])),
    "DoRA on the language layers": ("embed", lambda: LoraConfig(target_modules=["q_proj"], use_dora=True)),
    "LoRA all-linear": ("embed", lambda: LoraConfig(target_modules="all-linear")),
    "LoRA all-linear, generation": ("write", lambda: LoraConfig(target_modules="all-linear", task_type="CAUSAL_LM")),
    "LoRA all-linear, classifier of windows": (
        "windows", lambda: LoraConfig(target_modules="all-linear", task_type="SEQ_CLS"),
    ),
    "LoRA on the word-and-code embedding": ("embed", lambda: LoraConfig(target_modules=["embed_tokens"])),
    "LoRA on the word-and-code embedding, generation": ("write", lambda: LoraConfig(target_modules=["embed_tokens"])),
    "LoRA on the head over words": ("write", lambda: LoraConfig(target_modules=["lm_head"])),
    "LoRA on the code projector": ("embed", lambda: LoraConfig(target_modules=r".*imu_projector\.[02]")),
    "LoRA on the poolers": ("embed", lambda: LoraConfig(target_modules=["out_proj", "gate", "up", "down"])),
    "LoRA on pooler parameters": (
        "embed", lambda: LoraConfig(target_modules=[], target_parameters=["imu_pooler.attn.in_proj_weight"]),
    ),
    "trainable_token_indices, words": (
        "embed", lambda: LoraConfig(target_modules=["q_proj"], trainable_token_indices={"embed_tokens": WORDS}),
    ),
    "modules_to_save, embedding": (
        "embed", lambda: LoraConfig(target_modules=["q_proj"], modules_to_save=["embed_tokens"]),
    ),
    "modules_to_save, code projector": (
        "embed", lambda: LoraConfig(target_modules=["q_proj"], modules_to_save=["imu_projector"]),
    ),
    "LoHa on the language layers": ("embed", lambda: LoHaConfig(target_modules=["q_proj"])),
    "LoKr on the language layers": ("embed", lambda: LoKrConfig(target_modules=["q_proj"])),
    "OFT on the language layers": ("embed", lambda: OFTConfig(target_modules=["q_proj"], r=2, oft_block_size=0)),
    "VeRA on the language layers": ("embed", lambda: VeraConfig(target_modules=["q_proj"], r=4)),
    "IA3 on the language layers": ("embed", lambda: IA3Config(target_modules=["k_proj"], feedforward_modules=[])),
    "LoRA on the encoder's convolutions": ("encoder", lambda: LoraConfig(target_modules=ENCODER)),
    "LoHa on the encoder's convolutions": ("encoder", lambda: LoHaConfig(target_modules=ENCODER)),
    "LoKr on the encoder's convolutions": ("encoder", lambda: LoKrConfig(target_modules=ENCODER)),
    "LoRA all-linear, predictor": ("encoder", lambda: LoraConfig(target_modules="all-linear")),
    "LoRA on the encoder of windows": (
        "windows", lambda: LoraConfig(target_modules=ENCODER, task_type="SEQ_CLS"),
    ),
    "LoRA on the IMU tokenizer": ("tokenizer", lambda: LoraConfig(target_modules=rf"({ENCODER}|pqvae\.pre_quant\.1)")),
    "LoRA on the quantizer": ("quantizer", lambda: LoraConfig(target_modules=["pre_quant.1", "in_proj", "out_proj"])),
    "LN tuning of the language layers": ("embed", lambda: LNTuningConfig(target_modules=["input_layernorm"])),
}  # fmt: skip
REFUSED = {
    "trainable_token_indices, motion codes": (
        "embed", lambda code: LoraConfig(target_modules=["q_proj"], trainable_token_indices={"embed_tokens": [code]}),
    ),
}  # fmt: skip


def make(which: str):
    """A tiny model in evaluation mode and a function that gives its output."""
    torch.manual_seed(0)
    whole, processor = make_tiny_parts()
    config = copy.deepcopy(whole.config)
    codes = [[3, 20, 7, 16, 3, 29], [1, 17, CODE, 22, 9, 30]]
    batch = processor(
        imu_codes=codes, imu_placements=[[11], [9]], text=["a person walks", "someone sits"], return_tensors="pt"
    )
    batch["input_ids"][0, 0], batch["input_ids"][1, 0] = WORDS
    batch["imu_input_ids"][:, 0] = torch.tensor(WORDS)
    generator = torch.Generator().manual_seed(1)
    imu = torch.randn(2, 80, 23, 6, generator=generator)
    nodes = torch.zeros(2, 23, dtype=torch.bool)
    nodes[:, [9, 11]] = True
    if which == "embed":
        model = AnyMoModel(config)
        model.load_state_dict(whole.state_dict())

        def read(model):
            out = model(**batch)
            return torch.cat([out.imu_embeds, out.text_embeds])
    elif which == "write":
        model = AnyMoForConditionalGeneration(config)
        model.load_state_dict(whole.state_dict())

        def read(model):
            return model(input_ids=batch["imu_input_ids"], attention_mask=batch["imu_attention_mask"]).logits
    elif which == "windows":
        config.classifier_input, config.num_labels = "imu", 3
        model = AnyMoForSequenceClassification(config)

        def read(model):
            return model(imu=imu, node_mask=nodes).logits
    elif which == "encoder":
        model = AnyMoSTGCNForPreTraining(config.stgcn_config)

        def read(model):
            return model(imu_a=imu, imu_b=imu.flip(1), visible_a=nodes, visible_b=nodes).logits
    elif which == "tokenizer":
        model = AnyMoIMUTokenizerModel(config.imu_tokenizer_config())

        def read(model):
            out = model(imu=imu, node_mask=nodes)
            # quantized equals the code vectors; what the codes are chosen by is the projection
            projected = getattr(model, "base_model", model).pqvae.project(out.last_hidden_state)
            return torch.cat([out.last_hidden_state.flatten(), projected.flatten()])
    else:
        model = AnyMoPQVAEModel(config.pqvae_config)
        latents = torch.randn(2, 20, config.pqvae_config.input_dim, generator=generator)

        def read(model):
            return model(latents=latents).reconstruction

    return model.eval(), read


@torch.no_grad()
def effect(name: str) -> dict:
    """Largest change of the output by a random adapter, and how far the merged model is from the adapted one."""
    which, config = KINDS[name]
    model, read = make(which)
    plain = read(model)
    adapted = get_peft_model(model, config()).eval()
    generator = torch.Generator().manual_seed(2)
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            noise = torch.randn(parameter.shape, generator=generator)
            parameter += 0.05 * noise * parameter.abs().mean().clamp(0.5, 2)
    before = read(adapted)
    after = read(adapted.merge_and_unload().eval())
    return {
        "effect before the merge": float((before - plain).abs().max()),
        "effect after the merge": float((after - plain).abs().max()),
        "before and after differ by": float((after - before).abs().max()),
    }


def main() -> None:
    """Writes the effects of all kinds."""
    found: dict = {name: effect(name) for name in KINDS}
    for name, (which, config) in REFUSED.items():
        model, read = make(which)
        adapted = get_peft_model(model, config(model.config.imu_token_offset + CODE))
        try:
            read(adapted)
            found[name] = "not refused"
        except ValueError as error:
            found[name] = f"refused: {error}"
    path = Path(sys.argv[1])
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    path.write_text(json.dumps(kept | {"after": found}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
