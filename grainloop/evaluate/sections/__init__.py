"""Sections whose truth is known: the map, points measured on it, PL taken of it, and what a method is given of them."""
