"""From a thread into the event loop and back."""
