"""Stage 3: trains the tokenizer's words and the language model on motion codes and text.

accelerate launch training/pretrain_language.py --config training/configs/nano/language.yaml --output runs/nano
"""

from anymo_hf.training.stage_commands import run_stage

if __name__ == "__main__":
    run_stage("language")
