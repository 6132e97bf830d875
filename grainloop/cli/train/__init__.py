"""`grainloop train`: a training from its configuration, what it shows, and what is made of it."""
