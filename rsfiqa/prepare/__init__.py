"""The prepare stage: list the images of a data set in a manifest."""
