"""A piece of program text on a page."""

from __future__ import annotations

import traitlets

from simdeck_widgets.base import View, script, style


class Code(View):
    """Shows ``code`` as it is, to read and to copy; ``label`` says what it is."""

    _esm = script("code")
    _css = style()
    code = traitlets.Unicode().tag(sync=True)
    label = traitlets.Unicode("Program").tag(sync=True)
