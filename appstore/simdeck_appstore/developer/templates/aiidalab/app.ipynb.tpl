{
 "cells": [
  {"cell_type": "markdown", "id": "title", "metadata": {}, "source": ["# $title"]},
  {
   "cell_type": "code", "execution_count": null, "id": "page", "metadata": {}, "outputs": [],
   "source": [
    "import ipywidgets as ipw\n",
    "from cells import METALS, measure\n",
    "\n",
    "metal = ipw.Dropdown(options=METALS, description=\"Metal\")\n",
    "shown = ipw.HTML()\n",
    "\n",
    "\n",
    "def show(_=None):\n",
    "    found = measure(metal.value)\n",
    "    shown.value = f\"<p>{found['volume']:.2f} Å³ an atom, {found['distance']:.2f} Å to the nearest neighbour</p>\"\n",
    "\n",
    "\n",
    "metal.observe(show, \"value\")\n",
    "show()\n",
    "ipw.VBox([metal, shown])"
   ]
  }
 ],
 "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
 "nbformat": 4,
 "nbformat_minor": 5
}
