"""`grainloop plan`: does adaptive acquisition pay here? The arithmetic, the speed of the model, and the words."""
