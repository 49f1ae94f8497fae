"""The benchmark stage: trained models and baselines against opinion scores."""
