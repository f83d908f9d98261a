"""What `experiments.benchmark` measures, one suite of comparisons a module."""
