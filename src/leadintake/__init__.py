"""leadintake: a submission from the form to the attorney's hands."""

__version__ = "0.1.0"
