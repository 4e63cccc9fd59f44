"""The HTTP API: each file holds the calls under one noun, or one thing that all calls share."""
