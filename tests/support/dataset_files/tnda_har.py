"""Small original files of tnda_har."""

import numpy as np


def rows(seconds=4.0, label=1):
    table = np.zeros((round(50 * seconds), 46))
    for unit in range(5):
        table[:, 9 * unit + unit % 3] = 9.8
        table[:, 9 * unit + 3] = unit + 0.5
        table[:, 9 * unit + 6 : 9 * unit + 9] = 400.0
    table[:, 45] = label
    return table


def lines(table):
    return [",".join(f"{value:.6g}" for value in row) for row in table]


def write(folder, lines, name="Subject01.csv"):
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path
