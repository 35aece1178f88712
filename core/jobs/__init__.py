"""What runs in the background? Everything that knows RQ."""
