"""Measures of a classifier, and of samples; no networks, states or devices.

They take logits, or `predict`, any function from inputs to logits, and so work on
anybody's model.
"""
