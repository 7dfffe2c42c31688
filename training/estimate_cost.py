"""Memory and time per step of the paper's four stages on 1, 2, 8 and 64 GPUs, on paper.

python training/estimate_cost.py --output results/training_cost.json
"""

from pathlib import Path

from anymo_hf.training.cost_estimate import main

if __name__ == "__main__":
    main(Path(__file__).parent / "configs" / "paper")
