"""The rule-based captioner: hand-crafted features of regions, without a language model."""
