"""What can be drawn, on the network in the box: every objective, parametrization and preset of views."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import jaxcircuits as jc
from jaxcircuits import InputError, Recipe
from jaxcircuits.vis import (
    CAPTUM,
    CPPN,
    LUCID,
    MACO,
    RGBA,
    Crop,
    Elastic,
    Fourier,
    FourierPhase,
    Homography,
    Jitter,
    Pad,
    Pixels,
    Pyramid,
    Rotate,
    Seen,
    Shared,
)

pytestmark = pytest.mark.usefixtures("compiled_quickly")

RNG = np.random.default_rng(0)
LAYER = "conv2d2"
SIZE = 32
PLAIN = Recipe(size=SIZE, steps=24, transforms=(Pad(2), Jitter(4)), redirect_steps=4)
PICTURE = RNG.uniform(0.2, 0.8, size=(SIZE, SIZE, 3)).astype(np.float32)
VECTORS = np.abs(RNG.normal(size=(2, 48)))


@pytest.fixture(scope="session")
def slide():
    return jc.load("slide")


RAISED = {
    "channel": jc.channel(LAYER, [1, 2]),
    "neuron": jc.neuron(LAYER, [1, 2]),
    "direction": jc.direction(LAYER, VECTORS),
    "direction, with cosine": jc.direction(LAYER, VECTORS, [1, 3]),
    "direction_cossim": jc.direction_cossim(LAYER, VECTORS),
    "direction_neuron": jc.direction_neuron(LAYER, VECTORS, [(1, 2), (3, 3)], 1),
    "tensor_direction": jc.tensor_direction(LAYER, RNG.uniform(size=(2, 3, 5, 48)), 1),
    "deepdream": jc.deepdream("mixed4a"),
    "class_logit": jc.class_logit("softmax2_pre_activation", [1, 2]),
    "total_variation": -jc.total_variation(),
    "total_variation of a layer": -1e-3 * jc.total_variation(LAYER),
    "L1": -jc.L1(constant=0.3),
    "L2": jc.L2(constant=[0.5, 0.4]),
    "blur_input_each_step": -jc.blur_input_each_step(),
    "boundary_complexity": -jc.boundary_complexity(width=6),
    "input_diff": -jc.input_diff(PICTURE),
    "activation_difference": -jc.activation_difference(LAYER, PICTURE),
    "caricature": jc.caricature(LAYER, PICTURE, 2),
    "masked": jc.masked(jc.channel(LAYER, [1, 2]), np.eye(5)),
    "two layers": jc.channel(LAYER, [1, 2]) * jc.channel("conv2d0", [3, 4]),
    "diversity": -jc.diversity(LAYER, group=3),
    "alignment": jc.alignment(LAYER, group=3),
    "channel_interpolate": jc.channel_interpolate(LAYER, 1, LAYER, 2, steps=3),
    "facet": jc.facet(jc.channel("mixed4a", [1, 2]), LAYER, VECTORS),
    "alpha": jc.channel(LAYER, [1, 2]) * (1 - jc.mean_alpha()) - 0.1 * jc.blur_alpha_each_step(),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", RAISED)
def test_drawing_raises_the_score(name, slide):
    recipe = PLAIN if name != "alpha" else dataclasses.replace(PLAIN, parametrization=RGBA())
    # The smooth start of Fourier pictures, all nearly gray, leaves nothing to smooth or to align.
    rough = name in ("total_variation", "total_variation of a layer", "blur_input_each_step", "alignment")
    start = RNG.uniform(0.2, 0.8, (RAISED[name].count, SIZE, SIZE, 3)) if rough else None
    rendering = jc.render(slide, RAISED[name], recipe, start=start)
    assert rendering.scores.mean() > rendering.history[:, 0].mean()
    assert np.isfinite(rendering.images).all()
    assert len(rendering.images) == RAISED[name].count


PARAMETRIZATIONS = (Fourier(), Pixels(), Pyramid(), Shared(group=3), CPPN(), RGBA(), FourierPhase())
PRESETS = {"lucid": LUCID, "captum": CAPTUM, "maco": MACO}


@pytest.mark.slow
@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("parametrization", PARAMETRIZATIONS, ids=lambda p: type(p).__name__)
def test_every_parametrization_survives_every_preset(parametrization, preset, slide):
    phase = isinstance(parametrization, FourierPhase)
    recipe = Recipe(
        size=(33, 40),
        steps=50,
        parametrization=parametrization,
        transforms=PRESETS[preset],
        optimizer="nadam" if phase else "adam",
        learning_rate=1.0 if phase else 0.05,
    )
    rendering = jc.render(slide, jc.channel(LAYER, [1, 2, 3]), recipe)
    assert np.isfinite(rendering.history).all() and np.isfinite(rendering.scores).all()
    assert rendering.images.shape == (3, 33, 40, parametrization.channels(3))
    assert rendering.images.min() >= 0 and rendering.images.max() <= 1
    # So small a picture may be one color to a CPPN, which draws the same at any size.
    assert isinstance(parametrization, CPPN) or rendering.images.std((1, 2)).max() > 0.02


SEEN = RNG.normal(size=(4, 5, 6, 8))
SHOWN = RNG.uniform(size=(4, 9, 10, 3))
GOALS = RNG.normal(size=(4, 5, 6, 8))
DIRECTIONS = RNG.normal(size=(4, 8))
TENSORS = RNG.normal(size=(4, 3, 2, 8))


def slow_aligned(a, v, power):
    """Lucid's dot product times a floored cosine, position by position."""
    total = []
    for index in np.ndindex(a.shape[:-1]):
        x, y = a[index], v[index] if v.ndim > 1 else v
        cosine = x @ y / np.linalg.norm(x) / np.linalg.norm(y)
        total.append(x @ y * max(0.1, cosine) ** power)
    return np.mean(total)


def slow_cosine(a, v):
    """Lucid's mean over positions and channels of the products over both lengths."""
    return np.mean([a[p] * v / np.linalg.norm(a[p]) / np.linalg.norm(v) for p in np.ndindex(a.shape[:-1])])


def slow_blur(x, width):
    out = np.zeros_like(x)
    r = width // 2
    for i, j in np.ndindex(x.shape[:2]):
        total = weights = 0
        for di in range(-r, r + 1):
            for dj in range(-r, r + 1):
                if 0 <= i + di < x.shape[0] and 0 <= j + dj < x.shape[1]:
                    weight = 0.5 if max(abs(di), abs(dj)) == r else 1.0
                    total, weights = total + weight * x[i + di, j + dj], weights + weight
        out[i, j] = total / weights
    return out


def slow_diversity(i):
    grams = [sum(np.outer(v, v) for v in a.reshape(-1, 8)) for a in SEEN]
    grams = [g / np.linalg.norm(g) for g in grams]
    return sum((grams[i] * grams[j]).sum() for j in range(4) if j != i)


def slow_boundary(x):
    border = np.ones((9, 10, 1))
    border[2:-2, 2:-2] = 0
    return (((slow_blur(x, 5) - x) ** 2 + 0.8 * (x - 0.5) ** 2) * border).sum()


MASK = np.zeros((5, 6))
MASK[1:3, 2:4] = 2

VALUES = {
    "direction": (jc.direction("x", DIRECTIONS), lambda i: (SEEN[i] @ DIRECTIONS[i]).mean()),
    "direction, power 0": (jc.direction("x", DIRECTIONS, 0), lambda i: (SEEN[i] @ DIRECTIONS[i]).mean()),
    "direction, with cosine": (
        jc.direction("x", DIRECTIONS, 2),
        lambda i: slow_aligned(SEEN[i], DIRECTIONS[i], 2),
    ),
    "direction_cossim": (jc.direction_cossim("x", DIRECTIONS), lambda i: slow_cosine(SEEN[i], DIRECTIONS[i])),
    "direction_neuron": (
        jc.direction_neuron("x", DIRECTIONS, (1, 2), 1),
        lambda i: slow_aligned(SEEN[i, 1:2, 2], DIRECTIONS[i], 1),
    ),
    "direction_neuron, center": (jc.direction_neuron("x", DIRECTIONS), lambda i: SEEN[i, 2, 3] @ DIRECTIONS[i]),
    "tensor_direction": (
        jc.tensor_direction("x", TENSORS, 1),
        lambda i: slow_aligned(SEEN[i, 1:4, 2:4], TENSORS[i], 1),
    ),
    "total_variation": (
        jc.total_variation(),
        lambda i: np.abs(SHOWN[i, 1:] - SHOWN[i, :-1]).sum() + np.abs(SHOWN[i, :, 1:] - SHOWN[i, :, :-1]).sum(),
    ),
    "L1": (jc.L1(constant=0.5), lambda i: np.abs(SHOWN[i] - 0.5).sum()),
    "L1 of a layer": (jc.L1("x"), lambda i: np.abs(SEEN[i]).sum()),
    "L2": (jc.L2(), lambda i: np.linalg.norm(SHOWN[i])),
    "blur_input_each_step": (
        jc.blur_input_each_step(),
        lambda i: 0.5 * ((SHOWN[i] - slow_blur(SHOWN[i], 3)) ** 2).sum(),
    ),
    "boundary_complexity": (jc.boundary_complexity(width=2), lambda i: slow_boundary(SHOWN[i])),
    "mean_alpha": (jc.mean_alpha(), lambda i: SHOWN[i, ..., -1].mean()),
    "input_diff": (jc.input_diff(SHOWN[::-1]), lambda i: np.sqrt(((SHOWN[i] - SHOWN[3 - i]) ** 2).mean())),
    "activation_difference": (
        jc.activation_difference("x", SHOWN),
        lambda i: ((SEEN[i] - GOALS[i]) ** 2).sum() / (GOALS[i] ** 2).sum(),
    ),
    "caricature": (jc.caricature("x", SHOWN, 2), lambda i: slow_aligned(SEEN[i], GOALS[i], 2)),
    "masked": (jc.masked(jc.channel("x", [1, 2, 3, 4]), MASK), lambda i: SEEN[i, 1:3, 2:4, i + 1].mean()),
    "diversity": (jc.diversity("x", group=4), slow_diversity),
    "alignment": (
        jc.alignment("x", group=4, decay_ratio=3),
        lambda i: -sum(((SEEN[i] - SEEN[j]) ** 2).mean() / 3 ** abs(i - j) for j in range(4) if j != i) / 2,
    ),
    "two groups": (
        jc.alignment("x", group=2),
        lambda i: -((SEEN[i] - SEEN[i ^ 1]) ** 2).mean() / 2 / 2,
    ),
    "channel_interpolate": (
        jc.channel_interpolate("x", 1, "x", 2, steps=4),
        lambda i: ((3 - i) * SEEN[i, ..., 1].mean() + i * SEEN[i, ..., 2].mean()) / 3,
    ),
}


@pytest.mark.parametrize("name", VALUES)
def test_values(name):
    """Against the formulas, picture by picture, in float64."""
    objective, expected = VALUES[name]
    seen = Seen({"x": jnp.float32(SEEN)}, jnp.float32(SHOWN), {"x": jnp.float32(GOALS)})
    scores = objective.rows(4).scores(jax.tree.map(jnp.asarray, seen))
    np.testing.assert_allclose(scores, [expected(i) for i in range(4)], rtol=2e-4, atol=1e-5)


def lucid_diversity(a):
    """Of a batch (N, h, w, channels): over ordered pairs, over N."""
    grams = np.einsum("nhwc,nhwd->ncd", a, a)
    grams /= np.sqrt((grams**2).sum((1, 2), keepdims=True))
    return sum((grams[i] * grams[j]).sum() for i in range(len(a)) for j in range(len(a)) if i != j) / len(a)


def lucid_alignment(a):
    """Of a batch: over pairs up to four apart."""
    return -sum(((a[i] - a[i + d]) ** 2).mean() / 2**d for d in (1, 2, 3, 4) for i in range(len(a) - d))


def lucid_interpolation(a, first, second):
    """Of a batch: a sum over its pictures."""
    t = np.linspace(0, 1, len(a))
    return sum((1 - t[i]) * a[i, ..., first].mean() + t[i] * a[i, ..., second].mean() for i in range(len(a)))


# Lucid's objective of a whole batch, and how it follows from the scores of the pictures.
OF_BATCHES = {
    "diversity": (jc.diversity("x", 4), np.mean, lambda a: lucid_diversity(a)),
    "diversity beside a channel": (
        jc.channel("x", [2] * 4) - 100 * jc.diversity("x", 4),
        np.mean,
        lambda a: a[..., 2].mean() - 100 * lucid_diversity(a),
    ),
    "alignment": (jc.alignment("x", 4), np.sum, lambda a: lucid_alignment(a)),
    "alignment beside an interpolation": (
        jc.channel_interpolate("x", 1, "x", 2, steps=4) + 3 * jc.alignment("x", 4),
        np.sum,
        lambda a: lucid_interpolation(a, 1, 2) + 3 * lucid_alignment(a),
    ),
}


@pytest.mark.parametrize("name", OF_BATCHES)
def test_groups_and_lucids_batches(name):
    """So that Lucid's weights carry over: both parts of an objective are to Lucid's as the other is."""
    objective, whole, expected = OF_BATCHES[name]
    seen = Seen({"x": jnp.float32(SEEN)}, jnp.float32(SHOWN), {})
    scores = np.asarray(objective.rows(4).scores(jax.tree.map(jnp.asarray, seen)), np.float64)
    np.testing.assert_allclose(whole(scores), expected(SEEN), rtol=2e-4)


def test_direction_cossim_with_a_power_is_another_name_now():
    with pytest.warns(DeprecationWarning, match=r"direction\(layer, vectors, power\)"):
        old = jc.direction_cossim("x", DIRECTIONS, 2)
    assert old.identity(1) == jc.direction("x", DIRECTIONS, 2).identity(1)
    assert jc.direction_cossim("x", DIRECTIONS).identity(1) not in (
        old.identity(1),
        jc.direction("x", DIRECTIONS).identity(1),
    )


def test_direction_cossim_of_silence_is_no_failure():
    value, gradient = jax.value_and_grad(
        lambda a: jc.direction_cossim("x", DIRECTIONS[0]).scores(Seen({"x": a}, jnp.zeros((1, 2, 2, 3)), {})).sum()
    )(jnp.zeros((1, 2, 2, 8)))
    assert value == 0 and np.isfinite(gradient).all()


BAD = {
    "group": (lambda: jc.channel(LAYER, [1, 2, 3]) - jc.diversity(LAYER, 2), PLAIN, "3 pictures do not make groups"),
    "group of one": (lambda: jc.diversity(LAYER, 1), PLAIN, "group 1; expected a number of pictures from 2"),
    "alpha": (lambda: jc.mean_alpha(), PLAIN, "has none; use .*RGBA"),
    "power": (lambda: jc.direction(LAYER, VECTORS, np.nan), PLAIN, "not finite"),
    "cosine": (lambda: jc.direction_cossim(LAYER, VECTORS[:, :5]), PLAIN, "a direction of 5 numbers"),
    "tensor": (lambda: jc.tensor_direction(LAYER, np.ones((40, 1, 48))), PLAIN, "has to fit"),
    "layer": (lambda: jc.L1("mixed9"), PLAIN, "unknown layer 'mixed9'"),
    "size": (lambda: jc.caricature(LAYER, np.ones((8, 8, 3))), PLAIN, r"or draw with Recipe\(size=\(8, 8\)\)"),
    "range": (lambda: jc.input_diff(PICTURE * 255), PLAIN, "expected 0 to 1"),
    "references": (
        lambda: jc.caricature(LAYER, PICTURE) - jc.activation_difference(LAYER, PICTURE / 2),
        PLAIN,
        "two sets of pictures",
    ),
    "mask": (lambda: jc.masked(jc.channel(LAYER, 1), np.zeros((2, 2))), PLAIN, "without any positive"),
    "boundary": (lambda: jc.boundary_complexity(width=40), PLAIN, "width 40; expected .* half the picture, 16"),
    "steps": (lambda: jc.channel_interpolate(LAYER, 1, LAYER, 2, steps=1), PLAIN, "steps 1; expected"),
    "shared": (
        lambda: jc.channel(LAYER, range(4)),
        dataclasses.replace(PLAIN, parametrization=Shared(group=3)),
        "draws groups of 3",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case, slide):
    make, recipe, message = BAD[case]
    with pytest.raises(InputError, match=message) as error:
        jc.render(slide, make(), recipe)
    assert "\n" not in str(error.value)


def test_start_from_a_picture(slide):
    recipe = dataclasses.replace(PLAIN, steps=0)
    rendering = jc.render(slide, jc.channel(LAYER, [1, 2]), recipe, start=PICTURE)
    np.testing.assert_allclose(rendering.images, np.stack([PICTURE] * 2), atol=2e-3)
    with pytest.raises(InputError, match="CPPN"):
        jc.render(slide, jc.channel(LAYER, 1), dataclasses.replace(recipe, parametrization=CPPN()), start=PICTURE)


def test_inversion_finds_what_the_layer_sees(slide):
    """From noise, toward the activations of a picture that has structure."""
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    picture = np.stack([np.sin(9 * x), np.cos(7 * y), np.sin(8 * (x + y))], -1).astype(np.float32) * 0.3 + 0.5
    recipe = dataclasses.replace(PLAIN, steps=150, transforms=())
    rendering = jc.render(slide, -jc.activation_difference("conv2d1", picture), recipe)
    assert -rendering.scores[0] < 0.05
    correlation = np.corrcoef(rendering.images[0].ravel(), picture.ravel())[0, 1]
    assert correlation > 0.6


@pytest.mark.slow
def test_finished_pictures_leave_their_place(slide):
    """Pictures come out as if each were drawn alone and stopped by the same rule, whatever sits beside them."""
    recipe = dataclasses.replace(PLAIN, steps=160, tolerance=0.2)
    together = jc.render(slide, jc.channel(LAYER, range(7)), recipe, batch_size=4, snapshots=[40, 160])
    steps = together.steps
    assert len(set(steps.tolist())) > 1, steps
    assert set(steps.tolist()) <= {64, 96, 128, 160}
    full = jc.render(slide, jc.channel(LAYER, range(7)), dataclasses.replace(recipe, tolerance=0.0), batch_size=7)
    assert (full.steps == 160).all()
    for i, taken in enumerate(steps):
        np.testing.assert_allclose(together.history[i, :40], full.history[i, :40], rtol=2e-2, atol=1e-3)
        assert np.isnan(together.history[i, taken:]).all()
        last, before = (full.history[i, taken - n : taken - n + 32].mean() for n in (32, 64))
        assert taken == 160 or last - before <= 0.23 * before
    one = int(np.argmin(steps))
    alone = jc.render(slide, jc.channel(LAYER, one), dataclasses.replace(recipe, tolerance=0.0, steps=int(steps[one])))
    # The share of steps done is not the same for both, which these views do not look at.
    np.testing.assert_allclose(together.images[one], alone.images[0], atol=0.05)
    np.testing.assert_array_equal(together.snapshots[160], together.images)


def test_groups_share_views_and_differ_in_their_starts(slide):
    rendering = jc.render(
        slide, jc.channel(LAYER, [3] * 4) - 0.0 * jc.diversity(LAYER, 4), dataclasses.replace(PLAIN, steps=2)
    )
    for i in range(4):
        for j in range(i):
            assert np.abs(rendering.images[i] - rendering.images[j]).mean() > 0.02


def test_percentiles_against_counting(slide):
    photographs = RNG.uniform(size=(20, 48, 48, 3)).astype(np.float32)
    objective = jc.channel(LAYER, [1, 2, 3]) + 2 * jc.neuron("conv2d0", 5)
    drawn = photographs[:3] * np.float32(0.9)
    found = jc.percentiles(slide, objective, drawn, iter([photographs[:12], photographs[12:]]))

    def by_hand(pictures, unit):
        seen = slide.activations(pictures, [LAYER, "conv2d0"])
        first = np.asarray(seen[LAYER], np.float64)[..., unit].mean((1, 2))
        middle = seen["conv2d0"].shape[1] // 2
        return first + 2 * np.asarray(seen["conv2d0"], np.float64)[:, middle, middle, 5]

    expected = [
        100 * np.mean(by_hand(photographs, unit) < by_hand(drawn[i : i + 1], unit)) for i, unit in enumerate((1, 2, 3))
    ]
    np.testing.assert_allclose(found, expected)
    shown = np.stack([picture.image for picture in jc.open_pictures(photographs).at(slide.convention.size)])
    again = jc.percentiles(slide, objective, drawn, jc.open_pictures(photographs))
    np.testing.assert_allclose(again, jc.percentiles(slide, objective, drawn, shown))
    with pytest.raises(InputError, match="several pictures"):
        jc.percentiles(slide, jc.diversity(LAYER, 3), drawn, photographs)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_relevance_is_where_the_objective_looks(slide, dtype):
    """Of a neuron at the center of an early layer, only pixels near the center matter."""
    recipe = dataclasses.replace(PLAIN, transforms=(), dtype=dtype)
    relevance = jc.relevance(slide, jc.neuron("conv2d0", [1, 2, 3]), np.stack([PICTURE] * 3), recipe)
    assert relevance.shape == (3, SIZE, SIZE) and relevance.max() <= 1
    inside = relevance[:, 10:23, 10:23]
    assert (inside.sum((1, 2)) >= 0.97 * relevance.sum((1, 2))).all()
    assert (relevance.max((1, 2)) == 1).sum() >= 2
    assert jc.transparent(np.stack([PICTURE] * 3), relevance).shape == (3, SIZE, SIZE, 4)


@pytest.mark.parametrize("transforms", [(Crop(),), (Pad(2), Elastic()), (Homography(), Rotate((5.0,)))], ids=str)
def test_relevance_of_pictures_of_another_size_than_the_recipes(slide, transforms):
    """Views are those of the pictures, whatever size the recipe would draw."""
    own, larger = (dataclasses.replace(PLAIN, size=size, transforms=transforms) for size in (SIZE, SIZE + 16))
    objective, pictures = jc.channel(LAYER, [1]), PICTURE[None]
    expected = jc.relevance(slide, objective, pictures, own)
    np.testing.assert_allclose(jc.relevance(slide, objective, pictures, larger), expected, atol=1e-4)


@pytest.mark.parametrize("ending", [".gif", ".png", ".webp", ".mp4"])
def test_videos(ending, tmp_path):
    frames = [np.full((24, 33, 3), i / 4, np.float32) for i in range(5)]
    path = tmp_path / f"way{ending}"
    if ending == ".mp4":
        import shutil

        if shutil.which("ffmpeg") is None:
            with pytest.raises(
                InputError, match=r"way\.mp4: MP4 wants the program ffmpeg, which is not installed; use \.gif"
            ):
                jc.save_video(frames, path)
            assert not list(tmp_path.iterdir())
            return
    jc.save_video(frames, path, fps=10)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    if ending != ".mp4":
        with Image.open(path) as image:
            assert image.n_frames == 5
            image.seek(3)
            assert abs(np.asarray(image.convert("RGB")).mean() - 255 * 3 / 4) < 3
    with pytest.raises(InputError, match=r"unknown video format '\.avi'"):
        jc.save_video(frames, tmp_path / "way.avi")
    with pytest.raises(InputError, match="no frames"):
        jc.save_video([], path)


def test_transparent_pictures_lie_on_a_checkerboard():
    picture = np.zeros((16, 16, 4), np.float32)
    picture[:, :8] = 1
    sheet = np.asarray(jc.contact_sheet(picture[None]))
    inside = sheet[6:102, 6:102]  # enlarged six times
    assert (inside[:, :48] == 255).all()
    assert set(np.unique(inside[:, 48:])) == {204, 255}
