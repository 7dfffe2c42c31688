"""transformers' own common model tests for our classes, where the source of transformers lies (no package holds them).

In a folder with transformers' `tests/` (of its source archive; the generation and export mixins may be empty classes):

    PYTHONPATH=ANYMO/src:. python -m pytest ANYMO/tests/support/transformers_mixins.py --junitxml=after.xml
    python ANYMO/tests/support/contract_counts.py before.xml after.xml ANYMO/results/transformers_contract.json
"""

import unittest

import torch
from tests.test_modeling_common import ModelTesterMixin
from transformers import Qwen2Config

from anymo_hf.modeling.configuration_anymo import AnyMoConfig, AnyMoPQVAEConfig, AnyMoSTGCNConfig
from anymo_hf.modeling.modeling_anymo import AnyMoForConditionalGeneration, AnyMoForSequenceClassification, AnyMoModel
from anymo_hf.modeling.modeling_pqvae import AnyMoPQVAEModel
from anymo_hf.modeling.modeling_stgcn import AnyMoSTGCNForPreTraining, AnyMoSTGCNModel


class Base:
    is_training = True
    batch_size = 7
    seq_length = 7
    hidden_size = 16
    num_hidden_layers = 2
    num_attention_heads = 4
    vocab_size = 58
    num_labels = 3

    def __init__(self, parent):
        self.parent = parent

    def get_config(self):
        return AnyMoConfig(
            stgcn_config=AnyMoSTGCNConfig(
                channels=[4] * 9 + [8], predictor_layers=1, predictor_heads=2, predictor_mlp_dim=8, dropout=0.0
            ),
            pqvae_config=AnyMoPQVAEConfig(input_dim=8, bottleneck_dim=8, codebook_size=8, decoder_dim=8),
            text_config=Qwen2Config(
                vocab_size=58,
                hidden_size=16,
                intermediate_size=24,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=2,
                max_position_embeddings=128,
                tie_word_embeddings=False,
                pad_token_id=0,
                eos_token_id=2,
            ),
            pooler_latents=4,
            pooler_heads=4,
            projection_dim=12,
            projector_hidden=10,
            imu_token_offset=40,
        )

    def ids(self):
        ids = torch.randint(3, 30, (7, 7))
        codes = ids.clone()
        codes[:, 2:5] = torch.randint(40, 56, (7, 3))
        return ids, codes


class BothTester(Base):
    def prepare_config_and_inputs_for_common(self):
        ids, codes = self.ids()
        return self.get_config(), {
            "imu_input_ids": codes,
            "imu_attention_mask": torch.ones_like(codes),
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
        }


class CausalTester(Base):
    def prepare_config_and_inputs_for_common(self):
        ids, codes = self.ids()
        return self.get_config(), {"input_ids": codes, "attention_mask": torch.ones_like(codes)}


class ClassTester(Base):
    def prepare_config_and_inputs_for_common(self):
        ids, codes = self.ids()
        return self.get_config(), {"imu_input_ids": codes, "imu_attention_mask": torch.ones_like(codes)}


class EncTester(Base):
    seq_length = 23
    hidden_size = 6
    num_hidden_layers = 10

    def get_config(self):
        return AnyMoSTGCNConfig(
            channels=[4] * 9 + [8], predictor_layers=1, predictor_heads=2, predictor_mlp_dim=8, dropout=0.0
        )

    def prepare_config_and_inputs_for_common(self):
        return self.get_config(), {"imu": torch.randn(7, 24, 23, 6), "node_mask": torch.rand(7, 23).argsort(-1) < 3}


class PreTester(EncTester):
    def prepare_config_and_inputs_for_common(self):
        m = torch.rand(7, 23).argsort(-1) < 3
        return self.get_config(), {
            "imu_a": torch.randn(7, 24, 23, 6),
            "imu_b": torch.randn(7, 24, 23, 6),
            "visible_a": m,
            "visible_b": m,
        }


class VaeTester(Base):
    hidden_size = 8
    expected_num_hidden_layers = 4

    def get_config(self):
        return AnyMoPQVAEConfig(input_dim=8, bottleneck_dim=8, codebook_size=8, decoder_dim=8)

    def prepare_config_and_inputs_for_common(self):
        return self.get_config(), {"latents": torch.randn(7, 7, 8)}


class Common(ModelTesterMixin):
    maker = None

    def setUp(self):
        self.model_tester = self.maker(self)

    def _prepare_for_class(self, inputs_dict, model_class, return_labels=False):
        inputs = super()._prepare_for_class(inputs_dict, model_class, return_labels)
        if return_labels and model_class is AnyMoModel:
            inputs["return_loss"] = True
        if return_labels and model_class is AnyMoForConditionalGeneration:
            inputs["labels"] = inputs["input_ids"]
        if return_labels and model_class is AnyMoForSequenceClassification:
            inputs["labels"] = torch.zeros(7, dtype=torch.long)
        return inputs


class AnyMoModelTest(Common, unittest.TestCase):
    maker = BothTester
    all_model_classes = (AnyMoModel,)
    _is_composite = True
    test_all_params_have_gradient = False

    def _text_features_get_expected_num_hidden_states(self, m=None):
        return 3

    def _text_features_get_expected_num_attentions(self, m=None):
        return 2


class CausalTest(Common, unittest.TestCase):
    maker = CausalTester
    all_model_classes = (AnyMoForConditionalGeneration,)
    _is_composite = True
    test_all_params_have_gradient = False

    def _text_features_get_expected_num_hidden_states(self, m=None):
        return 3

    def _text_features_get_expected_num_attentions(self, m=None):
        return 2


class ClassTest(Common, unittest.TestCase):
    maker = ClassTester
    all_model_classes = (AnyMoForSequenceClassification,)
    _is_composite = True
    test_all_params_have_gradient = False

    def _text_features_prepare_config_and_inputs(self):
        c, i = BothTester(self).prepare_config_and_inputs_for_common()
        return c, {k: i[k] for k in ("input_ids", "attention_mask")}

    def _text_features_get_expected_num_hidden_states(self, m=None):
        return 3

    def _text_features_get_expected_num_attentions(self, m=None):
        return 2


class EncoderTest(Common, unittest.TestCase):
    maker = EncTester
    all_model_classes = (AnyMoSTGCNModel,)
    has_attentions = False
    test_resize_embeddings = False


class PreTrainTest(Common, unittest.TestCase):
    maker = PreTester
    all_model_classes = (AnyMoSTGCNForPreTraining,)
    has_attentions = False
    test_resize_embeddings = False


class VaeTest(Common, unittest.TestCase):
    maker = VaeTester
    all_model_classes = (AnyMoPQVAEModel,)
    has_attentions = False
    test_resize_embeddings = False
