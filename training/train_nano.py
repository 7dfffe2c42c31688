"""Trains the nano checkpoint from nothing: corpus and all four stages in order; run it again to go on after a stop.

python training/train_nano.py --output runs/nano --release anymo --minutes 90
"""

from pathlib import Path

from anymo_hf.training.nano_recipe import main

if __name__ == "__main__":
    main(Path(__file__).parent / "configs" / "nano")
