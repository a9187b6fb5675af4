"""Pipelines that run for ever: as a process (`serve`), or supervised inside one.

What lives here: the face of the folder is `sf.serve`; the rest is reached by its file. What must not: anything of a web
framework (web/), or of the command line (cli/).
"""
