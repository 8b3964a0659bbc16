"""What is said about the x found: does it fit, is it unique, which rows are wrong."""
