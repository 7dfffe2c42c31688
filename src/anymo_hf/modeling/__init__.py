"""Models and what travels with a checkpoint; files here import only their siblings."""
