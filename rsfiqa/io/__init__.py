"""Files: atomic writing, checksums, provenance, Parquet, arrays."""
