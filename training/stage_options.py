"""What options of stages 1 and 2 give, by the probe: python training/stage_options.py --corpus CORPUS --data DIR"""

from pathlib import Path

from anymo_hf.evaluation.stage_options import main

if __name__ == "__main__":
    main(Path(__file__).parent / "configs" / "options")
