"""Leads, events, deliveries and people in an SQL database."""
