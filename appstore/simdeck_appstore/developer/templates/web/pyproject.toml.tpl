#:schema ./.simdeck-schema.json

[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "simdeck-app-$name"
version = "0.1.0"
description = "$title: what it shows, in one sentence"
readme = "README.md"
license = "BSD-3-Clause"
requires-python = ">=3.11"
# Pinned with hashes in requirements.lock (`simdeck app lock` makes it). simdeck itself comes with the platform.
dependencies = ["starlette", "uvicorn", "pydantic~=2.0"]

[tool.hatch.build.targets.wheel]
packages = ["$package"]

[tool.pytest.ini_options]
pythonpath = ["."]
testpaths = ["tests"]

[tool.simdeck]
title = "$title"
summary = "The Morse potential of a diatomic molecule and its vibrational levels, drawn as you move the sliders."
categories = ["teaching"]
logo = "$package/logo.svg"
# {unix_socket} is the Unix socket to listen on: a TCP port would be open to everybody on a shared node.
entry = {kind = "command", command = ["python", "-m", "$package", "--socket", "{unix_socket}"]}
resources = {cores = 1, memory = "512 MiB"}
checks = ["$package.check"]
citations = [{text = "P. M. Morse, Diatomic molecules according to the wave mechanics. II. Vibrational levels, Phys. Rev. 34, 57 (1929).", doi = "10.1103/PhysRev.34.57"}]
minimum_simdeck = "0.1"
