"""Small original files of opportunity."""

import numpy as np


def rows(seconds=6.0, locomotion=1):
    count = round(seconds * 30)
    table = np.full((count, 250), np.nan)
    table[:, 0] = np.floor(np.arange(count) * 1000 / 30)  # whole milliseconds
    for unit, first in enumerate((37, 50, 63, 76, 89)):
        table[:, first : first + 6] = 0
        table[:, first + unit % 3] = 1000
        table[:, first + 3] = 100 * (unit + 1)
        table[:, first + 6 : first + 13] = 500
    table[:, 243] = locomotion
    table[:, 244:] = 0
    return table


def write(folder, table, name="S2-ADL4"):
    path = folder / "OpportunityUCIDataset" / "dataset" / f"{name}.dat"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(path, table, fmt="%.10g")
    return path
