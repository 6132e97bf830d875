"""Reconstruction of orientation maps from sparse EBSD and polarized light."""
