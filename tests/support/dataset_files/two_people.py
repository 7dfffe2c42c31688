"""Original files of two people or sessions of every dataset, as small as its reader allows: `WRITERS[name](folder)`."""

import shutil

import numpy as np
import pytest
from scipy.io import savemat
from support.dataset_files import (
    dsads,
    ego4d,
    ego_exo4d,
    mmea,
    opportunity,
    pamap2,
    realworld,
    tnda_har,
    uci_har,
    usc_had,
    w_har,
    wisdm,
)  # fmt: skip


def _utd_mhad(folder):
    folder.mkdir(parents=True)
    for action in (2, 22):
        for subject in (1, 2):
            trial = np.tile([1.0, 0, 0, 90, subject, action], (120 + subject, 1))
            savemat(folder / f"a{action}_s{subject}_t1_inertial.mat", {"d_iner": trial})


def _uci_har(folder):
    test = uci_har.write(folder).parent
    train = test.with_name("train")
    for path in [*test.rglob("*.txt")]:
        copy = train / str(path.relative_to(test)).replace("_test", "_train")
        copy.parent.mkdir(parents=True, exist_ok=True)
        np.savetxt(copy, np.loadtxt(path, ndmin=1)[:2], fmt="%g")


def _uci_hapt(folder):
    raw = folder / "HAPT Data Set" / "RawData"
    raw.mkdir(parents=True)
    for user in (1, 2):
        ramp = np.linspace(0, user / 100, 600)[:, None] * np.ones(3) + [1, 0, 0]
        for kind in ("acc", "gyro"):
            np.savetxt(raw / f"{kind}_exp0{user}_user0{user}.txt", ramp)
    (raw / "labels.txt").write_text("1 1 4 11 570\n1 1 7 571 590\n2 2 6 1 260\n")


def _openpack(folder):
    clock = 1_648_531_521_000 + 30 * np.arange(400)
    for user in ("U0101", "U0102"):
        operations = folder / user / "annotation" / "openpack-operations"
        operations.mkdir(parents=True)
        times = "2022-03-29 14:25:23.000000+09:00,2022-03-29 14:25:25.500000+09:00"
        (operations / "S0100.csv").write_text(f"id,start,end\n100,{times}\n8100,{times}\n")
        for device in ("atr01", "atr02") if user == "U0101" else ("atr01",):
            rows = [f"{time},0,{index / 4000},1,0,0,90" for index, time in enumerate(clock)]
            path = folder / user / "atr" / device / "S0100.csv"
            path.parent.mkdir(parents=True)
            path.write_text("\n".join(["unixtime,acc_x,acc_y,acc_z,gyro_x,gyro_y,gyro_z", *rows]))


def _wisdm(folder, device="phone"):
    wisdm.write(folder, subjects=(1600, 1601, 1602))
    (folder / "raw" / "phone" / "gyro" / "data_1600_gyro_phone.txt").unlink()  # its owner is left out
    if device != "phone":
        for path in [*folder.rglob("*.txt")]:
            target = folder / "raw" / device / path.parent.name / path.name.replace("phone", device)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
        shutil.rmtree(folder / "raw" / "phone")


def _opportunity(folder):
    files = opportunity
    for session, posture in (("S2-ADL4", 1), ("S3-ADL5", 4), ("S1-Drill", 5)):
        files.write(folder, files.rows(seconds=8.0, locomotion=posture), session)


def _w_har(folder):
    files = w_har
    files.write(folder, files.rows("walk", seconds=6.0) + files.rows("liedown", user=2, seconds=3.0))


def _realworld(folder):
    files = realworld
    files.sitting(folder, 2, places=("head", "chest"))
    files.sitting(folder, 10)


def _tnda_har(folder):
    folder.mkdir(parents=True)
    files = tnda_har
    for number, label in ((2, 1), (10, 6)):
        files.write(folder, files.lines(files.rows(6.0, label)), f"Subject{number:02d}.csv")


def _pamap2(folder):
    files = pamap2
    files.write(folder, [files.rows()], 101)
    files.write(folder, [files.rows(6.0)], 108)  # left-handed


def _dsads(folder):
    for person in (1, 2):
        dsads.write(folder, 9, person, [1, 2, 4])


def _ego4d(folder):
    files = ego4d
    for number in (0, 1):
        files.write(folder, files.UID[number], number + np.arange(1300) / 200)
    files.lists(folder, test=[(files.UID[0], "cooking")], train=[(files.UID[1], "eating")])


def _ego_exo4d(folder):
    pytest.importorskip("pyvrs")
    files = ego_exo4d
    for name in ("cmu_bike01_2", "cmu_bike01_3"):
        files.take(folder, name, files.still(5500))
    files.lists(folder, test=[("cmu_bike01_2", "Bike Repair")], train=[("cmu_bike01_3", "Bike Repair")])


def _mmea(folder):
    files = mmea
    for clip in ("25_type_phone/a_1", "25_type_phone/a_2", "1_upstairs/b_1"):
        files.clip(folder, clip, rows=40 + len(clip))
    (folder / "test.txt").write_text(files.line("25_type_phone/a_1", 24) + files.line("1_upstairs/b_1", 0))
    (folder / "train.txt").write_text(files.line("25_type_phone/a_2", 24))


def _mobifall(folder):
    for person in (1, 2):
        for kind, values in (("acc", "0.0, 9.81, 0.0"), ("gyro", "0.1, 0.0, 0.0")):
            path = folder / f"sub{person}" / "ADL" / "WAL" / f"WAL_{kind}_{person}_1.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            rows = "".join(f"{10**12 + 10**7 * i}, {values}\n" for i in range(600))
            path.write_text("#timestamp(ns),x,y,z\n#Activity: 5 - Walking\n\n@DATA\n" + rows)


def _geotec(folder):
    for person in (1, 2):
        for device in ("sp", "sw"):
            path = folder / "DATA" / f"s0{person}" / f"s0{person}_01_{device}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            rows = "".join(f"0,9.81,0.1,0.1,0,0,{1600000000000 + 10 * i},WALKING\n" for i in range(300))
            path.write_text("x_acc,y_acc,z_acc,x_gyro,y_gyro,z_gyro,timestamp,label\n" + rows)


def _classyglass(folder):
    for person in (1, 2):
        for kind, unit, values in (("Accelerometer", "g", "0,1,0"), ("Gyroscope", "deg/s", "9,0,0")):
            name = f"1_activity9_MetaWear_{kind}_50.000Hz.csv"
            path = folder / "Datasets" / "Dataset_1A" / f"User{person}" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            head = "elapsed (s)," + ",".join(f"{axis}-axis ({unit})" for axis in "xyz")
            path.write_text(head + "\n" + "".join(f"{i / 50:.5f},{values}\n" for i in range(260)))


WRITERS = {
    "mobifall": _mobifall, "geotec": _geotec, "classyglass": _classyglass,
    "uci_har": _uci_har, "uci_hapt": _uci_hapt, "usc_had": lambda folder: usc_had.write(folder),
    "utd_mhad": _utd_mhad, "openpack": _openpack, "wisdm": _wisdm, "wisdm_watch": lambda folder: _wisdm(folder, "watch"),
    "opportunity": _opportunity, "w_har": _w_har, "realworld": _realworld, "tnda_har": _tnda_har, "pamap2": _pamap2,
    "dsads": _dsads, "ego4d": _ego4d, "ego_exo4d": _ego_exo4d, "mmea": _mmea,
}  # fmt: skip
