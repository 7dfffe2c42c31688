"""Everything of Nymeria: sequences, clocks, IMU streams, narrations, meshes, annotated windows."""
