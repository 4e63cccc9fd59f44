"""The command line: finds the command, runs it, and turns whatever it is refused with into one line."""

import errno
from importlib import import_module

import click

from leadintake import __version__

COMMANDS = {
    "serve": ("serve", "Take submissions and send mail until told to stop."),
    "worker": ("serve", "Send mail in a process of its own."),
    "migrate": ("migrate", "Bring the database to this version."),
    "users": ("users", "Add, list and deactivate who may sign in."),
    "deliveries": ("deliveries", "List mail that is not sent, and send it again."),
    "leads": ("leads", "Erase a lead."),
    "doctor": ("doctor", "Look for what is wrong, and change nothing."),
    "version": ("version", "Show the version."),
}
"""The module of each command, and what it does."""
