"""Ablations of the paper at nano size: python training/ablations.py --output runs/ablations --data DIR"""

from pathlib import Path

from anymo_hf.evaluation.ablations import main

if __name__ == "__main__":
    main(Path(__file__).parent / "configs" / "ablations")
