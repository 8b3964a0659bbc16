"""One room for each promise: the functions that ``acceptance.py`` runs as commands."""
