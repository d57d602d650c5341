{
 "cells": [
  {
   "cell_type": "code",
   "execution_count": null,
   "id": "page",
   "metadata": {},
   "outputs": [],
   "source": ["from simdeck_widgets.workflow_page import open_page\n", "\n", "open_page(\"$name.run\", curve=(\"time\", \"position\"))"]
  }
 ],
 "metadata": {
  "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
  "simdeck": {"warm": ["simdeck_widgets.workflow_page", "simdeck_workflows.client"]}
 },
 "nbformat": 4,
 "nbformat_minor": 5
}
