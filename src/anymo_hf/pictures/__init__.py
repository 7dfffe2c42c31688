"""Everything drawn: bodies, placements, signals, timelines."""
