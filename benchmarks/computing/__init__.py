"""Speed of what is computed: orientation kernels, specimens, paths, reconstruction, ways to run the network."""
