"""One module per table or figure of the paper; `python -m experiments.NAME`."""
