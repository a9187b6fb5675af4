"""Several streams into one: whose turn it is, and the stage that is a source where it stands first."""
