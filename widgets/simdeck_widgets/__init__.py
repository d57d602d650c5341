"""The widget kit that apps are made of: views without logic (anywidgets) and models without widgets (traitlets).

Views: :mod:`.viewer`, :mod:`.structure_editor`, :mod:`.structure_search`, :mod:`.chooser`, :mod:`.form`,
:mod:`.resource_picker`, :mod:`.run_monitor`, :mod:`.run_table`, :mod:`.plot`, :mod:`.results`, :mod:`.failure_card`,
:mod:`.failure`, :mod:`.code`, :mod:`.layout`. Models: :mod:`.structure_model`, :mod:`.optimade_model`,
:mod:`.form_model`, :mod:`.resource_model`, :mod:`.run_model`, :mod:`.run_list`, :mod:`.plot_model`,
:mod:`.failure_model`. :mod:`.walltime` tells an app to save in time. Nothing here imports AiiDA, ASE or NumPy, so that
a page opens fast.
"""
