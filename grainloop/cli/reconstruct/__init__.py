"""`grainloop reconstruct`: one map from some of its points and PL, scored against the map itself."""
