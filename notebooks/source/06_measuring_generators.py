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
# faults you know. One result beforehand: judged by a trained network, lesson 2's GAN beats a set in
# which half of all classes are missing (Fréchet distance
# {{result:scores_networks.json:networks.trained.rows.gan.FD.value:.2f}} against
# {{result:scores_networks.json:networks.trained.rows.half.FD.value:.2f}}, lower is better). Judged
# by the *same network without its training*, it loses by a factor of more than twenty
# ({{result:scores_networks.json:networks.untrained_0.rows.gan.FD.value:.6f}} against
# {{result:scores_networks.json:networks.untrained_0.rows.half.FD.value:.6f}}). Nothing but the
# judge has changed.
#
# **You will learn to** build the Fréchet and the kernel distance, a classifier score, precision and
# recall · say what each of them cannot see · put an interval on a score, and know when the
# bootstrap fails · find copies · read a likelihood, and a test with people.
#
# **You need** the mean and the covariance of data, lesson 2 (its generator) and lesson 3 (bits per
# dimension).
#
# **Time** about {{minutes}} minutes to read and solve. The computer works as long as this table
# says,
# and on your machine as long as stands under the settings.
#
# {{tiers}}

# %% [markdown]
# ## Set-up

# %%
import math

# before torch: waiting threads sleep
from course_utils import checks, progress_bars, results, runtime
import torch
from IPython.display import HTML, Markdown, display

from course_utils.datasets import corruptions, standin_images
from course_utils.display import palette, plots, score_plots
from course_utils.evaluation import metrics

# %%
from course_utils.display.widgets import blind_test, score_bias
from course_utils.training.recipes import vae_laboratory
from course_utils.errors import CourseError
from course_utils.datasets.images import load_images
from course_utils.models import dcgan, vae
from course_utils.models.other_features import PixelFeatures, UntrainedFeatures

# %%
run = runtime.setup(seed=0)

# %% [markdown]
# What you may want to change stands in the next cell, with the values of the three tiers side by
# side.

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
# The pictures are read at once, though they are needed later only: if a folder of your own holds
# too few, you hear it now. (Precision and recall look for three neighbours, so a comparison takes
# at least four pictures.)

# %%
train = load_images(source, limit=n_images)
test = load_images(source, "test", limit=run.pick(300, 10_000, 10_000))
n_each = metrics.fitting_n(n_score, train, test, draws=draws, least=4)

# %% [markdown]
# ## The idea in miniature
#
# A generator is a machine for samples. Asked whether it is good, people mean at least three things.
# **Fidelity**: does a single picture look real? **Coverage**: are all kinds of real pictures there?
# **Novelty**: are the pictures new, or copies of what it learned from? A score that is one number
# has to mix these, and you want to know how.
#
# So start where you can see everything: points in a plane. The real ones lie in eight blobs on a
# ring. Five imagined generators follow: a perfect one, a blurred one, one that lost half of the
# blobs, a single Gaussian cloud with *exactly the ring's mean and covariance*, and one that learned
# twenty points by heart.


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
    "20 points by heart": truth[torch.randint(20, (n_toy,))],
}

# %%
figure, axes = plots.subplots(1, 6, width=12, height=2.3)
for ax, (name, points) in zip(axes, {"truth": truth, **toys}.items()):
    ax.scatter(*points.T, s=4, alpha=0.5, color=palette.BLUE)
    ax.set(xlim=(-4, 4), ylim=(-4, 4), aspect="equal", xticks=(), yticks=())
    ax.set_title(name, fontsize=9)
plots.show(
    figure,
    alt="Six clouds: eight blobs on a ring; the same; blurred; half of them; one round cloud; twenty points.",
)

# %% [markdown]
# Later a network turns every picture into a point with 128 coordinates, its *features*, and
# pictures are such clouds too. All that we build now for clouds we then use unchanged.
#
# ## The Fréchet distance
#
# How far apart are two Gaussians? On a line there is a natural answer. See each as a heap of sand,
# and carry the grains of one to where the grains of the other lie. A grain's cost is the *square*
# of its way; a plan's cost is the mean over all grains. The cheapest plan keeps the order (leftmost
# grain to leftmost place), and for Gaussians it costs
#
# $$\mathrm{FD} = (\mu_1-\mu_2)^2 + (\sigma_1-\sigma_2)^2 .$$

# %%
a, b = 1 + 2 * torch.randn(100_000), -0.5 + 0.5 * torch.randn(100_000)
cheapest = (a.sort().values - b.sort().values).square().mean().item()
formula = (1 - -0.5) ** 2 + (2 - 0.5) ** 2
print(f"carried in order: {cheapest:.3f}, formula: {formula:.3f}")
assert abs(cheapest - formula) < 0.1

# %% [markdown]
# This cost, strictly the *square* of a distance, is what is called FD. Write its last square out:
# $\sigma_1^2 + \sigma_2^2 - 2\sigma_1\sigma_2$. In $D$ dimensions variances become covariance
# matrices $\Sigma$, and $\sigma_1\sigma_2 = \sqrt{\sigma_1^2\sigma_2^2}$ becomes a **matrix root**
# (Dowson and Landau 1982, eq. 4; for generators [Heusel et al.
# 2017](https://arxiv.org/abs/1706.08500), eq. 6):
#
# $$\mathrm{FD} = \lVert\mu_1-\mu_2\rVert^2 + \mathrm{tr}\,\Sigma_1 + \mathrm{tr}\,\Sigma_2 - 2\,\mathrm{tr}\bigl(\Sigma_1^{1/2}\,\Sigma_2\,\Sigma_1^{1/2}\bigr)^{1/2}.$$
#
# The root of a matrix $\Sigma$ is the symmetric matrix $R$ with $RR=\Sigma$. It is *not* the root
# of each entry. For a covariance, `eigh` finds the axes of the cloud, and one takes the root of the
# variance along each:

# %%
cov = torch.tensor([[2.0, 1.2], [1.2, 1.0]], dtype=torch.float64)
values, vectors = torch.linalg.eigh(cov)  # cov = vectors · diag(values) · vectorsᵀ

# %%
root = vectors @ values.sqrt().diag() @ vectors.T
assert torch.allclose(root @ root, cov)
print(
    "root of each entry, squared again:", (cov.sqrt() @ cov.sqrt()).tolist(), "is not", cov.tolist()
)

# %% [markdown]
# Two traps. First, papers often write $(\Sigma_1\Sigma_2)^{1/2}$. That product is not symmetric,
# and `eigh` does not complain: it reads one triangle of what you give it and believes that the
# other is the same. The form above is symmetric and has the same eigenvalues, hence the same trace
# of the root. Second, with fewer images than features a covariance is *singular*: the cloud is flat
# in some directions. The eigenvalues there are 0, and rounding makes some of them slightly
# negative:

# %%
few = torch.cov(torch.randn(20, 5))  # 20 features, 5 points
smallest = torch.linalg.eigvalsh(few).min()
print(
    f"smallest eigenvalue {smallest:.1e}, its root {smallest.sqrt()}, "
    f"cut at 0 first {smallest.clamp_min(0).sqrt()}"
)
assert abs(smallest) < 1e-4

# %% [markdown]
# ### Exercise: the Fréchet distance
#
# *Medium, 10 minutes.* Write the formula for $D$ dimensions: two means (D,) and two covariances (D,
# D), one number.
#
# <details><summary>Hint 1</summary>Two roots: first the matrix Σ₁½ as in the cell above. Of the
# outer root you need only the trace.</details>
# <details><summary>Hint 2</summary>The trace of a root is the sum of the roots of the eigenvalues:
# <code>eigvalsh</code>
# is enough there.</details>
# <details><summary>Hint 3</summary><code>clamp_min(0)</code> before every square root.</details>


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
# Two properties that it must have: on a line it is the formula that you started from, and turning
# *both* clouds changes nothing, since no direction is special.


# %%
def moments(points):
    """Mean (D,) and covariance (D, D) of a cloud (N, D), in float64."""
    return points.double().mean(0), torch.atleast_2d(torch.cov(points.double().T))


# %%
line = [torch.tensor([v], dtype=torch.float64) for v in (1.0, -0.5)]
assert (
    abs(
        frechet_distance(line[0], torch.eye(1).double() * 4, line[1], torch.eye(1).double() / 4)
        - formula
    )
    < 1e-6
)

# %%
turn = torch.linalg.qr(torch.randn(2, 2).double()).Q
before = frechet_distance(*moments(truth), *moments(toys["half of the blobs"]))
after = frechet_distance(*moments(truth @ turn), *moments(toys["half of the blobs"] @ turn))
assert abs(before - after) < 1e-6

# %%
for name, points in toys.items():
    print(f"{name:>20}: FD {frechet_distance(*moments(truth), *moments(points)):.3f}")

# %% [markdown]
# *Half of the blobs* is found at once, since the mean has moved. But look at *one Gaussian*: most
# of its points lie where no real point could be, and yet its FD is near that of the perfect
# generator. **FD knows means and covariances and nothing else.** It is a distance of Gaussians, and
# our ring is none; nor are a network's features.
#
# ## FD is biased
#
# Why does even the perfect generator not score 0? The mean and covariance of a *sample* are never
# quite the true ones, and FD squares the differences. Squares do not cancel. For two samples of $n$
# points from one standard normal in $D$ dimensions, the means differ by $2D/n$ (squared, on
# average), the covariances add $(D^2+D)/2n$, and so to first order in $1/n$
#
# $$\mathbb E[\mathrm{FD}] \approx \frac{D^2+5D}{2n}.$$

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
# value is wrong, and repeating does not help. The interval is about something else: how well forty
# repetitions pin down that wrong value.
#
# On photographs it is the same. What real images score against *other real images* is called the
# **floor**; no generator can be expected to score less. The course measured it, with the GAN of
# lesson 2 and the VAE of lesson 3, at eleven values of $n$, five comparisons each, with no image in
# common ({{result:scores_bias.json:data}}). Slide $n$:

# %%
measured = score_plots.recorded_bias()
score_bias.bias_slider(measured)

# %%
figure, axes = plots.subplots(2, 3, width=11, height=5)
score_bias.bias_static(list(axes[:3]), measured, "real", "FD")
score_bias.bias_static(list(axes[3:]), measured, "real", "KD")
figure.suptitle(f"{measured.real_set}: real against real", fontsize=10)
alt = "Three n marked on the same curves. FD, above, falls towards 0 as n grows; the other, below, scatters ever closer to 0."
plots.show(figure, alt=alt)

# %% [markdown]
# Above, FD. From $n = 500$ on it follows $a + b/n$: for real photographs
# $a = {{result:scores_bias.json:rows.real.limit.value:.3f}}$
# ({{result:scores_bias.json:rows.real.limit.low:.3f}} to
# {{result:scores_bias.json:rows.real.limit.high:.3f}}) and
# $b = {{result:scores_bias.json:rows.real.slope.value:.0f}}$
# ({{result:scores_bias.json:rows.real.slope.low:.0f}} to
# {{result:scores_bias.json:rows.real.slope.high:.0f}}), for the GAN
# $a = {{result:scores_bias.json:rows.gan.limit.value:.2f}}$
# ({{result:scores_bias.json:rows.gan.limit.low:.2f}} to
# {{result:scores_bias.json:rows.gan.limit.high:.2f}}). So scores of unequal $n$ cannot be compared.
# In principle each generator has a $b$ of its own, and then equal $n$ does not remove the bias
# completely either ([Chong and Forsyth 2020](https://arxiv.org/abs/1911.07023) therefore
# extrapolate to $1/n = 0$, as our $a$ does); five comparisons are too few to see that here. Below,
# a distance without that fault; you build it next. (At one $n$ its interval misses 0. Of many 95 %
# intervals, about one in twenty misses the truth.)
#
# ## The kernel distance
#
# Another way to compare clouds: ask how *similar* points are. A kernel $k(a,b)$ is a number for how
# much two points have in common. If two clouds are alike, two points from different clouds have on
# average as much in common as two from the same:
#
# $$\mathrm{KD} = \mathbb E\,k(x,x') + \mathbb E\,k(y,y') - 2\,\mathbb E\,k(x,y), \qquad k(a,b) = \left(\frac{a\cdot b}{d} + 1\right)^3$$
#
# ($d$ features; squared *maximum mean discrepancy*, [Gretton et al.
# 2012](https://jmlr.org/papers/v13/gretton12a.html), with the kernel of [Bińkowski et al.
# 2018](https://arxiv.org/abs/1801.01401), section 4). $x$ and $x'$ are two *independent* points. In
# a sample this means: never pair a point with itself. Such pairs have the most in common, and with
# them the first two means come out too large. Without them the estimate is **unbiased**: at every
# $n$ right on average, and therefore sometimes negative.

# %% [markdown]
# ### Exercise: the kernel distance
#
# *Medium, 10 minutes.* The unbiased estimate from features (N, D) and (M, D).
#
# <details><summary>Hint 1</summary>All kernels of all pairs at once: <code>x @ y.T</code> is (N,
# M).</details>
# <details><summary>Hint 2</summary>Within one set: leave the diagonal out of the sum, and count how
# many pairs are left.</details>
# <details><summary>Hint 3</summary>Between x and y no point meets itself: a plain mean.</details>


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

# %%
print(f"{sum(v < 0 for v in drawn)} of the 200 are negative")
assert low - 0.02 < 0 < high + 0.02
for name, points in toys.items():
    print(f"{name:>20}: KD {kernel_distance(truth, points):+.3f}")

# %% [markdown]
# Unbiased, but is it less blind? The third power multiplies out to products of up to three
# coordinates. So KD compares means, covariances *and third moments*, the skewness. The ring and the
# Gaussian have the same (zero) skewness, and KD is fooled as well. Where skewness differs, it sees
# what FD does not:

# %%
normal = torch.randn(4000, 1).double()  # mean 0, variance 1
skewed = torch.empty(4000, 1).exponential_().double() - 1  # the same mean and variance

# %%
print(
    f"FD {frechet_distance(*moments(normal), *moments(skewed)):.3f}, "
    f"KD {kernel_distance(normal, skewed):.2f}"
)
assert kernel_distance(normal, skewed) > 1

# %% [markdown]
# ## From pictures to clouds
#
# Two pictures of a cat share hardly a pixel, so their distance in pixels says little. A network
# that was trained to name pictures turns each into 128 numbers, its last layer before the answer.
# Published scores use a large one, Inception, trained on ImageNet (then FD is called FID, and KD is
# KID). Ours is small and ships with the course ({{result:scores_table.json:features}}), so **our
# numbers are comparable with each other only**.

# %%
half = len(train) // 2
real = train.subset(slice(0, half))  # to compare with
other = train.subset(slice(half, half + 11 * n_score))  # to be spoiled
n = metrics.fitting_n(n_each, real, other, draws=draws, least=4)

# %%
print(
    f"{train.name}: {len(real):,} training images to compare with, "
    f"{len(other):,} to be spoiled, {len(test):,} held out"
)

# %% [markdown]
# The candidates have *known* faults. Five are sets of real training pictures, spoiled in one way
# each or merely copied. The others are generators. (The shipped ones learned from CIFAR-10. Where
# that is not on your machine, comparing them with drawings would mean nothing, and a small VAE is
# trained here instead.)

# %%
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
if train.name.startswith("CIFAR-10"):
    gan, gan_facts = dcgan.load_shipped_generator(run.device)
    network, _ = vae.load_shipped("vae_cifar10", run.device)
    dims = int(gan_facts["latent_dim"])
    candidates["DCGAN of lesson 2"] = lambda count: dcgan.sample(
        gan, torch.randn(count, dims, 1, 1).to(run.device)
    )
    candidates["VAE of lesson 3"] = lambda count: vae.decode_bytes(
        network, torch.randn(count, network.latent_dim)
    )
else:
    network = vae_laboratory.train_recipe(
        vae_laboratory.Recipe(), train.images, 0, lab_steps, autocast=run.autocast
    )
    candidates["small VAE, trained here"] = lambda count: vae.decode_bytes(
        network, torch.randn(count, network.latent_dim)
    )
generate = candidates.get("DCGAN of lesson 2") or candidates["small VAE, trained here"]

# %%
figure, axes = plots.subplots(len(candidates) + 1, 1, width=7, height=0.75 * len(candidates) + 0.75)
for ax, (name, images) in zip(axes, {"held-out pictures": test.images, **candidates}.items()):
    plots.image_grid(ax, images(12) if callable(images) else images[:12], 12, train.title(name))
plots.show(
    figure,
    alt="A row of twelve held-out pictures, and one of every candidate: copies, spoiled pictures, generated ones.",
)

# %% [markdown]
# Your functions on real features, beside those that later lessons use:

# %%
judge = metrics.load_feature_network(run.device)
n = min(n, *(len(c) // draws for c in candidates.values() if not callable(c)))
features = metrics.extract_features(real.images[:n], judge)  # (n, 128)
held_out = metrics.extract_features(test.images[:n], judge)
fd, kd = (
    frechet_distance(*moments(features), *moments(held_out)),
    kernel_distance(features.double(), held_out.double()),
)
assert math.isclose(
    fd, metrics.frechet_distance(*moments(features), *moments(held_out)), rel_tol=1e-3, abs_tol=1e-3
)
assert math.isclose(kd, metrics.kernel_distance(features, held_out), rel_tol=1e-3, abs_tol=1e-6)
print(f"real against real, n = {n:,} [{train.name}]: FD {fd:.3f}, KD {kd:+.5f}")

# %% [markdown]
# ## A classifier's score, and how to fool it
#
# The oldest of these scores ([Salimans et al. 2016](https://arxiv.org/abs/1606.03498), section 4)
# asks the network for class probabilities $p(y\mid x)$. A recognisable picture gives a *certain*
# answer; varied pictures give *different* ones, so that the average $p(y)$ is spread out. Both
# together:
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
# <details><summary>Hint 1</summary>KL(p‖q) = Σ p (log p − log q), summed over the
# classes.</details>
# <details><summary>Hint 2</summary>p = 0 adds nothing, but 0 · log 0 is NaN: <code>torch.xlogy(p,
# q)</code> is p · log q with 0 there.</details>


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

# %%
with torch.no_grad():
    p = (
        judge.head(metrics.extract_features(other.images, judge).to(run.device)).softmax(1).cpu()
    )  # (N, 10)

# %%
best = p.argmax(dim=0)  # for each class the one picture that the network is surest of
real_score, ten_score = inception_score(p), inception_score(p[best])
assert math.isclose(real_score, metrics.inception_score(p), rel_tol=1e-3)

# %%
figure, (ax,) = plots.subplots(width=7, height=0.9)
title = f"{len(p):,} real pictures score {real_score:.2f}; these ten alone {ten_score:.2f}"
plots.image_grid(ax, other.images[best], 10, train.title(title))
plots.show(
    figure,
    alt="Ten pictures, one for each class of the network, that score higher than all real pictures together.",
)
assert train.is_own or ten_score > real_score  # of your own pictures nobody knows

# %% [markdown]
# A "generator" that knows ten pictures beats reality. No wonder: *no real picture enters the
# formula*. The score cannot notice missing variety within a class, nor copies, and it presumes that
# the network's classes fit the pictures ([Barratt and Sharma
# 2018](https://arxiv.org/abs/1801.01973)). On drawings, of which ours has seen none, even the real
# ones score {{result:scores_modes.json:rows.classes_10.CS.value:.1f}} of 10.
#
# ## Precision and recall
#
# One number mixes fidelity and coverage; two can keep them apart. Make a *region* of a set of
# points: around each point a ball that reaches to its $k$-th nearest neighbour in the same set.
# Where points are dense, balls are small ([Kynkäänniemi et al.
# 2019](https://arxiv.org/abs/1904.06991), eq. 1 and 2).
#
# - **Precision**: the share of *generated* points in the *real* region. Are the pictures plausible?
# - **Recall**: the share of *real* points in the *generated* region. Is everything there?

# %% [markdown]
# ### Exercise: precision and recall
#
# *Hard, 12 minutes.* Two numbers, precision first. A point is no neighbour of itself.
#
# <details><summary>Hint 1</summary>Write a helper: the share of <code>points</code> that lie in the
# region of <code>centres</code>. Call it twice, with the roles exchanged.</details>
# <details><summary>Hint 2</summary><code>torch.cdist</code> gives all distances. Within a set the
# smallest in each row is the point itself, 0. Which is then the k-th neighbour's?</details>
# <details><summary>Hint 3</summary>Distances (points, centres) against radii (centres,):
# <code>any</code>
# over the centres, then the mean over the points.</details>


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
ours, package = (
    precision_recall(features, held_out, 3),
    metrics.precision_recall(features, held_out, 3),
)
close = all(abs(one - two) < 0.02 for one, two in zip(ours, package))
assert train.is_own or close  # equal pictures are at distance 0, where rounding decides

# %% [markdown]
# Now the faults have names. *Blurred* and *one Gaussian* lose precision, *half of the blobs* loses
# recall, and the points learned by heart keep perfect precision and almost no recall. (Each of the
# twenty occurs so often that its third neighbour is one more copy of it: balls of radius 0.) Even
# the perfect generator does not reach 1, as a region made of finitely many balls has gaps; so these
# scores need a floor, too.
#
# ## Error bars
#
# A score of 1.30 beats one of 1.35. Does it? Three things could have come out otherwise: *which*
# generated and real images were drawn, *which* training run the generator is from, and which of its
# checkpoints was chosen. An interval covers what was drawn anew, and nothing else. Where images are
# plentiful, draw again: five comparisons without a common image, and Student's t (for five values,
# their mean ± 2.8 standard errors). Where measurements are few, there is the **bootstrap** ([Efron
# 1979](https://doi.org/10.1214/aos/1176344552)): let the sample stand in for the world, and draw
# from it with replacement.

# %% [markdown]
# ### Exercise: the bootstrap
#
# *Medium, 8 minutes.* Draw N of the N rows with replacement, compute the statistic, `repeats`
# times; return the 2.5 and 97.5 % points of the results. `statistic` takes rows and returns a
# float. All randomness comes from `generator`.
#
# <details><summary>Hint 1</summary><code>torch.randint(N, (N,), generator=generator)</code> are N
# row numbers.</details>
# <details><summary>Hint 2</summary><code>torch.tensor(results).quantile(0.025)</code></details>


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
# Does a "95 % interval" hold the truth 95 times of 100? That can be counted, in 100 worlds where
# the truth is known. The statistic is a median. (The count is a share itself, and gets Wilson's
# interval, a formula for shares that works for small counts as well.)

# %%
random = torch.Generator().manual_seed(1)
median, true_median = (
    lambda rows: rows.median().item(),
    math.log(2),
)  # of the exponential distribution
worlds = torch.empty(100, 60).exponential_(generator=random)

# %%
intervals = [
    bootstrap_interval(world, median, repeats, random)
    for world in progress_bars.progress(worlds, "worlds")
]
hits = sum(low <= true_median <= high for low, high in intervals)
low, high = metrics.wilson_interval(hits, 100)
print(f"{hits} of 100 intervals hold the true median ({low:.0%} to {high:.0%})")
assert hits >= 80

# %% [markdown]
# Now the trap. A bootstrapped FD looks so convenient: no new images needed. Let each row hold two
# feature vectors, one for each side of the comparison; here both sides are real pictures:


# %%
def fd_of_pairs(rows):
    """FD between the two halves of each row: (N, 2D) -> float."""
    x, y = rows.chunk(2, dim=1)
    return frechet_distance(*moments(x), *moments(y))


# %%
pairs = torch.cat([features, held_out], dim=1)[:200]  # (200 at most, 256)
random.manual_seed(2)
low, high = bootstrap_interval(
    pairs, fd_of_pairs, repeats // 2, random
)  # each takes two square roots of matrices

# %%
print(
    f"n = {len(pairs)} [{train.name}]: FD {fd_of_pairs(pairs):.3f}, "
    f"bootstrap interval {low:.3f} to {high:.3f}"
)
different = torch.randint(len(pairs), (len(pairs),), generator=random).unique()

# %%
print(f"one resample has {len(different) / len(pairs):.0%} different rows")
assert train.is_own or low > fd_of_pairs(pairs)

# %% [markdown]
# The interval does not even contain the value that it belongs to. A resample holds doubles: on
# average only 63 % of the rows are in it (1 − 1/e), and FD on fewer images is larger: the bias
# again, now inside the interval. Precision and recall break as well, since doubles are neighbours
# at distance 0. So this course draws disjoint blocks of images and takes t-intervals over them, and
# a score that lacks one of its facts cannot even be made:

# %%
try:
    metrics.Score("FD", 1.3, 1.2, 1.4, n=0, draws=5, features="", real_set="", floor=0.05)
except CourseError as error:
    print(error)

# %% [markdown]
# ## One table: which score notices what
#
# `RealReference` computes all five with everything that they depend on. For copies one more number
# is needed: the share of pictures that lie nearer to a *training* picture than 99 of 100 held-out
# pictures do, by features or by pixels. Without copying it is about 1 %.

# %%
reference = metrics.RealReference.from_images(
    real, test, n=n, draws=draws, network=judge, names=tuple(metrics.NAMES)
)
scores = {
    name: reference.score(candidate)
    for name, candidate in progress_bars.progress(candidates.items(), "candidates")
}

# %%
print(scores["blur of 1 pixel"]["FD"])
display(Markdown(metrics.table({**scores, "other real images (the floor)": reference.floor})))

# %%
rows = {name: {key: vars(score) for key, score in row.items()} for name, row in scores.items()}
floor = {key: vars(score) for key, score in reference.floor.items()}

# %%
figure, (ax,) = plots.subplots(width=10, height=3.2)
score_plots.notice_map(ax, rows, floor, train.title(f"n = {n:,} × {draws} draws"))
plots.show(
    figure,
    alt="A table of candidates and scores; marked is each score whose interval lies apart from the floor's.",
)

# %% [markdown]
# Marked is a score whose interval lies apart from the floor's, the score of held-out pictures. That
# was your machine, with its images. Now the course's own measurement on
# {{result:scores_table.json:data}}, with n = {{result:scores_table.json:n:,d}} and the search for
# copies:

# %%
recorded = results.read("scores_table.json")
found = {
    score_plots.ROWS[name]: row for name, row in recorded["rows"].items() if name != "held_out"
}

# %%
figure, (ax,) = plots.subplots(width=10, height=3.2)
title = f"{recorded['real_set']}, n = {recorded['n']:,} × {recorded['draws']} draws"
score_plots.notice_map(ax, found, recorded["rows"]["held_out"], title)
alt = "Precision marks noise alone, recall all but the untouched photographs. Only the columns of copies mark those as worse."
plots.show(figure, alt=alt)
display(Markdown(score_plots.interval_table(recorded)))

# %% [markdown]
# Read the course's table by columns.
#
# - *FD and KD* notice everything but the plain copies, and cannot say what is wrong. FD puts
#   photographs under noise, whose objects you recognise at once, about level with the GAN; KD puts
#   them well behind it.
# - *CS* puts training photographs **above held-out ones**: the network knows them from its own
#   training, and is surer of them.
# - *Precision* is the surprise: the VAE's soft pictures are as "plausible" as photographs. They
#   land in a small part of the real region, but *in* it, and precision asks no more. Only noise
#   leads out. The name of a score promises more than its formula.
# - *Recall* finds the VAE out: its region is a small one. For five of ten classes it says
#   {{result:scores_table.json:rows.half.recall.value:.2f}}, not a half.
# - And one row: *100 training photographs, repeated* has a better FD and KD than the GAN. It takes
#   recall or the search for copies to see how bad they are. A generator that copies **all**
#   photographs passes everything but that search.
#
# ## Other judges, other orders
#
# All this went through one network. Keep the pictures and change the judge: the same network
# untrained (random weights), and no network at all but the 128 main directions in which pixels
# vary.

# %%
pixels = PixelFeatures(real.images[: run.pick(200, 1000, 1000)], real.name)
judges = {"trained CNN": judge, "untrained CNN": UntrainedFeatures(0), "pixels": pixels}
sets = {name: c(n) if callable(c) else c[:n] for name, c in candidates.items()}

# %%
orders = {}
for name, other_judge in progress_bars.progress(judges.items(), "judges"):
    goal = moments(metrics.extract_features(test.images[:n], other_judge))
    found = {
        key: moments(metrics.extract_features(images, other_judge)) for key, images in sets.items()
    }
    orders[name] = sorted(found, key=lambda key: frechet_distance(*found[key], *goal))

# %%
figure, axes = plots.subplots(2, 1, width=10, height=6)
score_plots.rank_lines(axes[0], orders, train.title(f"this machine, n = {n:,}, one draw"))
networks = results.read("scores_networks.json")
shown = {"trained CNN": "trained", "untrained, seed 0": "untrained_0"}
shown |= {"untrained, seed 2": "untrained_2", "pixels": "pixels"}
orders = {name: networks["networks"][key]["order_by_FD"] for name, key in shown.items()}
for name, key in shown.items():
    row = networks["networks"][key]["rows"]
    print(
        f"{name:>17}: five of ten classes, "
        f"FD {row['half']['FD']['value'] / row['held_out']['FD']['value']:.1f} times the floor"
    )
score_plots.rank_lines(
    axes[1], orders, f"{networks['real_set']}, n = {networks['n']:,} × {networks['draws']} draws"
)
plots.show(
    figure,
    alt="Ranks of the same sets under several judges; many lines cross, also between two untrained networks.",
)

# %% [markdown]
# Pixels do not see the noise at all (FD
# {{result:scores_networks.json:networks.pixels.rows.noise.FD.value:.1f}}, floor
# {{result:scores_networks.json:networks.pixels.rows.held_out.FD.value:.1f}}): it averages out in
# every main direction. The network that was trained for classes minds it, and minds missing classes
# as well; an untrained one hardly cares which classes there are (the printed multiples): hence the
# result at the top of this lesson. Even two untrained networks that differ by a seed give different
# orders. So "FD 1.3" is half a sentence. The other half is: in *these* features, on *so many*
# images, against *this* real set, give or take *this much*.
#
# ## Counted exactly: modes
#
# Is recall the share of *modes* (lesson 1), the kinds of picture, that a generator covers? For
# photographs nobody knows the modes. For the course's drawn stand-in everybody does: ten classes on
# six backgrounds, and with every picture comes what it was drawn from. So imagine generators that
# draw perfectly, but only some classes:

# %%
n_modes = run.pick(150, 500, 1000)
drawings = load_images("standin", limit=2 * n_modes)
cloud = metrics.extract_features(drawings.images[:n_modes], judge)

# %%
print(drawings.title(f"n = {n_modes}"))
for kept in (1, 4, 10):
    factors = standin_images.make_factors(n_modes, seed=7)
    factors["class"] %= kept
    covered = len(set(factors["class"].tolist())) / 10
    fakes = metrics.extract_features(torch.from_numpy(standin_images.draw(factors)), judge)
    precision, recall = precision_recall(cloud, fakes, 3)
    print(f"classes covered: {covered:4.0%}   recall {recall:.2f}   precision {precision:.2f}")

# %% [markdown]
# The course's measurement, five draws of {{result:scores_modes.json:n:,d}} drawings each (stand-in;
# coverage counted over {{result:scores_modes.json:modes}}):
#
# | generator of drawings (stand-in) | coverage | recall (95 % interval) | FD |
# | --- | --- | --- | --- |
# | all classes | {{result:scores_modes.json:rows.classes_10.coverage:.0%}} | {{result:scores_modes.json:rows.classes_10.recall.value:.2f}} ({{result:scores_modes.json:rows.classes_10.recall.low:.2f}} to {{result:scores_modes.json:rows.classes_10.recall.high:.2f}}) | {{result:scores_modes.json:rows.classes_10.FD.value:.2f}} |
# | 6 of 10 classes | {{result:scores_modes.json:rows.classes_6.coverage:.0%}} | {{result:scores_modes.json:rows.classes_6.recall.value:.2f}} ({{result:scores_modes.json:rows.classes_6.recall.low:.2f}} to {{result:scores_modes.json:rows.classes_6.recall.high:.2f}}) | {{result:scores_modes.json:rows.classes_6.FD.value:.2f}} |
# | 2 of 10 classes | {{result:scores_modes.json:rows.classes_2.coverage:.0%}} | {{result:scores_modes.json:rows.classes_2.recall.value:.2f}} ({{result:scores_modes.json:rows.classes_2.recall.low:.2f}} to {{result:scores_modes.json:rows.classes_2.recall.high:.2f}}) | {{result:scores_modes.json:rows.classes_2.FD.value:.2f}} |
# | 1 of 6 backgrounds | {{result:scores_modes.json:rows.one_background.coverage:.0%}} | {{result:scores_modes.json:rows.one_background.recall.value:.2f}} ({{result:scores_modes.json:rows.one_background.recall.low:.2f}} to {{result:scores_modes.json:rows.one_background.recall.high:.2f}}) | {{result:scores_modes.json:rows.one_background.FD.value:.2f}} |
# | a third of the colours | {{result:scores_modes.json:rows.third_of_hues.coverage:.0%}} | {{result:scores_modes.json:rows.third_of_hues.recall.value:.2f}} ({{result:scores_modes.json:rows.third_of_hues.recall.low:.2f}} to {{result:scores_modes.json:rows.third_of_hues.recall.high:.2f}}) | {{result:scores_modes.json:rows.third_of_hues.FD.value:.2f}} |
#
# Recall falls with coverage, but it is no count of modes. It understates what is missing: two
# classes of ten still reach {{result:scores_modes.json:rows.classes_2.recall.value:.2f}}. A
# generator with a single background gets
# {{result:scores_modes.json:rows.one_background.recall.value:.2f}}: the network was trained to name
# objects *whatever* stands behind them. And modes depend on who counts: by class and background a
# third of the colours is complete.
#
# ## Copies: look up the nearest
#
# Only the training set itself can tell copies from inventions.

# %%
n_learned = run.pick(1_000, 50_000, 50_000)
print(train.title(f"{min(n_learned, len(train)):,} training pictures looked up, by features"))
learned = metrics.extract_features(train.images[:n_learned], judge)
held_out = metrics.extract_features(test.images, judge)
middle = len(held_out) // 2

# %%
for name, candidate in {"held-out pictures": test.images[:middle], **candidates}.items():
    images = candidate(500) if callable(candidate) else candidate[:500]
    found = metrics.copied(metrics.extract_features(images, judge), learned, held_out[middle:])
    low, high = metrics.wilson_interval(int(found.sum()), len(found))
    print(
        f"{name:>32}: {found.double().mean():6.1%} near "
        f"copies (95 % interval {low:.1%} to {high:.1%})"
    )

# %%
samples = generate(12)
distance, index = metrics.nearest_distance(metrics.extract_features(samples, judge), learned)

# %%
figure, axes = plots.subplots(2, 1, width=7, height=1.6)
plots.image_grid(axes[0], samples, 12, train.title("generated"))
plots.image_grid(
    axes[1], train.images[index], 12, train.title("nearest training picture, by features")
)
plots.show(
    figure,
    alt="Twelve generated pictures and below each the training picture whose features are nearest.",
)

# %% [markdown]
# What is near depends on the judge, once more. Photographs under a blur *are* copies. By features
# the course found {{result:scores_table.json:rows.blur.copied.value:.1%}} of them, by pixels
# {{result:scores_table.json:rows.blur.copied_pixels.value:.0%}}; of those under noise both found
# next to none (table above). A share far above 1 % shows copying; a share near it proves little.
#
# ## Likelihood: a good one with bad samples, and the reverse
#
# A VAE, unlike a GAN, says (as a bound) how probable it finds a held-out picture, in bits per
# dimension (lesson 3). Is that not the honest score? It is one, of another thing. [Theis et al.
# 2016](https://arxiv.org/abs/1511.01844) (section 3) show that it says next to nothing about the
# samples.
#
# *Good likelihood, bad samples.* Mix a model $p$ with noise $q$: 1 % of $p$, 99 % of $q$. Then 99
# of 100 samples are garbage. The likelihood? $\log(0.01\,p + 0.99\,q) \ge \log p - \log 100$: at
# most 4.6 nats are lost, *for the whole picture*. Below, $p$ is a standard normal, and $q$ is ten
# times as wide.

# %%
pixels_each = train.images[0].numel()  # 3,072 numbers a picture
for d in (2, 64, pixels_each):
    x = torch.randn(1000, d).double()  # what the perfect model p = N(0, I) makes
    log_p, log_q = (
        -(x / s).square().sum(1) / 2 - d * math.log(s * (2 * math.pi) ** 0.5) for s in (1.0, 10.0)
    )
    mixture = torch.logaddexp(log_p + math.log(0.01), log_q + math.log(0.99))
    lost = (log_p - mixture).mean().item() / d / math.log(2)
    print(f"{d:>5} dimensions: 99 % noise costs {lost:.4f} bits per dimension")
assert lost < math.log2(100) / pixels_each + 1e-9

# %% [markdown]
# *Good samples, bad likelihood.* Put a narrow Gaussian, one grey level wide, on each training
# picture; the density is their average. Samples are training pictures with a noise that nobody
# sees. Held-out pictures lie far from every one of them. For comparison, a model whose samples are
# nonsense: each pixel drawn on its own. (Raw bytes cost 8 bits.)

# %%
centres = vae.dequantise(train.images[: run.pick(200, 2000, 5000)]).flatten(1).double()  # (N, 3072)
unseen = vae.dequantise(test.images[:50]).flatten(1).double()
sigma = 1 / 127.5  # one grey level
log_each = -torch.cdist(unseen, centres).square() / (2 * sigma**2) - pixels_each * math.log(
    sigma * (2 * math.pi) ** 0.5
)

# %%
by_heart = torch.logsumexp(log_each, 1) - math.log(len(centres))  # (50,) log densities
pixelwise = (
    torch.distributions.Normal(centres.mean(0), centres.std(0) + 1e-3).log_prob(unseen).sum(1)
)

# %%
print(train.title("bits per dimension on held-out pictures"))
bits = {"training pictures by heart": by_heart, "each pixel on its own": pixelwise}
for name, log_density in bits.items():
    print(f"{name:>27}: {vae.bits_per_dim(-log_density.mean(), pixels_each).item():8.2f}")

# %%
figure, axes = plots.subplots(2, 1, width=7, height=1.6)
heart = (
    (train.images[:12] + torch.randn(12, *train.images.shape[1:]))
    .round()
    .clamp(0, 255)
    .to(torch.uint8)
)
plots.image_grid(axes[0], heart, 12, train.title("samples, training pictures by heart"))
noise = dcgan.to_bytes(metrics.mean_image_plus_noise(train.take(5000))(12))
plots.image_grid(axes[1], noise, 12, train.title("samples, each pixel on its own"))
plots.show(
    figure,
    alt="Above: twelve pictures like those of the training set. Below: twelve squares of coloured noise.",
)
assert train.is_own or by_heart.mean() < pixelwise.mean()

# %% [markdown]
# The likelihood prefers the noise by far, and for *its* question it is right: the first model would
# be useless for compressing a new picture. Choose the score by the use: bits for compression,
# samples for looking at.
#
# ## A blind test for people
#
# In the end someone looks. Then measure that, too: hide which picture is which, let a coin choose
# each time, and count. (Where the small VAE had to stand in, it would be too easy to tell; there an
# *imagined* generator takes its place, which draws everything a little soft.) With a running
# kernel, press the buttons:

# %%
made = (
    generate(20)
    if train.name.startswith("CIFAR-10")
    else corruptions.blurred(other.images[:20], 0.45)
)
shown = test.images[100:120] if len(test) >= 120 else test.images[-20:]

# %%
count = min(len(shown), len(made))
blind = blind_test.make_test(shown, made, count, train.title("real or made?"), seed=9)
blind_test.blind_test(blind)

# %% [markdown]
# The same test on paper. Write your twenty answers down, then open the list.

# %%
figure, (ax,) = plots.subplots(width=9, height=2.4)
blind_test.blind_static(ax, blind)
plots.show(figure, alt="Twenty numbered pictures: some from the test set, the others made.")
display(HTML(blind_test.answers_folded(blind)))

# %%
for right in (10, 14, 16):
    print(blind_test.judge(right, 20))

# %% [markdown]
# Put your own count into `widgets_blind.judge(right, 20)`. The interval is Wilson's again. Fourteen
# of twenty sounds like skill, but its interval contains 50 %: a coin could have done it. That is
# **not** a proof that the pictures fool you. The answer is "cannot say", and more pictures would
# narrow the interval. And even a clear 50 % would only say that *these* people, at this size and in
# this time, cannot tell; copies pass this test, too.
#
# ## When it goes wrong: two tables, two n
#
# You read in one paper that a GAN has FD {{result:scores_bias.json:rows.gan.100.FD.value:.2f}}, and
# in another that a set with half of the classes missing has
# {{result:scores_table.json:rows.half.FD.value:.2f}}. Same features, same real set. Is the GAN the
# worse one? Here is what the first paper did not say:

# %%
gan_fd, half_fd = measured.rows["gan"]["FD"], recorded["rows"]["half"]["FD"]
print(
    f"half of the classes, n = 2,000: FD {half_fd['value']:.2f} "
    f"({half_fd['low']:.2f} to {half_fd['high']:.2f})"
)

# %%
for n_images_scored in (100, 2_000):
    at = gan_fd[n_images_scored]
    print(
        f"GAN,                 n = {n_images_scored:>5,}: "
        f"FD {at['value']:.2f} ({at['low']:.2f} to {at['high']:.2f})"
    )
assert gan_fd[2_000]["high"] < half_fd["low"] and gan_fd[100]["value"] > half_fd["value"]

# %% [markdown]
# At equal $n$ the order turns round, and the intervals do not touch. **Seen** by: no $n$ beside a
# number. **Cured** by scoring both with the same $n$, features and real set. `metrics.table`
# refuses to put scores into one table that differ in any of these. Just as silent: images left in
# [0, 1] where [-1, 1] is expected, another way of resizing ([Parmar et al.
# 2022](https://arxiv.org/abs/2104.11222)), a real set saved as JPEG.
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
# the difference. (a) A right program gives the same. (b) Any features do it. (d) Shuffled ones as
# well.</details>
#
# **2. KD of your generator is −0.0001, with an interval from −0.0003 to 0.0001. This means:** (a) a
# bug: distances are not negative (b) at this n it cannot be told from 0 (c) better than real images
# (d) the generator is perfect
#
# <details><summary>Answer</summary>(b). (a) An unbiased estimate of 0 has to fall on both sides.
# (c) Real images would scatter in the same way. (d) In the first three moments of these features
# nothing was found; that is all.</details>
#
# **3. Precision is high and recall low. What do you expect to see?** (a) noise (b) plausible
# pictures with little variety (c) great variety, half of it broken (d) copies, certainly
#
# <details><summary>Answer</summary>(b). (a) Noise lowers precision. (c) is the opposite case. (d)
# Copies of a few pictures would do it, but so does a VAE that copies nothing.</details>
#
# **4. You bootstrap 500 images and get FD 1.9 with an interval from 2.1 to 2.4. Why?** (a) too few
# resamples (b) resamples hold doubles, so FD's bias grows (c) bad luck (d) the interval must be
# made symmetric
#
# <details><summary>Answer</summary>(b). (a) More resamples show the same more exactly. (c) It
# happens every time. (d) That would hide it.</details>
#
# **5. No score is worse than the floor. What is most likely to have been missed?** (a) nothing, the
# generator is perfect (b) half of the classes (c) it has copied its training set (d) a blur over
# all pictures
#
# <details><summary>Answer</summary>(c): the untouched training photographs in the table did just
# that. (b) and (d) move FD, KD and recall, as the table shows. (a) forgets novelty.</details>
#
# ## Recap
#
# You built the Fréchet and the kernel distance, a classifier score, precision and recall; you saw
# what each of them cannot see, put intervals on scores and found where the bootstrap fails, found
# copies, and read a likelihood and a test with people.
#
# **What this did not show.** Our features are a small network's; Inception's, or those of networks
# trained without labels, have other blind spots. The intervals cover the choice of images, not
# training runs: for a claim about a *method*, train it several times. Pictures made for a text need
# a score of how well they fit it.
#
# **Sources.** Dowson and Landau 1982, *The Fréchet distance between multivariate normal
# distributions*, eq. 4 · Heusel et al. 2017, [arXiv 1706.08500](https://arxiv.org/abs/1706.08500),
# eq. 6 · Chong and Forsyth 2020, [arXiv 1911.07023](https://arxiv.org/abs/1911.07023) · Gretton et
# al. 2012, [*A kernel two-sample test*](https://jmlr.org/papers/v13/gretton12a.html), eq. 3 ·
# Bińkowski et al. 2018, [arXiv 1801.01401](https://arxiv.org/abs/1801.01401), section 4 · Salimans
# et al. 2016, [arXiv 1606.03498](https://arxiv.org/abs/1606.03498), section 4 · Barratt and Sharma
# 2018, [arXiv 1801.01973](https://arxiv.org/abs/1801.01973) · Kynkäänniemi et al. 2019, [arXiv
# 1904.06991](https://arxiv.org/abs/1904.06991), eq. 1 and 2 · Efron 1979, [*Bootstrap
# methods*](https://doi.org/10.1214/aos/1176344552) · Theis, van den Oord, Bethge 2016, [arXiv
# 1511.01844](https://arxiv.org/abs/1511.01844), section 3 · Parmar, Zhang, Zhu 2022, [arXiv
# 2104.11222](https://arxiv.org/abs/2104.11222) · Wilson 1927, *Probable inference*, JASA 22.
#
# **Next:** lesson 7, the debugging clinic: broken programs, and how to find out what is wrong with
# them.
