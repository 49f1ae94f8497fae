"""Teaching a vision-language model to see distortions: examples, and tests on kept sources."""
