import json
from anymo_hf.evaluation.multiple_choice import *
from anymo_hf.recordings.windows_file import load_windows
from anymo_hf.systems.answer_parsing import read_ranking
from anymo_hf.systems.language_model import key_log_probabilities
from anymo_hf.systems.language_prompts import choice_keys
q=questions_of(load_windows('wisdm','/work/data_windows'),12)
keys=choice_keys(35)
for l,o in zip(open('/work/wt/scratch/h_systems/runs/language/SmolLM2-135M-Instruct.jsonl'),q.options):
    v=json.loads(l); v=v.get('value',v)
    n=read_ranking(v['text'],keys,o)[:1]
    k=key_log_probabilities(v['logprobs'],keys,n[0] if n else None)
    print(repr(v['text']),n,o[0],o[n[0]] if n else None,int(np.argmax(k)))
