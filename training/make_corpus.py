"""Simulates the motion corpus: every activity with many people, plus motion capture where given; finished parts are kept.

python training/make_corpus.py --output runs/nano --seeds 80
"""

import argparse
import shutil
import sys
import time
from pathlib import Path

from anymo_hf.training.corpus import build_corpus, read_texts
from anymo_hf.training.training_loop import write_metrics


def main() -> None:
    """Parses the command line and builds `OUTPUT/corpus`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", required=True, help="run folder; the corpus goes to OUTPUT/corpus")
    parser.add_argument("--seeds", type=int, default=80, help="people per activity (default 80)")
    parser.add_argument(
        "--everyday-times", type=int, default=4, help="so many times more people for everyday activities (default 4)"
    )
    parser.add_argument("--frames", type=int, default=360, help="clip length at 60 Hz (default 360: six seconds)")
    parser.add_argument("--activities", nargs="+", help="only these (default: all)")
    parser.add_argument("--motion", help="folder with motion files to add: BVH, MVNX, ASF/AMC, AMASS, Nymeria")
    parser.add_argument("--texts", help="text file with more sentences for the language stages, one a line")
    parser.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    arguments = parser.parse_args()
    started, root = time.monotonic(), Path(arguments.output)
    try:
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
        )
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from error
    seconds = time.monotonic() - started
    write_metrics(root / "corpus", {"stage": "corpus", "clips": count, "seconds": round(seconds, 1)})
    print(f"corpus: {count} clips of {arguments.frames} frames in {seconds:.0f} s; {root / 'corpus'}")


if __name__ == "__main__":
    main()
