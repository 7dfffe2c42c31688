"""Stage 4: contrastive instruction tuning; writes the finished checkpoint.

accelerate launch training/tune_contrastive.py --config training/configs/nano/contrastive.yaml --output runs/nano
"""

from anymo_hf.training.settings import ContrastiveSettings
from anymo_hf.training.stage_commands import run_stage
from anymo_hf.training.stages.contrastive import tune_contrastive

if __name__ == "__main__":
    run_stage(
        __doc__,
        ContrastiveSettings,
        lambda settings, arguments, gpu: tune_contrastive(settings, arguments.output, arguments.release, gpu),
        release=True,
    )
