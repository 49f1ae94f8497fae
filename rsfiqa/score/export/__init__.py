"""Export of a checkpoint: ONNX for other programs, a folder for the Hugging Face hub."""
