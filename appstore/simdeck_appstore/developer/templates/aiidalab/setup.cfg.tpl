[aiidalab]
title = $title
description = Cells of the common metals, built and measured.
authors = Your Name
state = development
categories =
    solids

[metadata]
name = aiidalab-$name
version = 0.1.0
description = Cells of the common metals, built and measured.
author = Your Name
license = MIT

[options]
python_requires = >=3.9
install_requires =
    ase
    ipywidgets~=8.1
