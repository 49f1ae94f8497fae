"""The service of `rsfiqa serve`: a page and an HTTP interface that score pictures."""
