"""How fast the service is: against a peer, against what the machine can do, and against its goals (`make bench`)."""
