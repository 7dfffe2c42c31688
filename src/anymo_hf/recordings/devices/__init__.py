"""One file a device or app export."""
