"""The extract stage: images to features of a frozen backbone."""
