"""Sentence vectors: how they are made, their cache, and what happens without the package."""

import numpy as np
import pytest
import torch

from anymo_hf.training import sentence_vectors
from anymo_hf.training.sentence_vectors import cache_file, cached_vectors, embed_sentences


def test_a_missing_package_is_named_with_the_mend(monkeypatch, tmp_path):
    monkeypatch.setattr(sentence_vectors, "PACKAGE", "no_such_package")
    with pytest.raises(OSError, match=r"no_such_package.*pip install.*teacher_weight"):
        cached_vectors(["walking"], tmp_path)


@pytest.fixture(scope="module")
def small_bert(tmp_path_factory):
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("teacher")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "person", "walks", "sits"]
    BertTokenizerFast(vocab={word: i for i, word in enumerate(words)}).save_pretrained(folder)
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    BertModel(BertConfig(vocab_size=len(words), **shape)).save_pretrained(folder)
    return folder


def test_sentences_are_the_mean_of_hidden_states_in_their_order(small_bert):
    from transformers import BertModel, BertTokenizerFast

    texts = ["a person walks", "sits", "a person sits a person walks"]
    vectors = embed_sentences(small_bert, texts)
    tokenizer, model = BertTokenizerFast.from_pretrained(small_bert), BertModel.from_pretrained(small_bert).eval()
    for text, vector in zip(texts, vectors, strict=True):
        with torch.no_grad():  # alone, so without padding
            mean = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0)
        torch.testing.assert_close(vector, mean / mean.norm(), rtol=1e-4, atol=1e-5)


def test_vectors_are_kept_per_list_of_texts(small_bert, monkeypatch, tmp_path):
    monkeypatch.setattr(sentence_vectors, "encoder_folder", lambda: small_bert)
    cache = tmp_path / "cache"
    first = cached_vectors(["a", "sits"], cache)
    assert list(cache.iterdir()) == [cache_file(["a", "sits"], cache)]
    np.testing.assert_array_equal(np.load(cache_file(["a", "sits"], cache)), first.numpy())
    monkeypatch.setattr(sentence_vectors, "encoder_folder", None)  # a second call must not compute
    torch.testing.assert_close(cached_vectors(["a", "sits"], cache), first, rtol=0, atol=0)
    with pytest.raises(TypeError):
        cached_vectors(["sits", "a"], cache)
