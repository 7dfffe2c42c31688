"""Writes `anymo-synthetic` as a Parquet repository for the Hub.

python dataset_scripts/anymo_synthetic.py --archive DIR --out REPO --config views
"""

from anymo_hf.hub.builders.anymo_synthetic import main

if __name__ == "__main__":
    main()
