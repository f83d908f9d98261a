"""All checks at once, on any mixing function."""

from collections.abc import Callable

from mixup_jax.testing import composition, laws, options, probes
from mixup_jax.testing.observation import (
    IMAGE,
    Draws,
    Labels,
    Mix,
    batch_size,
    observe,
)
from mixup_jax.testing.report import Finding, Report


def check_mixing(
    mix: Mix,
    *,
    alpha: float,
    num_classes: int = 8,
    labels: Labels = "one_hot",
    name: str = "mixing",
    draws: int = 2000,
    image: tuple[int, int] = IMAGE,
    at_alpha: Callable[[float], Mix] | None = None,
    seeded: Callable[[int], Mix] | None = None,
    mix_masks: Mix | None = None,
) -> Report:
    """Checks a mixing function against the paper, by what it returns alone.

    Args:
      mix: `mix(inputs, labels) -> (mixed inputs, targets)` on NumPy arrays, from any
        framework: float32 images [B, H, W, C] in, the same shape and targets [B, K]
        out, a new draw at each call. One that returns two labels and lambda is wrapped
        so as to return lam * onehot(first) + (1 - lam) * onehot(second). To see damage
        to arguments, the wrapper must share their memory (torch.from_numpy does).
      alpha: The concentration it was made with. Best not 1, where the Beta is the
        uniform law and a function that ignores alpha may pass.
      num_classes: K, at least 4.
      labels: What it takes: "one_hot", float32 [B, K]; or "ids", int64 [B].
      name: Heads the report.
      draws: Calls for the statistical checks, and half of them at each other alpha; a
        check accuses a correct function once in a million times. 2,000 tell alpha = 0.4
        from 0.8; see `lambda_law`.
      image: Height and width of the images, in pixels.
      at_alpha: Makes the function at another alpha; adds two checks.
      seeded: Makes the function with a seed; adds a check.
      mix_masks: Takes images and masks in place of labels; adds a check.

    Returns:
      A finding for each check: `report.table()`, `report.raise_if_failed()`. After
      wrong shapes there is nothing more to check, and it holds that one finding.

    Raises:
      Exception: Whatever `mix` raises on an even batch of float32 images.
    """
    form = {"num_classes": num_classes, "labels": labels}
    findings = [probes.shapes(mix, **form)]
    if findings[0].status == "fails":
        return Report(name, tuple(findings))
    seen = observe(mix, **form, image=image, draws=draws)
    findings.append(composition.weights(seen))
    if findings[-1].status != "fails":
        findings += _distributions(seen, alpha)
    findings += _probe(mix, form, image)
    if at_alpha is not None:
        findings.append(options.other_alphas(at_alpha, **form, draws=draws // 2))
        findings.append(options.alpha_zero(at_alpha, **form))
    if seeded is not None:
        findings.append(options.reproducible(seeded, **form))
    if mix_masks is not None:
        findings.append(options.masks(mix_masks, num_classes=num_classes))
    return Report(name, tuple(findings))


def _distributions(seen: Draws, alpha: float) -> list[Finding]:
    return [
        composition.pixels(seen),
        composition.agreement(seen),
        composition.smoothing(seen),
        composition.losses(seen),
        composition.expectation(seen),
        laws.lambda_law(seen, alpha=alpha),
        laws.lambda_scope(seen),
        laws.always_mixed(seen, alpha=alpha),
        laws.pairing(seen),
    ]


def _probe(mix: Mix, form: dict, image: tuple[int, int]) -> list[Finding]:
    odd = batch_size(form["num_classes"]) - 1
    return [
        probes.arguments_kept(mix, **form),
        probes.dtypes(mix, **form),
        probes.bytes_images(mix, **form, image=image),
        probes.class_ids(mix, **form),
        probes.batch_of(odd, mix, **form, image=image),
        probes.batch_of(1, mix, **form, image=image),
    ]
