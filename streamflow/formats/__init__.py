"""What bytes mean: state machines that are fed and never wait, and the stages made from them.

Import from the modules (`from streamflow import csv, gzip, text`); this package has no face of its own.
"""
