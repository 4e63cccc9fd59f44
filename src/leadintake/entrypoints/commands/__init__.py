"""The commands, a module for each noun; leadintake.entrypoints.cli imports the one that is called."""
