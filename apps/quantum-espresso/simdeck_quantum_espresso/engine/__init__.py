"""Runs one program of Quantum ESPRESSO in a working directory and tells live how far it is. Standard library only."""
