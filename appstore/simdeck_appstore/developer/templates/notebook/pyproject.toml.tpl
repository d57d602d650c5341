#:schema ./.simdeck-schema.json

[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "simdeck-app-$name"
version = "0.1.0"
description = "$title: what it computes, in one sentence"
readme = "README.md"
license = "BSD-3-Clause"
requires-python = ">=3.11"
# Pinned with hashes in requirements.lock (`simdeck app lock` makes it). simdeck itself comes with the platform.
dependencies = ["ase", "numpy", "ipykernel", "ipywidgets~=8.1", "anywidget", "httpx", "pydantic~=2.0"]

[project.entry-points."aiida.workflows"]
"$name.run" = "$package.workflows:EquationOfState"

[project.entry-points."aiida.calculations"]
"$name.engine" = "$package.workflows:Engine"

[project.entry-points."aiida.parsers"]
"$name.engine" = "$package.workflows:EngineParser"

[tool.hatch.build.targets.wheel]
packages = ["$package"]

[tool.pytest.ini_options]
pythonpath = ["."]
testpaths = ["tests"]

[tool.simdeck]
title = "$title"
summary = "The lattice constant and bulk modulus of a metal, from a fit of its equation of state."
categories = ["solids"]
logo = "$package/logo.svg"
entry = {kind = "notebook", path = "$package/app.ipynb"}
resources = {cores = 1, memory = "1 GiB"}
workflows = ["$name.run"]
checks = ["$package.check"]
smoke = {workflow = "$name.run", inputs = {element = "Cu", points = 7}, seconds = 120}
citations = [{text = "A. Hjorth Larsen et al., The atomic simulation environment, J. Phys.: Condens. Matter 29, 273002 (2017).", doi = "10.1088/1361-648X/aa680e"}]
minimum_simdeck = "0.1"
