"""Trains another method's objective on our corpus, for table B of the comparison.

python training/pretrain_system.py --config training/configs/systems/unimts_objective.yaml --output runs/systems
"""

from anymo_hf.systems.retraining.command import main

if __name__ == "__main__":
    main()
