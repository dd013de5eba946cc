"""How much alike the pictures are that make a unit fire: clarity, redundancy, polysemanticity, monosemanticity.

Pictures are compared by embeddings, such as a late layer of another network; say which, as the figures are theirs too.
All four are for whole layers at once: the sums that they need are one matrix product.

>>> answers = other.activations(images, "pool5")["pool5"]
>>> clarity(examples["mixed4e"].pictures, answers)           # (units,), 1 where all of a unit's pictures are alike
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jaxcircuits.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float, Integer, Num


def clarity(
    chosen: Integer[np.ndarray, "units count"], embeddings: Num[np.ndarray, "pictures d"]
) -> Float[np.ndarray, " units"]:
    """The mean cosine between pairs of a unit's pictures, `(n |mean e|^2 - 1) / (n - 1)` for n embeddings of length 1.

    Dreyer et al., Mechanistic understanding and validation of large AI models with SemanticLens, 2025.

    Args:
      chosen: (units, n), the numbers of each unit's pictures, such as `examples[layer].pictures`; -1 for none.
      embeddings: (pictures, d).

    Returns:
      float64 (units,), from -1 / (n - 1) to 1; NaN for units with fewer than two pictures.

    Raises:
      InputError: for arrays of another shape, numbers of no picture, and embeddings that are zero or not finite.
    """
    sums, counts = _sums(chosen, unit_length(embeddings))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(counts > 1, (np.square(sums).sum(1) / counts - 1) / (counts - 1), np.nan)


def unit_embeddings(
    chosen: Integer[np.ndarray, "units count"], embeddings: Num[np.ndarray, "pictures d"]
) -> Float[np.ndarray, "units d"]:
    """Where each unit lies among the embeddings: the mean of those of its pictures, brought to length 1.

    Args:
      chosen: (units, n), as for `clarity`; each unit has at least one picture.
      embeddings: (pictures, d).

    Returns:
      float64 (units, d).

    Raises:
      InputError: as `clarity`, and for a unit without pictures or whose pictures' embeddings cancel.
    """
    return unit_length(_sums(chosen, unit_length(embeddings))[0])


def redundancy(units: Num[np.ndarray, "units d"]) -> Float[np.ndarray, " units"]:
    """How similar each unit is to the one most like it: the largest cosine to any other unit.

    Dreyer et al., 2025, as for `clarity`; a layer's redundancy is the mean.

    Args:
      units: (units, d), two or more, such as `unit_embeddings` or `examples[layer].class_means`.

    Returns:
      float64 (units,), at most 1.

    Raises:
      InputError: for fewer than two units, and vectors that are zero or not finite.
    """
    units = unit_length(units)
    if len(units) < 2:
        raise InputError(f"redundancy of {len(units)} unit; expected two or more")
    cosines = units @ units.T
    np.fill_diagonal(cosines, -np.inf)
    return cosines.max(1)


def polysemanticity(
    chosen: Integer[np.ndarray, "units count"], embeddings: Num[np.ndarray, "pictures d"], *, seed: int = 0
) -> Float[np.ndarray, " units"]:
    """How far a unit's pictures fall into two groups: 1 minus the cosine of the two centers that k-means finds.

    Dreyer et al., 2025: 1 - clarity of the two centers; 0 for a unit of one meaning, whose halves are alike. Without a
    number to compare it with it does not say that there are two: `evidence.meanings` does.

    Args:
      chosen: (units, n), as for `clarity`.
      embeddings: (pictures, d).
      seed: of k-means, which is started ten times for each unit.

    Returns:
      float64 (units,); NaN for units with fewer than two different pictures.

    Raises:
      InputError: as `clarity`, and where scikit-learn is not installed.
    """
    means = kmeans()
    embeddings = unit_length(embeddings)
    chosen = _numbers(chosen, len(embeddings))
    found = np.full(len(chosen), np.nan)
    from threadpoolctl import threadpool_limits

    # Of so few rows threads take longer to meet than to compute.
    with threadpool_limits(1):
        for unit, numbers in enumerate(chosen):
            rows = embeddings[numbers[numbers >= 0]]
            if len(np.unique(rows, axis=0)) > 1:
                first, second = means(2, n_init=10, random_state=seed).fit(rows).cluster_centers_
                lengths = np.linalg.norm(first) * np.linalg.norm(second)
                found[unit] = 1 - first @ second / lengths if lengths else 1.0
    return found


def monosemanticity(
    activations: Num[np.ndarray, "pictures units"], embeddings: Num[np.ndarray, "pictures d"]
) -> Float[np.ndarray, " units"]:
    """Similarity of pictures, weighted by a unit's activations: `sum a_i a_j cos_ij / sum a_i a_j` over pairs i < j.

    a are the unit's answers, brought to 0 for the least and 1 for the largest. With embeddings e of length 1 it is
    `(|sum a_i e_i|^2 - sum a_i^2) / ((sum a_i)^2 - sum a_i^2)`. Pach et al., Sparse autoencoders learn monosemantic
    features in vision-language models, 2025. By chance it is the mean cosine of all pairs.

    Args:
      activations: (pictures, units), one answer to each picture, such as the largest.
      embeddings: (pictures, d).

    Returns:
      float64 (units,); NaN for a unit that answers fewer than two pictures more than the others.

    Raises:
      InputError: for arrays that do not fit, and numbers that are not finite.
    """
    embeddings = unit_length(embeddings)
    answers = np.asarray(activations, np.float64)
    if answers.ndim != 2 or len(answers) != len(embeddings):
        raise InputError(
            f"activations of shape {answers.shape} beside embeddings of {len(embeddings)} pictures; "
            "expected (pictures, units)"
        )
    if not np.isfinite(answers).all():
        raise InputError("activations that are not finite")
    answers = answers - answers.min(0)
    largest = answers.max(0)
    answers = answers / np.where(largest > 0, largest, 1)
    squares = np.square(answers).sum(0)
    pairs = np.square(answers.sum(0)) - squares
    alike = np.square(answers.T @ embeddings).sum(1) - squares
    # Where but one picture has an answer there are no pairs, and only rounding is left.
    some = (answers > 0).sum(0) > 1
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(some, alike / pairs, np.nan)


def unit_length(vectors: np.ndarray) -> np.ndarray:
    """Rows (n, d) as float64 of length 1; raises `InputError` for another shape, and rows zero or not finite."""
    rows = np.asarray(vectors, np.float64)
    if rows.ndim != 2 or not rows.size:
        raise InputError(f"embeddings of shape {rows.shape}; expected (pictures, numbers)")
    if not np.isfinite(rows).all():
        raise InputError("embeddings that are not finite")
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not lengths.all():
        raise InputError(f"embedding {int(np.flatnonzero(lengths[:, 0] == 0)[0])} is zero; it has no direction")
    return rows / lengths


def kmeans() -> type:
    """scikit-learn's `KMeans`; raises `InputError` where that is not installed."""
    try:
        from sklearn.cluster import KMeans
    except ImportError as error:
        raise InputError("clusters need scikit-learn; pip install 'jaxcircuits[circuits]'") from error
    return KMeans


def _numbers(chosen: np.ndarray, count: int) -> np.ndarray:
    numbers = np.asarray(chosen)
    if numbers.ndim != 2 or numbers.dtype.kind not in "iu":
        raise InputError(
            f"chosen pictures of shape {numbers.shape} and type {numbers.dtype}; expected numbers (units, n)"
        )
    if numbers.size and not -1 <= numbers.min() <= numbers.max() < count:
        raise InputError(f"picture {int(numbers.max())} of {count} embeddings")
    return numbers


def _sums(chosen: np.ndarray, embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each unit's sum of embeddings (units, d), one sparse matrix times them all, and how many it has (units,)."""
    from scipy import sparse  # slow to load, and the commands load this module

    numbers = _numbers(chosen, len(embeddings))
    units, places = np.nonzero(numbers >= 0)
    picked = (np.ones(len(units)), (units, numbers[units, places]))
    matrix = sparse.csr_array(picked, shape=(len(numbers), len(embeddings)))
    return matrix @ embeddings, matrix.sum(1)
