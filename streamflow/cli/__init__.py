"""The command line: `streamflow demo` and `streamflow version`.

What lives here: words and drawings for people at a terminal, and the one job that shows what streamflow is for. What
must not: anything a library user could want; that has its place on the stairs below.
"""
