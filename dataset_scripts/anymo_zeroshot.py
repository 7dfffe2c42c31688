"""Writes `anymo-zeroshot` as a Parquet repository for the Hub.

python dataset_scripts/anymo_zeroshot.py --data DIR --out REPO
"""

from anymo_hf.hub.builders.anymo_zeroshot import main

if __name__ == "__main__":
    main()
