"""`rsfiqa score`: scores of any image files, without the stages' files."""
