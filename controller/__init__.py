"""The acquisition loop, its session files and the command line."""
