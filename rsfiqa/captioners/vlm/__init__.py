"""A vision-language model behind a server."""
