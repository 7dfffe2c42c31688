"""Text tokenizer with one token per motion code: `<imu_bos> <imu_0000> ... <imu_eos>` (paper §3.3)."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from .saved_code import add_code, push_saved
from .strict_loading import loading

IMU_BOS, IMU_EOS, FIRST_CODE = "<imu_bos>", "<imu_eos>", "<imu_0000>"
CHAT_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")

# ChatML as the language model is trained on it: no line of its own before the first message
CHAT_TEMPLATE = """\
{%- for message in messages %}
{{- '<|im_start|>' + message['role'] + '\\n' }}
{%- if message['role'] == 'assistant' %}
{%- generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}
{%- else %}
{{- message['content'] + '<|im_end|>' }}
{%- endif %}
{{- '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{% endif %}"""


def code_token(code: int) -> str:
    """Token text of a code; code ids count over all books (`code + codebook_size * book`)."""
    return f"<imu_{code:04d}>"


class AnyMoTokenizer(PreTrainedTokenizerFast):
    """Byte-level text tokenizer that also knows the motion codes.

    Code tokens have consecutive ids, so that token id = `imu_token_offset` + code. They are special tokens:
    `skip_special_tokens=True` leaves them out when decoding.
    """

    model_input_names = ["input_ids", "attention_mask"]

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, *args, **kwargs):
        """As `PreTrainedTokenizerFast.from_pretrained`; ValueError or OSError that names the folder where it is damaged."""
        with loading(pretrained_model_name_or_path):
            made = super().from_pretrained(pretrained_model_name_or_path, *args, **kwargs)
            _check_sizes(made, pretrained_model_name_or_path)
            return made

    def save_pretrained(self, save_directory, *args, push_to_hub: bool = False, **kwargs) -> tuple[str, ...]:
        """As `PreTrainedTokenizerFast.save_pretrained`, with the code that loads it elsewhere; so has an upload."""
        written = super().save_pretrained(save_directory, *args, **kwargs)
        add_code(save_directory, "tokenizer_config.json")
        if push_to_hub:
            push_saved(self, save_directory, kwargs)
        return written

    def _id_of(self, token: str) -> int:
        index = self.backend_tokenizer.token_to_id(token)
        if index is None:
            raise ValueError(f"the tokenizer has no token {token!r}; build it with AnyMoTokenizer.from_text_tokenizer")
        return index

    @property
    def imu_bos_token_id(self) -> int:
        """Id of the token before a code sequence."""
        return self._id_of(IMU_BOS)

    @property
    def imu_eos_token_id(self) -> int:
        """Id of the token after a code sequence."""
        return self._id_of(IMU_EOS)

    @property
    def imu_token_offset(self) -> int:
        """Id of code 0."""
        return self._id_of(FIRST_CODE)

    @property
    def num_codes(self) -> int:
        """How many code tokens there are, over all books."""
        return self.imu_eos_token_id - self.imu_token_offset

    @classmethod
    def _wrap(cls, backend: Tokenizer, num_codes: int, eos: str, pad: str) -> AnyMoTokenizer:
        if not 1 <= num_codes <= 10_000_000:
            raise ValueError(f"num_codes must be positive (codebooks x codebook size), got {num_codes}")
        names = [IMU_BOS, *(code_token(code) for code in range(num_codes)), IMU_EOS]
        taken = [name for name in names if backend.token_to_id(name) is not None]
        if taken:
            raise ValueError(f"the text tokenizer already has {len(taken)} motion tokens, the first is {taken[0]!r}")
        backend.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in names])
        return cls(
            tokenizer_object=backend, eos_token=eos, pad_token=pad, padding_side="left", chat_template=CHAT_TEMPLATE
        )

    @classmethod
    def from_text_tokenizer(cls, tokenizer: PreTrainedTokenizerBase, num_codes: int) -> AnyMoTokenizer:
        """Adds the motion tokens after the last token of a fast tokenizer.

        Args:
            tokenizer: a fast text tokenizer; ChatML tokens it lacks are added.
            num_codes: codebooks x codebook size, 4096 in the paper.
        """
        if not getattr(tokenizer, "is_fast", False):
            raise ValueError(f"from_text_tokenizer needs a fast tokenizer, got {type(tokenizer).__name__}")
        backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        missing = [token for token in CHAT_TOKENS if backend.token_to_id(token) is None]
        backend.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in missing])
        return cls._wrap(backend, num_codes, CHAT_TOKENS[2], tokenizer.pad_token or CHAT_TOKENS[0])

    @classmethod
    def train_from_texts(cls, texts: Iterable[str], vocab_size: int, num_codes: int) -> AnyMoTokenizer:
        """Trains byte-level BPE on `texts` and adds the motion tokens.

        Args:
            texts: training sentences.
            vocab_size: text tokens, ChatML tokens included, motion tokens not; at least 259.
            num_codes: codebooks x codebook size.
        """
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        smallest = len(alphabet) + len(CHAT_TOKENS)
        if vocab_size < smallest:
            raise ValueError(f"vocab_size must be at least {smallest} (all bytes and ChatML tokens), got {vocab_size}")
        backend = Tokenizer(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=list(CHAT_TOKENS),
            initial_alphabet=sorted(alphabet),
            show_progress=False,
        )
        backend.train_from_iterator(texts, trainer)
        return cls._wrap(backend, num_codes, CHAT_TOKENS[2], CHAT_TOKENS[0])


def _check_sizes(tokenizer: AnyMoTokenizer, source) -> None:
    """ValueError for a length that is no number, or token ids that no vocabulary of this size has."""
    longest = tokenizer.model_max_length
    if isinstance(longest, bool) or not isinstance(longest, int | float):
        raise ValueError(
            f"{source}: model_max_length in tokenizer_config.json must be a number, got {longest!r}; "
            "copy the file again"
        )
    vocabulary = tokenizer.get_vocab()
    largest = max(vocabulary.values(), default=0)
    if largest > 2 * len(vocabulary):
        raise ValueError(
            f"{source}: tokenizer.json has a token of id {largest} where there are {len(vocabulary)}; copy the file again"
        )
