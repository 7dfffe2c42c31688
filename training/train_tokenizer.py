"""Stage 2: trains the PQ-VAE on frozen latents and exports motion codes.

accelerate launch training/train_tokenizer.py --config training/configs/nano/tokenizer.yaml --output runs/nano
"""

from anymo_hf.training.stage_commands import run_stage

if __name__ == "__main__":
    run_stage("tokenizer")
