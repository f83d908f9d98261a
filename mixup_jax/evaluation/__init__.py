"""Measures of a classifier, and of samples; no networks, states or devices.

They take logits, or `predict`, any function from inputs to logits, and so work on
anybody's model.

  classification  top-1 and top-5 errors; best, last and median over epochs (tables)
  in_between      misses and gradients between training examples (figure 2)
  adversarial     FGSM and I-FGSM (table 3), PGD
  apgd, square    the attacks of AutoAttack; `ascent` is the first one's algorithm
  robustness      examples tried on other networks (table 3); worst case of attacks
  calibration     calibration errors, Brier score, temperature
  detection       scores of unfamiliar inputs, and areas under curves
  bootstrap       intervals of any of these
  generation      modes that a generator covers (figure 5)

Attacks share `attack`; what they increase is in `objectives`.
"""
