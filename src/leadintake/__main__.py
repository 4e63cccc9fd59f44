"""The command line as `python -m leadintake`."""

from leadintake.entrypoints.cli import main

main()
