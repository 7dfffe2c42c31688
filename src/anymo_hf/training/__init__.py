"""What the training scripts share: corpus, views, the resumable loop, and the four stages."""
