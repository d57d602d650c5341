"""Run by every install: the smallest thing that goes through the model."""

import sys

from $package.model import levels

if __name__ == "__main__":
    if len(levels(4.5, 1.9, 0.5)) < 5:
        sys.exit("the levels of hydrogen came out wrong")
