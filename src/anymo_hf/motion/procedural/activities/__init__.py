"""One file a family of activities; each module's `ACTIVITIES` is found by itself (`procedural.registry`)."""
