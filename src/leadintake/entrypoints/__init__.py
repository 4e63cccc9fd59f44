"""What starts the application and speaks for it: HTTP, worker, command line, settings, and the bootstrap."""
