"""`make site`: a trial of a whole multi-user site on one machine, taken away again at the end."""
