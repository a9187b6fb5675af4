"""Several calls at once: workers, whose turn it is, what dresses a call, and where it runs."""
