"""Tables that a Markdown reader takes apart into the cells that went in, and that have one home."""

from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from anymo_hf.markdown import table


def cells_of(text):
    """Rows of (tag, alignment, text) as a Markdown reader sees them."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    assert tokens[0].type == "table_open" and tokens[-1].type == "table_close"
    rows = []
    for token, inline in zip(tokens, tokens[1:], strict=False):
        if token.type == "tr_open":
            rows.append([])
        elif token.type in ("th_open", "td_open"):
            content = "".join(part.content for part in inline.children)
            rows[-1].append((token.tag, token.attrs.get("style", "text-align:left")[11:], content))
    return rows


@pytest.mark.parametrize("words", [1, 2, 3])
def test_a_reader_sees_the_cells_with_words_to_the_left_and_numbers_to_the_right(words):
    head, rows = ["name", "unit", "value"], [["walk", "m/s", "1.5"], ["a|b", "two\nlines", ""]]
    sides = ["left"] * words + ["right"] * (3 - words)
    seen = [list(zip(["td"] * 3, sides, row, strict=True)) for row in (rows[0], ["a|b", "two lines", ""])]
    assert cells_of(table(head, rows, words)) == [list(zip(["th"] * 3, sides, head, strict=True)), *seen]


def test_a_row_that_does_not_fit_the_head_is_named():
    with pytest.raises(ValueError, match=r"columns \['a', 'b'\] has a row of 1 cells: \['x'\]"):
        table(["a", "b"], [["1", "2"], ["x"]])


def test_tables_have_no_other_writer():
    source = Path(__file__).parents[1] / "src" / "anymo_hf"
    marks = ('"| ', "'| ", 'f"| ', "|---", "| ---", '" | ".join', "' | '.join")
    writers = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if any(mark in line for mark in marks) and not line.startswith(("|", "    |"))
    }
    # reviewed examples stand in one CSV cell; a card's table is read for the licence of its data
    assert writers == {"markdown.py", "annotation/review.py", "hub/finetuned_release.py"}
