"""Commands on sessions that were recorded, without any service: replay, diff, repair."""
