"""Readers and writers of model files, and the error that every reader raises for a malformed file.
Importing it must never import an optional package."""

from .errors import FormatError

__all__ = ["FormatError"]
