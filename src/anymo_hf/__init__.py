"""AnyMo for Hugging Face: human motion from wearable IMUs in any wearing setup.

Importing it registers the Auto classes and pipelines; torch and the models are loaded when they are first used.
"""

__version__ = "0.1.0.dev0"
