"""Stage 1: trains the ST-GCN encoder by masked cross-view prediction.

accelerate launch training/pretrain_encoder.py --config training/configs/nano/encoder.yaml --output runs/nano
"""

from anymo_hf.training.stage_commands import run_stage

if __name__ == "__main__":
    run_stage("encoder")
