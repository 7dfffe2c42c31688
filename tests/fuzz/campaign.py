"""`make fuzz`: spoiled files against every door, for so many minutes; goes on where it stopped, and writes the report.

`PYTHONPATH=tests python -m fuzz.campaign --minutes 30` writes results/fuzz.json and docs/broken_files.md; `--door NAME`
takes the doors whose name NAME matches, `--again` starts them anew, `--show NAME NUMBER FOLDER` leaves one spoiled file.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from anymo_hf.atomic_write import write_json, write_text

from .door import Door, doors
from .mutations import put
from .worker import Result, _spoil, try_door

ROOT = Path(__file__).parents[2]
REPORT = ROOT / "results" / "fuzz.json"
PAGE = ROOT / "docs" / "broken_files.md"
SEED = 20261129
MUTATIONS = 10_000
_SAVE = 5.0  # seconds between drafts of the report


def empty_counts() -> dict[str, Any]:
    """A door that has not been tried."""
    return {"mutations": 0, "accepted": 0, "refused": 0, "finding": 0, "seconds": 0.0, "findings": []}


def add_results(counts: dict[str, Any], results: list[Result]) -> None:
    """Counts results; equal findings are one entry with its number and its first file."""
    for number, file, how, verdict in results:
        counts["mutations"] += 1
        counts[verdict.kind] += 1
        if verdict.kind != "finding":
            continue
        for known in counts["findings"]:
            if (known["what"], known["where"]) == (verdict.what, verdict.where):
                known["count"] += 1
                break
        else:
            counts["findings"].append({
                "what": verdict.what, "where": verdict.where, "count": 1,
                "first": {"number": number, "file": file, "spoiled": how, "said": verdict.message},
            })  # fmt: skip


def campaign(
    chosen: dict[str, Door],
    minutes: float,
    most: int = MUTATIONS,
    report: Path = REPORT,
    seed: int = SEED,
    again: bool = False,
) -> dict[str, Any]:
    """Tries the doors for so many minutes in all, each until `most` files; goes on from what `report` says.

    The doors with the fewest seconds so far go first, each for its share of what is left.
    """  # fmt: skip
    found = json.loads(report.read_text(encoding="utf-8")) if report.is_file() else {}
    if found.get("seed") != seed:
        found = {"seed": seed, "doors": {}}
    for name in chosen:
        if again or name not in found["doors"]:
            found["doors"][name] = empty_counts()
    found["doors"] = dict(sorted(found["doors"].items()))
    end = time.monotonic() + 60 * minutes
    waiting = sorted(chosen, key=lambda name: found["doors"][name]["seconds"])
    waiting = [name for name in waiting if found["doors"][name]["mutations"] < most]
    bar = tqdm(total=most * len(chosen), initial=sum(min(most, found["doors"][name]["mutations"]) for name in chosen),
               unit="file", smoothing=0.02, mininterval=1)  # fmt: skip
    with bar:
        for place, name in enumerate(waiting):
            share = (end - time.monotonic()) / (len(waiting) - place)
            if share > 0:
                _try_for(chosen[name], found["doors"][name], seed, most, share, bar, lambda: write_json(report, found))
            write_json(report, found)
    return found


def _try_for(
    door: Door, counts: dict[str, Any], seed: int, most: int, seconds: float, bar: tqdm, save: Callable[[], object]
) -> None:
    began, before, saved = time.monotonic(), counts["seconds"], time.monotonic()

    def tell(results: list[Result]) -> None:
        nonlocal saved
        add_results(counts, results)
        counts["seconds"] = round(before + time.monotonic() - began, 1)
        bar.set_postfix_str(f"{door.name}: {counts['accepted']} accepted, {counts['finding']} findings", refresh=False)
        bar.update(len(results))
        if time.monotonic() - saved > _SAVE:
            saved = time.monotonic()
            save()

    try_door(door, seed, counts["mutations"], most, began + seconds, tell)


def page(found: dict[str, Any]) -> str:
    """The report as a page."""
    total = {
        key: sum(row[key] for row in found["doors"].values()) for key in ("mutations", "accepted", "refused", "finding")
    }
    lines = [
        "# Broken and hostile files",
        "",
        "Written by `make fuzz` from `results/fuzz.json`; not by hand.",
        "",
        "Small sound files of every kind that the package reads are spoiled, each by a seeded draw: cut off, bits flipped, "
        "blocks swapped, repeated or removed, huge counts, negative lengths, NaN, thousands of nested brackets, entities "
        "that grow, zips with bombs or with names that lead out, symbolic links, other encodings, no bytes, and texts "
        "and pickles that would make a folder if anything ran them. A file is accepted if its values are finite, of a "
        "plausible size and, where there is a second reading to compare with, equal to that. It is refused if the error is "
        "the package's own and names the file and the mend. Anything else is a finding: another error, a NaN, over ten "
        "seconds or a gigabyte, a crash, a write outside the folder, a program or a network call started.",
        "",
        f"{total['mutations']:,} files: {total['accepted']:,} accepted, {total['refused']:,} refused, "
        f"{total['finding']:,} findings that stand open.",
        "",
        "| door | files | accepted | refused | findings | files a second |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, row in found["doors"].items():
        speed = row["mutations"] / row["seconds"] if row["seconds"] else 0
        lines.append(f"| {name} | {row['mutations']:,} | {row['accepted']:,} | {row['refused']:,} | {row['finding']:,} "
                     f"| {speed:,.0f} |")  # fmt: skip
    standing = [(name, one) for name, row in found["doors"].items() for one in row["findings"]]
    if standing:
        lines += [
            "",
            "## Findings that stand open",
            "",
            "| door | what | where | files | first |",
            "| --- | --- | --- | ---: | --- |",
        ]
        lines += [
            f"| {name} | {one['what']} | {one['where']} | {one['count']:,} | {one['first']['spoiled']} |"
            for name, one in standing
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30, help="how long in all")
    parser.add_argument("--mutations", type=int, default=MUTATIONS, help="spoiled files of each door, at most")
    parser.add_argument("--door", default="", help="a regular expression for the names of doors; default: all")
    parser.add_argument("--again", action="store_true", help="start the doors anew, after a mend")
    parser.add_argument("--report", type=Path, default=REPORT, help="where the counts are kept")
    parser.add_argument("--show", nargs=3, metavar=("DOOR", "NUMBER", "FOLDER"), help="write one spoiled copy and stop")
    said = parser.parse_args()
    if said.show:
        name, number, folder = said.show[0], int(said.show[1]), Path(said.show[2])
        folder.mkdir(parents=True)
        path = doors()[name].write(folder)
        spoilable = {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*"))
                     if file.is_file() and doors()[name].spoil(file)}  # fmt: skip
        file, how, spoiled = _spoil(spoilable, SEED, name, number)
        put(folder / file, spoiled)
        print(f"{folder / file}: {how}; {path} is what is read")
        return
    chosen = {name: door for name, door in doors().items() if re.search(said.door, name)}
    found = campaign(chosen, said.minutes, said.mutations, said.report, again=said.again)
    if said.report == REPORT:
        write_text(PAGE, page(found))
    for name in chosen:
        row = found["doors"][name]
        print(f"{name:32} {row['mutations']:7,} files {row['accepted']:7,} accepted {row['refused']:7,} refused "
              f"{row['finding']:6,} findings")  # fmt: skip
        for one in row["findings"]:
            print(f"    {one['count']:6,} x {one['what']} [{one['where']}] {one['first']}")


if __name__ == "__main__":
    main()
