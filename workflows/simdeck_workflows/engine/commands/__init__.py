"""Programs that an app describes in its manifest, carried out as workflows.

``plan`` says what is started and which files lie there, ``reading`` what its files say, both without AiiDA;
``processes`` makes AiiDA's classes of a description.
"""
