"""The chance that a person accepts a proposal: a logistic regression with a prior, honest about what it cannot know.

Decisions are few, a plane or three, so that the prior counts: no feature matters unless the decisions say so, and each
may only speak in one direction, a better score never against a proposal. What the few decisions leave open, and that
planes differ from each other, makes chances more moderate, as in MacKay's approximation of the evidence framework
(MacKay 1992, Neural Computation 4:720).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

from napari_sam.automatic.calibration.features import FEATURES

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PROBABILITIES = tuple(map(FEATURES.index, ("score", "stability", "foreground")))
_TYPICAL = {FEATURES.index("log_area"): 0.25, FEATURES.index("roundness"): 0.06, FEATURES.index("brightness"): 0.1}
"""Features of which neither much nor little is good, but what accepted objects have; and the least spread of each."""
_CONTRAST = FEATURES.index("contrast")

_CLIP = 0.02  # probabilities nearer to 0 and 1 are not told apart
_FARTHEST = 4.0  # spreads away from what accepted objects have; beyond, it makes no difference
_FEW = 3  # accepted objects below which the typical one is not known
_MAD = 1.4826  # standard deviations of a normal distribution in its median absolute deviation
_FLAT = 1e-3  # a feature that varies by less has nothing to say

_PRIOR, _BIAS_PRIOR = 1.0, 0.1  # precisions of the weights, and of the bias around _BIAS
_BIAS = 1.0
_PLANES = 0.5
"""Standard deviation, logits, by which planes of one kind are easier or harder than each other."""


@dataclass(frozen=True, slots=True, eq=False)
class AcceptanceModel:
    """Tells how likely a person is to accept a proposal as it is.

    Attributes
    ----------
    typical, spread : numpy.ndarray, shape (k,), float64
        What accepted objects have, and how much they differ; 0 and 1 for features of which more is better.
    mean, scale : numpy.ndarray, shape (k,), float64
        By which the features are standardised.
    weights : numpy.ndarray, shape (k + 1,), float64
        Of the features, none below 0, and the bias.
    covariance : numpy.ndarray, shape (k + 1, k + 1), float64
        How far the decisions leave the weights open.
    """

    typical: NDArray[np.float64]
    spread: NDArray[np.float64]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    weights: NDArray[np.float64]
    covariance: NDArray[np.float64]

    @classmethod
    def fit(cls, features: NDArray[np.float64], accepted: NDArray[np.bool_]) -> AcceptanceModel:
        """Learn from decisions.

        Parameters
        ----------
        features : numpy.ndarray, shape (n, k), float64
            Of proposals, as `measure_features` gives them; at least one.
        accepted : numpy.ndarray, shape (n,), bool
            Whether each was accepted as it was.
        """
        typical, spread = _typical(features, accepted)
        better = _better(features, typical, spread)
        mean, scale = better.mean(axis=0), better.std(axis=0)
        scale = np.where(scale < _FLAT, np.inf, scale)
        columns = np.column_stack([(better - mean) / scale, np.ones(len(better))])
        precision = np.append(np.full(features.shape[1], _PRIOR), _BIAS_PRIOR)
        centre = np.append(np.zeros(features.shape[1]), _BIAS)

        def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            evidence = columns @ weights
            away = weights - centre
            likely = np.logaddexp(0, np.where(accepted, -evidence, evidence)).sum()
            slope = columns.T @ (expit(evidence) - accepted) + precision * away
            return float(likely + (precision * away**2).sum() / 2), slope

        bounds = [(0, None)] * features.shape[1] + [(None, None)]
        weights = cast("NDArray[np.float64]", minimize(loss, centre, jac=True, method="L-BFGS-B", bounds=bounds).x)
        chance = expit(columns @ weights)
        information = (columns * (chance * (1 - chance))[:, None]).T @ columns + np.diag(precision)
        return cls(typical, spread, mean, scale, weights, np.linalg.inv(information))

    def chances(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Estimate the chance that a person accepts each of some proposals of another plane, (n,), 0 to 1."""
        better = (_better(features, self.typical, self.spread) - self.mean) / self.scale
        columns = np.column_stack([better, np.ones(len(features))])
        variance = np.einsum("ij,jk,ik->i", columns, self.covariance, columns) + _PLANES**2
        chances: NDArray[np.float64] = expit(columns @ self.weights / np.sqrt(1 + np.pi * variance / 8))
        return chances


def _typical(
    features: NDArray[np.float64], accepted: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find what accepted objects have, and how much they differ."""
    examples = features[accepted] if np.count_nonzero(accepted) >= _FEW else features
    typical, spread = np.zeros(features.shape[1]), np.ones(features.shape[1])
    for column, least in _TYPICAL.items():
        typical[column] = np.median(examples[:, column])
        deviation = float(np.median(np.abs(examples[:, column] - typical[column])))
        spread[column] = max(_MAD * deviation, least)
    return typical, spread


def _better(
    features: NDArray[np.float64], typical: NDArray[np.float64], spread: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Turn features into numbers of which more is better."""
    better = np.array(features, np.float64)
    for column in _PROBABILITIES:
        better[:, column] = logit(np.clip(features[:, column], _CLIP, 1 - _CLIP))
    for column in _TYPICAL:
        away = np.abs(features[:, column] - typical[column]) / spread[column]
        better[:, column] = -np.minimum(away, _FARTHEST)
    better[:, _CONTRAST] = np.log1p(features[:, _CONTRAST])
    return better
