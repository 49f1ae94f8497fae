"""Versions of the stages."""

# Raised on purpose when a stage's output changes for the same options; then it runs again.
VERSIONS = {
    "prepare": 3,
    "segment": 2,
    "caption": 5,
    "embed": 1,
    "extract": 5,
    "train": 11,
    "benchmark": 2,
    "report": 7,
    "teach": 4,
}
