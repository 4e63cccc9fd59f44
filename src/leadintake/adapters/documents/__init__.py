"""Telling what kind of document a file is, from its bytes."""
