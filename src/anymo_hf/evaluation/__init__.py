"""Judging: metrics of recognition, retrieval and captioning."""
