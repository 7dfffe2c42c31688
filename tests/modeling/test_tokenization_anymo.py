"""AnyMoTokenizer: code ids, training, extension of a text tokenizer, saving."""

import json

import pytest
from transformers import PreTrainedTokenizerFast

from anymo_hf.modeling.tokenization_anymo import AnyMoTokenizer, code_token

TEXTS = ["a person is walking", "a person is sitting down", "walking up the stairs"] * 4


@pytest.fixture(scope="module")
def tokenizer():
    return AnyMoTokenizer.train_from_texts(TEXTS, vocab_size=300, num_codes=24)


def test_code_ids_are_consecutive_and_between_their_marks(tokenizer):
    offset = tokenizer.imu_token_offset
    assert tokenizer.convert_tokens_to_ids([code_token(i) for i in range(24)]) == list(range(offset, offset + 24))
    assert (tokenizer.imu_bos_token_id, tokenizer.imu_eos_token_id) == (offset - 1, offset + 24)
    assert tokenizer.num_codes == 24 and len(tokenizer) == offset + 25


@pytest.mark.parametrize("text", ["a person is walking", "Ünïcödé 体 ?!", " two  spaces"])
def test_any_text_round_trips_and_codes_are_skipped(tokenizer, text):
    ids = tokenizer(text + "<imu_0003>")["input_ids"]
    assert ids[-1] == tokenizer.imu_token_offset + 3
    assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_save_and_load_give_the_same_ids(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    again = AnyMoTokenizer.from_pretrained(tmp_path)
    text = "<|im_start|>walking<imu_bos><imu_0023><imu_eos> up<|im_end|>"
    assert again(text)["input_ids"] == tokenizer(text)["input_ids"]
    assert again.get_vocab() == tokenizer.get_vocab()
    assert (again.eos_token, again.pad_token) == ("<|im_end|>", "<|endoftext|>")


def test_extending_a_text_tokenizer_keeps_its_ids(tokenizer):
    text = PreTrainedTokenizerFast(tokenizer_object=AnyMoTokenizer.train_from_texts(TEXTS, 280, 1).backend_tokenizer)
    with pytest.raises(ValueError, match="<imu_bos>"):
        AnyMoTokenizer.from_text_tokenizer(text, 4)
    from tokenizers import Tokenizer, models, pre_tokenizers

    plain = Tokenizer(models.WordLevel({"walking": 0, "?": 1}, unk_token="?"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    extended = AnyMoTokenizer.from_text_tokenizer(PreTrainedTokenizerFast(tokenizer_object=plain), 4)
    assert extended("walking")["input_ids"] == [0]
    assert extended.imu_token_offset == 2 + 3 + 1 and len(extended) == 2 + 3 + 6


@pytest.mark.parametrize("arguments", [(300, 0), (100, 4)])
def test_impossible_sizes_are_refused(arguments):
    with pytest.raises(ValueError, match="num_codes|vocab_size"):
        AnyMoTokenizer.train_from_texts(TEXTS, *arguments)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "tokenizer_config.json",
            lambda file: file | {"model_max_length": "512"},
            "model_max_length .* must be a number",
        ),
        (
            "tokenizer_config.json",
            lambda file: file | {"model_max_length": True},
            "model_max_length .* must be a number",
        ),
        ("tokenizer.json", lambda file: _with_an_id(file, 2**31), "token of id 2147483648"),
    ],
)
def test_spoiled_sizes_are_refused(tokenizer, tmp_path, name, change, message):
    tokenizer.save_pretrained(tmp_path)
    file = json.loads((tmp_path / name).read_text())
    (tmp_path / name).write_text(json.dumps(change(file)))
    with pytest.raises(ValueError, match=message) as error:
        AnyMoTokenizer.from_pretrained(tmp_path)("a person walks")
    assert str(tmp_path) in str(error.value) and "again" in str(error.value)


def _with_an_id(file, number):
    words = file["model"]["vocab"]
    words[next(iter(words))] = number
    return file


def test_a_panic_of_the_library_is_a_sentence(tokenizer, tmp_path):
    """A prefix longer than a token that it should begin: the compiled code ends in what is no Exception in Python."""
    tokenizer.save_pretrained(tmp_path)
    path = tmp_path / "tokenizer.json"
    file = json.loads(path.read_text())
    assert file["model"]["merges"]
    file["model"]["continuing_subword_prefix"] = "a" * 100
    path.write_text(json.dumps(file))
    with pytest.raises(ValueError, match=f"{tmp_path}: its files do not fit each other or are damaged .*again"):
        AnyMoTokenizer.from_pretrained(tmp_path)
