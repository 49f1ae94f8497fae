"""Scores of anybody's pictures: command, scorer, single-image pipeline, heat map."""
