"""`docs/faults.md`: what is tortured, and the tables of `results/torture.json`.

PYTHONPATH=tests python -m torture.page
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torture.campaign import COUNTS
from torture.faults import FAULTS

from anymo_hf.atomic_write import write_text
from anymo_hf.hub.model_card import table

HEAD = """# Faults

Made by `make torture` (`PYTHONPATH=tests python -m torture.page`) from `results/torture.json`; do not edit.

`make torture` starts every command that leaves results, again and again, and harms it: one to three faults in a row, each on
what the one before left, then one run that nobody disturbs. That run must end with the bytes of a run that was never
disturbed. A run that ends with 0 in spite of a fault must have these bytes at once. Commands work on inputs of seconds; they
are forked from one process that has imported the package. `TORTURE_MINUTES` bounds it, and a stopped campaign goes on.

- **killed**: ended by a signal, or by the system. **refused**: ended with words and an exit code other than 0.
- **resumed**: started on what a harmed run left. **equal**: trials that end with the undisturbed result.
- **lost**: trials that cannot go on, miss a file, or harm their input. **different**: other bytes than undisturbed.
- **hung**: no end within a minute and 20 times its usual time. **unclear**: a traceback instead of words.
- **left over**: drafts that stay beside the results.
"""


MENDED = """
## What campaigns found, and the test that each kind has since

- Ctrl-C ended stages, builders and the corpus with a traceback; now with a line and 130: `tests/test_interruption.py`.
- Want of memory was a traceback of torch, numpy or safetensors; now a line and 2: `tests/test_interruption.py`.
- A killed process left its draft of a file for ever; now the next write into the folder removes it:
  `tests/test_atomic_write.py`.
- A file of a sequence that went away while `anymo-180` was built was taken for a device that was not worn: other rows, exit
  code 0. Builders now look at their sources again after every part: `tests/hub/builders/test_parquet_repository.py`.

- The same campaign, run on to trial 58, built `anymo-zeroshot` from a source of which a file had vanished, with exit code 0.
  It was the campaign's fault: it did not see files that are read through links or in worker processes, and took the file
  away before the command began, 25 times of 25 when tried again. A file that is gone before the start no build can know.
  The fault now waits for the first readings, and is left out where they cannot be seen. Builders list their sources before
  they read anything, finding them included, and refuse what is not as listed: `tests/hub/builders/test_anymo_zeroshot.py`.
- `train language` at low memory ended with a traceback once (trial 23); in 85 more runs at low memory it ended in words.
- Ctrl-C in the moment in which an object of `datasets` ends was printed as a traceback and forgotten; it now comes again.
  Where pyarrow made an error of its own of it, the build was refused and lost its parts; such an error now counts as what
  it is: `tests/test_interruption.py`, `tests/hub/builders/test_parquet_repository.py`.
- Ctrl-C in the first second of `anymo`, while it is imported, was a traceback: `tests/test_anymo_command.py`.
- A kill between the removal of an old folder and the renaming of the new one lost the old. The two are now exchanged in
  one step, or the old one is moved aside and the next write puts it back: `tests/test_atomic_write.py`.
- Two commands at once in one folder had drafts of one name: two trainings deleted each other's, so that both were refused,
  and of two corpora one put the other's half shard in place. Each process has names of its own now:
  `tests/test_atomic_write.py`, `tests/training/test_training_loop.py`.
- Ctrl-C while a program's own handling of it began was a traceback: `tests/test_interruption.py`.
- Three hangs: Ctrl-C that came to a worker inside a lock of the queue it shares with others; a pool whose own thread
  ended for want of memory (both `tests/simulation/test_engines.py`); and pyarrow, which waits for ever for a thread that
  memory was too small to start (`tests/nymeria/test_annotations.py`).
- In 329 trials of a campaign whose counts are not below, `annotate run` did not end once in want of memory: Python
  waits for ever for a thread whose memory ends before its first line. No program begins a thread now without room for it
  (`tests/test_thread_room.py`), nor is a data set read for fine-tuning (`tests/hub/test_finetuned_release.py`).
- There, a worker that was just being started when Ctrl-C ended its parent wrote a traceback, or kept its parent waiting.
  Ctrl-C now waits until workers have been started: `tests/simulation/test_engines.py`.
- The unclear ones of the last campaign: beside the program's line on want of memory, the thread of a pool that had ended for
  it wrote its traceback. It writes none now: `tests/test_thread_room.py`.
"""


def page(told: dict[str, Any]) -> str:
    """The page as Markdown, from the content of `results/torture.json`."""
    disk = {
        "tmpfs": "a small tmpfs, mounted at the output folder",
        "RLIMIT_FSIZE": "a limit on the size of a file (no file system may be mounted here)",
    }[told["full_disk"]]
    total = told["total"]
    words = [
        HEAD,
        f"\nThe last campaign: {told['minutes']:g} minutes on {told['cpus']} shared cores, seed {told['seed']}, Python "
        f"{told['python']}: {total['trials']} trials, {total['started']} processes started, {total['killed']} killed, "
        f"{total['resumed']} resumed; {total['equal']} trials equal, {total['lost']} lost, {total['different']} different, "
        f"{total['hung']} hung. A full disk was {disk}.\n",
    ]
    words.append("\nA trial counts under the first of its faults; others came after it.\n")
    for title, key in (("command", "by_command"), ("fault", "by_fault")):
        rows = [[name, *(f"{part[count]}" for count in COUNTS)] for name, part in told[key].items()]
        words.append(f"\n## By {title}\n\n{table([title, *(name.replace('_', ' ') for name in COUNTS)], rows)}\n")
    words.append("\n## The faults\n\n")
    words += [f"- **{name}**: {(function.__doc__ or '').splitlines()[0]}\n" for name, function in FAULTS.items()]
    words.append("\n## Progress bars that met Ctrl-C\n\n")
    words += [
        f"- {command}: {', '.join(f'{bar} ({count})' for bar, count in sorted(bars.items()))}\n"
        for command, bars in sorted(told["interrupted_bars"].items())
    ]
    if told["skipped"]:
        skipped = "; ".join(f"{name} {why}" for name, why in told["skipped"].items())
        words.append(f"\nNot tried: {skipped}.\n")
    if told["findings"]:
        words.append("\n## Findings of the last campaign\n\n")
        words += [
            f"- trial {one['trial']}, {one['command']}, {' + '.join(one['faults'])}: {one['kind']} at {one['fault']}\n"
            for one in told["findings"]
        ]
    return "".join([*words, MENDED])


def write_page(results: str | Path, out: str | Path) -> Path:
    """Writes `page` of a results file, whole or not at all.

    Raises:
        OSError: no such file.
        ValueError: it is not what `python -m torture --results` writes.
    """
    path = Path(results)
    try:
        text = page(json.loads(path.read_text(encoding="utf-8")))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is not what python -m torture --results writes ({error!r}); write it again"
        ) from error
    return write_text(out, text)


if __name__ == "__main__":
    print(f"written: {write_page('results/torture.json', 'docs/faults.md')}")
