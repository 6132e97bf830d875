"""A simulated EBSD/PL instrument that serves a specimen over the grainloop protocol."""
