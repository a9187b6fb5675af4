"""One stream to several: the fan, the runs it feeds, and the sources they are read from."""
