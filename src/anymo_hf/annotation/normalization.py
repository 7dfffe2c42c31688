"""Free-form labels in one form, before exact deduplication (paper A.4)."""

from __future__ import annotations

import re
import unicodedata

_ARTICLES = re.compile(r"^(?:(?:a|an|the) )+")


def normalize_label(label: str) -> str:
    """Lower case, no punctuation, single spaces, no leading article: `"The  Stir-frying!"` is `"stir frying"`.

    Apostrophes go without a trace (`rubik's` is `rubiks`), other punctuation parts words. Twice gives the same as once.
    """
    text = unicodedata.normalize("NFKC", label).lower()
    text = re.sub(r"['’‘`´ʼ]", "", text)
    text = "".join(" " if unicodedata.category(char)[0] in "PSC" else char for char in text)
    return _ARTICLES.sub("", " ".join(text.split()))
