"""`grainloop logs`: log lines read, chosen, merged and followed."""
