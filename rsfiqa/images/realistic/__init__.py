"""Distortions as they arise in a camera, its software and the file, with calibrated severities."""
