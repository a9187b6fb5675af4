"""Tasks that a stage owns, and their end."""
