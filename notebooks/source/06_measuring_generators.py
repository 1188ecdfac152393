# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 6. Measuring generators
#
# In this lesson you build five scores for generators and put them to the test with pictures whose
# faults you know. Here is one result to start with. Seen through a trained network, lesson 2's GAN
# beats a set of photographs in which half of the classes are missing (Fréchet distance
# {{result:scores_networks.json:networks.trained.rows.gan.FD.value:.2f}} against
# {{result:scores_networks.json:networks.trained.rows.half.FD.value:.2f}}, lower is better). Seen
# through the *same network before its training*, it loses by a factor of more than twenty
# ({{result:scores_networks.json:networks.untrained_0.rows.gan.FD.value:.6f}} against
# {{result:scores_networks.json:networks.untrained_0.rows.half.FD.value:.6f}}). The pictures are the
# same. Only the network that looks at them has changed.
#
# **You will learn to** build the Fréchet and the kernel distance, a classifier score, precision and
# recall · say what each of them cannot see, and cheat it · put an interval on a score, and know
# when the bootstrap fails · find copies · read scores of text, a likelihood, a test with people.
#
# **You need** covariances and eigenvalues, lesson 2 (its generator), lesson 3 (KL, bits per
# dimension) and lesson 5 (bits per byte).
#
# **Time** about {{minutes}} minutes to read and solve. This table says how long the computer works,
# the line under the settings how long yours does.
#
# {{tiers}}

# %% [markdown]
# ## Set-up

# %%
import math

# before torch: waiting threads sleep
from course_utils import checks, progress_bars, results, runtime
import torch
from IPython.display import HTML, display

from course_utils.display import plots, score_diagrams, score_plots
from course_utils.evaluation import metrics
from course_utils.models import dcgan, vae

run = runtime.setup(seed=0)

# %% [markdown]
# What you may want to change, with the values of the three tiers side by side:

# %%
from course_utils.machine import minutes_here

# fmt: off
#                    smoke  laptop     gpu
n_images  = run.pick(1_000, 50_000, 50_000)  # training images
n_score   = run.pick(   50,  1_000,  2_000)  # images on each side of one comparison
n_toy     = run.pick(  300,    500,    500)  # points of a toy cloud
repeats   = run.pick(   50,    200,    500)  # resamples of a bootstrap
lab_steps = run.pick(   20,    600,  1_000)  # steps of a small generator, where none ships
draws     = 5       # comparisons in one score, each with other images
source    = None    # None: CIFAR-10 where it is on this machine; or your own folder
# fmt: on
minutes_here.tell(run, "06_measuring_generators")

# %% [markdown]
# The pictures are loaded now, so that you learn at once if your own folder holds too few.

# %%
from course_utils.datasets.images import load_images

train = load_images(source, limit=n_images)
test = load_images(source, "test", limit=run.pick(300, 10_000, 10_000))
n_each = metrics.fitting_n(n_score, train, test, draws=draws, least=4)

# %% [markdown]
# ## The idea in miniature
#
# A good generator has at least three virtues. **Fidelity**: does a single picture look real?
# **Diversity**: are all kinds of real pictures there? **Novelty**: are the pictures new, or copies?
# A single number has to mix these.
#
# Start where you can see everything: points in a plane. The real ones lie in eight blobs on a ring.
# Five imagined generators follow: a perfect one, a blurred one, one without half of the blobs, one
# Gaussian cloud with *exactly the ring's mean and covariance*, and 20 memorised points.


# %%
def ring(n, blobs=8, spread=0.15):
    """Points around the first ``blobs`` of eight places on a circle of radius 2: (n, 2)."""
    angle = torch.randint(blobs, (n,)) * math.pi / 4
    return (2 * torch.stack([angle.cos(), angle.sin()], 1) + spread * torch.randn(n, 2)).double()


# %%
truth = ring(n_toy)
toys = {
    "perfect": ring(n_toy),
    "blurred": ring(n_toy, spread=0.5),
    "half of the blobs": ring(n_toy, blobs=4),
    "one Gaussian": (2**2 / 2 + 0.15**2) ** 0.5 * torch.randn(n_toy, 2).double(),
    "20 points, memorised": truth[torch.randint(20, (n_toy,))],
}

# %%
figure = score_diagrams.clouds(truth, toys)
alt = "Six clouds over the true one in grey: eight blobs on a ring; the same; blurred; half of the blobs; one round cloud that also fills the middle; twenty points."
plots.show(figure, alt=alt)

# %% [markdown]
# Later a network turns every picture into a point with 128 coordinates, its *features*. A set of
# pictures is then a cloud, too.
#
# ## The Fréchet distance
#
# How far apart are two Gaussians? See each as a heap of sand, and carry the grains of one to where
# the grains of the other lie. Moving a grain costs the *square* of its distance, and a plan costs
# the mean over all grains. Which plan is the cheapest?

# %%
random = torch.Generator().manual_seed(3)
grain = torch.distributions.Normal(0, 1).icdf((torch.arange(9) + 0.5) / 9)  # nine, as a bell
grains, places = 1 + 2 * grain, -0.5 + 0.5 * grain
at_random = places[torch.randperm(9, generator=random)]
figure = score_diagrams.plans(grains, {"at random": at_random, "in order": places})
alt = "Nine grains on a line and the nine places they go to. Carried at random, the arrows cross and the plan costs more; carried in order, no two arrows cross."
plots.show(figure, alt=alt)

# %% [markdown]
# Whenever two arrows cross, exchanging their ends is cheaper. So the best plan keeps the order. For
# Gaussians it shifts the mean and stretches the spread, which costs
#
# $$\mathrm{FD} = (\mu_1-\mu_2)^2 + (\sigma_1-\sigma_2)^2 .$$
#
# Many grains come close:

# %%
a, b = 1 + 2 * torch.randn(100_000), -0.5 + 0.5 * torch.randn(100_000)
cheapest = (a.sort().values - b.sort().values).square().mean().item()
formula = (1 - -0.5) ** 2 + (2 - 0.5) ** 2
print(f"carried in order: {cheapest:.3f}, formula: {formula:.3f}")
assert abs(cheapest - formula) < 0.1

# %% [markdown]
# This cost, strictly the *square* of a distance, is called FD. Write its last square out:
# $\sigma_1^2 + \sigma_2^2 - 2\sigma_1\sigma_2$. In $D$ dimensions variances become covariance
# matrices $\Sigma$, whose *trace* $\mathrm{tr}$ sums the diagonal, and $\sigma_1\sigma_2 =
# \sqrt{\sigma_1^2\sigma_2^2}$ becomes a **matrix root** (Dowson and Landau 1982; for generators
# [Heusel et al. 2017](https://arxiv.org/abs/1706.08500), eq. 6):
#
# $$\mathrm{FD} = \lVert\mu_1-\mu_2\rVert^2 + \mathrm{tr}\,\Sigma_1 + \mathrm{tr}\,\Sigma_2 - 2\,\mathrm{tr}\bigl(\Sigma_1^{1/2}\,\Sigma_2\,\Sigma_1^{1/2}\bigr)^{1/2}.$$
#
# <details><summary>Why this root, and not another (the derivation)</summary>
#
# In several directions "keep the order" means: carry by a map $x \mapsto Tx$ that only stretches
# ($T$ symmetric, eigenvalues $\ge 0$; both means at 0). Sand with covariance $\Sigma_1$ arrives
# with $T\Sigma_1T$, and this shall be $\Sigma_2$. With $R=\Sigma_1^{1/2}$ from both sides:
# $(RTR)(RTR) = R\,\Sigma_2R$. So $RTR$ is the root of $R\,\Sigma_2R$: hence the odd order. The cost
# $\mathbb E\lVert x-Tx\rVert^2$ is $\mathrm{tr}\,\Sigma_1 + \mathrm{tr}\,\Sigma_2 -
# 2\,\mathrm{tr}\,T\Sigma_1$, and $\mathrm{tr}\,T\Sigma_1 = \mathrm{tr}\,RTR$. A cell below carries
# sand this way. (That no plan is cheaper is Brenier's theorem.) </details>
#
# The root of a matrix $\Sigma$ is the symmetric matrix $R$ with $RR=\Sigma$. It is *not* the root
# of each entry. For a covariance, `eigh` finds the axes of the cloud, and one takes the root of the
# variance along each:


# %%
def matrix_root(cov):
    """The symmetric root of a covariance without negative eigenvalues: (D, D) -> (D, D)."""
    values, vectors = torch.linalg.eigh(cov)  # cov = vectors · diag(values) · vectorsᵀ
    return vectors @ values.sqrt().diag() @ vectors.T


# %%
cov = torch.tensor([[2.0, 1.2], [1.2, 1.0]], dtype=torch.float64)
root = matrix_root(cov)
print("the matrix root, squared:       ", (root @ root).flatten().tolist())
print("the covariance:                 ", cov.flatten().tolist())
print("roots of the entries, squared:  ", (cov.sqrt() @ cov.sqrt()).flatten().tolist())
assert torch.allclose(root @ root, cov)

# %% [markdown]
# Two traps. Papers often write $(\Sigma_1\Sigma_2)^{1/2}$. That product is not symmetric, and
# `eigh` does not complain: it reads one triangle and believes that the other is the same. And with
# fewer images than features the cloud is flat in some directions; the eigenvalues there are 0, and
# rounding makes some slightly negative:

# %%
product = cov @ torch.tensor([[1.0, 0.0], [0.0, 4.0]]).double()
print("eigh:   ", torch.linalg.eigvalsh(product).tolist(), "reads one triangle")
print("in fact:", torch.linalg.eigvals(product).real.tolist())

# %%
few = torch.cov(torch.randn(20, 5))  # 20 features, 5 points
smallest = torch.linalg.eigvalsh(few).min()
print(f"smallest eigenvalue {smallest:.1e}, its root {smallest.sqrt()}")
assert abs(smallest) < 1e-4

# %% [markdown]
# ### Exercise: the Fréchet distance
#
# *Medium, 10 minutes.* Write the formula for $D$ dimensions: two means (D,) and two covariances (D,
# D), one number. It must survive flat clouds.
#
# <details><summary>Hint 1</summary>Of the outer root you need only the trace.</details>
# <details><summary>Hint 2</summary>A trace is the sum of the eigenvalues. What are those of a
# root?</details>
# <details><summary>Hint 3</summary>No eigenvalue of a covariance is negative.</details>


# %%
def frechet_distance(mean1, cov1, mean2, cov2):
    """Squared Fréchet distance of two Gaussians: (D,), (D, D), (D,), (D, D) -> float."""
    ### BEGIN SOLUTION
    values, vectors = torch.linalg.eigh(cov1)
    root = vectors @ values.clamp_min(0).sqrt().diag() @ vectors.T
    overlap = torch.linalg.eigvalsh(root @ cov2 @ root).clamp_min(0).sqrt().sum()
    return float((mean1 - mean2).square().sum() + cov1.trace() + cov2.trace() - 2 * overlap)
    ### END SOLUTION


frechet_distance = checks.metrics.frechet_distance(frechet_distance)

# %% [markdown]
# On a line it must be the formula that you started from, and in several dimensions what carrying
# the sand by $T$ costs (the folded derivation).


# %%
def moments(points):
    """Mean (D,) and covariance (D, D) of a cloud (N, D), in float64."""
    return points.double().mean(0), torch.atleast_2d(torch.cov(points.double().T))


# %%
line = [torch.tensor([v], dtype=torch.float64) for v in (1.0, -0.5)]
one = torch.eye(1).double()
on_a_line = frechet_distance(line[0], 4 * one, line[1], one / 4)
print(f"on a line: {on_a_line:.6f}, formula: {formula:.6f}")
assert abs(on_a_line - formula) < 1e-6

# %%
cov1, cov2 = (x @ x.T for x in torch.randn(2, 3, 3).double())
root, zero = matrix_root(cov1), torch.zeros(3).double()
plan = root.inverse() @ matrix_root(root @ cov2 @ root) @ root.inverse()  # T
cost = (cov1 + plan @ cov1 @ plan - 2 * plan @ cov1).trace().item()
print(f"carried by T: {cost:.6f}, FD: {frechet_distance(zero, cov1, zero, cov2):.6f}")
assert torch.allclose(plan @ cov1 @ plan, cov2)
assert math.isclose(cost, frechet_distance(zero, cov1, zero, cov2), rel_tol=1e-6)

# %%
for name, points in toys.items():
    print(f"{name:>20}: FD {frechet_distance(*moments(truth), *moments(points)):.3f}")

# %% [markdown]
# *Half of the blobs* is found at once, since the mean has moved. But look at *one Gaussian*: most
# of its points lie where no real point could be, and yet only chance parts its FD from the perfect
# generator's. **FD knows means and covariances and nothing else.**
#
# ## FD is biased
#
# Why does even the perfect generator not score 0? The mean and covariance of a *sample* are never
# quite the true ones, and FD squares the differences. Squares do not cancel. For two samples of $n$
# points from one standard normal in $D$ dimensions, to first order in $1/n$,
#
# $$\mathbb E[\mathrm{FD}] \approx \frac{D^2+5D}{2n}.$$
#
# <details><summary>Where this comes from (the derivation)</summary>
#
# *Means.* Each misses by variance $1/n$ in each of $D$ directions: together $2D/n$.
#
# *Covariances.* Let them be $I+E_1$ and $I+E_2$. On a line
# $(\sqrt{1+e_1}-\sqrt{1+e_2})^2 \approx \tfrac14(e_1-e_2)^2$; with matrices it becomes
# $\tfrac14\lVert E_1-E_2\rVert^2$. An entry of $E$ has variance $1/n$ beside the diagonal and $2/n$
# on it, in all $(D^2+D)/n$. Twice that for a difference, and a quarter of it: $(D^2+D)/2n$.
#
# With variances $\lambda_i$ in place of 1 the same steps give $b/n$ with
# $b = 2\sum_i\lambda_i + \sum_{ij}\lambda_i\lambda_j(1+\delta_{ij})/(\lambda_i+\lambda_j)$.
# </details>

# %%
for n in (100, 400, 1600):
    clouds = torch.randn(40, 2, n, 8)  # 40 repetitions, two samples each, D = 8
    drawn = [frechet_distance(*moments(x), *moments(y)) for x, y in clouds]
    mean, low, high = metrics.mean_interval(drawn)  # with a 95 % interval of the mean (Student's t)
    print(
        f"n = {n:>4}: measured {mean:.4f} ({low:.4f} to {high:.4f}), "
        f"formula {(8**2 + 5 * 8) / (2 * n):.4f}"
    )
    assert abs(mean / ((8**2 + 5 * 8) / (2 * n)) - 1) < 0.25

# %% [markdown]
# The truth is 0 in every line, and no interval contains it. *Biased* means just that: the expected
# value is wrong, and repeating does not help.
#
# What real images score against *other real images* is called the **floor**; no generator can be
# expected to score less. The course measured it, with the GAN of lesson 2 and the VAE of lesson 3,
# five comparisons at each $n$, with no image in common ({{result:scores_bias.json:data}}). With a
# running kernel, slide $n$. Below, three positions; then FD and KD (next section) against $1/n$.

# %%
from course_utils.display.widgets import score_bias

measured = score_plots.recorded_bias()
score_bias.bias_slider(measured)

# %%
figure, axes = plots.subplots(1, 3, width=9, height=2.6)
score_bias.bias_static(list(axes), measured, "real", "FD")
figure.suptitle(f"{measured.real_set}: real against real", fontsize=10)
alt = "FD of real photographs against real ones falls towards 0 as n grows."
plots.show(figure, alt=alt)

# %%
figure, axes = plots.subplots(1, 2, width=9, height=3.2)
score_plots.bias_lines(axes, measured, results.read("scores_bias.json")["rows"])
alt = "Against 1/n, FD lies on straight lines that end at 0 (real) and 1.3 (GAN). KD does not depend on n."
plots.show(figure, alt=alt)

# %% [markdown]
# Against $1/n$ FD is a straight line, $a + b/n$, so scores at unequal $n$ cannot be compared. At
# the left edge lies $a$, what infinitely many pictures would score:
# {{result:scores_bias.json:rows.real.limit.value:.3f}}
# ({{result:scores_bias.json:rows.real.limit.low:.3f}} to
# {{result:scores_bias.json:rows.real.limit.high:.3f}}) for real photographs,
# {{result:scores_bias.json:rows.gan.limit.value:.2f}}
# ({{result:scores_bias.json:rows.gan.limit.low:.2f}} to
# {{result:scores_bias.json:rows.gan.limit.high:.2f}}) for the GAN. ([Chong and Forsyth
# 2020](https://arxiv.org/abs/1911.07023) report $a$.)
#
# With 128 dimensions of variance 1 the slope would be 8,512. Measured is
# {{result:scores_bias.json:rows.real.slope.value:.0f}}
# ({{result:scores_bias.json:rows.real.slope.low:.0f}} to
# {{result:scores_bias.json:rows.real.slope.high:.0f}}): the features' variances are small. (A cell
# below tries the derivation's last formula on your pictures.) KD, on the right, stays level. You
# build it next.
#
# ## The kernel distance
#
# Ask instead how *similar* points are. A kernel $k(a,b)$ is a number for how
# much two points have in common. If two clouds are alike, two points from different clouds have on
# average as much in common as two from the same:
#
# $$\mathrm{KD} = \mathbb E\,k(x,x') + \mathbb E\,k(y,y') - 2\,\mathbb E\,k(x,y), \qquad k(a,b) = \left(\frac{a\cdot b}{d} + 1\right)^3$$
#
# ($d$ features; squared *maximum mean discrepancy*, [Gretton et al.
# 2012](https://jmlr.org/papers/v13/gretton12a.html), with the kernel of [Bińkowski et al.
# 2018](https://arxiv.org/abs/1801.01401), section 4). Here $x$ and $x'$ are two *independent*
# points. An estimate from a sample can be **unbiased**: right on average at every $n$, and
# therefore sometimes negative where the truth is 0. A colleague wrote this one:


# %%
def first_try(x, y):
    """Squared MMD with the kernel (a·b/d + 1)³: (N, D), (M, D) -> float."""

    def kernel(a, b):
        return (a @ b.T / a.shape[1] + 1) ** 3

    return float(kernel(x, x).mean() + kernel(y, y).mean() - 2 * kernel(x, y).mean())


# %%
drawn = [first_try(x, y) for x, y in torch.randn(200, 2, 50, 8).double()]
mean, low, high = metrics.mean_interval(drawn)
print(f"200 pairs of equal clouds, n = 50: mean {mean:.3f} ({low:.3f} to {high:.3f})")
print(f"{sum(v < 0 for v in drawn)} of the 200 are negative")

# %% [markdown]
# ### Exercise: repair the kernel distance
#
# *Medium, 10 minutes.* Equal clouds should give 0 on average, and this never comes near it. Find
# the fault, and write the unbiased estimate.
#
# <details><summary>Hint 1</summary>Print <code>kernel(x, x)</code> for three points. Which entries
# are not like the others?</details>
# <details><summary>Hint 2</summary>Read the formula's first mean again: which pairs does it speak
# of, and how many of them are there?</details>


# %%
def kernel_distance(x, y):
    """Unbiased squared MMD with the kernel (a·b/d + 1)³: (N, D), (M, D) -> float."""

    ### BEGIN SOLUTION
    def kernel(a, b):
        return (a @ b.T / a.shape[1] + 1) ** 3

    def within(a):
        k = kernel(a, a)
        return (k.sum() - k.trace()) / (len(a) * (len(a) - 1))

    return float(within(x) + within(y) - 2 * kernel(x, y).mean())
    ### END SOLUTION


kernel_distance = checks.metrics.kernel_distance(kernel_distance)

# %%
drawn = [kernel_distance(x, y) for x, y in torch.randn(200, 2, 50, 8).double()]
mean, low, high = metrics.mean_interval(drawn)
print(f"200 pairs of equal clouds, n = 50: mean {mean:.4f} ({low:.4f} to {high:.4f})")
print(f"{sum(v < 0 for v in drawn)} of the 200 are negative")
assert low - 0.02 < 0 < high + 0.02

# %%
for name, points in toys.items():
    print(f"{name:>20}: KD {kernel_distance(truth, points):+.3f}")

# %% [markdown]
# A point paired with itself makes the first two means too large. Without such pairs KD is
# unbiased. But is it less blind? The third power
# multiplies out to products of up to three coordinates, so KD compares means, covariances *and
# third moments*, the skewness. The ring and the Gaussian have the same (zero) skewness, and KD is
# fooled as well. Where skewness differs, it sees what FD does not:

# %%
normal = torch.randn(4000, 1).double()  # mean 0, variance 1
skewed = torch.empty(4000, 1).exponential_().double() - 1  # the same mean and variance
fd, kd = frechet_distance(*moments(normal), *moments(skewed)), kernel_distance(normal, skewed)
print(f"FD {fd:.3f}, KD {kd:.2f}")
assert kd > 1

# %% [markdown]
# ## From pictures to clouds
#
# Two pictures of a cat share hardly a pixel. So a network that was trained to name pictures turns
# each into 128 numbers, its last layer before the answer. Published scores use a large one,
# Inception, trained on ImageNet (then FD is called FID, and KD is KID). Ours is small and ships
# with the course ({{result:scores_table.json:features}}), so **our numbers are comparable with each
# other only**.

# %%
half = len(train) // 2
real = train.subset(slice(0, half))  # to compare with
other = train.subset(slice(half, half + 11 * n_score))  # to be spoiled
n = metrics.fitting_n(n_each, real, other, draws=draws, least=4)
print(f"{len(real):,} to compare with, {len(other):,} to be spoiled, {len(test):,} held out")

# %% [markdown]
# The candidates have *known* faults. Five are sets of real training pictures, each spoiled in one
# way or merely copied. The others are generators. (The shipped ones learned from CIFAR-10; for
# other pictures a small VAE is trained.)

# %%
from course_utils.datasets import corruptions

candidates = {
    "training pictures, untouched": other.images,
    "100 training pictures, repeated": corruptions.repeated(other.images, 100, len(other)),
    "half of the classes": corruptions.some_classes(other, max(1, len(other.classes) // 2)),
    "noise of 25 grey levels": corruptions.noisy(other.images, 25),
    "blur of 1 pixel": corruptions.blurred(other.images, 1),
}
if len(other.classes) < 2 or len(candidates["half of the classes"]) < 4 * draws:
    print(f"{train.name} has too few classes, or too few pictures in them: no row for half of them")
    del candidates["half of the classes"]

# %%
from course_utils.training.recipes import earlier_generators

generators = earlier_generators.samplers(train, run.device, lab_steps, run.autocast)
candidates |= generators  # each is a function: how many -> that many pictures
generate, *_ = generators.values()  # the one that the lesson goes on with

# %%
rows = {"held-out pictures": test.images, **candidates}
rows = {name: images(12) if callable(images) else images for name, images in rows.items()}
figure = plots.image_rows(rows, train.title("twelve of each"))
alt = "A row of twelve held-out pictures, and one of every candidate: untouched, repeated and spoiled pictures, then generated ones."
plots.show(figure, alt=alt)

# %% [markdown]
# Your functions on real features. The package, which later lessons use, must say the same:

# %%
feature_net = metrics.load_feature_network(run.device)
for candidate in candidates.values():
    n = n if callable(candidate) else min(n, len(candidate) // draws)
features = metrics.extract_features(real.images[:n], feature_net)
held_out = metrics.extract_features(test.images[:n], feature_net)


# %%
both = moments(features), moments(held_out)
fd = frechet_distance(*both[0], *both[1])
kd = kernel_distance(features.double(), held_out.double())
print(f"real against real, n = {n:,} [{train.name}]: FD {fd:.4f}, KD {kd:+.6f}")
assert math.isclose(fd, metrics.frechet_distance(*both[0], *both[1]), rel_tol=1e-3, abs_tol=1e-3)
assert math.isclose(kd, metrics.kernel_distance(features, held_out), rel_tol=1e-3, abs_tol=1e-6)

# %%
values = torch.linalg.eigvalsh(moments(features)[1]).clamp_min(1e-12)  # λ of the derivation
shares = torch.outer(values, values) / (values[:, None] + values)
slope = (2 * values.sum() + shares.sum() + shares.trace()).item()
print(f"the derivation expects a floor of b/n = {slope / n:.3f}, and measured is {fd:.3f}")

# %% [markdown]
# ## A classifier's score, and how to fool it
#
# The oldest of these scores ([Salimans et al. 2016](https://arxiv.org/abs/1606.03498), section 4)
# asks the network for class probabilities $p(y\mid x)$. A recognisable picture gives a *certain*
# answer; varied pictures give *different* ones, so that the average $p(y)$ is spread out:
#
# $$\mathrm{CS} = \exp\Bigl(\mathbb E_x\,\mathrm{KL}\bigl(p(y\mid x)\,\|\,p(y)\bigr)\Bigr),\qquad p(y) = \mathbb E_x\,p(y\mid x).$$
#
# It lies between 1 and the number of classes; larger is better. With Inception it is the Inception
# Score; with our network we call it classifier score.

# %% [markdown]
# ### Exercise: the classifier score
#
# *Easy, 6 minutes.* From probabilities (N, K), one row for each picture.
#
# <details><summary>Hint</summary>p = 0 adds nothing, but 0 · log 0 is NaN: look at
# <code>torch.xlogy</code>.</details>


# %%
def inception_score(probabilities):
    """exp of the mean KL from each row to the average row: (N, K) -> float."""
    ### BEGIN SOLUTION
    average = probabilities.mean(dim=0, keepdim=True)
    kl = (torch.xlogy(probabilities, probabilities) - torch.xlogy(probabilities, average)).sum(
        dim=1
    )
    return float(kl.mean().exp())
    ### END SOLUTION


inception_score = checks.metrics.inception_score(inception_score)

# %% [markdown]
# ### Exercise: predict what photographs score
#
# *Easy, 2 minutes.* The score goes from 1 to 10, and the network names
# {{result:features_cifar10.json:accuracy:.0%}} of held-out photographs correctly. What do real
# photographs score? Write a number before you run on.
#
# <details><summary>Hint</summary>What must each single answer be for a score of 10?</details>

# %%
real_score = ...  # your number, from 1 to 10


real_score = checks.metrics.real_score(real_score)

# %%
with torch.no_grad():
    looked_at = metrics.extract_features(other.images, feature_net).to(run.device)
    logits = feature_net.head(looked_at).float().cpu()  # (N, 10)
p = logits.softmax(1)
real_here = inception_score(p)
real_score.beside(results.read("scores_table.json")["rows"]["held_out"]["CS"]["value"], ".2f")
print(f"(held-out photographs; here, {train.title('training pictures')}: {real_here:.2f})")
assert math.isclose(real_here, metrics.inception_score(p), rel_tol=1e-3)

# %% [markdown]
# Far from 10. Is something broken? Take the formula apart: the mean KL is the entropy of the
# average answer minus the mean entropy of single answers.


# %%
def entropy(p):
    """Entropy of probabilities, in nats: (..., K) -> (...)."""
    return -torch.xlogy(p, p).sum(-1)


# %%
spread, doubt = entropy(p.mean(0)).item(), entropy(p).mean().item()
print(f"average answer {spread:.3f} nats (of {math.log(10):.3f}), single answer {doubt:.3f} nats")
print(f"exp(difference) = {math.exp(spread - doubt):.3f}, score {real_here:.3f}")
assert math.isclose(math.exp(spread - doubt), real_here, rel_tol=1e-3)

# %%
for factor in (1, 2, 10):
    print(f"logits × {factor:>2}: score {inception_score((factor * logits).softmax(1)):.2f}")

# %% [markdown]
# The missing points are *doubt*, and the doubt is the network's. Multiplying its logits changes no
# picture and no verdict, and moves the score a long way. Why does it doubt? It was trained with
# **label smoothing** of {{result:features_cifar10.json:settings.label_smoothing:.1f}}: never to be
# surer than 91 %, and to leave 1 % for each other class. A network that learned exactly that scores
# at most:

# %%
taught = torch.tensor([0.91] + 9 * [0.01])
print(f"10 / exp({entropy(taught):.3f}) = {10 / entropy(taught).exp():.2f}")

# %% [markdown]
# It measures the network's confidence, too. Pictures where that exceeds 91 % fool it:

# %%
best = p.argmax(dim=0)  # for each class the one picture that the network is surest of
ten_score = inception_score(p[best])
title = f"all {len(p):,} real pictures score {real_here:.2f}, the ten below {ten_score:.2f}"
figure = plots.image_rows({"the ten": other.images[best]}, train.title(title), 10)
alt = "Ten pictures, one for each class of the network, that score higher than all real pictures together."
plots.show(figure, alt=alt)
assert train.is_own or ten_score > real_here  # of your own pictures nobody knows

# %% [markdown]
# A "generator" that knows ten pictures beats reality. No wonder: *no real picture enters the
# formula*. The score cannot notice copies or missing variety within a class ([Barratt and Sharma
# 2018](https://arxiv.org/abs/1801.01973)).
#
# ## Precision and recall
#
# Two numbers can keep fidelity and diversity apart. Make a *region* of a set of points: around each
# point a ball that reaches to its $k$-th nearest neighbour in the same set ([Kynkäänniemi et al.
# 2019](https://arxiv.org/abs/1904.06991), eq. 1 and 2).
#
# - **Precision**: the share of *generated* points in the *real* region. Are the pictures plausible?
# - **Recall**: the share of *real* points in the *generated* region. Is everything there?

# %%
random = torch.Generator().manual_seed(1)
few_real = truth[torch.randperm(len(truth), generator=random)[:64]]
few_made = toys["half of the blobs"][:36].clone()
few_made[:4] += 0.6 * torch.randn(4, 2, generator=random)  # a few that belong to no blob

# %%
figure = score_diagrams.regions(few_real, few_made, 3)
alt = "Left: balls around real points, and made points that are circles inside and crosses outside; most are inside. Right: the roles exchanged; the blobs that were never made are full of crosses, but for what lies in the huge ball of a stray point."
plots.show(figure, alt=alt)

# %% [markdown]
# ### Exercise: precision and recall
#
# *Medium, 12 minutes.* Two numbers, precision first. A point is no neighbour of itself.
#
# <details><summary>Hint 1</summary>Write a helper, the share of <code>points</code> in the region
# of <code>centres</code>, and call it twice.</details>
# <details><summary>Hint 2</summary><code>torch.cdist</code> gives all distances. Within a set the
# smallest in each row is the point itself, 0. Which is then the k-th neighbour's?</details>


# %%
def precision_recall(real, fake, k):
    """Share of fake points in the real region, and of real points in the fake one: (N, D), (M, D),
    int -> two floats.
    """

    ### BEGIN SOLUTION
    def share_inside(points, centres):
        radii = torch.cdist(centres, centres).kthvalue(k + 1, dim=1).values  # (centres,)
        return (torch.cdist(points, centres) <= radii).any(dim=1).double().mean().item()

    return share_inside(fake, real), share_inside(real, fake)
    ### END SOLUTION


precision_recall = checks.metrics.precision_recall(precision_recall)

# %%
for name, points in toys.items():
    precision, recall = precision_recall(truth, points, 3)
    print(f"{name:>20}: precision {precision:.2f}, recall {recall:.2f}")

# %%
ours = precision_recall(features, held_out, 3)
package = metrics.precision_recall(features, held_out, 3)
print("precision and recall: yours", ours, "the package's", package)
close = all(abs(one - two) < 0.02 for one, two in zip(ours, package))
assert train.is_own or close  # equal pictures are at distance 0, where rounding decides

# %% [markdown]
# *Blurred* and *one Gaussian* lose precision, *half of the blobs* loses recall, and the memorised
# points keep perfect precision and almost no recall. (Each point's third neighbour is a copy of it:
# balls of radius 0.) Even the perfect generator does not reach 1, as a region of finitely many
# balls has gaps; so these scores need a floor, too.
#
# ## Error bars
#
# Does 1.30 beat 1.35? Three things were random: *which* generated and real images were drawn,
# *which* training run the generator is from, and which of its checkpoints was chosen. An interval
# covers what was drawn anew, and nothing else. Where images are plentiful, draw again: five
# comparisons without a common image, and Student's t (their mean ± 2.8 standard errors). Where
# measurements are few, there is the **bootstrap** ([Efron
# 1979](https://doi.org/10.1214/aos/1176344552)): let the sample stand in for the world, and draw
# from it with replacement.

# %% [markdown]
# ### Exercise: the bootstrap
#
# *Medium, 8 minutes.* Draw N of the N rows with replacement, compute the statistic, `repeats`
# times; return the 2.5 and 97.5 % quantiles of the results. `statistic` takes rows and returns a
# float. All randomness comes from `generator`.
#
# <details><summary>Hint</summary><code>torch.randint</code> may draw a number twice.</details>


# %%
def bootstrap_interval(values, statistic, repeats, generator):
    """Percentile interval (95 %) of a statistic over resampled rows: (N, ...) -> (low, high)."""
    ### BEGIN SOLUTION
    results = []
    for _ in range(repeats):
        rows = torch.randint(len(values), (len(values),), generator=generator)
        results.append(statistic(values[rows]))
    results = torch.tensor(results, dtype=torch.float64)
    return results.quantile(0.025).item(), results.quantile(0.975).item()
    ### END SOLUTION


bootstrap_interval = checks.metrics.bootstrap_interval(bootstrap_interval)

# %% [markdown]
# Does a "95 % interval" hold the truth 95 times of 100? Count it, in 100 worlds where the truth is
# known. (The count gets Wilson's interval, a formula for shares.)


# %%
def median(rows):
    """The median of numbers (N,) -> float."""
    return rows.median().item()


random = torch.Generator().manual_seed(1)
worlds = torch.empty(100, 60).exponential_(generator=random)
true_median = math.log(2)  # of the exponential distribution

# %%
intervals = [
    bootstrap_interval(world, median, repeats, random)
    for world in progress_bars.progress(worlds, "worlds")
]

# %%
hits = sum(low <= true_median <= high for low, high in intervals)
low, high = metrics.wilson_interval(hits, 100)
print(f"{hits} of 100 intervals hold the true median ({low:.0%} to {high:.0%})")
assert hits >= 80

# %% [markdown]
# Now the trap. A bootstrapped FD looks convenient: no new images needed. Your function resamples
# one cloud, and FD needs two: each row holds a real and a held-out picture. (Any pairs do.)


# %%
def fd_of_pairs(rows):
    """FD between the two halves of each row: (N, 2D) -> float."""
    x, y = rows.chunk(2, dim=1)
    return float(frechet_distance(*moments(x), *moments(y)))


pairs = torch.cat([features, held_out], dim=1)[:200]  # (200 at most, 256)
random.manual_seed(2)
low, high = bootstrap_interval(
    pairs, fd_of_pairs, repeats // 2, random
)  # each takes two square roots of matrices
print(
    f"n = {len(pairs)} [{train.name}]: FD {fd_of_pairs(pairs):.3f}, "
    f"bootstrap interval {low:.3f} to {high:.3f}"
)
different = torch.randint(len(pairs), (len(pairs),), generator=random).unique()
print(f"one resample has {len(different) / len(pairs):.0%} different rows")
assert train.is_own or low > fd_of_pairs(pairs)

# %% [markdown]
# The interval does not even contain the value that it belongs to. A resample holds doubles: it has
# only 63 % of the rows on average (1 − 1/e), and FD on fewer images is larger: the bias again, now
# inside the interval. So this course takes t-intervals over disjoint blocks of images.
#
# ## One map: which score notices what
#
# `RealReference` computes all five scores so: `draws` comparisons without a common image.

# %%
reference = metrics.RealReference.from_images(
    real, test, n=n, draws=draws, network=feature_net, names=tuple(metrics.NAMES)
)
scores = {
    name: reference.score(candidate)
    for name, candidate in progress_bars.progress(candidates.items(), "candidates")
}

# %%
title = train.title(f"fidelity against diversity, n = {n:,} × {draws} draws")
figure = score_plots.fidelity_figure(scores, reference.floor, title)
alt = "Each set as a point with its intervals: recall across, precision up. Real pictures lie at the top right."
plots.show(figure, alt=alt)

# %% [markdown]
# Right is diverse, up is faithful. That was your machine. Now the course's measurement on {{result:scores_table.json:data}}, n = {{result:scores_table.json:n:,d}}, with one
# more pair of numbers: the share of pictures that lie nearer to a *training* picture than 99 of 100
# held-out pictures do, by features and by pixels. Without copying it is about 1 %.

# %%
recorded = results.read("scores_table.json")
table_floor = recorded["rows"]["held_out"]
found = {name: recorded["rows"][key] for key, name in score_plots.ROWS.items() if key != "held_out"}

# %%
title = f"{recorded['real_set']}, n = {recorded['n']:,} × {recorded['draws']} draws"
figure = score_plots.notice_figure(found, table_floor, title)
alt = "Precision marks noise alone, recall all but the untouched photographs. Only the columns of copies mark those as worse."
plots.show(figure, alt=alt)
display(HTML(score_plots.folded_table(recorded, "The same with its intervals")))

# %% [markdown]
# A mark means that the interval does not overlap the floor's: worse (●) or better (○). Read the map
# by columns.
#
# - *FD and KD* notice everything but the untouched photographs, and cannot say what is wrong. FD
#   puts noisy photographs, whose objects you recognise at once, level with the GAN (the intervals
#   overlap); KD puts them well behind it.
# - *CS* puts training photographs **above held-out ones**: the network was trained on them, and is
#   surer of them.
# - *Precision* is the surprise: the VAE's soft pictures are as "plausible" as photographs. They
# land in a small part of the real region, but *in* it. The name of a score promises more than its
# formula. - *Recall* gives the VAE's small region away. It does not count classes, though: for five
# of ten it says {{result:scores_table.json:rows.half.recall.value:.2f}}. Nor does it weigh all
# variety alike. On the course's drawn stand-in, a set with one background of six gets
# {{result:scores_modes.json:rows.one_background.recall.value:.2f}}, the full set
# {{result:scores_modes.json:rows.classes_10.recall.value:.2f}}: the network learned to name objects
# *whatever* stands behind them.
# - And one row: *100 training photographs, repeated* has a better FD and KD than the GAN. Only
#   recall and the search for copies see how bad they are.
#
# ## Beat the score
#
# A hundred random photographs beat the GAN in FD. Are twenty enough for somebody who chooses them?

# %% [markdown]
# ### Exercise: cheat, and catch it
#
# *Hard, 30 minutes.* Two functions; the second follows further down. First cheat: from `features`
# choose `count` rows, so that a set made of copies of these has a low FD. Return row numbers; one
# may come twice. Ask `fd(points)` of any points (m, D), as often as you like. To pass, stay below
# 0.6 times the mean FD of random choices.
#
# <details><summary>Hint 1</summary>Points that are good one by one all lie in the middle, and then
# the covariance is missing. Ask about whole sets.</details>
# <details><summary>Hint 2</summary>Of two sets that differ in one row you can always tell the
# better one.</details>


# %%
def cheat(features, count, fd):
    """Rows of a set with a low FD: features (N, D), how many, fd: points (m, D) -> float."""
    ### BEGIN SOLUTION
    random = torch.Generator().manual_seed(0)
    rows = torch.randint(len(features), (count,), generator=random)
    best = fd(features[rows])
    for _ in range(400):
        tried = rows.clone()
        place = torch.randint(count, (1,), generator=random)
        tried[place] = torch.randint(len(features), (1,), generator=random)
        found = fd(features[tried])
        if found < best:
            rows, best = tried, found
    return rows
    ### END SOLUTION


cheat = checks.metrics.cheat(cheat)


# %%
def fd_of_copies(points):
    """FD between a set in which each of the points (m, D) stands 50 times and the real pictures."""
    return frechet_distance(*moments(points.repeat(50, 1)), *moments(features))


# %%
pool = metrics.extract_features(other.images[:500], feature_net)
chosen = cheat(pool, 20, fd_of_copies)
lucky, yours = fd_of_copies(pool[:20]), fd_of_copies(pool[chosen])
print(f"FD of the first 20 pictures {lucky:.2f}, of your 20 pictures {yours:.2f}")
assert train.is_own or yours < lucky

# %%
unseen = moments(held_out)  # pictures that the choice was not made for
fds = {"your 20": pool[chosen].repeat(50, 1), "20 at random": pool[:20].repeat(50, 1)}
fds["the generator"] = metrics.extract_features(generate(n), feature_net)
for name, points in fds.items():
    fd = frechet_distance(*moments(points), *unseen)
    precision, recall = precision_recall(held_out, points, 3)
    print(f"{name:>13}: FD {fd:.2f}, precision {precision:.2f}, recall {recall:.2f}")

# %%
rows = {"yours": other.images[chosen], "at random": other.images[:20]}
figure = plots.image_rows(rows, train.title("two whole repertoires"), 20)
plots.show(figure, alt="The twenty chosen pictures, of many kinds, and twenty at random.")

# %% [markdown]
# All were scored on held-out pictures. Twenty points can imitate a mean and a covariance, and FD
# knows nothing else. Recall says 0: keep a second score.
#
# ## Other features, other orders
#
# All this went through one network. Keep the pictures and change the features: the same network
# untrained (random weights), with two different seeds, and no network at all but the 128 main
# directions in which pixels vary. An FD has the unit of its features, so each is shown in multiples
# of its own floor.

# %%
from course_utils.models.other_features import PixelFeatures, UntrainedFeatures

views = {
    "trained CNN": feature_net,
    "untrained, seed 0": UntrainedFeatures(0),
    "untrained, seed 1": UntrainedFeatures(1),
    "pixels": PixelFeatures(real.images[:1000], real.name),
}

# %%
n_view = min(n, run.pick(20, 200, 500))  # smaller than above, since there are four views
found = {}
for name, view in progress_bars.progress(views.items(), "views"):
    reference = metrics.RealReference.from_images(real, test, n_view, draws, view, ("FD",))
    found[name] = {"held_out": reference.floor}
    found[name] |= {key: reference.score(images) for key, images in candidates.items()}

# %%
networks = results.read("scores_networks.json")
keys = dict(zip(views, ("trained", "untrained_0", "untrained_1", "pixels")))
course = {name: networks["networks"][key]["rows"] for name, key in keys.items()}
for name, row in course.items():
    half, gan_here = row["half"]["FD"]["value"], row["gan"]["FD"]["value"]
    times = half / row["held_out"]["FD"]["value"]
    print(f"{name:>17}: five of ten classes, FD {times:4.1f} times the floor;", end=" ")
    print(f"the GAN {gan_here / half:.1f} times those")

# %%
here = train.title(f"this machine, n = {n_view:,} × {draws} draws")
there = f"{networks['real_set']}, n = {networks['n']:,} × {networks['draws']} draws"
figure = score_plots.ratio_figure({here: score_plots.as_intervals(found), there: course})
alt = "FD of each set in multiples of the floor, under four kinds of features, with intervals. In the lower picture the GAN lies left of the missing classes for the trained network, and far right of them for all others."
plots.show(figure, alt=alt)

# %% [markdown]
# Read the lower picture by colours. *Pixels* do not see the noise at all (FD
# {{result:scores_networks.json:networks.pixels.rows.noise.FD.value:.1f}}, floor
# {{result:scores_networks.json:networks.pixels.rows.held_out.FD.value:.1f}}): pictures vary far
# more along those directions anyway. The trained network reacts to noise and to missing classes. An
# untrained one hardly reacts to the classes (the printed multiples): hence the result at the top.
# Even a seed matters: from one untrained network to the next the GAN's FD, over that of the missing
# classes, doubles (printed above). So "FD 1.3" is half a sentence. The other half is: in *these*
# features, on *so many* images, against *this* real set, with *this* interval.
#
# ## Copies: look up the nearest
#
# Only the training set itself can tell copies from inventions. A copy lies near to a training
# picture. How near is suspicious? Ask held-out pictures, which nobody has copied.
#
# **The second function of exercise {{exercise:near_copies}}.** Take the distance to the nearest
# training point. Of the held-out points a share `level` lies below a limit; a generated point below
# it is a near copy. Answer True or False for each. (5,000 × 50,000 distances at once fill a
# gigabyte: `points.split(500)` gives pieces.)
#
# <details><summary>Hint</summary>One question is asked twice, of held-out and of generated points.
# Write a helper for it.</details>


# %%
def near_copies(generated, training, held_out, level):
    """Which generated points are near copies: (M, D), (N, D), (H, D), float -> bool (M,)."""

    ### BEGIN SOLUTION
    def nearest(points):
        pieces = points.split(500)
        return torch.cat([torch.cdist(piece, training).min(dim=1).values for piece in pieces])

    return nearest(generated) < nearest(held_out).quantile(level)
    ### END SOLUTION


near_copies = checks.metrics.near_copies(near_copies)

# %%
n_learned = run.pick(1_000, 50_000, 50_000)
print(train.title(f"{min(n_learned, len(train)):,} training pictures looked up"))
learned = metrics.extract_features(train.images[:n_learned], feature_net)
never_seen = metrics.extract_features(test.images, feature_net)
middle = len(never_seen) // 2

# %%
suspects = {"held-out pictures": test.images[:middle], **candidates}
suspects["your 20 pictures"] = other.images[chosen]
for name, candidate in suspects.items():
    images = candidate(500) if callable(candidate) else candidate[:500]
    looked_up = metrics.extract_features(images, feature_net)
    near = near_copies(looked_up, learned, never_seen[middle:], 0.01)
    low, high = metrics.wilson_interval(int(near.sum()), len(near))
    print(f"{name:>32}: {near.double().mean():6.1%} near copies ({low:.1%} to {high:.1%})")

# %%
samples = generate(12)
_, index = metrics.nearest_distance(metrics.extract_features(samples, feature_net), learned)

# %%
rows = {"generated": samples, "nearest in training": train.images[index]}
figure = plots.image_rows(rows, train.title("nearest by features"))
alt = "Twelve generated pictures and below each the training picture whose features are nearest."
plots.show(figure, alt=alt)

# %% [markdown]
# Near by which features? Blurred photographs *are* copies. By features the course
# found {{result:scores_table.json:rows.blur.copied.value:.1%}} of them, by pixels
# {{result:scores_table.json:rows.blur.copied_pixels.value:.0%}}. A share far above 1 % shows
# copying; a share near it proves little.
#
# ## Text: the same game
#
# Texts are scored by three numbers.
#
# - **Repetition**: the share of a text's 4-token runs that stood in it before.
# - **Distinct pairs**: of all pairs of neighbouring tokens in a *set* of texts, the share of
#   different ones ([Li et al. 2016](https://arxiv.org/abs/1510.03055)).
# - **Bits per byte** of another model: how well does it foresee the text? Our reader is the
#   simplest one, a table of counted pairs.
#
# ### Exercise: two scores of texts
#
# *Easy, 8 minutes.* A text is a list of token ids, a *run* any `length` neighbouring tokens. Write
# both scores for runs of any length. A run never crosses from one text into the next.
#
# <details><summary>Hint</summary>N tokens hold N − length + 1 runs.</details>


# %%
def repetition(ids, length):
    """Share of a text's runs of tokens that stood in it before: N ids -> from 0 to 1."""
    ### BEGIN SOLUTION
    runs = [tuple(ids[i : i + length]) for i in range(len(ids) - length + 1)]
    return 1 - len(set(runs)) / len(runs)
    ### END SOLUTION


repetition = checks.metrics.repetition(repetition)


# %%
def distinct(texts, length):
    """Different runs of tokens among all runs of a set of texts: lists of ids -> from 0 to 1."""
    ### BEGIN SOLUTION
    seen, total = set(), 0
    for ids in texts:
        runs = [tuple(ids[i : i + length]) for i in range(len(ids) - length + 1)]
        seen.update(runs)
        total += len(runs)
    return len(seen) / total
    ### END SOLUTION


distinct = checks.metrics.distinct(distinct)

# %%
from course_utils.datasets import reviews, texts
from course_utils.evaluation import language_models, text_sets
from course_utils.models import attention

count, length = run.pick(20, 100, 100), 60
writer, words_of, _ = attention.load_shipped()  # the GPT of lesson 5
to_count = reviews.load_reviews(None, "train", run.pick(200, 6_000, 6_000))
to_read = reviews.load_reviews(None, "test", run.pick(100, 500, 500))
print(to_read.name)
counts = language_models.bigram_counts(
    texts.encode(words_of, to_count.texts), writer.sizes["vocab"]
)
pairs = language_models.bigram_log_probs(counts, 50.0).float()
parts = texts.encode(words_of, to_read.texts)
people = texts.windows([ids[1:] for ids in parts], length, count)[:count].tolist()

# %% [markdown]
# Again with known faults. (The last four go on from eight tokens of a person's.)

# %%
begin = [[0, *ids[:8]] for ids in people]
shuffled = text_sets.shuffled_words([words_of.decode(ids) for ids in people])
sets = {
    "people, held out": people,
    "one text, repeated": [people[place % draws] for place in range(count)],
    "words shuffled": [ids[1 : length + 1] for ids in texts.encode(words_of, shuffled)],
}

# %%
made = {"drawn from counted pairs": text_sets.pairs_texts(pairs, begin, length + 1)}
for temperature in (1.0, 0.5, 0.0):
    name = f"GPT, temperature {temperature:g}"
    made[name] = text_sets.continue_texts(writer, begin, length + 1, temperature)
sets |= {name: [ids[1:] for ids in written] for name, written in made.items()}

# %%
for name, ids in sets.items():
    print(f"{name:>25}: {words_of.decode(ids[0])[:75]!r}")


# %%
def bits_per_byte(reader, group):
    """What a reader (ids -> logits) pays for a group of texts, in bits per byte."""
    nats = language_models.document_nats(reader, [[0, *ids] for ids in group], 256)
    size = sum(len(words_of.decode(ids).encode()) for ids in group)
    return nats.sum().item() / math.log(2) / size


def text_scores(group):
    """The three scores of one group of texts, with a second reader."""
    return {
        "repetition": sum(repetition(ids, 4) for ids in group) / len(group),
        "distinct": distinct(group, 2),
        "bits_pairs": bits_per_byte(lambda ids: pairs[ids], group),
        "bits_gpt": bits_per_byte(writer, group),
    }


# %%
text_rows = {}
for name, ids in progress_bars.progress(sets.items(), "texts"):
    groups = [text_scores(ids[start::draws]) for start in range(draws)]
    text_rows[name] = score_plots.over_draws(groups)
text_floor = text_rows.pop("people, held out")
assert text_rows["one text, repeated"]["distinct"]["value"] < text_floor["distinct"]["value"]

# %%
title = f"{to_read.title('texts')}, {count // draws} × {draws} groups"
figure = score_plots.notice_figure(text_rows, text_floor, title)
alt = "Only distinct pairs see one repeated text. Shuffled words are no worse than people by repetition and distinct pairs. The GPT at temperature 0 repeats itself and has the fewest bits."
plots.show(figure, alt=alt)

# %% [markdown]
# Blue means: scores *better* than people. Each score is fooled by some set.
#
# - *Repetition* takes shuffled words for fine prose, and one text told again and again as well.
# - *Distinct pairs* finds shuffled words as varied as people's, or more so.
# - *Bits* praise the loop: at temperature 0 the GPT goes in circles, and nothing is easier to
#   foresee. So fewer bits are no merit. The people's value is the aim.
# - *The reader matters.* Counted pairs read what was drawn from them as if a person had written it;
#   the GPT does not.
# - Training texts would pass everything. Only lesson 5's search for copies finds them.
#
# ## Likelihood: a good one with bad samples, and the reverse
#
# A VAE says (as a bound) how probable it finds a held-out picture, in bits per dimension (lesson
# 3). Is that not the honest score? [Theis et al. 2016](https://arxiv.org/abs/1511.01844) (section
# 3) show that it says next to nothing about the samples.
#
# *Good likelihood, bad samples.* Mix a model $p$ with noise $q$: 1 % of $p$, 99 % of $q$. Then 99
# of 100 samples are garbage. But $\log(0.01\,p + 0.99\,q) \ge \log p - \log 100$: at most 4.6 nats
# are lost, *for the whole picture*. Below, $p$ is a standard normal, and $q$ is ten times as wide.

# %%
pixels_each = train.images[0].numel()  # 3,072 numbers per picture


def log_normal(x, s):
    """Log density of N(0, s²) in every dimension: (N, D) -> (N,)."""
    return -(x / s).square().sum(1) / 2 - x.shape[1] * math.log(s * (2 * math.pi) ** 0.5)


# %%
for d in (2, 64, pixels_each):
    x = torch.randn(1000, d).double()  # what the perfect model p = N(0, I) makes
    log_p, log_q = log_normal(x, 1.0), log_normal(x, 10.0)
    mixture = torch.logaddexp(log_p + math.log(0.01), log_q + math.log(0.99))
    lost = (log_p - mixture).mean().item() / d / math.log(2)
    most = math.log2(100) / d
    print(f"{d:>5} dimensions: 99 % noise costs {lost:.4f} bits per dimension, at most {most:.4f}")
assert lost < most + 1e-9

# %% [markdown]
# *Good samples, bad likelihood.* Put a narrow Gaussian, one grey level wide, on each training
# picture; the density is their average. Samples are training pictures with a noise that nobody
# sees, and held-out pictures lie far from all of them. For comparison, a model whose samples are
# nonsense: each pixel drawn on its own. (Raw bytes cost 8 bits.)

# %%
centres = vae.dequantise(train.images[: run.pick(200, 2000, 5000)]).flatten(1).double()  # (N, 3072)
unseen = vae.dequantise(test.images[:50]).flatten(1).double()
sigma = 1 / 127.5  # one grey level
log_each = -torch.cdist(unseen, centres).square() / (2 * sigma**2) - pixels_each * math.log(
    sigma * (2 * math.pi) ** 0.5
)
memorised = torch.logsumexp(log_each, 1) - math.log(len(centres))  # (50,) log densities
pixelwise = (
    torch.distributions.Normal(centres.mean(0), centres.std(0) + 1e-3).log_prob(unseen).sum(1)
)

# %%
grey_level = torch.randn(12, *train.images.shape[1:])
copies = (train.images[:12] + grey_level).round().clamp(0, 255).to(torch.uint8)
noise = dcgan.to_bytes(metrics.mean_image_plus_noise(train.take(5000))(12))
cost = [vae.bits_per_dim(-log_p.mean(), pixels_each).item() for log_p in (memorised, pixelwise)]
rows = {f"memorised: {cost[0]:,.0f} bits": copies, f"single pixels: {cost[1]:.2f} bits": noise}
figure = plots.image_rows(rows, train.title("samples, and bits per dimension of held-out pictures"))
alt = "Above: twelve pictures like those of the training set, at a very high cost. Below: twelve squares of coloured noise, at a low one."
plots.show(figure, alt=alt)
assert train.is_own or memorised.mean() < pixelwise.mean()

# %% [markdown]
# The likelihood prefers the noise, and for *its* question it is right: the first model compresses a
# new picture far worse.
#
# ## A blind test for people
#
# In the end someone looks. Measure that, too: hide which picture is which, let a coin choose each
# time, and count. (Without CIFAR-10, slightly blurred pictures stand for the generator's: the small
# VAE is too easy to tell.) With a running kernel, press the buttons:

# %%
made = (
    generate(20)
    if train.name.startswith("CIFAR-10")
    else corruptions.blurred(other.images[:20], 0.45)
)
shown = test.images[100:120] if len(test) >= 120 else test.images[-20:]

# %%
from course_utils.display.widgets import blind_test

count = min(len(shown), len(made))
blind = blind_test.make_test(shown, made, count, train.title("real or made?"), seed=9)
blind_test.blind_test(blind)

# %% [markdown]
# The same on paper; the answers are folded.

# %%
figure, (ax,) = plots.subplots(width=9, height=2.4)
blind_test.blind_static(ax, blind)
plots.show(figure, alt="Twenty numbered pictures: some from the test set, the others made.")
display(HTML(blind_test.answers_folded(blind)))

# %%
for right in (10, 14, 16):
    print(blind_test.judge(right, 20))

# %% [markdown]
# Put your own count into `blind_test.judge(right, 20)`. Fourteen of twenty sounds like skill, but
# Wilson's interval contains 50 %: a coin could have done it. That is **not** a proof that the
# pictures fool you; the answer is "cannot say". And even a clear 50 % would only speak of *these*
# people, at this size and in this time.
#
# ## When it goes wrong: two tables, two n
#
# One paper says that a GAN has FD {{result:scores_bias.json:rows.gan.100.FD.value:.2f}}, another
# that a set with half of the classes missing has
# {{result:scores_table.json:rows.half.FD.value:.2f}}. Same features, same real set. Is the GAN the
# worse one? Here is what the first paper did not say:

# %%
gan_fd, half_fd = measured.rows["gan"]["FD"], recorded["rows"]["half"]["FD"]
print(
    f"half of the classes, n = 2,000: FD {half_fd['value']:.2f} "
    f"({half_fd['low']:.2f} to {half_fd['high']:.2f})"
)

# %%
for size in (100, 2_000):
    at = gan_fd[size]
    print(f"GAN, n = {size:>5,}: FD {at['value']:.2f} ({at['low']:.2f} to {at['high']:.2f})")
assert gan_fd[2_000]["high"] < half_fd["low"] and gan_fd[100]["value"] > half_fd["value"]

# %% [markdown]
# At equal $n$ the order reverses, and the intervals do not touch. **Seen** by: no $n$ beside a
# number. **Cured** by scoring both with the same $n$, features and real set; `metrics.table`
# refuses to mix them. Just as silent: images left in [0, 1] where [-1, 1] is expected, another way
# of resizing ([Parmar et al. 2022](https://arxiv.org/abs/2104.11222)), a real set saved as JPEG (as
# ours). (The map drew other pictures: {{result:scores_table.json:rows.gan.FD.value:.2f}}.)
#
# ## Questions
#
# Think first; then open the answer, which also says why each other choice is wrong.
#
# **1. Real against real gives FD {{result:scores_bias.json:rows.real.100.FD.value:.2f}} at n = 100.
# What is wrong?** (a) the code (b) the features (c) nothing: it is the floor at this n (d) the
# images are not shuffled
#
# <details><summary>Answer</summary>(c): a finite sample never has the exact moments, and FD squares
# the difference. (a) A right program gives the same. (b) Any features do. (d) Shuffled ones as
# well.</details>
#
# **2. KD of your generator is −0.0001, with an interval from −0.0003 to 0.0001. This means:** (a) a
# bug: distances are not negative (b) at this n it cannot be told from 0 (c) better than real images
# (d) the generator is perfect
#
# <details><summary>Answer</summary>(b). (a) An unbiased estimate of 0 falls on both sides. (c) Real
# images scatter in the same way. (d) In the first three moments of these features nothing was
# found; that is all.</details>
#
# **3. Precision is high and recall low. What do you expect to see?** (a) noise (b) plausible
# pictures with little variety (c) great variety, half of it broken (d) copies, certainly
#
# <details><summary>Answer</summary>(b). (a) Noise lowers precision. (c) is the opposite case. (d)
# Copies of a few pictures would do it, but so does a VAE that copies nothing.</details>
#
# **4. A language model's texts cost fewer bits per byte than people's. This means:** (a) it writes
# better than people (b) its texts are easier to foresee (c) it was trained on them (d) a bug
#
# <details><summary>Answer</summary>(b). (a) So does a loop. (c) People's training texts cost about
# what other people's cost. (d) Low temperatures do it every time.</details>
#
# **5. All five scores reach the floor. What is most likely to have been missed?** (a) nothing, the
# generator is perfect (b) half of the classes (c) it has copied its training set (d) a blur over
# all pictures
#
# <details><summary>Answer</summary>(c): the untouched training photographs in the map did just
# that. (b) and (d) move FD, KD and recall. (a) forgets novelty.</details>
#
# ## Recap
#
# You built the Fréchet and the kernel distance, a classifier score, precision and recall; saw what
# each of them cannot see, and cheated one; put intervals on scores and found where the bootstrap
# fails; found copies; and read scores of text, a likelihood and a test with people.
#
# **What this did not show.** Published scores use Inception's features, and more and more those of
# networks trained without labels ([Stein et al. 2023](https://arxiv.org/abs/2306.04675)): they have
# other blind spots. The intervals cover the choice of images, not training runs: for a claim about
# a *method*, train it several times.
#
# **Sources.** Dowson and Landau 1982, *The Fréchet distance between multivariate normal
# distributions* · Heusel et al. 2017, [arXiv 1706.08500](https://arxiv.org/abs/1706.08500), eq. 6 ·
# Chong and Forsyth 2020 · Gretton et al. 2012, eq. 3 · Bińkowski et al. 2018, section 4 · Salimans
# et al. 2016, section 4 · Barratt and Sharma 2018 · Kynkäänniemi et al. 2019, eq. 1 and 2 · Efron
# 1979 · Li et al. 2016 · Theis, van den Oord, Bethge 2016, section 3 · Parmar, Zhang, Zhu 2022 ·
# Stein et al. 2023, each linked where it is used · Wilson 1927, *Probable inference*, JASA 22.
#
# **Next:** lesson 7, the debugging clinic: broken programs, and how to find out what is wrong with
# them.
