"""Training of compared systems on our corpus (table B), which `training/pretrain_system.py` runs."""
