"""Whole runs played on known maps: what measuring by a policy comes to."""
