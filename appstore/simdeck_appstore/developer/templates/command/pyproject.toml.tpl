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
dependencies = ["ipykernel", "ipywidgets~=8.1", "anywidget", "httpx", "pydantic~=2.0"]

[tool.hatch.build.targets.wheel]
packages = ["$package"]

[tool.pytest.ini_options]
pythonpath = ["."]
testpaths = ["tests"]

[tool.simdeck]
title = "$title"
summary = "The swinging of a damped oscillator, computed by a small program."
categories = ["teaching"]
logo = "$package/logo.svg"
entry = {kind = "notebook", path = "$package/app.ipynb"}
resources = {cores = 1, memory = "1 GiB"}
smoke = {workflow = "$name.run", inputs = {stiffness = 4.0, damping = 0.2}, seconds = 120}
minimum_simdeck = "0.1"

[[tool.simdeck.commands]]
name = "run"
title = "Damped oscillator"
description = "Position over time, and the period, of a mass on a spring."
# Found in this order: a code of the site, this app's environment, PATH.
command = "awk"
arguments = ["-f", "oscillator.awk", "oscillator.in"]
exit_codes = {3 = "With this damping it does not swing at all. Choose a smaller damping or a stiffer spring."}
resources = {cores = 1, memory = "256 MiB", walltime = "10 min"}

[tool.simdeck.commands.inputs]
mass = {type = "float", default = 1.0, min = 0.001, unit = "kg", title = "Mass"}
stiffness = {type = "float", default = 4.0, min = 0.0, unit = "N/m", title = "Stiffness of the spring"}
damping = {type = "float", default = 0.2, min = 0.0, unit = "kg/s", title = "Damping"}
start = {type = "float", default = 1.0, unit = "m", title = "Position at the start"}
steps = {type = "int", default = 4000, min = 100, max = 1000000, title = "Steps", help = "Each is 0.01 s.", advanced = true}

[tool.simdeck.commands.files]
"oscillator.awk" = {file = "$package/oscillator.awk", plain = true}
"oscillator.in" = {text = """
mass {mass}
stiffness {stiffness}
damping {damping}
start {start}
steps {steps}
"""}

[tool.simdeck.commands.outputs]
period = {from = "stdout", pattern = 'period = (\S+)', unit = "s", title = "Period", headline = true, optional = true}
position = {from = "stdout", pattern = 'position at the end = (\S+)', unit = "m", title = "Position at the end"}
trajectory = {file = "trajectory.csv", title = "Trajectory"}
