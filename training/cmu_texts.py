"""Clip descriptions of the CMU motion capture database as sentences for the text side, one a line.

python training/cmu_texts.py --index cmu-mocap-index.csv --output texts.txt
"""

from anymo_hf.training.cmu_texts import main

if __name__ == "__main__":
    main()
