"""Fine-tuning of the VLM: makes examples (data), trains (train), tests captioners (evaluate)."""
