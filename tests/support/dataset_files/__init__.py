"""Original files of the public datasets, as small as tests need them."""
