"""$title: a web program of its own as a Simdeck app."""
