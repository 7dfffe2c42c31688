"""Device files read: `PYTHONPATH=tests python benchmarks/device_files.py [CASES]` writes results/device_files.json.

Reads every layout of tests/support and, where a folder of cases is given, each case's file with the options of its
`cmd.txt`; a case is right where its `expected.txt` names the samples, the rate and the median |a| that were found.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from support.binary_device_files import BINARY_FILES
from support.device_files import TEXT_FILES, G
from support.embrace_plus_files import COUNT, write, write_day

from anymo_hf.recordings.devices.device_format import ReadingOptions
from anymo_hf.recordings.devices.export import read_export

ROOT = Path(__file__).parents[1]
_OPTIONS = {"--rate": "rate", "--time-column": "time_column", "--acceleration-unit": "acceleration_unit",
            "--angular-velocity-unit": "angular_velocity_unit"}  # fmt: skip


def _row(name: str, path: Path, options: ReadingOptions, count: float, rate: float) -> dict:
    try:
        export = read_export(path, options=options)
    except (OSError, ValueError, ImportError) as error:
        return {"name": name, "right": False, "error": str(error).replace(str(path), path.name)}
    right = (
        abs(export.samples - count) <= 1 and abs(export.sampling_rate / rate - 1) < 2e-3
        and abs(export.median_acceleration - G) < 0.15
    )  # fmt: skip
    return {
        "name": name, "format": export.device, "samples": export.samples, "rate": round(export.sampling_rate, 3),
        "channels": len(export.columns), "acceleration_unit": export.acceleration_unit,
        "angular_velocity_unit": export.angular_velocity_unit or None,
        "median_acceleration": round(export.median_acceleration, 3), "right": right,
    }  # fmt: skip


def _case(folder: Path) -> dict | None:
    """A case of a device file; None where the case is about something else."""
    words = shlex.split((folder / "cmd.txt").read_text(), comments=True)
    expected = (folder / "expected.txt").read_text()
    rate = re.search(r"([\d.]+) Hz", expected)
    count = re.search(r"\((\d+), 6\)|(\d+) samples", expected)
    if words[:2] != ["anymo", "recognize"] or rate is None or count is None:
        return None
    said = {_OPTIONS[word]: words[place + 1] for place, word in enumerate(words) if word in _OPTIONS}
    options = ReadingOptions(**(said | ({"rate": float(said["rate"])} if "rate" in said else {})))
    return _row(folder.name, folder / words[2], options, float(count[1] or count[2]), float(rate[1]))


def main() -> None:
    rows = []
    layouts = {name: (known.write, known.count, known.rate) for name, known in (TEXT_FILES | BINARY_FILES).items()}
    layouts |= {"embrace_plus": (write, COUNT, 64.0), "embrace_plus, three files": (write_day, 3 * COUNT, 64.0)}
    for name, (make, count, rate) in layouts.items():
        with TemporaryDirectory() as folder:
            rows.append(_row(name, make(Path(folder)), ReadingOptions(), count, rate))
    cases = sorted(Path(sys.argv[1]).iterdir()) if len(sys.argv) > 1 else []
    found = [row for folder in cases if (folder / "cmd.txt").is_file() and (row := _case(folder))]
    result = {"layouts": rows, "cases": found}
    path = ROOT / "results" / "device_files.json"
    draft = path.with_name(path.name + ".part")
    draft.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    draft.replace(path)
    for row in rows + found:
        print(f"{row['name']:28} {'right' if row['right'] else 'WRONG'}  {row.get('format', row.get('error'))}")


if __name__ == "__main__":
    main()
