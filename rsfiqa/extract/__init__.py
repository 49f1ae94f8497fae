"""The extract stage: computes the features of a frozen backbone, once for all trainings."""
