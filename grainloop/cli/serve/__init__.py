"""`grainloop serve`: the services, in this process or as children of it."""
