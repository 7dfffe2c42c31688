"""Judges the simulated motion, not the model: a small supervised CNN learns it and is tried on real windows.

python training/probe_motion.py --corpus runs/nano/corpus --data DIR
"""

from anymo_hf.evaluation.motion_probe import main

if __name__ == "__main__":
    main()
