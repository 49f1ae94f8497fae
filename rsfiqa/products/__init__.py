"""The data products: where each lies, its schema, how it is read and written."""
