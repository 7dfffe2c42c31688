"""Simulated people: activities built from gait, postures and arms, with their words."""
