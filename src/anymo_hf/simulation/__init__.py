"""Simulation: from segment motion to what a worn IMU reads (paper §3.1)."""
