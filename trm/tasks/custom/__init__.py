"""Tasks that a user's data and structure file define."""
