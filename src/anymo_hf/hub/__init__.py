"""Releases, official conversion, cards, upload, builders of the datasets."""
