"""Brings the code inside a release folder up to date; weights stay as they are.

python training/release.py anymo
"""

import argparse

from transformers import AutoModelForCausalLM, AutoProcessor

import anymo_hf  # noqa: F401  (registers the Auto classes)
from anymo_hf.modeling.release import save_release


def main() -> None:
    """Loads the release and saves it again."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="release folder")
    folder = parser.parse_args().folder
    print(save_release(folder, AutoModelForCausalLM.from_pretrained(folder), AutoProcessor.from_pretrained(folder)))


if __name__ == "__main__":
    main()
