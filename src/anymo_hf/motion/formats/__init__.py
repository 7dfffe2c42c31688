"""One file a motion format, each with how it is recognised."""
