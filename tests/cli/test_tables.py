"""`anymo tables` and `anymo figures`: files appear, and what cannot be shown is said in one line."""

from pathlib import Path

import pytest

RESULTS = Path(__file__).parents[2] / "results"


def test_a_table_is_printed_and_written(anymo, tmp_path):
    code, out, err = anymo("tables", "retrieval", "--results", RESULTS, "--out", tmp_path)
    assert code == 0 and not err and "(paper)" in out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["retrieval.csv", "retrieval.md", "retrieval.tex"]


@pytest.mark.slow
def test_a_figure_is_written(anymo, tmp_path):
    pytest.importorskip("matplotlib")
    code, out, err = anymo("figures", "confusion", "--results", RESULTS, "--out", tmp_path)
    assert code == 0 and (tmp_path / "confusion.png").is_file() and "written:" in out


def test_nothing_to_show_is_one_line(anymo, tmp_path):
    for words in (("tables", "bench"), ("figures", "umap")):
        code, out, err = anymo(*words, "--results", tmp_path, "--out", tmp_path / "out")
        assert code == 2 and "holds nothing" in err and len(err.splitlines()) == 1
    assert not (tmp_path / "out").exists()
