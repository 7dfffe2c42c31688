"""After stage 4: tunes the residual of motion embeddings of a release; writes it again.

python training/tune_residual.py --config training/configs/nano_continued/residual.yaml --output runs/nano \
    --start-from anymo --release anymo-tuned
"""

from anymo_hf.training.stage_commands import run_stage

if __name__ == "__main__":
    run_stage("residual")
