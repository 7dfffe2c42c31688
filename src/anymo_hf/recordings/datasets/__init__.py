"""One file a public dataset: its declaration and its parse function."""
