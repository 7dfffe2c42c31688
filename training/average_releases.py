"""The average of two releases of one run, weight by weight.

python training/average_releases.py runs/short runs/long --share 0.25 --output runs/averaged
"""

from anymo_hf.training.average_releases import main

if __name__ == "__main__":
    main()
