"""Passwords, access tokens, and the secrets behind them."""
