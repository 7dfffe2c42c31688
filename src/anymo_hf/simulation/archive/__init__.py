"""The archive: segment motion of many recordings on disk, from which any placement's IMU follows.

| file | what it holds |
| --- | --- |
| `simulate`, `writer` | what `anymo simulate` makes; the one resumable writer, for training's corpora too |
| `reader`, `decoded` | `Archive`; its terms decoded once, for reading at random |
| `dataset` | windows of it, and views of them |
| `derived`, `rows` | views or all candidates written out of it; its rows on the Hub |
| `manifest`, `clips` | what it holds, with checksums; the words of its frames |
| `shard`, `track`, `codec` | one recording on disk |
"""

from importlib import import_module

_HOMES = {
    "Archive": "reader", "ArchiveDataset": "dataset", "Clip": "clips", "DecodedTerms": "decoded",
    "ViewCollator": "dataset", "decode_archive": "decoded", "materialize": "derived", "materialize_views": "derived",
    "read_manifest": "manifest", "simulate_archive": "simulate", "verify_archive": "manifest",
    "write_archive": "writer",
}  # fmt: skip
__all__ = sorted(_HOMES)


def __getattr__(name: str):
    """Names of `__all__`, found when they are asked for: a manifest is read without torch."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
