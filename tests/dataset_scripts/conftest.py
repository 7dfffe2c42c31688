"""The scripts' folder on the path, as for a script that is run."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "dataset_scripts"))
