"""The widget kit that apps are made of: views without logic (anywidgets) and models without widgets (traitlets).

Views: :mod:`.viewer`, :mod:`.plot`, :mod:`.form`, :mod:`.chooser`, :mod:`.results`, :mod:`.run_monitor`,
:mod:`.run_table`, :mod:`.failure`, :mod:`.layout`. Models: :mod:`.form_model`, :mod:`.run_model`. :mod:`.walltime`
tells an app to save in time. Nothing here imports AiiDA, ASE or NumPy, so that a page opens fast.
"""
