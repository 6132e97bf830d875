"""Commands that talk to a controller which is running already, and what they show of its run."""
