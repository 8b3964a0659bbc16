"""Local methods: minimise the loss of the scores from a starting point."""
