"""The Molecule app: geometry, vibrations, IR spectrum and thermochemistry of a molecule with xTB.

The path data takes: ``reading`` (text to atoms) → ``validation`` (is it a fair question?) → ``workflows`` (the AiiDA
work chain) → ``calculations`` (one job) → ``engine`` (the computation itself, in the app's own environment) → ``ui``
(the page).
"""

__version__ = "1.0.0"
