"""Crystals with Quantum ESPRESSO: relaxation, band structure, density of states, phonons at Γ.

``reading`` and ``builders`` (from files and lattices to a crystal), ``cell`` (primitive, supercell, symmetry),
``pseudopotentials`` (which there are, for which functional), ``settings`` (what a protocol means in numbers),
``validation`` (is it a fair question?), ``workflows`` and ``stages`` (AiiDA, on aiida-quantumespresso), ``analysis``
(gap, densities of states), ``engine`` (runs the programs and tells how far they are), ``ui`` (the page).
"""
