"""AnyMo and every system it is compared with, one file each, behind one interface (`interface.System`).

from anymo_hf.systems.interface import load_system
forest = load_system("feature_forest")
forest.fit(recordings, labels)
forest.score(others, ["walking", "sitting"])  # (n, 2)
"""
