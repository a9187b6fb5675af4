"""What happens while somebody waits: the input beside the clock, a store, a side source, a cycle, groups."""
