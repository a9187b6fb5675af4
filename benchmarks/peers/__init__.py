"""The same small jobs as others do them: one file for each library or language.

What lives here: each peer used as its own documentation advises, with the address beside it. What must not: streamflow.
The Python libraries are in the extra `bench`; Node.js and Go are used where they are installed.
"""
