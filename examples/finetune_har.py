"""Fine-tunes AnyMo on USC-HAD with LoRA and tests it on people that it never saw.

    python dataset_scripts/anymo_zeroshot.py --data DIR --out anymo-zeroshot --config usc_had
    python examples/finetune_har.py

`anymo finetune --help` has the same as a command with every option. The output loads with
`AutoModelForSequenceClassification.from_pretrained`. Needs the extra `eval`: `pip install -e ".[eval]"`.
"""

from datasets import concatenate_datasets, load_dataset

from anymo_hf import save_release
from anymo_hf.evaluation.finetuning import FinetuneSettings, finetune

windows = concatenate_datasets(list(load_dataset("anymo-zeroshot", "usc_had").values()))
settings = FinetuneSettings(method="lora", share=1.0, steps=300)  # share=0.05: the labels of 5 % of the people
model, processor, result = finetune("anymo", windows, "anymo-usc-had", settings)
save_release("anymo-usc-had", model, processor)
print(result)
