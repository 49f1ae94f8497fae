"""Files: atomic writes, checksums, provenance, JSON, Parquet, safetensors."""
