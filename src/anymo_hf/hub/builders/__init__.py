"""Builders of the four data sets of the Hub; `python -m anymo_hf.hub.builders NAME` writes one."""
