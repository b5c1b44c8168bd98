"""Drop-in backends: one module for each foreign net, which translates layouts and arguments and nothing else.
Nothing here is imported by the rest of the package; a module imports its foreign package and no other does."""
