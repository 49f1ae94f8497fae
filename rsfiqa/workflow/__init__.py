"""What the Snakemake workflow needs in Python: its configuration, checked, and what is outdated."""
