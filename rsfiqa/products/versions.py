"""Versions of the stages."""

# Raised on purpose when a stage's output changes for the same options; then it runs again.
VERSIONS = {
    "prepare": 1,
    "segment": 1,
    "caption": 2,
    "embed": 1,
    "extract": 4,
    "train": 8,
    "benchmark": 1,
    "report": 2,
    "teach": 2,
}
