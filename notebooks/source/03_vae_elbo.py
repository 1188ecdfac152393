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
# # 3. The VAE and the ELBO
#
# You build a generator that also gives a lower bound on how probable it finds a picture. And you
# find out what a loss line really trains: four well-known tutorials print four lines that look
# alike, and mean four different things. You will train all four.
#
# **You will learn to** derive the ELBO and check it where the answer is known exactly · send
# gradients through a random draw · track units, so that you train the loss you meant · train a VAE
# and measure it in bits per dimension · recognise posterior collapse and cure it.
#
# **You need** lesson 2 (its generator is our decoder), the logarithm, the normal density and the
# idea of an expectation.
#
# **Time** about {{minutes}} minutes to read and solve. The table gives the computer's share; the
# time on your machine is printed below the settings.
#
# {{tiers}}

# %% [markdown]
# ## Set-up

# %%
import math
from functools import partial
from itertools import pairwise
from types import SimpleNamespace

from course_utils import checks, progress_bars, runtime  # before torch: waiting threads sleep
import torch
from IPython.display import Markdown, display
from torch import nn
from torch.distributions import Bernoulli, Normal, kl_divergence
from torch.nn.functional import binary_cross_entropy as bce, mse_loss as mse

from course_utils.display import plots, vae_plots

# %%
from course_utils.display.widgets import latent_plane
from course_utils.evaluation import elbo, metrics
from course_utils.training.recipes import vae_laboratory
from course_utils.datasets.images import load_images
from course_utils.models import dcgan, vae
from course_utils.training.run import TrainingRun, run_folder

# %%
run = runtime.setup(seed=0)

# %% [markdown]
# What you may want to change, for three tiers:

# %%
from course_utils.machine import minutes_here

# fmt: off
#                     smoke  laptop     gpu
steps      = run.pick(   60,  1_600, 40_000)  # optimisation steps
batch_size = run.pick(   32,    128,    128)  # images per step
n_images   = run.pick(  512, 50_000, 50_000)  # training images
width      = run.pick(    8,     32,     32)  # channels of the last hidden map
n_score    = run.pick(   64,  1_000,  2_000)  # images in each of the five draws of a score
lab_steps  = run.pick(   20,    400,  1_000)  # steps of each short training
latent_dim = 64     # numbers that a picture is made from
source     = None   # None: CIFAR-10 where it is on this machine; or your own folder
size       = 32     # pixels; 64 for your own larger images
fresh      = False  # True: forget an earlier run and train again
# fmt: on
minutes_here.tell(run, "03_vae_elbo", steps)

# %% [markdown]
# The images of lesson 2:

# %%
train = load_images(source, split="train", size=size, limit=n_images)
test = load_images(source, split="test", size=size)
n_each = metrics.fitting_n(n_score, train, test)  # images in each draw of a score

# %%
shape = tuple(train.images.shape[1:])
print(f"{train.name}: {len(train):,} training and {len(test):,} test images, {shape}")

# %% [markdown]
# ## The idea in miniature
#
# A *latent variable model* makes a picture $x$ in two steps. First it draws hidden numbers $z$ from
# a fixed **prior** $p(z)$. Then it draws $x$ from $p(x\mid z)$, which a network, the **decoder**,
# describes. Lesson 2's generator makes one picture from each $z$. Here $p(x\mid z)$ is a
# distribution, so the model gives every picture a probability density:
#
# $$p(x) = \int p(x\mid z)\,p(z)\,dz.$$
#
# Make that large for photographs, and the model has learned. The trouble is the integral: in 64
# dimensions a grid with ten points per axis has $10^{64}$ points.
#
# In the smallest model it can be done. One latent number, one observed one:
# $z\sim\mathcal N(0,1)$ and $x\mid z\sim\mathcal N(wz, s^2)$, where the second number is the
# variance. A sum of two independent Gaussians is Gaussian, and so $p(x) = \mathcal N(0,\; w^2+s^2)$
# *exactly*. Everything is tested on this *linear-Gaussian* model first.

# %%
w, s, x = (torch.tensor(v, dtype=torch.float64) for v in (1.5, 0.5, 2.0))
zero, one = torch.zeros_like(x), torch.ones_like(x)
log_px = Normal(zero, (w**2 + s**2).sqrt()).log_prob(x)

# %%
grid = torch.linspace(-8, 8, 4001, dtype=torch.float64)  # the integral itself, as a sum
joint = (Normal(zero, one).log_prob(grid) + Normal(w * grid, s).log_prob(x)).exp()
by_sum = torch.trapezoid(joint, grid).log()
print(f"log p(x) = {log_px:.9f} nats by the formula, {by_sum:.9f} by summing over z")
assert torch.isclose(by_sum, log_px, atol=1e-9)

# %% [markdown]
# ## A bound, and exactly what it misses
#
# Which $z$ could have made this $x$? Bayes' rule knows: the **posterior**
# $p(z\mid x) = p(x\mid z)\,p(z)/p(x)$. Its denominator is the same integral. So take a distribution
# that we *can* handle, $q(z)$, and compare. Solve Bayes' rule for $p(x)$ and multiply by
# $q(z)/q(z)$. For every $z$,
#
# $$\log p(x) = \log\frac{p(x\mid z)\,p(z)}{p(z\mid x)}
# = \log p(x\mid z) - \log\frac{q(z)}{p(z)} + \log\frac{q(z)}{p(z\mid x)}.$$
#
# Now average over $z\sim q$. The left side does not depend on $z$ and stays. The two averaged
# ratios on the right are KL divergences:
#
# $$\log p(x) = \underbrace{\mathbb E_q[\log p(x\mid z)] - \mathrm{KL}(q(z)\,\|\,p(z))}_{\text{ELBO}} \;+\;
# \underbrace{\mathrm{KL}(q(z)\,\|\,p(z\mid x))}_{\text{gap}\;\ge\;0}.$$
#
# This is an identity ([Kingma and Welling 2014](https://arxiv.org/abs/1312.6114), eq. 1 to 3). A KL
# divergence is never negative, since a mean of logarithms is at most the logarithm of the mean
# (Jensen's inequality):
# $-\mathrm{KL}(q\,\|\,p) = \mathbb E_q[\log\tfrac pq] \le \log\mathbb E_q[\tfrac pq] = \log 1 = 0$.
# So the first part is a *lower bound* on $\log p(x)$, the log *evidence*: the *evidence lower
# bound*, ELBO. Raising it raises $\log p(x)$ or moves $q$ towards the true posterior.

# %% [markdown]
# ### Exercise: a bound without an integral
#
# *Medium, 18 minutes.* First pencil and paper, then two functions of the linear-Gaussian model.
# `linear_elbo` is the ELBO for $q=\mathcal N(m, v)$, where $v$ is the variance: one number in nats
# for each $q$. The KL you may leave to `kl_divergence`, of two `Normal(mean, standard deviation)`.
# The first term is yours: take the expectation of $\log p(x\mid z)$ over $z\sim q$, until no $z$ is
# left. `linear_posterior` is the $q$ that no other beats: mean and variance of $p(z\mid x)$, which
# here is Gaussian.
#
# <details><summary>Hint 1</summary>Only the squared error in log p(x|z) depends on z. What mean and
# variance has x − wz?</details>
# <details><summary>Hint 2</summary>The mean of a square is the square of the mean plus the
# variance.</details>
# <details><summary>Hint 3</summary>As a function of z, log p(x|z) + log p(z) is a parabola, and so
# is a Gaussian's log density: its top is at the mean, its second derivative is −1/variance.
# </details>


# %%
def linear_elbo(m, v, x, w, s):
    """ELBO of the linear-Gaussian model for q = N(m, v): m and v (...) -> (...), in nats."""
    ### BEGIN SOLUTION
    squared_error = (x - w * m) ** 2 + w**2 * v  # its mean over z
    log_likelihood = -0.5 * (squared_error / s**2 + torch.log(2 * torch.pi * s**2))
    kl = kl_divergence(Normal(m, v.sqrt()), Normal(0.0, 1.0))
    return log_likelihood - kl
    ### END SOLUTION


linear_elbo = checks.vae.linear_elbo(linear_elbo)


# %%
def linear_posterior(x, w, s):
    """Mean and variance of p(z | x) in the linear-Gaussian model: three numbers -> two."""
    ### BEGIN SOLUTION
    variance = 1 / (1 + w**2 / s**2)  # the prior's curvature and the likelihood's add up
    mean = variance * w * x / s**2
    return mean, variance
    ### END SOLUTION


linear_posterior = checks.vae.linear_posterior(linear_posterior)

# %% [markdown]
# Now the claim. For a thousand random $q$, good ones and absurd ones, ELBO plus gap must give the
# same exact number:

# %%
mean, variance = linear_posterior(x, w, s)
posterior = Normal(mean, variance.sqrt())
m = torch.randn(1000, dtype=torch.float64) * 2
v = torch.rand(1000, dtype=torch.float64) * 3 + 0.01
gap = kl_divergence(Normal(m, v.sqrt()), posterior)
bound = linear_elbo(m, v, x, w, s)
total = bound + gap

# %%
print(f"ELBO from {bound.min():.1f} to {bound.max():.3f} nats, while")
print(f"ELBO + gap stays between {total.min():.9f} and {total.max():.9f}")
print(f"                log p(x) is {log_px:.9f}")
assert (total - log_px).abs().max() < 1e-6 and (bound <= log_px).all()
best = linear_elbo(mean, variance, x, w, s)
print(f"with the posterior itself as q the ELBO is {best:.9f}")
assert torch.isclose(best, log_px, atol=1e-9)

# %% [markdown]
# Four choices of $q$. What the ELBO misses, the gap fills, always to the same height:

# %%
four = {
    "the prior": (zero, one),
    "too far left": (mean - 0.6, variance),
    "too wide": (mean, 6 * variance),
    "the posterior": (mean, variance),
}
parts = {
    name: (linear_elbo(m, v, x, w, s), kl_divergence(Normal(m, v.sqrt()), posterior))
    for name, (m, v) in four.items()
}

# %%
plots.show(
    vae_plots.elbo_bars(parts, log_px),
    alt="Four bars that all end at log p(x), the dotted line. The lower part is the ELBO, the hatched part the gap; only for the posterior is the whole bar ELBO.",
)

# %% [markdown]
# The ELBO reaches $\log p(x)$ only where $q$ *is* the posterior. And the best loss is not 0 but
# $-\log p(x)$: even a perfect model cannot know which data will be drawn.
#
# A **variational autoencoder** (VAE) has a second network, the **encoder**. It looks at $x$ and
# gives a mean and a variance for each latent number:
# $q(z\mid x) = \mathcal N(\mu(x), \sigma^2(x))$. One network for all pictures, instead of a search
# for the best $q$ of each, is *amortised* inference. Both are trained to raise the ELBO.
#
# ![The encoder makes a mean and a log variance of x; the KL loss arises there. With noise they give z. The decoder makes x-hat of z; the likelihood loss arises between x-hat and x. Gradients run back through z to the encoder.](figures/vae.svg)
#
# *The two losses, where they arise. The likelihood's gradient (dashed) reaches the encoder through
# $z$.*
#
# ## Two pieces: the KL divergence, and a gradient through a draw
#
# For one dimension, put both log densities into $\mathbb E_q[\log q(z) - \log p(z)]$. The constants
# cancel (same paper, appendix B):
#
# $$\mathrm{KL} = \mathbb E_q\!\left[-\tfrac12\log\sigma^2 - \tfrac{(z-\mu)^2}{2\sigma^2} + \tfrac{z^2}{2}\right].$$
#
# Independent dimensions add up. The network outputs $\log\sigma^2$, called `log_var`, because every
# real number is a valid one.
#
# The ELBO's other term is an expectation over $z\sim q$, and the encoder decides what $q$ is. A
# random draw has no derivative. The way out: draw noise $\varepsilon\sim\mathcal N(0,1)$ that
# depends on nothing, and *compute* a $z$ from it that has mean $\mu$ and variance $\sigma^2$. Then
# $\partial z/\partial\mu = 1$ and $\partial z/\partial\log\sigma^2 = (z-\mu)/2$, and the chain rule
# does the rest (same paper, section 2.4).

# %% [markdown]
# ### Exercise: the KL and the draw
#
# *Medium, 10 minutes.* `gaussian_kl` is the expectation above, taken with pencil and paper until no
# $z$ is left: one number in nats for each row of a batch, summed over the D dimensions.
# `reparameterise` is that computation of $z$. The noise is an argument, so the function itself is
# not random.
#
# <details><summary>Hint 1</summary>Under q, what is the mean of (z − μ)²? And of z², which is
# (z − μ + μ)²?</details>
# <details><summary>Hint 2</summary>σ² is <code>log_var.exp()</code>. For μ = 0 and σ = 1 the KL
# must be 0. Which dimension is summed away, if (B, D) is to become (B,)?</details>
# <details><summary>Hint 3</summary>What does noise of variance 1 have to be multiplied by, to have
# variance σ²? The two derivatives above tell whether you are right.</details>


# %%
def gaussian_kl(mean, log_var):
    """KL(N(mean, exp(log_var)) || N(0, I)) in nats: (B, D), (B, D) -> (B,)."""
    ### BEGIN SOLUTION
    return 0.5 * (mean**2 + log_var.exp() - 1 - log_var).sum(dim=1)
    ### END SOLUTION


gaussian_kl = checks.vae.gaussian_kl(gaussian_kl)


# %%
def reparameterise(mean, log_var, noise):
    """A draw from N(mean, exp(log_var)), made of noise from N(0, I): (B, D) each -> (B, D)."""
    ### BEGIN SOLUTION
    return mean + torch.exp(0.5 * log_var) * noise
    ### END SOLUTION


reparameterise = checks.vae.reparameterise(reparameterise)

# %% [markdown]
# Two independent witnesses of the KL: the library, and plain sampling.

# %%
mean, log_var = torch.tensor([[0.8, -1.5, 0.0]]), torch.tensor([[-1.0, 0.5, 0.2]])
closed = gaussian_kl(mean, log_var)
q, prior = Normal(mean, (0.5 * log_var).exp()), Normal(0.0, 1.0)

# %%
by_library = kl_divergence(q, prior).sum(1)
print(f"yours {closed.item():.6f}, the library's {by_library.item():.6f} nats")
assert torch.allclose(closed, by_library)

# %%
z = q.sample((200_000,))  # (200000, 1, 3)
draws = (q.log_prob(z) - prior.log_prob(z)).sum((1, 2))
standard_error = draws.std() / len(draws) ** 0.5

# %%
print(f"closed form {closed.item():.4f}, sampled {draws.mean():.4f} ± {standard_error:.4f} nats")
assert abs(draws.mean() - closed.item()) < 4 * standard_error

# %% [markdown]
# An older way needs no derivative of $z$, the *score function* (REINFORCE): the gradient is the
# mean of $\log p(x\mid z)\cdot\partial\log q(z)/\partial\mu$, because
# $\partial q = q\;\partial\log q$. Both are unbiased. How much is a single draw worth? On our small
# model the true gradient is known, the derivative of your ELBO's first term with respect to $m$:

# %%
count, v = 100_000, torch.tensor(0.3, dtype=torch.float64)
m = torch.full((count,), 0.5, dtype=torch.float64, requires_grad=True)
z = reparameterise(m, v.log(), torch.randn(count, dtype=torch.float64))
log_lik = Normal(w * z, s).log_prob(x)
by_path = torch.autograd.grad(log_lik.sum(), m)[0]  # one gradient for each draw
by_score = log_lik.detach() * (z.detach() - 0.5) / v

# %%
exact = (w * (x - w * 0.5) / s**2).item()
print(f"exact: {exact:.3f}")
for name, draws in {"reparameterised": by_path, "score function": by_score}.items():
    standard_error = (draws.std() / count**0.5).item()
    print(f"{name}: {draws.mean():.3f} ± {standard_error:.3f}, variance {draws.var():.1f}")
    assert abs(draws.mean() - exact) < 4 * standard_error

# %%
variance_ratio = (by_score.var() / by_path.var()).item()
print(f"the score function needs {variance_ratio:.0f} times as many draws for the same precision")
assert variance_ratio > 2

# %% [markdown]
# Same mean, very different noise, and this in one dimension. With reparameterisation *one* draw of
# $z$ per picture is enough if the batch is large, say 100 (same paper, sections 2.2 and 2.3).
#
# ## Third piece: a likelihood, in honest units
#
# What is $p(x\mid z)$ for a picture? The usual choice: the decoder's picture is the *mean*, and
# each pixel lies around it independently, as a Gaussian of variance $\sigma_x^2$. (For black and
# white pixels one takes a Bernoulli distribution, whose negative log likelihood is the binary
# cross-entropy.) Independent densities multiply, so the negative log likelihood of a picture is a
# **sum** over its 3,072 numbers:
#
# $$-\log p(x\mid z) = \sum_i \tfrac12\left(\frac{(x_i-\hat x_i)^2}{\sigma_x^2} + \log\sigma_x^2 + \log 2\pi\right).$$
#
# A squared error alone leaves out $\sigma_x$, which decides how many nats an error costs. A
# cross-entropy has no such number, but it is a likelihood only for pixels that are 0 or 1. On grey
# ones it never reaches 0, even for a perfect reconstruction:

# %%
black_or_white, grey = torch.tensor([1.0, 0.0, 1.0]), torch.tensor([0.9, 0.2, 0.5])
ours = bce(grey, black_or_white, reduction="sum")
library = -Bernoulli(grey).log_prob(black_or_white).sum()
print(f"black or white: cross-entropy {ours:.4f}, negative log likelihood {library:.4f} nats")
print(f"grey, reconstructed exactly: {bce(grey, grey, reduction='sum'):.2f} nats, not 0")
assert torch.isclose(ours, library)

# %% [markdown]
# ### Exercise: the likelihood and the loss
#
# *Medium, 15 minutes.* Three functions. `gaussian_nll` is the sum above: one number in nats per
# picture, with the ½ log 2π of every pixel. `log_var` is $\log\sigma_x^2$; it may be a single
# number for all pixels or any tensor that broadcasts. `best_log_var` is the single number that
# makes the mean of that cost over a batch smallest: how much noise should a decoder admit to? Set a
# derivative to 0.
#
# `negative_elbo` is the loss, a mean over the batch. A factor `beta` weighs the KL. At 1 it is the
# negative ELBO itself. Larger values ask for a simpler *code* (the $z$ of a picture) at the price
# of worse pictures ([Higgins et al. 2017](https://openreview.net/forum?id=Sy2fzU9gl), eq. 4): **β
# is a price: one nat of code costs β nats of pixels.**
#
# <details><summary>Hint 1</summary>Write the bracket for every pixel first. Let broadcasting do its
# work <em>before</em> anything is summed.</details>
# <details><summary>Hint 2</summary><code>values.flatten(1).sum(1)</code> sums all but the batch.
# Both <code>nll</code> and <code>kl</code> are costs already.</details>


# %%
def gaussian_nll(x, mean, log_var):
    """-log N(x; mean, exp(log_var)) in nats, with the constant: (B, ...), (B, ...), broadcasts ->
    (B,).
    """
    ### BEGIN SOLUTION
    each = 0.5 * ((x - mean) ** 2 / log_var.exp() + log_var + math.log(2 * math.pi))
    return each.flatten(1).sum(1)
    ### END SOLUTION


gaussian_nll = checks.vae.gaussian_nll(gaussian_nll)


# %%
def best_log_var(x, mean):
    """The log_var for all pixels at which `gaussian_nll` costs least: (B, ...) twice -> scalar."""
    ### BEGIN SOLUTION
    variance = (x - mean).square().mean()  # where the derivative is 0
    return variance.log()
    ### END SOLUTION


best_log_var = checks.vae.best_log_var(best_log_var)


# %%
def negative_elbo(nll, kl, beta):
    """The loss in nats per image: (B,), (B,), float -> scalar, the mean over the batch."""
    ### BEGIN SOLUTION
    return (nll + beta * kl).mean()
    ### END SOLUTION


negative_elbo = checks.vae.negative_elbo(negative_elbo)

# %% [markdown]
# On the linear-Gaussian model the three pieces together must give back its closed form:

# %%
m, log_v = torch.full((count, 1), 0.5), torch.full((count, 1), math.log(0.3))
z = reparameterise(m, log_v, torch.randn(count, 1))
nll = gaussian_nll(x.float().expand(count, 1), w.float() * z, (s**2).log().float())

# %%
sampled = negative_elbo(nll, gaussian_kl(m, log_v), beta=1.0)
known = -linear_elbo(m[0, 0].double(), v, x, w, s)
assert abs(sampled - known) < 4 * nll.std() / count**0.5
print(f"negative ELBO: sampled {sampled:.3f}, known {known:.3f} nats")

# %% [markdown]
# ## ELBO accounting
#
# Much published code averages the error, sums or averages the KL, and adds a weight that worked. A
# common factor changes no optimum. But if the *two terms* have different factors, their ratio is a
# beta, meant or not. Three ways there:
#
# - **A mean for a sum.** A mean over 784 pixels makes the first term 784 times smaller. Next to a
#   summed KL that is β = 784.
# - **A forgotten σ.** A bare squared error is $2\sigma_x^2$ times its nats: twice at σ = 1, a
#   fiftieth at σ = 0.1. So its line has another beta for each σ that you read into it.
# - **Another range.** Pixels from −1 to 1 have four times the squared error of pixels from 0 to 1.
#
# Here are the lines of four well-known tutorials ([PyTorch
# examples](https://github.com/pytorch/examples/blob/main/vae/main.py), the [Keras
# blog](https://blog.keras.io/building-autoencoders-in-keras.html),
# [PyTorch-VAE](https://github.com/AntixK/PyTorch-VAE/blob/master/models/vanilla_vae.py) and
# [Lightning Bolts](https://github.com/Lightning-Universe/lightning-bolts)), and one more of a
# common kind. PyTorch's `mse` and `bce` average over *everything* unless told otherwise:


# %%
def per_dim(mean, log_var):
    """Your KL of each latent number alone: (B, D), (B, D) -> (B, D), nats."""
    return gaussian_kl(mean.reshape(-1, 1), log_var.reshape(-1, 1)).view_as(mean)


def pytorch_examples(x_hat, x, mean, log_var):
    """MNIST, 784 pixels, 20 latent numbers."""
    return bce(x_hat, x, reduction="sum") + per_dim(mean, log_var).sum()


def keras_blog(x_hat, x, mean, log_var):
    """MNIST, 784 pixels, 2 latent numbers."""
    return bce(x_hat, x) + per_dim(mean, log_var).mean()


def pytorch_vae(x_hat, x, mean, log_var):
    """Faces, 64 by 64 pixels, 128 latent numbers."""
    return mse(x_hat, x) + 0.00025 * per_dim(mean, log_var).sum(1).mean()


def lightning_bolts(x_hat, x, mean, log_var):
    """CIFAR-10, 256 latent numbers."""
    return mse(x_hat, x) + 0.1 * per_dim(mean, log_var).mean()


def my_line(x_hat, x, mean, log_var):
    """The mean of the one and the sum of the other."""
    return mse(x_hat, x) + per_dim(mean, log_var).sum(1).mean()


# %% [markdown]
# ### Exercise: which beta has a line?
#
# *Hard, 18 minutes.* Every such line is $a\cdot\text{nll} + c\cdot\text{KL}$ plus perhaps a
# constant, with both terms in nats per picture. What it trains depends on $c/a$ alone, its beta.
# Write `beta_of`, which finds it for *any* line, and may only call it:
# `line(x_hat, x, mean, log_var)` is a number. `nll(x_hat, x)` tells the nats of each picture, (B,),
# your `gaussian_kl` those of each code.
#
# <details><summary>Hint 1</summary>One value of the line cannot tell a, c and the constant apart.
# Call it twice: which argument can you change so that the nll moves and the KL does not?</details>
# <details><summary>Hint 2</summary>How much does the line rise, and how much the mean nll? Whatever
# x_hat you choose must lie in (0, 1): half-way to x, for example.</details>


# %%
def beta_of(line, nll, x_hat, x, mean, log_var):
    """Beta of a loss line, by its values on one batch: pictures (B, N) in (0, 1), codes (B, D)."""
    ### BEGIN SOLUTION
    before = line(x_hat, x, mean, log_var)
    closer, wider = (x_hat + x) / 2, log_var + 1
    of_pixels = line(closer, x, mean, log_var) - before
    of_code = line(x_hat, x, mean, wider) - before
    nats_of_pixels = (nll(closer, x) - nll(x_hat, x)).mean()
    nats_of_code = (gaussian_kl(mean, wider) - gaussian_kl(mean, log_var)).mean()
    return ((of_code / nats_of_code) / (of_pixels / nats_of_pixels)).item()
    ### END SOLUTION


beta_of = checks.vae.beta_of(beta_of)

# %% [markdown]
# `elbo.trial` draws pictures and codes, first of the tutorial's sizes, then of ours: 3,072 numbers
# per picture, 16 latents. Squared errors are read as a Gaussian with σ = 1.


# %%
def squared(x_hat, x, sigma=1.0):
    """Squared errors as nats: (B, N), (B, N) -> (B,)."""
    return gaussian_nll(x, x_hat, torch.tensor(2 * math.log(sigma)))


def crossed(x_hat, x):
    """Cross-entropies are nats already: (B, N), (B, N) -> (B,)."""
    return bce(x_hat, x, reduction="none").sum(1)


# %%
lines = {  # name: the line, numbers per picture and latents at home, how its error is read
    "PyTorch examples": (pytorch_examples, 784, 20, crossed),
    "Keras blog": (keras_blog, 784, 2, crossed),
    "PyTorch-VAE": (pytorch_vae, 3 * 64 * 64, 128, squared),
    "Lightning Bolts": (lightning_bolts, 3072, 256, squared),
    "mean + sum": (my_line, 3072, 16, squared),
}
beta_here = {}
print(f"{'β at home':>28} {'β here':>10}")
for name, (line, dims, latents, nll) in lines.items():
    at_home = beta_of(line, nll, *elbo.trial(dims, latents))
    beta_here[name] = beta_of(line, nll, *elbo.trial(3072, 16))
    print(f"{name:>16}: {at_home:10.4g} {beta_here[name]:10.4g}")
assert abs(beta_here["mean + sum"] - 3072 / 2) < 1

# %% [markdown]
# Five lines, five objectives. Only the first has β = 1, and keeps it at any size. (With β = 1 in
# place of σ = 1, the last line believes in noise of σ = √1536 ≈ 39, on pixels from 0 to 1!) A beta
# may be chosen, so no line is *wrong*. What is wrong is not to know it.
#
# Does it matter? Five small VAEs train on *stickers*, pictures that the course draws; only the line
# differs. How much is there to win? Without a code the best answer to every picture is the average
# one. A perfect code saves all of its squared error:

# %%
toys = load_images("standin", limit=run.pick(256, 4000, 4000))
held_out_toys = load_images("standin", "test", limit=run.pick(200, 500, 500))

# %%
flat = toys.images.flatten(1).float() / 255  # (N, 3072)
to_win = (flat.var(0).sum() / 2).item()  # at σ = 1
print(f"at σ = 1 a perfect code saves {to_win:.0f} nats per picture")

# %% [markdown]
# ### Exercise: predict the collapse
#
# *Easy, 3 minutes.* A latent number is *active* if its posterior mean differs from picture to
# picture, by a variance of more than 0.01 (Burda et al. 2016, section 5.2). A code has *collapsed*
# if none is. In how many of the five networks will that happen? Write a number from 0 to 5 before
# you train.
#
# <details><summary>Hint</summary>At a price of β, one nat of code must save β nats of pixels. The
# cell above tells how many there are.</details>

# %%
collapsed_lines = ...  # your number
collapsed_lines = checks.vae.collapsed_lines(collapsed_lines)

# %%
lab = {
    name: vae_laboratory.train_line(line, toys.images, seed=0, steps=lab_steps)
    for name, (line, *_) in lines.items()
}
findings = {name: vae_laboratory.examine(net, held_out_toys.images) for name, net in lab.items()}

# %%
collapsed_lines.beside(sum(found["active"] == 0 for found in findings.values()), ".0f")


# %%
plots.show(
    vae_plots.loss_lines(lab, held_out_toys, beta_here, findings),
    alt="One network, five loss lines. Two give the same grey tile for every picture, one tells little more than light from dark, two bring back place and colours.",
)

# %% [markdown]
# The two lines with a small β carry a code. Two carry *nothing*, and one of them is a famous
# tutorial's, copied to other sizes. Nothing crashed, nothing warned. (Active latents of 16, mean of
# three seeds: {{result:vae_lines.json:keras_blog.active.value:.1f}} and
# {{result:vae_lines.json:my_line.active.value:.1f}}.) *Why* is below, under "When it goes wrong".

# %% [markdown]
# ### Exercise: two cures
#
# *Medium, 16 minutes.* `repaired_line` gives `lightning_bolts` *right units*: it is the
# negative ELBO of a Gaussian with σ = 0.1, in nats per image and without constants, at β = 1 for
# *every* picture size, number of latents and batch size.
#
# `free_bits` ([Kingma et al. 2016](https://arxiv.org/abs/1606.04934), appendix C.8) keeps the wrong
# units of `my_line`, but each latent number has its first `free` nats for nothing: where its KL,
# averaged over the batch, is below, it counts as `free`, a constant without gradient.
#
# <details><summary>Hint 1</summary>Which of the three ways to get a beta are in
# <code>lightning_bolts</code>? Over what does each of its means run?</details>
# <details><summary>Hint 2</summary>Test your line before the check does: <code>beta_of</code> with
# <code>partial(squared, sigma=0.1)</code> and <code>*elbo.trial(3072, 16)</code>, and again with
# other sizes.</details>


# %%
def repaired_line(x_hat, x, mean, log_var):
    """`lightning_bolts`, repaired: (B, ...) twice, (B, D) twice -> scalar, nats per image."""
    ### BEGIN SOLUTION
    squares = (x - x_hat).square().flatten(1).sum(1)  # (B,)
    return (squares / (2 * 0.1**2) + per_dim(mean, log_var).sum(1)).mean()
    ### END SOLUTION


repaired_line = checks.vae.repaired_line(repaired_line)


# %%
def free_bits(x_hat, x, mean, log_var, free=1.0):
    """`my_line`, with `free` nats per latent number that cost nothing extra."""
    ### BEGIN SOLUTION
    each = per_dim(mean, log_var).mean(0)  # (D,), over the batch
    return mse(x_hat, x) + each.clamp_min(free).sum()
    ### END SOLUTION


free_bits = checks.vae.free_bits(free_bits)

# %%
lab["repaired"] = vae_laboratory.train_line(repaired_line, toys.images, seed=0, steps=lab_steps)
findings["repaired"] = vae_laboratory.examine(lab["repaired"], held_out_toys.images)
at_tenth = partial(squared, sigma=0.1)
beta_here["repaired"] = beta_of(repaired_line, at_tenth, *elbo.trial(3072, 16))

# %%
two = ("Lightning Bolts", "repaired")
plots.show(
    vae_plots.loss_lines({k: lab[k] for k in two}, held_out_toys, beta_here, findings),
    alt="Before and after the repair. Reconstructions get place and colours back; samples are coloured but muddled, since a precise code leaves gaps between the pictures that it knows.",
)

# %% [markdown]
# ## Bits per dimension, and a trap
#
# The common unit is **bits per dimension**: how many bits lossless compression with the model would
# need for each of the 3,072 numbers. Raw bytes need 8.
#
# The trap: our Gaussian is a *density*, pictures are *bytes*, and a density can be as large as you
# like. A model with spikes on the 256 grey levels would have an infinite likelihood. The remedy is
# **uniform dequantisation**: spread each byte evenly over its grey level.


# %%
def dequantise(images, noise):
    """Bytes (...) and noise in [0, 1) of that shape -> floats in [-1, 1], (...)."""
    return (images.float() + noise - 0.5) / 127.5 - 1


# %% [markdown]
# A grey level is $1/127.5$ wide on $[-1,1]$. So a density $p$ gives it a probability of about
# $p/127.5$, that is $-\log_2 p + \log_2 127.5$ bits. By Jensen's inequality again, their mean over
# a spread byte is never below the bits of its whole level, the true ones ([Theis et al.
# 2016](https://arxiv.org/abs/1511.01844), section 3.1):


# %%
def bits_per_dim(nats, dims):
    """Negative log density on [-1, 1] in nats per image -> bits for each byte."""
    return nats / dims / math.log(2) + math.log2(127.5)


# %%
byte = torch.full((100_000,), 180, dtype=torch.uint8)
spread = dequantise(byte, torch.rand(len(byte))).double()
pixel = Normal(zero + 0.3, zero + 0.15)  # what a decoder might say of this pixel
dequantised = bits_per_dim(-pixel.log_prob(spread).mean(), 1)

# %%
edges = (180 + torch.tensor([-0.5, 0.5], dtype=torch.float64)) / 127.5 - 1
discretised = -torch.log2(pixel.cdf(edges[1]) - pixel.cdf(edges[0]))
print(f"{discretised:.4f} bits for the whole level, {dequantised:.4f} as dequantised bound")
assert discretised - 1e-3 < dequantised < discretised + 1e-2

# %% [markdown]
# The bound costs next to nothing. From here on every picture is dequantised.
#
# ## The model
#
# The decoder is lesson 2's generator, layer for layer, trained by another loss. The encoder follows
# your discriminator's path (32 → 16 → 8 → 4) with a different head: a *linear* layer with two
# numbers for each latent dimension. Nothing may squeeze them: a sigmoid could never say "exactly
# like the prior", $\mu=0$ and $\log\sigma^2=0$.


# %%
class VAE(nn.Module):
    """Encoder, decoder, and one variance for all pixels, learned like every weight."""

    def __init__(self, latent_dim, width):
        super().__init__()
        generator = dcgan.make_generator(latent_dim, width, 3, size)
        self.encoder = vae.make_encoder(latent_dim, width, 3, size)
        self.decoder = nn.Sequential(nn.Unflatten(1, (latent_dim, 1, 1)), generator)
        self.log_var = nn.Parameter(torch.zeros(()))  # log σ² of a pixel; the encoder's is of z

    def encode(self, x):
        """Images (B, 3, H, W) -> mean and log_var of q(z|x), each (B, D), float32."""
        mean, log_var = self.encoder(x).float().chunk(2, dim=1)
        return mean, log_var

    def decode(self, z):
        """Latents (B, D) -> the mean of p(x|z): (B, 3, H, W) in [-1, 1], float32."""
        return self.decoder(z).float()


# %%
model = VAE(latent_dim, width).to(run.device, memory_format=torch.channels_last)
with torch.no_grad():
    few = maps = vae.dequantise(train.images[:7]).to(run.device)
    for layer in model.encoder:
        maps = layer(maps)
        if isinstance(layer, nn.Conv2d | nn.Linear):
            print(f"{layer} -> {tuple(maps.shape)}")
    mean, log_var = model.encode(few)
    print(f"mean {tuple(mean.shape)} -> decoded {tuple(model.decode(mean).shape)}")
    assert model.decode(mean).shape == few.shape

# %% [markdown]
# ## Training
#
# ### Exercise: the training step, and a draw
#
# *Medium, 14 minutes.* `train_step` is one step of the VAE with your own pieces.
#
# 1. Within `with autocast():`, where the networks may run in bf16, encode, draw $z$ from the noise
#    that is passed in, and decode.
# 2. Outside of it, in float32, compute both costs of each picture, and the loss.
# 3. Get fresh gradients, and step.
#
# Return `{"nll": ..., "kl": ..., "sigma": ...}` as plain numbers: the costs as means over the
# batch, in nats, and $\sigma_x$ after the step. The model has `encode`, `decode`, and
# $\log\sigma_x^2$ as `log_var`.
#
# `sample` draws pictures as the model means them: not the mean of $p(x\mid z)$, but a draw from it,
# made of noise from $\mathcal N(0, I)$.
#
# <details><summary>Hint 1</summary>Two log variances meet here. Which belongs to the code, and
# which to the pixels?</details>
# <details><summary>Hint 2</summary>The optimiser steps as in lesson 1: three calls, one of them
# before the backward pass.</details>


# %%
def train_step(model, optimizer, x, noise, beta, autocast):
    """One step on images (B, 3, H, W) in [-1, 1] with noise (B, D); returns nll, kl, sigma."""
    ### BEGIN SOLUTION
    with autocast():
        mean, log_var = model.encode(x)  # (B, D) each
        x_mean = model.decode(reparameterise(mean, log_var, noise))  # (B, 3, H, W)
    nll = gaussian_nll(x, x_mean, model.log_var)  # (B,)
    kl = gaussian_kl(mean, log_var)  # (B,)
    optimizer.zero_grad()
    negative_elbo(nll, kl, beta).backward()
    optimizer.step()
    sigma = torch.exp(0.5 * model.log_var)
    return {"nll": nll.mean().item(), "kl": kl.mean().item(), "sigma": sigma.item()}
    ### END SOLUTION


train_step = checks.vae.train_step(train_step)


# %%
def sample(model, z, noise):
    """Draws of p(x | z): latents (B, D), noise (B, 3, H, W) -> (B, 3, H, W)."""
    ### BEGIN SOLUTION
    return reparameterise(model.decode(z), model.log_var, noise)
    ### END SOLUTION


sample = checks.vae.sample(sample)

# %% [markdown]
# There is no game here: one loss, and lower is better. Adam moves a weight by about its learning
# rate per step; $\log\sigma_x^2$ has some whole units to go and gets a larger one.

# %%
optimizer = vae.make_optimizer(model, lr=1e-3)  # and 20 times that for log_var
state = {"vae": model, "optimizer": optimizer}
config = {"lesson": "vae", "data": train.name, "size": size, "sigma": None, "beta": 1.0}
config |= {"latent_dim": latent_dim, "width": width}
training = TrainingRun(
    run_folder("03_vae", config, state),
    state=state,
    config=config,
    steps=steps,
    examples=len(train),
    batch_size=batch_size,
    seed=0,
    fresh=fresh,
    data_sha256=train.sha256,
)

# %%
fixed = test.images[:8]
fixed_z = torch.randn(8, latent_dim, generator=torch.Generator().manual_seed(1))
dims = 3 * size * size


# %%
def draw_progress():
    """Bits per dimension, the KL, and three rows: originals, reconstructions, samples."""
    h = training.history
    bits = [bits_per_dim(nll + kl, dims) for nll, kl in zip(h["nll"], h["kl"])]
    title = train.title(f"step {training.step}")
    return vae_plots.training_progress(h, bits, model, fixed, fixed_z, title)


# %%
live = plots.LiveFigure(
    draw_progress,
    alt="Bits fall from step to step; the KL drops at first and then rises, as the code learns to say more. Right: held-out pictures, their reconstructions, and samples.",
)
pixels = train.images.to(run.device)
for index in training.batches():  # (B,) the examples of this step
    images = vae.dequantise(pixels[index]).contiguous(memory_format=torch.channels_last)
    noise = torch.randn(len(images), latent_dim).to(run.device)
    training.log(**train_step(model, optimizer, images, noise, 1.0, run.autocast))
    live.update()
live.close()

# %% [markdown]
# The KL falls at first (faint line), then *rises*: it pays to send more about the picture through
# $z$. A KL that stays at 0 would be the collapse from above.
#
# ## Reconstructions, samples, and what a VAE leaves out

# %%
mu, log_v = vae.encode_means(model, test.images[:1000])  # (1000, D)
sampled_z = torch.randn(1000, latent_dim, generator=torch.Generator().manual_seed(2))
rebuilt, samples = vae.decode_bytes(model, mu), vae.decode_bytes(model, sampled_z)
with torch.no_grad():
    noise = torch.randn(16, *shape).to(run.device)
    drawn = sample(model, sampled_z[:16].to(run.device), noise).cpu()

# %%
rows = {
    "held-out pictures": test.images[:16],
    "reconstructed: the decoder's mean": rebuilt[:16],
    "sampled: the decoder's mean": samples[:16],
    "sampled as the model says: with noise": dcgan.to_bytes(drawn),
}
plots.show(
    vae_plots.picture_rows(rows, train.title("what a VAE shows, and what it says")),
    alt="The third row is what everyone shows: soft samples. The fourth is what the model really says: the same samples under white noise.",
)

# %% [markdown]
# What the model *says* is the fourth row. Whatever the code cannot carry (edges, fur, leaves) is
# treated as noise, and the best mean is the *average* of all pictures that would fit: a blur. It
# can be measured, as the root mean square difference from pixel to neighbour, `sharpness`. And does
# the learned $\sigma_x$ match the errors on pictures that it never saw? Your `best_log_var` tells:

# %%
for name, shown in {"held-out": test.images[:1000], "rebuilt": rebuilt, "sampled": samples}.items():
    print(f"{name:>8}: {metrics.sharpness(shown):.1f} grey levels from pixel to neighbour")

# %%
z = reparameterise(mu, log_v, torch.randn(mu.shape))
with torch.no_grad():
    x_mean = model.decode(z.to(run.device)).cpu()
best = best_log_var(vae.dequantise(test.images[:1000]), x_mean)
learned, best = (127.5 * torch.exp(0.5 * v).item() for v in (model.log_var.detach(), best))
print(f"σ: learned {learned:.1f}, best for these pictures {best:.1f} grey levels")

# %% [markdown]
# ### The likelihood decides
#
# If blur comes from what $\sigma_x$ calls noise, another $\sigma_x$ must change it. In three short
# trainings σ is 1 (*half* the sum of squared errors), learned, or 0.05.

# %%
sigmas = {"σ = 1": 1.0, "σ learned": None, "σ = 0.05": 0.05}
short = {"latent_dim": latent_dim, "width": run.pick(8, 16, 32)}
short |= {"batch_size": batch_size, "autocast": run.autocast}
shown = {"held-out": test.images[:16]}
for name, value in sigmas.items():
    recipe = vae_laboratory.Recipe(sigma=value)
    small = vae_laboratory.train_recipe(recipe, train.images, seed=0, steps=lab_steps, **short)
    codes, code_log_var = vae.encode_means(small, test.images[:1000])
    nats = gaussian_kl(codes, code_log_var).mean()
    shown[f"{name}: {nats:.0f} nats through the code"] = vae.decode_bytes(small, codes[:16])

# %%
rows = {f"{k}, sharpness {metrics.sharpness(row):.1f}": row for k, row in shown.items()}
plots.show(
    vae_plots.picture_rows(rows, train.title("three likelihoods, reconstructions")),
    alt="Held-out pictures and their reconstructions. With σ = 1 only patches of colour come back. A learned σ brings back shapes; σ = 0.05 sends more nats, and the eye sees no gain.",
)

# %% [markdown]
# A smaller $\sigma_x$ makes errors cost more, so more nats go through the code. Full runs, three
# seeds each, {{result:vae_laptop.json:data}} (mean; FD with the 95 % interval over seeds):
#
# | likelihood | bits per dimension | KL (nats) | reconstruction, pixel to pixel | samples, FD |
# | --- | --- | --- | --- | --- |
# | σ = 1 | {{result:vae_laptop.json:one.bits.value:.2f}} | {{result:vae_laptop.json:one.kl.value:.0f}} | {{result:vae_laptop.json:one.sharpness_rebuilt.value:.1f}} | {{result:vae_laptop.json:one.FD.value:.2f}} ({{result:vae_laptop.json:one.FD.low:.2f}} to {{result:vae_laptop.json:one.FD.high:.2f}}) |
# | σ learned ({{result:vae_laptop.json:learned.sigma.value:.2f}}) | {{result:vae_laptop.json:learned.bits.value:.2f}} | {{result:vae_laptop.json:learned.kl.value:.0f}} | {{result:vae_laptop.json:learned.sharpness_rebuilt.value:.1f}} | {{result:vae_laptop.json:learned.FD.value:.2f}} ({{result:vae_laptop.json:learned.FD.low:.2f}} to {{result:vae_laptop.json:learned.FD.high:.2f}}) |
# | σ = 0.05 | {{result:vae_laptop.json:small.bits.value:.2f}} | {{result:vae_laptop.json:small.kl.value:.0f}} | {{result:vae_laptop.json:small.sharpness_rebuilt.value:.1f}} | {{result:vae_laptop.json:small.FD.value:.2f}} ({{result:vae_laptop.json:small.FD.low:.2f}} to {{result:vae_laptop.json:small.FD.high:.2f}}) |
# | photographs | | | {{result:vae_laptop.json:sharpness_real:.1f}} | {{result:vae_laptop.json:floor.FD.value:.2f}} (floor) |
#
# *Bits* reward the σ that matches the error really made; with either fixed σ a photograph would
# cost more than its raw 8 bits. *Reconstructions* sharpen from σ = 1 to the learned one, and then
# no more. *Samples* do not follow: cheap codes lie wherever the prior draws, precise ones leave
# gaps. (At 0.05 the seeds differ so much that FD settles nothing.) And no σ gives texture, since
# pixels stay independent.

# %% [markdown]
# ## How probable is a photograph? Bits on held-out pictures
#
# The ELBO is *loose*. Averaging more draws *inside* the log tightens it. Take importance weights
# $w_k = p(x,z_k)/q(z_k\mid x)$, whose expectation is $p(x)$ exactly. The **importance-weighted
# autoencoder**, IWAE ([Burda et al. 2016](https://arxiv.org/abs/1509.00519), eq. 8, theorem 1),
# uses
#
# $$\mathcal L_K = \mathbb E\left[\log \tfrac1K\sum_{k=1}^K w_k\right],\qquad \mathcal L_1 = \text{ELBO} \le \mathcal L_2 \le \dots \le \log p(x).$$

# %% [markdown]
# ### Exercise: importance weights and their bound
#
# *Hard, 25 minutes.* `log_weights` returns $\log w_k$ for every draw and picture. It gets a model
# with `encode`, `decode` and the pixels' `log_var`, and the noise of K draws; use what you wrote
# above. `iwae_bound` turns them into one number, $\mathcal L_K$ averaged over the pictures. With
# 3,072 pixels a log weight of ±1,000 is nothing unusual, and `exp` of that is infinite, or 0.
#
# <details><summary>Hint 1</summary>Write log w as a sum of three log densities. Over which
# dimensions does each of them sum?</details>
# <details><summary>Hint 2</summary>The closed form of the KL is an average over z. A weight belongs
# to one z: put that draw into log p(z) and into log q(z|x).</details>
# <details><summary>Hint 3</summary>For the bound: whatever is subtracted from a log weight before
# exp can be added again after the log. Which number makes every exp harmless?</details>


# %%
def log_weights(model, x, noise):
    """log p(x, z) - log q(z | x) of each draw: (B, ...), (K, B, D) -> (K, B), in nats."""
    ### BEGIN SOLUTION
    mean, log_var = model.encode(x)  # (B, D)
    rows = []
    for one_noise in noise:  # (B, D)
        z = reparameterise(mean, log_var, one_noise)
        log_prior = Normal(0.0, 1.0).log_prob(z).sum(1)  # (B,)
        log_q = Normal(mean, (0.5 * log_var).exp()).log_prob(z).sum(1)
        rows.append(log_prior - gaussian_nll(x, model.decode(z), model.log_var) - log_q)
    return torch.stack(rows)
    ### END SOLUTION


log_weights = checks.vae.log_weights(log_weights)


# %%
def iwae_bound(log_weights):
    """Mean over the images of the log of the mean weight: (K, B) -> scalar, in nats."""
    ### BEGIN SOLUTION
    return (torch.logsumexp(log_weights, dim=0) - math.log(len(log_weights))).mean()
    ### END SOLUTION


iwae_bound = checks.vae.iwae_bound(iwae_bound)

# %% [markdown]
# First where we know the answer: the linear-Gaussian model with a poor encoder, whose ELBO misses
# by much. Let K grow:

# %%
wide = (1.5 * posterior.stddev).square().log()
poor = SimpleNamespace(  # the linear-Gaussian model; its q has a wrong mean and is too wide
    log_var=(s**2).log(),
    encode=lambda x: ((posterior.mean - 0.3).expand_as(x), wide.expand_as(x)),
    decode=lambda z: w * z,
)

# %%
draws, copies = (1, 2, 4, 8, 16, 64, 256, 1024), x.expand(4000, 1)
bounds = []
for k in draws:
    noise = torch.randn(k, 4000, 1, dtype=torch.float64)
    groups = log_weights(poor, copies, noise).split(100, dim=1)
    bounds.append(torch.stack([iwae_bound(group) for group in groups]))  # 40 estimates
values = torch.stack([b.mean() for b in bounds])
errors = torch.stack([b.std() / len(b) ** 0.5 for b in bounds])

# %%
plots.show(
    vae_plots.bound_by_draws(draws, values, errors, log_px),
    alt="The bound starts at the ELBO for K = 1, rises with K, and meets the dotted exact value.",
)

# %%
print(f"K = {draws[-1]}: {values[-1]:.4f} ± {errors[-1]:.4f}, exact: {log_px:.4f} nats")
steps_up, scatter = values.diff(), (errors[1:] ** 2 + errors[:-1] ** 2).sqrt()
assert (steps_up > -3 * scatter).all() and abs(values[-1] - log_px) < 4 * errors[-1] + 1e-3

# %% [markdown]
# It rises all the way to the exact value. Now pictures; the ± is a 95 % interval over them.

# %%
n_draws, n_bits = run.pick(4, 16, 64), run.pick(100, 1000, 1000)
held_out = vae.dequantise(test.images[:n_bits], torch.Generator().manual_seed(3))
model.eval()
parts = []
with torch.no_grad():
    for part in held_out.split(250):
        noise = torch.randn(n_draws, len(part), latent_dim).to(run.device)
        parts.append(log_weights(model, part.to(run.device), noise).cpu())
log_w = torch.cat(parts, dim=1)  # (K, N)

# %%
by_picture = torch.stack([iwae_bound(column) for column in log_w.split(1, dim=1)])  # (N,)
for name, bound in {"ELBO": log_w.mean(0), f"IWAE, K = {n_draws}": by_picture}.items():
    bits = bits_per_dim(-bound, dims)  # (N,)
    print(f"{name:>12}: {bits.mean():.3f} ± {1.96 * bits.std() / len(bits) ** 0.5:.3f} bits")
assert iwae_bound(log_w) >= log_w.mean()

# %% [markdown]
# A few draws gain little. Models built for likelihood need far fewer bits, on the original CIFAR-10
# (a JPEG copy is smoother): 2.65 with a diffusion model ([Kingma et al.
# 2021](https://arxiv.org/abs/2107.00630)). They describe how *neighbouring pixels* depend on each
# other, which ours calls noise.
#
# ## Side by side with lesson 2

# %%
reference = metrics.RealReference.from_images(train, test, n=n_each)
shipped, facts = vae.load_shipped("vae_cifar10", run.device)
gan, gan_facts = dcgan.load_shipped_generator(run.device)

# %%
gan_codes = (int(gan_facts["latent_dim"]), 1, 1)
samplers = {  # each makes as many pictures as it is asked for
    "your VAE": lambda n: vae.decode_bytes(model, torch.randn(n, latent_dim)),
    "shipped VAE": lambda n: vae.decode_bytes(shipped, torch.randn(n, shipped.latent_dim)),
    "shipped GAN": lambda n: dcgan.sample(gan, torch.randn(n, *gan_codes).to(run.device)),
}
known = train.name == facts["data"]  # on other pictures the shipped ones' scores mean nothing
candidates = samplers if known else {"your VAE": samplers["your VAE"]}

# %%
bar = progress_bars.progress(candidates.items(), "candidates")
scores = {name: reference.score(candidate) for name, candidate in bar}
display(Markdown(metrics.table({**scores, "other real images (the floor)": reference.floor})))

# %% [markdown]
# Measured on {{result:vae_cifar10.json:data}}, all with the same features, n
# ({{result:vae_cifar10.json:n:,d}}) and {{result:vae_cifar10.json:draws}} draws:
#
# | model | FD (95 % interval) | KD |
# | --- | --- | --- |
# | VAE, this lesson's `laptop` run, three seeds | {{result:vae_laptop.json:learned.FD.value:.2f}} ({{result:vae_laptop.json:learned.FD.low:.2f}} to {{result:vae_laptop.json:learned.FD.high:.2f}}) | {{result:vae_laptop.json:learned.KD.value:.3f}} |
# | VAE, {{result:vae_cifar10.json:epochs}} epochs | {{result:vae_cifar10.json:score.FD.value:.2f}} ({{result:vae_cifar10.json:score.FD.low:.2f}} to {{result:vae_cifar10.json:score.FD.high:.2f}}) | {{result:vae_cifar10.json:score.KD.value:.3f}} |
# | GAN, lesson 2's `laptop` run, three seeds | {{result:dcgan_laptop.json:laptop.FD.value:.2f}} ({{result:dcgan_laptop.json:laptop.FD.low:.2f}} to {{result:dcgan_laptop.json:laptop.FD.high:.2f}}) | {{result:dcgan_laptop.json:laptop.KD.value:.3f}} |
# | GAN, {{result:dcgan_cifar10.json:epochs}} epochs | {{result:dcgan_cifar10.json:score.FD.value:.2f}} ({{result:dcgan_cifar10.json:score.FD.low:.2f}} to {{result:dcgan_cifar10.json:score.FD.high:.2f}}) | {{result:dcgan_cifar10.json:score.KD.value:.3f}} |
# | other real images (the floor) | {{result:vae_cifar10.json:floor.FD.value:.2f}} | {{result:vae_cifar10.json:floor.KD.value:.3f}} |

# %%
forty = {
    f"{told['data']}: {name}, {told['epochs']} epochs": samplers[name](40)
    for name, told in {"shipped VAE": facts, "shipped GAN": gan_facts}.items()
}
plots.show(
    vae_plots.side_by_side(forty),
    alt="Left: 40 samples of the VAE, soft and without texture. Right: 40 of the GAN, with edges and texture, and some glitches. None is picked.",
)

# %% [markdown]
# The GAN's distance is several times smaller. (Its generator is wider and trained for longer: no
# controlled comparison.)
#
# The loss explains the blur. A fine line that is missing costs a squared error of 1; drawn one
# pixel off it costs 2, at the wrong place *and* at the right one. So where the code cannot tell the
# place, the best mean has no line, and a discriminator sees it missing. In return the VAE trains
# without a game, encodes pictures, and bounds how probable each is.
#
# ## Walking through a latent plane
#
# To *see* a whole latent space it must be two-dimensional, and to judge it we must know the truth.
# These hearts differ only in their place, across and down. Five shipped VAEs have learned them,
# with two latent dimensions, a learned $\sigma_x$, and a beta of their own.

# %%
hearts = vae_laboratory.moving_hearts(600, "test")
betas = {beta: vae.load_shipped(f"vae_plane_{beta}")[0] for beta in (1, 10, 100, 400, 1000)}

# %%
plots.show(
    latent_plane.plane_static(betas, hearts),
    alt="Above, the decoder's hearts on the square from −2 to 2. Below, where the encoder puts held-out pictures. As beta grows the codes shrink into the dotted square, fill it at 400, and fall to a point at 1,000.",
)

# %% [markdown]
# The square holds 91 % of the draws from the prior. Do the codes fit into it, and do the axes mean
# anything? (The axes may swap or run backwards.)

# %%
for beta, network in betas.items():
    found = vae_laboratory.read_plane(network, hearts)
    print(f"β = {beta:>4}: {found['inside']:4.0%} inside, spread {found['spread']:.2f}; ", end="")
    print(f"best correlation of an axis with x {found['x']:.2f}, with y {found['y']:.2f}")

# %% [markdown]
# At β = 1 a nat of KL weighs little against 3,072 pixels, and codes spread twice as wide as the
# prior. At 400 they fill the square, and its axes are the two true factors, which nobody named to
# the network. At 1,000 it has given up: one point, one picture.
# (This is one training per β. At 100 the factors lie diagonally, and nothing guarantees axes with a
# meaning: [Locatello et al. 2019](https://arxiv.org/abs/1811.12359), theorem 1.)
#
# What does each β buy? *Rate*, the nats of the code, against *distortion*, the error of the
# picture. Each network stops where one more nat of code would save fewer than β nats of pixels. So
# the exchange rate between two neighbours must lie between their betas:

# %%
points = {b: vae_laboratory.examine(network, hearts.images) for b, network in betas.items()}
rates, distortions = ([found[name] for found in points.values()] for name in ("kl", "error"))
# With a learned σ the nats of pixels are 3,072 times the log of the error, and a constant.
paid = [3072 * math.log(far / near) for near, far in pairwise(distortions)]
exchange = [nats / (more - less) for nats, (more, less) in zip(paid, pairwise(rates))]

# %%
for (low, high), price in zip(pairwise(betas), exchange):
    print(f"between β = {low} and {high}: {price:.0f} nats of pixels per nat of code")
assert 10 < exchange[1] < 100 < exchange[2] < 400 < exchange[3] < 1000

# %%
title = hearts.title("nats of pixels that a nat of code saves")
plots.show(
    vae_plots.rate_distortion(dict(zip(betas, zip(rates, distortions))), exchange, title),
    alt="The rate-distortion curve of the five hearts. The first five nats of code buy nearly everything, the last three next to nothing. Numbers on the curve: what a nat of code saves between two neighbours.",
)

# %% [markdown]
# Three of the four lie between their betas. (At the flat end the errors differ by a tenth of a grey
# level, too little for one training each.) With a running kernel, walk in the plane:

# %%
latent_plane.latent_plane(betas, hearts)

# %% [markdown]
# ## When it goes wrong: posterior collapse
#
# Back to the stickers, to `my_line`, which sent nothing, and to your two cures:

# %%
lab["free bits"] = vae_laboratory.train_line(free_bits, toys.images, seed=0, steps=lab_steps)
findings["free bits"] = vae_laboratory.examine(lab["free bits"], held_out_toys.images)
cures = ("mean + sum", "free bits", "repaired")

# %% [markdown]
# A collapse shows without pictures, too, in the KL of each dimension:

# %%
plots.show(
    vae_plots.kl_bars({k: findings[k] for k in cures}, toys.title("KL of each dimension")),
    alt="Left, the collapse: all sixteen dimensions are there, and none carries anything. Middle, free bits: a fraction of a nat each. Right, repaired: every dimension carries something.",
)

# %%
title = toys.title("collapsed, and two cures")
plots.show(
    vae_plots.reconstructions({k: lab[k] for k in cures}, held_out_toys.images[:16], title),
    alt="Sixteen stickers. Collapsed: sixteen times the same grey tile. Free bits: coarse colours. Repaired: each object, blurred, in its colours.",
)

# %% [markdown]
# **Why?** A collapsed network pays its squared error and no KL. Any other network pays *at least* β
# times its KL. So at the optimum the KL cannot exceed what a perfect code would save, divided by β.
# This holds for every architecture:

# %%
by_squares = ("PyTorch-VAE", "Lightning Bolts", "mean + sum")
for name in by_squares:
    limit = to_win / beta_here[name]
    print(f"{name:>16}: at most {limit:8.2f} nats pay, {findings[name]['kl']:6.2f} were sent")

# %% [markdown]
# And how many *dimensions* pay? In the linear-Gaussian model $x$ has the variance $w^2+s^2$, which
# should match the data's variance $\lambda$. So the best $w^2$ is $\lambda - s^2$, or 0 when
# $\lambda < s^2$: a latent number is worth having only where the data vary more than the noise that
# the model believes in.

# %%
squares = torch.linspace(0, 6, 601, dtype=torch.float64)  # candidates for w squared
for variance in (4.0, 1.0, 0.2):
    total = squares + s**2
    evidence = -0.5 * (total.log() + variance / total)  # expected log p(x), but for a constant
    best, theory = squares[evidence.argmax()].item(), max(variance - s.item() ** 2, 0.0)
    print(f"variance {variance}, noise {s**2:.2f}: best w² {best:.2f}, by the formula {theory:.2f}")
    assert abs(best - theory) < 0.01

# %% [markdown]
# For a *linear* decoder the same holds along each direction of the data (probabilistic PCA, Tipping
# and Bishop 1999, section 3.2; [Lucas et al. 2019](https://arxiv.org/abs/1911.02469)). Our networks
# are not linear, but compare: along how many directions do the stickers vary by more than the noise
# that each line believes in, $\sigma^2 = \beta$?

# %%
spectrum = torch.linalg.eigvalsh(torch.cov(flat.T))  # variance along each principal direction
print(f"largest variance along any direction: {spectrum.max():.1f}")
for name in by_squares:
    worth, active = (spectrum > beta_here[name]).sum().item(), findings[name]["active"]
    print(f"{name:>16}: σ² = {beta_here[name]:7.2f}: {worth} directions pay, {active} of 16 used")
assert (spectrum > beta_here["mean + sum"]).sum() == 0

# %% [markdown]
# A third remedy, *KL annealing*, lets β rise from 0 during training ([Bowman et al.
# 2016](https://arxiv.org/abs/1511.06349), section 3.1). It helps where training misses a good
# optimum; here the optimum itself is collapsed. Five seeds each,
# {{result:vae_collapse.json:settings.steps}} steps, mean and 95 % interval over seeds:
#
# | loss | active of 16 | KL (nats) | error (grey levels) | bits, σ refitted |
# | --- | --- | --- | --- | --- |
# | mean + sum | {{result:vae_collapse.json:mean.active.value:.0f}} | {{result:vae_collapse.json:mean.kl.value:.1f}} ({{result:vae_collapse.json:mean.kl.low:.1f}} to {{result:vae_collapse.json:mean.kl.high:.1f}}) | {{result:vae_collapse.json:mean.error.value:.1f}} ({{result:vae_collapse.json:mean.error.low:.1f}} to {{result:vae_collapse.json:mean.error.high:.1f}}) | {{result:vae_collapse.json:mean.bits.value:.2f}} ({{result:vae_collapse.json:mean.bits.low:.2f}} to {{result:vae_collapse.json:mean.bits.high:.2f}}) |
# | the same, annealed | {{result:vae_collapse.json:annealed.active.value:.0f}} | {{result:vae_collapse.json:annealed.kl.value:.1f}} ({{result:vae_collapse.json:annealed.kl.low:.1f}} to {{result:vae_collapse.json:annealed.kl.high:.1f}}) | {{result:vae_collapse.json:annealed.error.value:.1f}} ({{result:vae_collapse.json:annealed.error.low:.1f}} to {{result:vae_collapse.json:annealed.error.high:.1f}}) | {{result:vae_collapse.json:annealed.bits.value:.2f}} ({{result:vae_collapse.json:annealed.bits.low:.2f}} to {{result:vae_collapse.json:annealed.bits.high:.2f}}) |
# | the same, free bits (1 nat each) | {{result:vae_collapse.json:free_bits.active.value:.0f}} | {{result:vae_collapse.json:free_bits.kl.value:.1f}} ({{result:vae_collapse.json:free_bits.kl.low:.1f}} to {{result:vae_collapse.json:free_bits.kl.high:.1f}}) | {{result:vae_collapse.json:free_bits.error.value:.1f}} ({{result:vae_collapse.json:free_bits.error.low:.1f}} to {{result:vae_collapse.json:free_bits.error.high:.1f}}) | {{result:vae_collapse.json:free_bits.bits.value:.2f}} ({{result:vae_collapse.json:free_bits.bits.low:.2f}} to {{result:vae_collapse.json:free_bits.bits.high:.2f}}) |
# | repaired, σ = 0.1 | {{result:vae_collapse.json:repaired.active.value:.0f}} | {{result:vae_collapse.json:repaired.kl.value:.1f}} ({{result:vae_collapse.json:repaired.kl.low:.1f}} to {{result:vae_collapse.json:repaired.kl.high:.1f}}) | {{result:vae_collapse.json:repaired.error.value:.1f}} ({{result:vae_collapse.json:repaired.error.low:.1f}} to {{result:vae_collapse.json:repaired.error.high:.1f}}) | {{result:vae_collapse.json:repaired.bits.value:.2f}} ({{result:vae_collapse.json:repaired.bits.low:.2f}} to {{result:vae_collapse.json:repaired.bits.high:.2f}}) |
# | σ learned | {{result:vae_collapse.json:learned.active.value:.0f}} | {{result:vae_collapse.json:learned.kl.value:.1f}} ({{result:vae_collapse.json:learned.kl.low:.1f}} to {{result:vae_collapse.json:learned.kl.high:.1f}}) | {{result:vae_collapse.json:learned.error.value:.1f}} ({{result:vae_collapse.json:learned.error.low:.1f}} to {{result:vae_collapse.json:learned.error.high:.1f}}) | {{result:vae_collapse.json:learned.bits.value:.2f}} ({{result:vae_collapse.json:learned.bits.low:.2f}} to {{result:vae_collapse.json:learned.bits.high:.2f}}) |
#
# (The last column gives every model its `best_log_var`.) Annealing changes nothing; both cures
# reactivate all sixteen dimensions. But free bits leave the wrong units in place: above its free
# nat a dimension pays β = 1,536, and about half of the sixteen free nats stay unused, perhaps
# because a mean error pulls so weakly. Right units also *use* the code.
#
# ## Why today
#
# Latent diffusion generates in the code of such a VAE ([Rombach et al.
# 2022](https://arxiv.org/abs/2112.10752), section 3.1). It weighs the KL by [one
# millionth](https://github.com/CompVis/latent-diffusion/blob/main/configs/autoencoder/autoencoder_kl_64x64x3.yaml):
# codes need not fill the prior, since a diffusion model learns their distribution afterwards. And
# agents that plan inside a *world model* train it on an ELBO with a free nat ([Hafner et al.
# 2023](https://arxiv.org/abs/2301.04104)).

# %% [markdown]
# ## Questions
#
# **1. Your VAE's loss stays at 1,850 nats per image. Should a good VAE reach 0?** (a) yes (b)
# nobody can say, the unit is missing (c) no: the best loss is the entropy of the data, the mean of
# −log p(x), which for densities can be any number (d) no, it should become the KL
#
# <details><summary>Answer</summary>(c). (a) takes a bound for a distance. (b) The unit is there.
# (d) The likelihood's term does not vanish.</details>
#
# **2. A Bernoulli likelihood (binary cross-entropy, BCE), 28×28 pixels, D latents, batches of B.
# Which line has β = 1?**
#
# | line | BCE | KL |
# | --- | --- | --- |
# | (a) | mean over everything | sum over latents, mean over batch |
# | (b) | sum over everything | sum over everything |
# | (c) | mean over everything | mean over everything |
# | (d) | sum over pixels, mean over batch | sum over everything |
#
# <details><summary>Answer</summary>(b): a common factor B changes no optimum. (a) has β = 784,
# (c) β = 784/D, and (d) β = B, another one for every batch size.</details>
#
# **3. KL is 0.00 in all dimensions, and all reconstructions are one grey picture. What first?** (a)
# train longer (b) a larger decoder (c) work out which beta the loss line has (d) a lower learning
# rate
#
# <details><summary>Answer</summary>(c): most often a mean stands where a sum should. (a) and (d)
# reach the same optimum sooner or later. (b) makes it easier to do without z.</details>
#
# ## Recap
#
# You derived the ELBO and checked it where the answer is known exactly, sent gradients through a
# random draw, tracked units and repaired a published loss, trained a VAE and measured it in bits
# per dimension, and cured posterior collapse.
#
# **What this did not show.** Several layers of latents, discrete codes or autoregressive decoders
# do better, at a price. Bits say nothing about how pictures look, and FD nothing about probability
# (lesson 6).
#
# **Sources** are linked where they are used. The VAE was found twice: also by [Rezende et al.
# 2014](https://arxiv.org/abs/1401.4082). To read on: [Doersch
# 2016](https://arxiv.org/abs/1606.05908), section 2.
#
# **Next:** lesson 4 leaves pictures for words: BERT, fine-tuned on film reviews.
