"""Writes `anymo-bench` as a Parquet repository for the Hub.

python dataset_scripts/anymo_bench.py --nymeria DIR --annotations FILE --out REPO --config fine150
"""

from anymo_hf.hub.builders.anymo_bench import main

if __name__ == "__main__":
    main()
