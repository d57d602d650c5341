# Shows an AiiDAlab app's banner: the widget that get_start_widget() of its start.py returns, live.
import importlib.util as _util
import inspect as _inspect
import os as _os
import sys as _sys

import ipywidgets as _widgets
from IPython.display import display as _display


def _start_widget() -> object:
    here = _os.getcwd()
    name = _os.path.basename(here)
    sys_path = _os.path.dirname(_os.path.dirname(here))
    if sys_path not in _sys.path:
        _sys.path.append(sys_path)
    spec = _util.spec_from_file_location("start", _os.path.join(here, "start.py"))
    if spec is None or spec.loader is None:
        raise ImportError("start.py cannot be read")
    module = _util.module_from_spec(spec)
    _sys.modules["start"] = module
    spec.loader.exec_module(module)
    places = {"appbase": f"../{name}", "jupbase": "../../.."}
    try:
        return module.get_start_widget(**places, notebase=f"../../../notebooks/apps/{name}")
    except TypeError:
        # Older apps take two.
        known = _inspect.signature(module.get_start_widget).parameters
        if "notebase" in known or any(one.kind is one.VAR_KEYWORD for one in known.values()):
            raise
        return module.get_start_widget(**places)


try:
    _shown = _start_widget()
except Exception as _error:
    import html as _html
    import traceback as _traceback

    _text = _html.escape("".join(_traceback.format_exception(_error)))
    _shown = _widgets.HTML(
        "<div class='alert alert-danger'>The start page of this app could not be shown: "
        f"{_html.escape(type(_error).__name__)}: {_html.escape(str(_error))}"
        f"<details><summary>Details for the developer</summary><pre>{_text}</pre></details></div>"
    )
_display(_shown)
