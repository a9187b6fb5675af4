"""Addresses: `sf.read(url)` and `sf.write(url)`, which choose place and codecs from the scheme and the suffixes.

What lives here: that choice, written as a table (`suffixes.py`), and the two functions. What must not: how anything is
read, parsed or compressed; here stages of the wings are put in a row, and nothing more. `explain()` shows the row.
"""
