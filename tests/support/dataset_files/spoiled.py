"""How the small copies of `two_people` are broken: `SPOILERS[name][fault](folder)` for every `Dataset.broken`."""

import zipfile

import numpy as np
from scipy.io import savemat


def _first(folder, pattern):
    return sorted(folder.rglob(pattern))[0]


def drop(pattern):
    return lambda folder: _first(folder, pattern).unlink()


def rewritten(pattern, change):
    """The first file of a pattern with its text changed."""

    def spoil(folder):
        path = _first(folder, pattern)
        path.write_text(change(path.read_text()))

    return spoil


def overwritten(pattern, content):
    return lambda folder: _first(folder, pattern).write_bytes(content)


def other_activity(folder):
    """The first activity of ClassyGlass under a number that its documents lack."""
    for path in sorted(_first(folder, "*Accelerometer*.csv").parent.iterdir()):
        path.rename(path.with_name(path.name.replace("activity9", "activity99")))


def replaced(pattern, old, new):
    return rewritten(pattern, lambda text: text.replace(old, new))


def line(pattern, number, change):
    """The lines of a file, one of them changed; fields in, fields out."""

    def on(text):
        lines = text.splitlines()
        mark = "," if "," in lines[number] else " "
        lines[number] = mark.join(change(lines[number].split(mark)))
        return "\n".join(lines)

    return rewritten(pattern, on)


def cut(pattern, fields):
    """Line 40 with so many fields."""
    return line(pattern, 40, lambda parts: parts[:fields])


def back(pattern, column):
    """Time stamps that go back in line 40."""
    return line(pattern, 40, lambda parts: [*parts[:column], "0", *parts[column + 1 :]])


def other_variable(pattern, name):
    return lambda folder: savemat(_first(folder, pattern), {name: np.ones((200, 6))})


def packed(change):
    """The CSV files in the first zip of RealWorld's accelerometer with their text changed."""

    def spoil(folder):
        path = _first(folder, "acc_*.zip")
        with zipfile.ZipFile(path) as archive:
            texts = {name: archive.read(name).decode() for name in archive.namelist()}
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in texts.items():
                archive.writestr(name, change(text))

    return spoil


def twice(folder):
    """A recording of RealWorld unpacked beside itself."""
    path = _first(folder, "acc_*.zip")
    copy = folder / "copy" / path.relative_to(folder)
    copy.parent.mkdir(parents=True)
    copy.write_bytes(path.read_bytes())


def no_times(folder):
    """Ego4D's time stamps empty but for every tenth row."""
    path = _first(folder, "*.csv")
    head, *rows = path.read_text().splitlines()
    place = head.split(",").index("canonical_timestamp_ms")
    cells = [row.split(",") for row in rows]
    for number, row in enumerate(cells):
        if number % 10:
            row[place] = ""
    path.write_text("\n".join([head, *map(",".join, cells)]))


def in_seconds(folder):
    path = _first(folder, "*.csv")
    head, *rows = path.read_text().splitlines()
    place = head.split(",").index("canonical_timestamp_ms")
    cells = [row.split(",") for row in rows]
    for row in cells:
        row[place] = f"{float(row[place]) / 1e6:.9f}" if row[place] else ""
    path.write_text("\n".join([head, *map(",".join, cells)]))


def other_class(folder):
    """A class of MMEA under a number over 32, in its lists too."""
    path = _first(folder, "25_type_phone")
    path.rename(path.with_name("99_type_phone"))
    for text in folder.glob("*.txt"):
        text.write_text(text.read_text().replace("25_type_phone", "99_type_phone"))


_MAT = {"a trial is cut off": overwritten("*.mat", b"MATLAB 5.0 cut")}
_WISDM = {
    "other lines": replaced("data_1601_accel_*.txt", ",", ";"),
    "a gyroscope file is missing": drop("data_1601_gyro_*.txt"),
}
SPOILERS = {
    "classyglass": {
        "a gyroscope file is missing": drop("*Gyroscope*.csv"),
        "an activity of another list": other_activity,
        "other columns": replaced("*Accelerometer*.csv", "(g)", "(m/s^2)"),
    },
    "dsads": {
        "a segment is cut off": rewritten("s01.txt", lambda text: "\n".join(text.splitlines()[:100])),
        "an empty cell": line("s01.txt", 7, lambda parts: ["NaN", *parts[1:]]),
    },
    "ego4d": {
        "other columns": replaced("*.csv", "accl_x", "ax"),
        "mostly no time stamps": no_times,
        "another unit of time": in_seconds,
    },
    "ego_exo4d": {
        "a take is cut off": overwritten("*.vrs", b"not a recording"),
        "a list of other classes": rewritten("test.txt", lambda text: text + "cmu_bike01_9\tChess\n"),
    },
    "geotec": {
        "other columns": replaced("*_sp.csv", "x_acc", "ax"),
        "another version's labels": replaced("*_sp.csv", "WALKING", "STROLLING"),
    },
    "mmea": {
        "converted to other units": line("*.csv", 3, lambda parts: ["0.125", *parts[1:]]),
        "a folder of no class": other_class,
    },
    "mobifall": {
        "a gyroscope file is missing": drop("WAL_gyro_*.txt"),
        "no line of data": replaced("WAL_acc_*.txt", "@DATA", ""),
    },
    "openpack": {
        "a sensor is missing": drop("U0102/atr/atr01/S0100.csv"),
        "other columns": replaced("atr/*/S0100.csv", "acc_x", "x"),
        "time stamps run backward": back("atr/*/S0100.csv", 0),
    },
    "opportunity": {"a line is cut off": cut("*.dat", 30), "time stamps go back": back("*.dat", 0)},
    "pamap2": {"a line is cut off": cut("*.dat", 30), "time stamps go back": back("*.dat", 0)},
    "realworld": {
        "a recording stands twice": twice,
        "other columns": packed(lambda text: text.replace("attr_x", "x")),
        "columns in another order": packed(lambda text: text.replace("attr_time,attr_x", "attr_x,attr_time")),
    },
    "tnda_har": {"other columns": rewritten("Subject02.csv", lambda text: "time,x,y,z\n" + text)},
    "uci_hapt": {
        "a recording is missing": drop("gyro_exp01_user01.txt"),
        "accelerometer and gyroscope of other lengths": rewritten(
            "acc_exp01*.txt", lambda text: text[: len(text) // 2]
        ),
        "labels of another recording": replaced("labels.txt", "1 1 4 11 570", "1 1 4 11 5700"),
    },
    "uci_har": {
        "a signal is missing": drop("body_gyro_x_test.txt"),
        "a signal is cut off": rewritten("body_gyro_x_test.txt", lambda text: text.splitlines()[0]),
        "unknown labels": rewritten("y_test.txt", lambda text: "9\n" + text.split("\n", 1)[1]),
    },
    "usc_had": _MAT | {"another variable": other_variable("*.mat", "readings")},
    "utd_mhad": _MAT | {"another variable": other_variable("*.mat", "readings")},
    "w_har": {
        "a Git LFS pointer": overwritten(
            "*.csv", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
        ),
        "other columns": replaced("*.csv", "User", "Person"),
        "an unknown activity": replaced("*.csv", ",walk", ",stroll"),
    },
    "wisdm": _WISDM,
    "wisdm_watch": _WISDM,
}
