"""The segmenter that uses segment-anything (SAM)."""
