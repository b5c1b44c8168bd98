"""fastconv beside the libraries people use: one run, one process a library, one turn after the other.
`python benchmarks/peers.py` is the way in. Only workers may import a library that is measured, fastconv included."""
