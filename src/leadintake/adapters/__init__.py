"""One room a technology. No room imports another; only entrypoints.bootstrap puts them together."""
