"""Wing: where data lives. Sources that read a place and sinks that write it; each commits whole or leaves nothing (P6).

What lives here: one file a place, and the few parts they share. What must not: what the bytes mean (formats), what to
do with items (operators). Nothing is imported here: a place is imported by its name.
"""
