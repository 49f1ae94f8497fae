"""The embed stage: captions to vectors."""
