"""Text encoders: captions to vectors."""
