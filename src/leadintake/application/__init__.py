"""The use cases, and the ports they need. Domain and standard library only."""
