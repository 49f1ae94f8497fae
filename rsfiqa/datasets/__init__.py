"""One module per layout: how a data set lies on disk, read into entries."""
