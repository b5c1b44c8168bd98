"""fastconv: convolutional networks on a CPU from NumPy."""

__version__ = "0.1.0.dev0"
