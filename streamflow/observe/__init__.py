"""Seeing what a run does: statistics, the account, the bottleneck, the plan in words.

Import from the modules; `Pipeline.stats()`, `.report` and `.explain()` are the usual way in.
"""
