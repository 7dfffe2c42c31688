"""Real IMU recordings in: one small reader per public dataset, all giving `ImuRecording`s in SI units."""
