"""What an install runs: the smallest computation that goes through the engine."""

import sys

from $package.engine import equation_of_state

if __name__ == "__main__":
    try:
        constant = equation_of_state("Cu", 5)["lattice_constant"]
    except Exception as error:
        sys.exit(f"the engine does not work here: {type(error).__name__}: {error}")
    if not 3.5 < constant < 3.7:
        sys.exit(f"the engine computes copper's lattice constant as {constant:.3f} Å, which cannot be")
