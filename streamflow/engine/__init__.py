"""Who runs a plan: planner (what shares a task), segments (the tasks), conductor (how a run ends), runner (the loop).

Import from the modules; this package has no face of its own.
"""
