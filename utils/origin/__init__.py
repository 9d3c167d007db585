"""What a file says of itself: credentials, labels, tags. It is told apart from the score."""
