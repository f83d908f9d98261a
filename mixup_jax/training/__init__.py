"""Training: pure steps as one device sees them, and their placement on devices."""
