"""Which unit of one network does what a unit of another does: matches by correlation over pictures and positions.

>>> matching = universality.match(first, "mixed3b", second, "fire5/concat", pictures)
>>> matching.pairs[:4], matching.correlation[tuple(matching.pairs.T)][:4]
>>> matching.scores, matching.shuffled                 # and what they are by chance
>>> universality.depth_map(first, second, pictures).table("hard").round(2)

Correlations are Pearson's, over all pictures and positions (Li et al., Convergent Learning, 2015), the smaller map
brought bilinearly to the larger one's grid as in Rosetta Neurons (Dravid et al., 2023).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from jaxcircuits.brief import Brief
from jaxcircuits.errors import InputError, unknown
from jaxcircuits.images import Pictures, open_pictures
from jaxcircuits.network import Network
from jaxcircuits.printing import warn
from jaxcircuits.universality.depth import depths
from jaxcircuits.universality.moments import Compared, Covariance, compare

if TYPE_CHECKING:
    from jaxtyping import Float, Int

NEAREST = 5
"""Among how many of the best a mutual match has to be, as in Rosetta Neurons."""


class Scores(NamedTuple):
    """How alike two layers are, each 1 for a layer and itself.

    Attributes:
      hard: mean correlation of the one-to-one assignment that makes it largest.
      soft: mean correlation of every unit, of either layer, with the other layer's best.
      mutual: share of the units, of either layer, whose best unit of the other has them among its five best.
      cka: linear centered kernel alignment (Kornblith et al., 2019); rotations of a layer do not change it.
    """

    hard: float
    soft: float
    mutual: float
    cka: float


@dataclasses.dataclass(frozen=True, eq=False)
class Matching:
    """Units of one layer beside those of another.

    Units that answer every picture alike at all positions have no correlation: theirs is given as 0, and they are
    left out of pairs and scores.

    Attributes:
      networks: names of the first and the second.
      layers: of the first and the second.
      correlation: float32 (units of the first, units of the second), -1 to 1.
      shuffled_correlation: the same where the second network sees another picture than the first.
      pairs: int64 (n, 2), units of the first and of the second, each at most once, so that the sum of their
        correlations is as large as can be; by unit of the first.
      mutual: int64 (m, 2), pairs one of which is the other's best and has it among its own `NEAREST` best.
      scores: of the whole.
      shuffled: those of shuffled pictures: what is there by chance.
      again: the same of the first network and another training run of it, where that was given.
      pictures: how many both saw.
    """

    networks: tuple[str, str]
    layers: tuple[str, str]
    correlation: Float[np.ndarray, "first second"]
    shuffled_correlation: Float[np.ndarray, "first second"]
    pairs: Int[np.ndarray, "pairs 2"]
    mutual: Int[np.ndarray, "mutual 2"]
    scores: Scores
    shuffled: Scores
    pictures: int
    again: Scores | None = None

    @property
    def cka(self) -> float:
        """Linear centered kernel alignment, see `Scores`."""
        return self.scores.cka

    @property
    def strongest(self) -> Int[np.ndarray, "pairs 2"]:
        """The `pairs`, most correlated first."""
        return self.pairs[np.argsort(-self.correlation[tuple(self.pairs.T)], kind="stable")]

    def __repr__(self) -> str:
        sides = " and ".join(f"{network} {layer}" for network, layer in zip(self.networks, self.layers))
        scores = ", ".join(f"{name} {value:.2f}" for name, value in self.scores._asdict().items())
        return f"Matching({sides}: {scores}; {self.pictures} pictures)"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class DepthMap(Brief):
    """Layers of one network by layers of another.

    Attributes:
      networks: names of the first and the second.
      layers: of the first and of the second, in order from the image.
      depths: of those layers, see `jaxcircuits.universality.depths`.
      matchings: by (layer of the first, layer of the second).
    """

    networks: tuple[str, str]
    layers: tuple[tuple[str, ...], tuple[str, ...]]
    depths: tuple[Float[np.ndarray, " first"], Float[np.ndarray, " second"]]
    matchings: dict[tuple[str, str], Matching]

    def __getitem__(self, pair: tuple[str, str]) -> Matching:
        if pair not in self.matchings:
            raise unknown("pair of layers", str(pair), map(str, self.matchings), " and ".join(self.networks))
        return self.matchings[pair]

    def table(self, score: str = "hard", shuffled: bool = False) -> Float[np.ndarray, "first second"]:
        """One of the `Scores` of every pair, float64 (layers of the first, layers of the second).

        Args:
          score: `hard`, `soft`, `mutual` or `cka`.
          shuffled: as it is by chance.
        """
        if score not in Scores._fields:
            raise unknown("score", score, Scores._fields, "a matching")
        of = [[self.matchings[a, b] for b in self.layers[1]] for a in self.layers[0]]
        return np.array([[getattr(one.shuffled if shuffled else one.scores, score) for one in row] for row in of])


def match(
    first: Network,
    first_layer: str,
    second: Network,
    second_layer: str,
    pictures: Pictures | Any,
    *,
    again: Network | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    progress: bool | Callable[[int, int], None] = True,
) -> Matching:
    """Correlates every unit of a layer with every unit of a layer of another network, and matches them.

    One pass over the pictures, in memory that does not depend on their number. Each network sees every picture at its
    own native size and in its own convention; arrays are shown as they are. The result does not depend on batches and
    devices but for the last digits, nor on which network is the first.

    Args:
      first: one network.
      first_layer: name of its layer.
      second: the other network; it may be the same.
      second_layer: name of its layer.
      pictures: `Pictures`, or what `open_pictures` takes; two or more.
      again: another training run of the first network, for what is the same in two runs of one architecture.
      seed: of the shuffled pictures.
      batch_size: pictures at once; by default what suits the device.
      progress: show a bar; or a function that is told (pictures done, pictures in all).

    Returns:
      The `Matching`.

    Raises:
      InputError: for an unknown layer, layers whose positions cannot be compared, fewer than two pictures that can be
        read, and activations that are not finite.

    Warns:
      UnreadablePictures: where pictures could not be read; it names the first.
    """
    options = {"seed": seed, "batch_size": batch_size, "progress": progress}
    found = _matchings(first, [first_layer], second, [second_layer], pictures, **options)[first_layer, second_layer]
    if again is None:
        return found
    other = _matchings(first, [first_layer], again, [first_layer], pictures, **options)[first_layer, first_layer]
    return dataclasses.replace(found, again=other.scores)


def depth_map(
    first: Network,
    second: Network,
    pictures: Pictures | Any,
    *,
    first_layers: Sequence[str] | None = None,
    second_layers: Sequence[str] | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    progress: bool | Callable[[int, int], None] = True,
) -> DepthMap:
    """Matches every layer of one network with every layer of another, in one pass: which depths correspond.

    Memory: 16 bytes for every pair of units, 0.4 GB for all stages of two InceptionV1.

    Args:
      first: one network.
      second: the other.
      pictures: see `match`.
      first_layers: names of the first's; by default its stages, `network.graph.stages`.
      second_layers: names of the second's, likewise.
      seed: see `match`.
      batch_size: see `match`.
      progress: see `match`.

    Returns:
      The `DepthMap`.

    Raises:
      InputError: as `match`, and where the sums of all pairs take more than 8 GiB.

    Warns:
      UnreadablePictures: see `match`.
    """
    ours, theirs = _chosen(first, first_layers), _chosen(second, second_layers)
    options = {"seed": seed, "batch_size": batch_size, "progress": progress}
    found = _matchings(first, ours, second, theirs, pictures, **options)
    return DepthMap((first.name, second.name), (ours, theirs), (depths(first, ours), depths(second, theirs)), found)


def _chosen(network: Network, layers: Sequence[str] | None) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(network.graph.stages or network.layers if layers is None else layers))
    if not names:
        raise InputError(f"no layers of {network.name}; expected one or more")
    return names


def _matchings(first, first_layers, second, second_layers, pictures, **options) -> dict[tuple[str, str], Matching]:
    from jaxcircuits.evidence import UnreadablePictures

    for network, names in ((first, first_layers), (second, second_layers)):
        for name in names:
            network.layer(name)
    pictures = pictures if isinstance(pictures, Pictures) else open_pictures(pictures)
    of_pair, reduced = compare(first, tuple(first_layers), second, tuple(second_layers), pictures, **options)
    if reduced.skipped:
        said = f"{reduced.skipped} of {len(pictures)} pictures could not be read: {reduced.unreadable[0]}"
        warn(said, UnreadablePictures)
    pairs = [(a, b) for a in first_layers for b in second_layers]
    return {pair: _matching((first.name, second.name), pair, of_pair(*pair)) for pair in pairs}


def _matching(networks: tuple[str, str], layers: tuple[str, str], found: Compared) -> Matching:
    if found.pictures < 2:
        raise InputError(f"{found.pictures} picture could be read; expected two or more")
    sd = [np.sqrt(np.maximum(np.diag(own.value), 0)) for own in (found.first, found.second)]
    live = [np.flatnonzero(one > 0) for one in sd]
    correlation, shuffled = (_correlation(cross, sd) for cross in (found.cross, found.shuffled))
    scores, pairs, mutual = _scored(correlation, live, _cka(found.cross, found))
    by_chance, _, _ = _scored(shuffled, live, _cka(found.shuffled, found))
    tables = correlation.astype(np.float32), shuffled.astype(np.float32)
    return Matching(networks, layers, *tables, pairs, mutual, scores, by_chance, found.pictures)


def _correlation(cross: Covariance, sd: list[np.ndarray]) -> np.ndarray:
    scale = np.multiply.outer(*sd)
    return np.clip(np.divide(cross.value, scale, out=np.zeros_like(scale), where=scale > 0), -1, 1)


def _cka(cross: Covariance, found: Compared) -> float:
    """|Y'X|^2 / (|X'X| |Y'Y|), Frobenius, columns centered."""
    own = np.linalg.norm(found.first.value) * np.linalg.norm(found.second.value)
    return float(np.square(np.linalg.norm(cross.value)) / own) if own > 0 else 0.0


def _scored(correlation: np.ndarray, live: list[np.ndarray], cka: float) -> tuple[Scores, np.ndarray, np.ndarray]:
    """The scores, the one-to-one pairs and the mutual ones."""
    none = np.zeros((0, 2), np.int64)
    if not all(map(len, live)):
        return Scores(0.0, 0.0, 0.0, cka), none, none
    of_live = correlation[np.ix_(*live)]
    assigned = linear_sum_assignment(of_live, maximize=True)
    rows, columns = _mutual(of_live), _mutual(of_live.T)
    both = sorted({*rows, *((i, j) for j, i in columns)})
    scores = Scores(
        hard=float(of_live[assigned].mean()),
        soft=float((of_live.max(0).mean() + of_live.max(1).mean()) / 2),
        mutual=float((len(rows) / len(of_live) + len(columns) / of_live.shape[1]) / 2),
        cka=cka,
    )

    def numbered(found) -> np.ndarray:
        found = np.asarray(found, np.int64).reshape(-1, 2)
        return np.stack([of[part] for of, part in zip(live, found.T)], axis=1)

    return scores, numbered(np.stack(assigned, axis=1)), numbered(both)


def _mutual(correlation: np.ndarray) -> list[tuple[int, int]]:
    """(i, j) where j is i's best, and i among j's `NEAREST` best."""
    best = correlation.argmax(1)
    own = correlation[np.arange(len(best)), best]
    rank = (correlation[:, best] > own).sum(0)
    return [(int(i), int(best[i])) for i in np.flatnonzero(rank < NEAREST)]
