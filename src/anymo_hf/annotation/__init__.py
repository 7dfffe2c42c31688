"""Activity vocabularies."""
