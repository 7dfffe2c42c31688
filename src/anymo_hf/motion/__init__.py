"""Body motion in: readers and the procedural generator, all giving one `BodyMotion` type."""
