"""What synchronous operators are made of: forms over a callable, state machines over a stretch of input."""
