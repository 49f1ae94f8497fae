"""The VLM captioner: a vision-language model behind a server with OpenAI's chat API."""
