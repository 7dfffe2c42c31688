"""Annotated windows of a Nymeria copy as corpus clips: their words and motion, stops, people left out, bad input."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from anymo_hf.modeling.processing_anymo import AnyMoProcessor
from anymo_hf.motion.body_motion import BodyMotion
from anymo_hf.nymeria.annotations import Annotation
from anymo_hf.nymeria.mini_nymeria import write_mini_nymeria
from anymo_hf.nymeria.sequence import HELD_OUT_SUBJECTS, read_nymeria
from anymo_hf.simulation.archive import writer
from anymo_hf.simulation.kinematics import frames_at, segment_kinematics
from anymo_hf.training import corpus_command
from anymo_hf.training.annotated_clips import annotated_losses, annotated_recordings
from anymo_hf.training.batches import ActivityBatches, draw_instructions, draw_narration
from anymo_hf.training.build_corpus import build_corpus
from anymo_hf.training.collators import LabelPhrases
from anymo_hf.training.corpus import MotionCorpus
from anymo_hf.training.settings import ContrastiveSettings
from anymo_hf.training.stages.tokenizer import CodedViews

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
OPTIONS = {"seeds": 0, "frames": 300, "workers": 1, "progress": False}
CLIPS = 5  # of a recording: windows of 5, 5, 10.5, 5 and 3 s give 1, 1, 2, 1 and 0


def bytes_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def nymeria(tmp_path_factory):
    """Three people, half a minute each, the first under the name of a held-out person; folder and annotations."""
    folder = tmp_path_factory.mktemp("mini") / "nymeria"
    annotations = write_mini_nymeria(folder, people=3, sessions=1, progress=False)
    first = sorted(folder.glob("2023*"))[0]
    name = first.name.replace("ada_alder", HELD_OUT_SUBJECTS[0])
    first.rename(folder / name)
    table = pd.read_parquet(annotations)
    mine = table.session_id == first.name
    table.loc[mine, ["session_id", "subject_id"]] = [name, HELD_OUT_SUBJECTS[0]]
    table.loc[mine, "sample_id"] = table[mine].sample_id.str.replace(first.name, name)
    table.to_parquet(annotations)
    return folder, annotations


@pytest.fixture(scope="module")
def built(nymeria, tmp_path_factory):
    folder = tmp_path_factory.mktemp("built") / "corpus"
    assert build_corpus(folder, **OPTIONS, nymeria=nymeria[0], annotations=nymeria[1]) == 2 * CLIPS
    return folder


@pytest.fixture(scope="module")
def recording(nymeria):
    return read_nymeria(sorted(nymeria[0].glob("*bruno*"))[0], kinds=(), mesh=False)


def window(recording, start, end, **words):
    """An annotation, in seconds from the recording's first frame."""
    origin = recording.repairs.timestamps_us[0] * 1e-6
    words = {"narration": "a person walks", "augmentations": (), "label": "walking / hiking"} | words
    return Annotation("w", recording.name, "bruno_alder", origin + start, origin + end, **words)


def changed(nymeria, tmp_path, change):
    """Annotations after `change(table)`."""
    table = pd.read_parquet(nymeria[1])
    path = tmp_path / "annotations.parquet"
    change(table).to_parquet(path)
    return path


def test_clips_carry_the_narration_first_then_augmentations_and_the_label(nymeria, built):
    table = pd.read_parquet(nymeria[1]).set_index("sample_id")
    clips, found = MotionCorpus(built).clips, {}
    for clip in clips:
        sample, _, piece = clip.name.rpartition("-")
        found.setdefault(sample, []).append(int(piece))
        row = table.loc[sample]
        assert clip.narrations == tuple(dict.fromkeys([row.narration, *row.augmentations])) and len(clip.narrations) > 1
        assert (clip.source, clip.activity, clip.label, clip.label_phrases) == (
            "nymeria", row.label, row.label, (row.label,),
        )  # fmt: skip
    seconds = (table.end_time_sec - table.start_time_sec)[lambda long: long.index.isin(found)]
    assert {sample: list(range(int(long // 5))) for sample, long in seconds.items()} == found
    assert not any(HELD_OUT_SUBJECTS[0] in clip.name for clip in clips)
    assert sorted(name.split("_")[2] for name in MotionCorpus(built).archive.names) == ["bruno", "clara"]
    losses = annotated_losses(built)
    assert (losses.windows, losses.short, losses.spoiled, losses.broken) == (10, 2, 0, {})


def test_motion_of_a_clip_is_that_of_its_window(nymeria, built):
    corpus, table = MotionCorpus(built), pd.read_parquet(nymeria[1]).set_index("sample_id")
    row = next(row for row, clip in enumerate(corpus.clips) if clip.name.endswith("-1"))  # the second half of 10.5 s
    sample = corpus.clips[row].name[:-2]
    with np.load(nymeria[0] / table.session_id[sample] / "body" / "xdata.npz") as file:
        places, turns = file["segment_tXYZ"].reshape(-1, 23, 3), file["segment_qWXYZ"].reshape(-1, 23, 4)
        begin = round((table.start_time_sec[sample] + 5 - file["timestamps_us"][0] * 1e-6) * 240)
    # of the whole recording: what lies before and after a window smooths its ends
    terms = segment_kinematics(BodyMotion(240.0, places, turns), 60.0, 15.0)
    lever = terms.lever.reshape(-1, 23, 9)
    direct = np.concatenate([terms.specific_force, lever, terms.angular_velocity], axis=-1).transpose(1, 2, 0)
    first = round(begin / 4)
    assert corpus.clips[row].start == first
    error = corpus.read([row], [0], 300)[0].numpy() - direct[..., first : first + 300]
    least = np.repeat([0.05, 0.15, 0.006], [3, 9, 3])[:, None]
    assert (np.abs(error) <= least + np.abs(direct[..., first : first + 300]) * 2.0**-11).all()


def test_windows_short_unlabelled_or_cut_by_the_end(recording):
    long = recording.motion.duration

    def cut(*windows):
        return [clip for part in annotated_recordings(recording, windows, 300) for clip in part.clips]

    count = lambda *windows: len(cut(*windows))  # noqa: E731
    assert count(window(recording, 1, 5.97)) == 0 and count(window(recording, 1, 5.995)) == 1
    assert count(window(recording, -1, 4.5)) == 0 and count(window(recording, -1, 6)) == 1
    (clip,) = cut(window(recording, long - 5, long + 3))  # up to the last frame
    assert clip.start + clip.frames == frames_at(len(recording.motion.positions), 240.0, 60.0)
    (clip,) = cut(window(recording, 1, 6, label=None, augmentations=("a", "a")))
    assert (clip.activity, clip.label_phrases, clip.narrations) == ("", (), ("a person walks", "a"))
    (clip,) = cut(window(recording, 1, 6, narration="", augmentations=("a",)))
    assert clip.narrations == ()  # nothing takes the place of the person's


def test_a_clip_with_impossible_motion_is_left_out(recording):
    places = recording.motion.positions.copy()
    places[240 * 8 :] += 3.0
    thrown = replace(recording, motion=replace(recording.motion, positions=places))
    before, after = annotated_recordings(thrown, [window(recording, 1, 16)], 300)
    assert [clip.name for clip in (*before.clips, *after.clips)] == ["w-0", "w-2"]
    assert before.clips[0].start == 60
    places = after.motion.positions[4 * after.clips[0].start :][:1200]
    begin = 240 * 11
    np.testing.assert_allclose(places, thrown.motion.positions[begin : begin + 1200], atol=0.03)  # smoothed


def test_the_motion_clock_gives_the_same_clips(nymeria, built, tmp_path):
    origins = {}
    for path in nymeria[0].glob("2023*"):
        with np.load(path / "body" / "xdata.npz") as file:
            origins[path.name] = file["timestamps_us"][0] * 1e-6

    def shift(table):
        origin = table.session_id.map(origins)
        return table.assign(
            start_time_sec=table.start_time_sec - origin, end_time_sec=table.end_time_sec - origin
        )  # fmt: skip

    options = OPTIONS | {"nymeria": nymeria[0], "annotations": changed(nymeria, tmp_path, shift)}
    build_corpus(tmp_path / "corpus", **options, times="motion")
    one, other = MotionCorpus(built), MotionCorpus(tmp_path / "corpus")
    assert one.clips == other.clips
    rows, starts = range(len(one)), [0] * len(one)
    torch.testing.assert_close(one.read(rows, starts, 300), other.read(rows, starts, 300))
    with pytest.raises(ValueError, match=r"bruno.*0000 runs from 0\.215 to .*--times motion"):
        build_corpus(tmp_path / "wrong", **options)


def test_a_stopped_build_goes_on_recording_by_recording(nymeria, built, tmp_path, monkeypatch):
    folder, made, make = tmp_path / "corpus", [], writer._make_shards
    options = OPTIONS | {"nymeria": nymeria[0], "annotations": nymeria[1]}

    def stop_at_the_second(task):
        if made:
            shard = folder / f"recordings/{task[1].name}.parquet"
            shard.with_name(f".{shard.name}.part").write_bytes(b"x")
            raise KeyboardInterrupt
        made.append(task[1].name)
        return make(task)

    monkeypatch.setattr(writer, "_make_shards", stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        build_corpus(folder, **options)
    made = []
    monkeypatch.setattr(writer, "_make_shards", lambda task: (made.append(task[1].name), make(task))[1])
    assert build_corpus(folder, **options) == 2 * CLIPS
    assert len(made) == 1 and "clara" in made[0] and bytes_of(folder) == bytes_of(built)
    mine = lambda table: table.session_id.str.contains("bruno")  # noqa: E731
    relabel = changed(nymeria, tmp_path, lambda table: table.assign(label=table.label.mask(mine(table), "standing")))
    made = []
    build_corpus(folder, **options | {"annotations": relabel})
    assert len(made) == 1 and "bruno" in made[0]  # only the recording whose annotations changed


def test_people_held_out_are_those_named(nymeria, tmp_path):
    options = OPTIONS | {"nymeria": nymeria[0], "annotations": nymeria[1]}
    build_corpus(tmp_path / "named", **options, held_out=["bruno_alder", "clara_alder"])
    assert all(HELD_OUT_SUBJECTS[0] in clip.name for clip in MotionCorpus(tmp_path / "named").clips)
    with pytest.raises(ValueError, match=r"--held-out bruno: nobody.*bruno_alder, clara_alder"):
        build_corpus(tmp_path / "none", **options, held_out=["bruno"])
    with pytest.raises(ValueError, match="every annotated recording is of a person held out"):
        build_corpus(tmp_path / "all", **options, held_out=["bruno_alder", "clara_alder", HELD_OUT_SUBJECTS[0]])


def test_people_held_out_do_not_come_in_as_motion_files(nymeria, tmp_path):
    options = OPTIONS | {"seeds": 1, "activities": ["standing"], "motion": nymeria[0]}
    named = f"{HELD_OUT_SUBJECTS[0]} bruno"
    for folder, held_out, left in (("paper", None, "bruno clara"), ("named", ["clara_alder"], named)):
        build_corpus(tmp_path / folder, **options, held_out=held_out)
        people = {name for name in (HELD_OUT_SUBJECTS[0], "bruno", "clara") for clip in MotionCorpus(tmp_path / folder).clips
                  if name in clip.name}  # fmt: skip
        assert people == set(left.split())
    everybody = [HELD_OUT_SUBJECTS[0], "bruno_alder", "clara_alder"]
    with pytest.raises(ValueError, match=r"--held-out bruno: nobody .*; there are .*bruno_alder, clara_alder"):
        build_corpus(tmp_path / "nobody", **options, held_out=["bruno"])
    with pytest.raises(ValueError, match="--motion: every sequence is of a person held out"):
        build_corpus(tmp_path / "nobody", **options, held_out=everybody)


def test_a_broken_recording_is_left_out_named_and_tried_again(nymeria, built, tmp_path, capsys):
    copy = shutil.copytree(nymeria[0], tmp_path / "nymeria", ignore=shutil.ignore_patterns("*.vrs"))
    (path,) = copy.glob("*clara*/body/xdata.npz")
    whole = path.read_bytes()
    path.write_bytes(b"\0" * len(whole))  # of the same size
    words = ["--output", str(tmp_path / "run"), "--nymeria", str(copy), "--annotations", str(nymeria[1])]
    words += ["--workers", "1"]
    corpus_command.main(words)
    said = capsys.readouterr()
    assert f"left out {path.parents[1].name}: " in said.err and "xdata.npz" in said.err
    assert "annotated windows: 5; without a clip: 1 shorter than 300 frames, 0 cut" in said.out
    assert "recordings left out: 1" in said.out and f"{CLIPS} clips of 300 frames" in said.out
    path.write_bytes(whole)
    corpus_command.main(words)
    assert "left out 2" not in capsys.readouterr().err
    assert MotionCorpus(tmp_path / "run" / "corpus").clips == MotionCorpus(built).clips
    for broken in copy.glob("*/metadata.json"):
        broken.write_text("{")
    with pytest.raises(OSError, match=r"no recording can be read; the first: .*metadata\.json: not JSON"):
        build_corpus(tmp_path / "all", **OPTIONS, nymeria=copy, annotations=nymeria[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop(columns="end_time_sec"), "annotations.parquet: no column end_time_sec"),
        (lambda table: table.drop(columns="label"), "no column label"),
        (lambda table: table.drop(columns="narration"), "no column narration"),
        (lambda table: table.assign(label="flying"), "unknown label 'flying'.*AnyMo-180"),
        (lambda table: table.assign(session_id="20230601_s0_nobody_act0_000000"), "not in .*20230601_s0_nobody"),
        (
            lambda table: table.assign(start_time_sec=9000.0, end_time_sec=9005.0),
            r"0000 runs from 9000\.000 to 9005\.000",
        ),
        (lambda table: table.assign(end_time_sec=0.0), "times are"),
    ],
)
def test_bad_annotations_are_refused(nymeria, tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        build_corpus(
            tmp_path / "corpus", **OPTIONS, nymeria=nymeria[0], annotations=changed(nymeria, tmp_path, change)
        )  # fmt: skip
    assert not (tmp_path / "corpus" / "manifest.json").exists()


def test_options_that_need_another_are_refused(nymeria, tmp_path):
    with pytest.raises(ValueError, match="--annotations needs --nymeria"):
        build_corpus(tmp_path / "corpus", **OPTIONS | {"seeds": 1}, annotations=nymeria[1])
    with pytest.raises(ValueError, match="--held-out needs --nymeria or --motion"):
        build_corpus(tmp_path / "corpus", **OPTIONS | {"seeds": 1}, held_out=["bruno_alder"])
    with pytest.raises(ValueError, match="times must be one of"):
        build_corpus(tmp_path / "corpus", **OPTIONS, nymeria=nymeria[0], annotations=nymeria[1], times="utc")
    with pytest.raises(OSError, match="official|anymo_annotations"):
        build_corpus(tmp_path / "corpus", **OPTIONS, nymeria=nymeria[0])
    with pytest.raises(OSError, match="no Nymeria sequence"):
        build_corpus(tmp_path / "corpus", **OPTIONS, nymeria=tmp_path, annotations=nymeria[1])


def test_official_files_inside_a_sequence_are_read(nymeria, built, tmp_path):
    copy = shutil.copytree(nymeria[0], tmp_path / "nymeria", ignore=shutil.ignore_patterns("*.vrs"))
    (sequence,) = copy.glob("*clara*")
    table = pd.read_parquet(nymeria[1])
    table = table[table.session_id == sequence.name].reset_index(drop=True)
    times = pd.DataFrame({"start_idx": table.index * 300, "end_idx": table.index * 300 + 300})
    words = {f"augmented_atomic_action_{number + 1}": table.augmentations.str[number] for number in range(5)}
    words |= {"Describe my atomic actions": table.narration, "activity_label": table.label}
    (sequence / "multimodal_sync_60hz").mkdir()
    times.assign(**words).to_csv(sequence / "multimodal_sync_60hz" / "anymo_annotations.csv", index=False)
    start, end = ((table[f"{name}_time_sec"] * 1e9).round().astype("int64") for name in ("start", "end"))
    times.assign(start_t_ns_global=start, end_t_ns_global=end).to_csv(
        sequence / "multimodal_sync_60hz" / "atomic_action_60hz.csv", index=False
    )
    assert build_corpus(tmp_path / "corpus", **OPTIONS, nymeria=copy) == CLIPS
    wanted = [clip for clip in MotionCorpus(built).clips if "clara" in clip.name]
    assert MotionCorpus(tmp_path / "corpus").clips == wanted


def test_a_contrastive_batch_is_drawn_from_it(nymeria, built):
    clips = MotionCorpus(built).clips
    rng = np.random.default_rng(0)
    count = len(clips)
    views = CodedViews(
        rng.integers(0, 64, (count, 75, 2)).astype(np.int16), np.full(count, 75), np.arange(count),
        np.tile([6, -1, -1, -1, -1], (count, 1)), 64,
    )  # fmt: skip
    settings = ContrastiveSettings(augmented_share=0.42, multiple_choice_share=0.5, lm_batch_size=8, candidates=35)
    batches, phrases = ActivityBatches(views.clip, clips), LabelPhrases(clips)
    labels = set(pd.read_parquet(nymeria[1]).label) - {"picking up objects"}  # its windows are of 3 s
    assert set(batches.names) == labels and len(labels) == 4
    rows = batches.draw(8, rng)
    activities = [clips[views.clip[row]].activity for row in rows]
    names = [phrases.draw(activity, rng) for activity in activities]
    assert names == activities  # the label as it is written
    fits, silent = phrases.relations(activities, names)
    np.testing.assert_array_equal(fits.numpy(), np.equal.outer(np.array(activities), np.array(activities)))
    assert not silent.any()
    drawn = [draw_narration(clips[0].narrations, settings.augmented_share, rng) for _ in range(2000)]
    assert abs(np.mean([text == clips[0].narrations[0] for text in drawn]) - 0.58) < 0.05
    assert set(drawn) == set(clips[0].narrations)
    processor = AnyMoProcessor.from_pretrained(ROOT / "anymo")
    examples = draw_instructions(processor, views, clips, batches, phrases, settings, rng)
    answers = [
        processor.tokenizer.decode([token for token in example["labels"] if token >= 0], skip_special_tokens=True)
        for example in examples
    ]
    said = {text.lower().strip(". ") for clip in clips for text in clip.narrations}
    assert sum(answer.lower().strip(". ") in said for answer in answers) == 4
    assert sum(any(label in answer for label in labels) for answer in answers) >= 4


def test_simulated_people_may_be_added(nymeria, tmp_path):
    options = OPTIONS | {"seeds": 1, "activities": ["walking", "standing"]}
    assert build_corpus(tmp_path / "corpus", **options, nymeria=nymeria[0], annotations=nymeria[1]) == 2 * CLIPS + 2
    clips = MotionCorpus(tmp_path / "corpus").clips
    phrases = LabelPhrases(clips, {"walking": "walking / hiking"})
    assert "walking / hiking" in phrases.accepted["walking"]
    assert len({clip.name[:-2] for clip in clips if "clara" in clip.name}) == 4
