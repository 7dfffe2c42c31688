"""Makes the motion corpus: simulated people, motion capture, or a Nymeria copy's annotated windows; goes on after a stop.

python training/make_corpus.py --output runs/nano --seeds 80
python training/make_corpus.py --output runs/paper --nymeria nymeria --annotations annotations.parquet
"""

from anymo_hf.training.corpus_command import main

if __name__ == "__main__":
    main()
