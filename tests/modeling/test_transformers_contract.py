"""What transformers' common tests ask of a model, in short and written here: their own files are in no package.

`tests/support/transformers_mixins.py` runs the originals where their source is; `results/transformers_contract.json` counts.
"""

import inspect

import pytest
import torch
from support.tiny_release import make_tiny_parts

from anymo_hf.modeling.modeling_anymo import AnyMoForConditionalGeneration, AnyMoForSequenceClassification, AnyMoModel
from anymo_hf.modeling.modeling_imu_tokenizer import AnyMoIMUTokenizerModel
from anymo_hf.modeling.modeling_pqvae import AnyMoPQVAEModel
from anymo_hf.modeling.modeling_stgcn import AnyMoSTGCNForPreTraining, AnyMoSTGCNModel

NAMES = ["embed", "write", "classify", "windows", "encoder", "pretraining", "quantizer", "tokenizer"]
LAYERS = dict(embed=3, write=3, classify=3, windows=3, encoder=11, pretraining=11, quantizer=4, tokenizer=11)


@pytest.fixture(scope="module")
def cases():
    """name -> model in evaluation mode, and inputs."""
    whole, _ = make_tiny_parts()
    torch.manual_seed(0)
    config, code = whole.config, whole.config.imu_token_offset
    ids = torch.tensor([[5, code, code + 20, 7], [6, code + 3, code + 17, 8]])
    imu, nodes = torch.randn(2, 60, 23, 6), torch.arange(23)[None].expand(2, -1) < 3
    windows = type(config).from_dict(config.to_dict() | {"classifier_input": "imu"})
    views = {"imu_a": imu, "imu_b": imu.flip(1), "visible_a": nodes, "visible_b": nodes}
    worn = {"imu": imu, "node_mask": nodes}
    found = {
        "embed": (AnyMoModel(config), {"imu_input_ids": ids, "input_ids": ids}),
        "write": (AnyMoForConditionalGeneration(config), {"input_ids": ids}),
        "classify": (AnyMoForSequenceClassification(config), {"imu_input_ids": ids}),
        "windows": (AnyMoForSequenceClassification(windows), worn),
        "encoder": (AnyMoSTGCNModel(config.stgcn_config), worn),
        "pretraining": (AnyMoSTGCNForPreTraining(config.stgcn_config), views),
        "quantizer": (AnyMoPQVAEModel(config.pqvae_config), {"latents": torch.randn(2, 15, 48)}),
        "tokenizer": (AnyMoIMUTokenizerModel(config.imu_tokenizer_config()), worn),
    }
    return {name: (model.eval(), inputs) for name, (model, inputs) in found.items()}


@pytest.mark.parametrize("name", NAMES)
def test_a_tuple_holds_what_the_output_holds(name, cases):
    model, inputs = cases[name]
    with torch.no_grad():
        named, plain = model(**inputs).to_tuple(), model(**inputs, return_dict=False)
    assert isinstance(plain, tuple) and len(plain) == len(named)
    for one, other in zip(named, plain, strict=True):
        if isinstance(one, torch.Tensor):
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize("name", NAMES)
def test_hidden_states_are_those_of_every_layer_and_take_gradients(name, cases):
    model, inputs = cases[name]
    assert getattr(model(**inputs), "hidden_states", None) is None
    out = model(**inputs, output_hidden_states=True)
    assert len(out.hidden_states) == LAYERS[name]
    out.hidden_states[0].retain_grad()
    next(value for value in out.to_tuple() if isinstance(value, torch.Tensor)).sum().backward()
    assert out.hidden_states[0].grad is not None
    model.zero_grad()


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_argument_is_refused(name, cases):
    model, inputs = cases[name]
    with pytest.raises(TypeError, match="no_such_argument"):
        model(**inputs, no_such_argument=1)


@pytest.mark.parametrize("name", NAMES)
def test_the_main_input_is_the_first_argument(name, cases):
    kind = type(cases[name][0])
    assert list(inspect.signature(kind.forward).parameters)[1] == kind.main_input_name
    assert kind.accepts_loss_kwargs == (name == "write")


@pytest.mark.parametrize("name", ["embed", "write", "classify"])
def test_eager_attention_is_told(name, cases):
    model, inputs = cases[name]
    model.set_attn_implementation("eager")
    with torch.no_grad():
        found = model(**inputs, output_attentions=True).attentions
    assert len(found) == 2 and found[0].shape == (2, 4, 4, 4)
    torch.testing.assert_close(found[0].sum(-1), torch.ones(2, 4, 4))
    model.set_attn_implementation("sdpa")


def test_features_are_outputs_with_states(cases):
    model, inputs = cases["embed"]
    for out in (model.get_imu_features(inputs["imu_input_ids"]), model.get_text_features(inputs["input_ids"])):
        assert out.last_hidden_state.shape == (2, 4, 32) and out.pooler_output.shape == (2, 24)
    assert isinstance(model.get_text_features(inputs["input_ids"], return_dict=False), tuple)
    assert cases["write"][0].base_model is not cases["write"][0]


@pytest.mark.parametrize("name", ["classify", "windows"])
def test_every_problem_type_has_its_loss(name, cases):
    model, inputs = cases[name]
    config = type(model.config).from_dict(model.config.to_dict() | {"num_labels": 2})
    torch.manual_seed(0)
    losses = {
        "single_label_classification": (torch.tensor([0, 1]), torch.nn.functional.cross_entropy),
        "multi_label_classification": (torch.eye(2), torch.nn.functional.binary_cross_entropy_with_logits),
        "regression": (torch.rand(2, 2), torch.nn.functional.mse_loss),
    }
    for problem, (labels, loss) in losses.items():
        config.problem_type = problem
        out = type(model)(config).eval()(**inputs, labels=labels)
        torch.testing.assert_close(out.loss, loss(out.logits, labels))
