"""After stage 1: adds a branch of plain convolutions over the worn sensors' signals to the trained encoder.

python training/add_signal_branch.py --config training/configs/nano_continued/signal.yaml --output runs/nano
"""

from anymo_hf.training.stage_commands import run_stage

if __name__ == "__main__":
    run_stage("signal")
