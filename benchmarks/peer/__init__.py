"""The peer: the same service as most people would write it. It runs in an environment of its own."""
