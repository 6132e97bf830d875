"""How good reconstruction and registration are: the classical methods, the trained posterior, scaling at inference."""
