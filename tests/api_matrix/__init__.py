"""The whole API asked by those who may not, and asked for what it does not promise; one Simdeck for both."""
