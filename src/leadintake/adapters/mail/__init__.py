"""Mail: what a letter says, how it is written as a message, and the ways it can go out."""
