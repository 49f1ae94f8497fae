"""What the Snakemake workflow needs in Python: the configuration."""
