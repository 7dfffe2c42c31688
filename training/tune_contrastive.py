"""Stage 4: contrastive instruction tuning; writes the finished checkpoint.

accelerate launch training/tune_contrastive.py --config training/configs/nano/contrastive.yaml --output runs/nano
"""

from anymo_hf.training.stage_commands import run_stage

if __name__ == "__main__":
    run_stage("contrastive")
