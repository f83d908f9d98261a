"""Measures of a classifier; they take logits, not networks, states or devices."""
