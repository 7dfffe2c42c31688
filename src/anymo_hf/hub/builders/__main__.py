"""`python -m anymo_hf.hub.builders NAME ...`: what `dataset_scripts/` does, from an installed package."""

import sys
from importlib import import_module

from ...interruption import ending_in_words

BUILDERS = ("anymo_180", "anymo_bench", "anymo_synthetic", "anymo_zeroshot")


@ending_in_words("builders")  # importing a builder takes seconds
def main() -> None:
    """Runs the command of the builder that the first argument names; an unknown one ends with 2."""
    name = sys.argv[1].replace("-", "_") if len(sys.argv) > 1 else ""
    if name not in BUILDERS:
        known = ", ".join(builder.replace("_", "-") for builder in BUILDERS)
        sys.exit(print(f"give one of {known}; its --help says more", file=sys.stderr) or 2)
    import_module(f"{__package__}.{name}").main(sys.argv[2:])


if __name__ == "__main__":
    main()
