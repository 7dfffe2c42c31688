"""AnyMo for Hugging Face: human motion from wearable IMUs in any wearing setup."""

__version__ = "0.1.0.dev0"
