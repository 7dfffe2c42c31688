"""CLIP's text tower (Radford et al. 2021) under OpenAI's tensor names, and CLIP's byte-pair tokenizer."""

from __future__ import annotations

import gzip
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

VOCABULARY = "bpe_simple_vocab_16e6.txt.gz"
CONTEXT = 77  # tokens, start and end included
HUB_ID = "openai/clip-vit-base-patch32"  # MIT
_MERGES = 49152 - 256 - 2
_MEND = (
    f"CLIP's vocabulary is missing: put {VOCABULARY} (MIT, from github.com/openai/CLIP) beside the weights, or install "
    f"open-clip-torch, which carries it, or fetch {HUB_ID} from the Hub once"
)


class QuickGELU(nn.Module):
    """OpenAI's approximation, `x * sigmoid(1.702 x)`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As the class says, element by element."""
        return x * torch.sigmoid(1.702 * x)


class _Layers(nn.Module):
    """Named submodules, for the published names."""

    def __init__(self, **layers: nn.Module):
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)


class ResidualBlock(nn.Module):
    """Pre-norm attention and feed-forward block."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = _Layers(c_fc=nn.Linear(width, 4 * width), gelu=QuickGELU(), c_proj=nn.Linear(4 * width, width))

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """`x` `(batch, tokens, width)`, `mask` `(tokens, tokens)` added to the attention's logits."""
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False, attn_mask=mask)[0]
        mlp: Any = self.mlp
        return x + mlp.c_proj(mlp.gelu(mlp.c_fc(self.ln_2(x))))


class ClipTextTower(nn.Module):
    """Tokens to embeddings; the defaults are ViT-B/32's, 150 tensors of 63,428,097 values with `logit_scale`."""

    def __init__(
        self, width: int = 512, layers: int = 12, heads: int = 8, vocabulary: int = 49408, context: int = CONTEXT,
        dim: int = 512,
    ):  # fmt: skip
        super().__init__()
        self.positional_embedding = nn.Parameter(torch.randn(context, width) * 0.01)
        self.text_projection = nn.Parameter(torch.randn(width, dim) * width**-0.5)
        self.logit_scale = nn.Parameter(torch.tensor(float(np.log(1 / 0.07))))
        self.token_embedding = nn.Embedding(vocabulary, width)
        self.transformer = _Layers(resblocks=nn.ModuleList(ResidualBlock(width, heads) for _ in range(layers)))
        self.ln_final = nn.LayerNorm(width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """`tokens` `(batch, context)` -> `(batch, dim)`, read at the end token, which is the highest number."""
        tokens = tokens.long()
        x = self.token_embedding(tokens) + self.positional_embedding
        mask = causal_mask(tokens.shape[1], x)
        blocks: Any = self.transformer
        for block in blocks.resblocks:
            x = block(x, mask)
        x = self.ln_final(x)
        return x[torch.arange(len(x), device=x.device), tokens.argmax(1)] @ self.text_projection


def causal_mask(count: int, like: torch.Tensor) -> torch.Tensor:
    """`(count, count)`: minus infinity where a token would look ahead."""
    return torch.full((count, count), float("-inf"), device=like.device, dtype=like.dtype).triu(1)


class ClipTokenizer:
    """Texts to `(n, 77)` token numbers: start, words in lower case, end, then zeros; a longer text is cut.

    Args:
        merges: of the byte-pair encoding, best first.
        context: tokens of a row.
    """

    def __init__(self, merges: Sequence[tuple[str, str]], context: int = CONTEXT):
        from transformers import CLIPTokenizer

        letters = _byte_letters()
        tokens = [*letters, *(f"{letter}</w>" for letter in letters), *("".join(merge) for merge in merges)]
        numbers = {token: number for number, token in enumerate([*tokens, "<|startoftext|>", "<|endoftext|>"])}
        self.size, self.context = len(numbers), context
        self._encode = CLIPTokenizer(vocab=numbers, merges=list(merges))  # type: ignore[arg-type]

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Token numbers `(n, context)` int64."""
        found = np.zeros((len(texts), self.context), dtype=np.int64)
        for row, text in enumerate(texts):
            inner = self._encode(" ".join(text.split()), add_special_tokens=False)["input_ids"][: self.context - 2]
            found[row, : len(inner) + 2] = [self.size - 2, *inner, self.size - 1]
        return found


def load_tokenizer(beside: Path) -> ClipTokenizer:
    """CLIP's tokenizer; its vocabulary is sought beside a file of weights, in open-clip-torch and on the Hub's cache.

    Raises:
        OSError: it is in none of them, or damaged.
    """
    places = [beside.parent / VOCABULARY]
    if (package := importlib.util.find_spec("open_clip")) is not None and package.origin:
        places.append(Path(package.origin).parent / VOCABULARY)
    for place in places:
        if place.is_file():
            try:
                with gzip.open(place, "rt", encoding="utf-8") as file:
                    lines = file.read().split("\n")[1 : _MERGES + 1]
                return _checked([(left, right) for left, right in (line.split() for line in lines)], place)
            except (OSError, EOFError, ValueError) as error:
                raise OSError(f"{place} is damaged ({error}); fetch it again") from error
    from huggingface_hub import hf_hub_download

    try:
        path = Path(hf_hub_download(HUB_ID, "merges.txt", local_files_only=True))
    except (OSError, ValueError) as error:
        raise OSError(_MEND) from error
    lines = path.read_text(encoding="utf-8").split("\n")[1 : _MERGES + 1]
    return _checked([(left, right) for left, right in (line.split() for line in lines)], path)


def _checked(merges: list[tuple[str, str]], path: Path) -> ClipTokenizer:
    if len(merges) != _MERGES:
        raise OSError(f"{path} has {len(merges):,} merges and must have {_MERGES:,}; fetch it again")
    try:
        return ClipTokenizer(merges)
    except Exception as error:  # tokenizers knows no other kind
        raise OSError(f"{path} is damaged ({error}); fetch it again") from error


def _byte_letters() -> list[str]:
    """A printable letter for each of the 256 bytes, printable bytes first, as byte-level encodings write them."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [value for value in range(256) if value not in printable]
    return [chr(value) for value in printable] + [chr(256 + row) for row in range(len(others))]
