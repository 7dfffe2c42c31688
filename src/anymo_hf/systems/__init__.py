"""AnyMo and every system it is compared with, one file each."""
