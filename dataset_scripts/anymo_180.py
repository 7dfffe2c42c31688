"""Writes `anymo-180` as a Parquet repository for the Hub.

python dataset_scripts/anymo_180.py --nymeria DIR --annotations FILE --out REPO
"""

from anymo_hf.hub.builders.anymo_180 import main

if __name__ == "__main__":
    main()
