"""What streamflow costs, measured: `python -m benchmarks [NAME ...]`.

What lives here: one file for each question, what each is compared with, and how a fair comparison is taken. What must
not: tests of behaviour, and numbers typed in by hand. The tables in docs/benchmarks.md and docs/capacity.md are written
by these commands with `--write`.
"""
