"""Leads, people, events and deliveries. Standard library only; no I/O, no clock, no randomness."""
