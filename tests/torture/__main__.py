"""`python -m torture`: faults at random moments against every command that leaves results; see docs/faults.md.

Needs `tests` on PYTHONPATH, as `make torture` sets it.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")


def main() -> None:
    """Runs the campaign; ends with 1 where it found something."""
    from torture.commands import COMMANDS
    from torture.faults import FAULTS

    parser = argparse.ArgumentParser(prog="python -m torture", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0, help="of trials, earlier runs included (default 60)")
    parser.add_argument("--output", type=Path, default=Path("runs/torture"), help="kept, so that a stopped run goes on")
    parser.add_argument("--seed", type=int, default=0, help="of all choices (default 0)")
    parser.add_argument("--only", nargs="+", metavar="COMMAND", choices=list(COMMANDS), help="only these commands")
    parser.add_argument("--faults", nargs="+", metavar="FAULT", choices=list(FAULTS), help="only these faults")
    parser.add_argument("--results", type=Path, help="write the counts to this file, such as results/torture.json")
    parser.add_argument("--page", type=Path, help="write the tables of --results to this page, such as docs/faults.md")
    words = parser.parse_args()
    if words.page is not None and words.results is None:
        parser.error("--page needs --results")
    from torture import campaign
    from torture.page import write_page

    from anymo_hf.atomic_write import write_json

    report = campaign.run(words.output, words.minutes, words.seed, words.only, words.faults)
    told = campaign.summary(report)
    if words.results is not None:
        print(f"written: {write_json(words.results, told)}")
    if words.page is not None:
        print(f"written: {write_page(words.results, words.page)}")
    print(", ".join(f"{name.replace('_', ' ')} {count}" for name, count in told["total"].items()))
    sys.exit(1 if told["findings"] else 0)


if __name__ == "__main__":
    main()
