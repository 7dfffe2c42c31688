"""Makes the motion corpus: simulated people, motion capture, or a Nymeria copy's annotated windows; goes on after a stop."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

from ..interruption import ending_in_words, refusing_bad_input
from .annotated_clips import annotated_losses
from .build_corpus import build_corpus
from .corpus import read_texts


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", required=True, help="run folder; the corpus goes to OUTPUT/corpus")
    parser.add_argument("--seeds", type=int, help="people per activity (default 80; with --nymeria none)")
    parser.add_argument(
        "--everyday-times", type=int, default=4, help="so many times more people for everyday activities (default 4)"
    )
    parser.add_argument(
        "--frames",
        type=int,
        help="clip length at 60 Hz (default 360: six seconds; with --nymeria 300, the paper's five)",
    )
    parser.add_argument("--activities", nargs="+", help="only these (default: all)")
    parser.add_argument("--motion", help="folder with motion files to add: BVH, MVNX, ASF/AMC, AMASS, Nymeria")
    parser.add_argument("--nymeria", help="Nymeria copy whose annotated windows become clips, with their words")
    parser.add_argument(
        "--annotations",
        help="Parquet or CSV file, or folder of them, for --nymeria (default: the official files inside the sequences)",
    )
    parser.add_argument(
        "--times",
        default="timecode",
        choices=("timecode", "motion"),
        help="clock of the annotations: seconds of TIME_CODE (default), or from the first frame of a recording",
    )
    parser.add_argument(
        "--held-out",
        nargs="*",
        metavar="PERSON",
        help="people to leave out (default: the paper's five; none named: nobody)",
    )
    parser.add_argument("--texts", help="text file with more sentences for the language stages, one a line")
    parser.add_argument("--skip-broken", action="store_true", help="leave out motion files that cannot be read")
    parser.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    return parser


@ending_in_words("make_corpus")
def main(words: list[str] | None = None) -> None:
    """Builds `OUTPUT/corpus` as the arguments say (`words`, or those of the process); a bad one ends with 2."""
    arguments = build_parser().parse_args(words)
    started, root = time.monotonic(), Path(arguments.output)
    if arguments.seeds is None:
        arguments.seeds = 80 if arguments.nymeria is None else 0
    if arguments.frames is None:
        arguments.frames = 360 if arguments.nymeria is None else 300
    with refusing_bad_input():
        if arguments.texts:
            read_texts(arguments.texts)
            root.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(arguments.texts, root / "texts.txt")
        count = build_corpus(
            root / "corpus",
            arguments.seeds,
            arguments.frames,
            arguments.activities,
            arguments.motion,
            arguments.workers,
            everyday_times=arguments.everyday_times,
            nymeria=arguments.nymeria,
            annotations=arguments.annotations,
            times=arguments.times,
            held_out=arguments.held_out,
            skip_broken=arguments.skip_broken,
        )
    seconds = time.monotonic() - started
    losses = annotated_losses(root / "corpus")
    for name, reason in losses.broken.items():
        print(f"left out {name}: {reason}", file=sys.stderr)
    if arguments.nymeria is not None:
        print(
            f"annotated windows: {losses.windows}; without a clip: {losses.short} shorter than {arguments.frames} frames, "
            f"{losses.spoiled} cut by the recording's ends or with impossible motion; "
            f"recordings left out: {len(losses.broken)}"
        )
    print(f"corpus: {count} clips of {arguments.frames} frames in {seconds:.0f} s; {root / 'corpus'}")


if __name__ == "__main__":
    main()
