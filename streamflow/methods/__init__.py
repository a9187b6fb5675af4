"""The methods of `Stream`, one file a family, under the names of the files in operators/.

What lives here: for each operator the signature that knows the stream's item type, and one call of the function. What
must not: behaviour. `spelled` ties a method to its function, so that both have one docstring.
"""
