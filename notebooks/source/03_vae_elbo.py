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
# In this lesson you build a generator that can also say (as a bound) how probable it finds a
# picture, and you find out which objective a loss line really trains: four well-known tutorials
# print four lines that look alike, and mean four different things.
#
# **You will learn to** derive the ELBO and check it where the answer is known exactly · send
# gradients through a random draw · keep account of units, so that a loss is the one you meant ·
# train a VAE and measure it in bits per dimension · recognise posterior collapse and cure it.
#
# **You need** lesson 2 (its generator is our decoder), the logarithm, the normal density and the
# idea of an expectation.
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

from course_utils import checks, progress_bars, runtime  # before torch: waiting threads sleep
import torch
from IPython.display import Markdown, display
from torch import nn
from torch.distributions import Bernoulli, Normal, kl_divergence

from course_utils.display import plots

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
# What you may want to change stands in the next cell, with the values of the three tiers side by
# side.

# %%
from course_utils.machine import minutes_here

# fmt: off
#                     smoke  laptop     gpu
steps      = run.pick(   60,  1_600, 40_000)  # optimisation steps
batch_size = run.pick(   32,    128,    128)  # images a step
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
# The images are those of lesson 2. They are read at once, though they are needed later only: if a
# folder of your own holds too few, you hear it now.

# %%
train = load_images(source, split="train", size=size, limit=n_images)
test = load_images(source, split="test", size=size)
n_each = metrics.fitting_n(n_score, train, test)  # images in each draw of a score

# %%
print(
    f"{train.name}: {len(train):,} training and {len(test):,} test images, "
    f"{tuple(train.images.shape[1:])}"
)

# %% [markdown]
# ## The idea in miniature
#
# A *latent variable model* makes a picture $x$ in two steps. First it draws hidden numbers $z$ from
# a fixed **prior** $p(z)$. Then it draws $x$ from $p(x\mid z)$, which a network, the **decoder**,
# describes. Lesson 2's generator did the first half of this; what is new is that $p(x\mid z)$ is a
# distribution. So the model gives every picture a probability density:
#
# $$p(x) = \int p(x\mid z)\,p(z)\,dz.$$
#
# Make that large for photographs, and the model has learned. The trouble is the integral: in 64
# dimensions a grid of ten points an axis has $10^{64}$ points, and a $z$ drawn from the prior
# hardly ever explains one given picture.
#
# Here is a model so small that the integral can be done. One latent number, one observed one:
# $z\sim\mathcal N(0,1)$ and $x\mid z\sim\mathcal N(wz, s^2)$. A sum of two independent Gaussians is
# Gaussian, and so $p(x) = \mathcal N(0,\; w^2+s^2)$ *exactly*. We hold everything against this
# *linear-Gaussian* model.

# %%
w, s, x = (torch.tensor(v, dtype=torch.float64) for v in (1.5, 0.5, 2.0))
zero, one = torch.zeros_like(x), torch.ones_like(x)
log_px = Normal(zero, (w**2 + s**2).sqrt()).log_prob(x)

# %%
grid = torch.linspace(-8, 8, 4001, dtype=torch.float64)  # the integral itself, as a sum
joint = (Normal(zero, one).log_prob(grid) + Normal(w * grid, s).log_prob(x)).exp()
assert torch.isclose(torch.trapezoid(joint, grid).log(), log_px, atol=1e-9)
print(f"log p(x) = {log_px:.6f} nats")

# %% [markdown]
# ## A bound, and exactly what it misses
#
# Which $z$ could have made this $x$? Bayes' rule knows: the **posterior**
# $p(z\mid x) = p(x\mid z)\,p(z)/p(x)$. It holds the same integral, so we take a distribution that
# we *can* handle, $q(z)$, and compare. For every $z$ we have $p(x) = p(x\mid z)\,p(z)/p(z\mid x)$.
# Take logs, add and subtract $\log q(z)$, and average over $z\sim q$; the left side does not depend
# on $z$ and stays as it is:
#
# $$\log p(x) = \underbrace{\mathbb E_q[\log p(x\mid z)] - \mathrm{KL}(q(z)\,\|\,p(z))}_{\text{ELBO}} \;+\;
# \underbrace{\mathrm{KL}(q(z)\,\|\,p(z\mid x))}_{\text{gap}\;\ge\;0}.$$
#
# This is an identity ([Kingma and Welling 2014](https://arxiv.org/abs/1312.6114), eq. 1 to 3). A KL
# divergence is never negative (lesson 1), so the first part is a *lower bound* on $\log p(x)$, the
# log *evidence*; hence its name, *evidence lower bound*, ELBO. Raising it raises $\log p(x)$ or
# moves $q$ towards the true posterior; both are welcome.
#
# For Gaussians every term has a closed form. With $q=\mathcal N(m, v)$ the expected squared error
# is $(x-wm)^2 + w^2v$:


# %%
def linear_elbo(m, v):
    """ELBO of the linear-Gaussian model for q = N(m, v), in nats."""
    expected_log_lik = -0.5 * (
        torch.log(2 * torch.pi * s**2) + ((x - w * m) ** 2 + w**2 * v) / s**2
    )
    return expected_log_lik - kl_divergence(Normal(m, v.sqrt()), Normal(zero, one))


# %%
posterior = Normal(w * x / (w**2 + s**2), (s**2 / (w**2 + s**2)).sqrt())

# %% [markdown]
# Now the claim. For a thousand random $q$, good ones and absurd ones, ELBO plus gap must give the
# one exact number:

# %%
m = torch.randn(1000, dtype=torch.float64) * 2
v = torch.rand(1000, dtype=torch.float64) * 3 + 0.01
gap = kl_divergence(Normal(m, v.sqrt()), posterior)
error = (linear_elbo(m, v) + gap - log_px).abs().max().item()

# %%
assert error < 1e-6 and (linear_elbo(m, v) <= log_px).all()
best = linear_elbo(posterior.mean, posterior.variance)
assert torch.isclose(best, log_px, atol=1e-9)  # at the true posterior the bound is tight
print(f"largest error of the identity: {error:.1e}")

# %%
figure, (ax,) = plots.subplots(width=7, height=2.7)
means = torch.linspace(0.4, 2.0, 200, dtype=torch.float64)
bounds = {
    f"q of variance {k:g} × the posterior's": linear_elbo(means, k * posterior.variance)
    for k in (1, 4)
}
plots.curves(ax, means, bounds, "mean of q", "nats")
ax.axhline(log_px, color="black", linestyle=":", label="log p(x)")
ax.legend(frameon=False)
plots.show(
    figure, alt="The ELBO against the mean of q: it touches log p(x) only where q is the posterior."
)

# %% [markdown]
# Two things to keep. The ELBO touches $\log p(x)$ only where $q$ *is* the posterior. And the best
# loss is not 0 but $-\log p(x)$: even a perfect model of random data finds them as surprising as
# they are.
#
# A **variational autoencoder** has a second network, the **encoder**, which looks at $x$ and
# answers with a mean and a variance for each latent number:
# $q(z\mid x) = \mathcal N(\mu(x), \sigma^2(x))$. One training run learns both networks by raising
# the ELBO. Three things are missing: the KL term as a formula, a gradient through the draw of $z$,
# and a likelihood for pictures.
#
# ## First piece: the KL divergence
#
# For one dimension, put both log densities into $\mathbb E_q[\log q(z) - \log p(z)]$. The constants
# cancel:
#
# $$\mathrm{KL} = \mathbb E_q\!\left[-\tfrac12\log\sigma^2 - \tfrac{(z-\mu)^2}{2\sigma^2} + \tfrac{z^2}{2}\right]
# = \tfrac12\left(\mu^2 + \sigma^2 - 1 - \log\sigma^2\right),$$
#
# because under $q$ the mean of $(z-\mu)^2$ is $\sigma^2$ and that of $z^2$ is $\mu^2+\sigma^2$
# (same paper, appendix B). Independent dimensions add up. Networks give out $\log\sigma^2$, called
# `log_var`, since any real number is a valid one.

# %% [markdown]
# ### Exercise: the KL divergence
#
# *Easy, 6 minutes.* (The exercises come in the order in which the lesson needs them.) Write it for
# a batch: one number in nats for each row, summed over the D dimensions.
#
# <details><summary>Hint 1</summary>σ² is <code>log_var.exp()</code>, and log σ² is
# <code>log_var</code>
# itself.</details>
# <details><summary>Hint 2</summary>Which dimension is summed away, if (B, D) is to become
# (B,)?</details>


# %%
def gaussian_kl(mean, log_var):
    """KL(N(mean, exp(log_var)) || N(0, I)) in nats: (B, D), (B, D) -> (B,)."""
    ### BEGIN SOLUTION
    return 0.5 * (mean**2 + log_var.exp() - 1 - log_var).sum(dim=1)
    ### END SOLUTION


gaussian_kl = checks.vae.gaussian_kl(gaussian_kl)

# %% [markdown]
# Two independent witnesses: the library's formula, and plain sampling, which knows no formula and
# has an error bar.

# %%
mean, log_var = torch.tensor([[0.8, -1.5, 0.0]]), torch.tensor([[-1.0, 0.5, 0.2]])
closed = gaussian_kl(mean, log_var)
q, prior = Normal(mean, (0.5 * log_var).exp()), Normal(0.0, 1.0)
assert torch.allclose(closed, kl_divergence(q, prior).sum(1))

# %%
z = q.sample((200_000,))  # (200000, 1, 3)
draws = (q.log_prob(z) - prior.log_prob(z)).sum((1, 2))
standard_error = draws.std() / len(draws) ** 0.5

# %%
print(f"closed form {closed.item():.4f}, sampled {draws.mean():.4f} ± {standard_error:.4f} nats")
assert abs(draws.mean() - closed.item()) < 4 * standard_error

# %% [markdown]
# ## Second piece: a gradient through a draw
#
# The ELBO's other term is an expectation over $z\sim q$, and the encoder decides what $q$ is. A
# random draw has no derivative. The way out: draw noise $\varepsilon\sim\mathcal N(0,1)$ that
# depends on nothing, and *compute* $z = \mu + \sigma\varepsilon$ from it. Then
# $\partial z/\partial\mu = 1$ and $\partial z/\partial\log\sigma^2 = (z-\mu)/2$, and the chain rule
# does the rest (same paper, section 2.4).

# %% [markdown]
# ### Exercise: reparameterise
#
# *Easy, 4 minutes.* Write that line. The noise is an argument, so that the function itself is not
# random.
#
# <details><summary>Hint 1</summary>The noise is multiplied by the standard deviation, and
# <code>log_var</code>
# is the log of its square.</details>
# <details><summary>Hint 2</summary>σ = exp(log σ² / 2)</details>


# %%
def reparameterise(mean, log_var, noise):
    """A draw from N(mean, exp(log_var)), made of standard normal noise: three tensors (B, D) -> (B,
    D).
    """
    ### BEGIN SOLUTION
    return mean + torch.exp(0.5 * log_var) * noise
    ### END SOLUTION


reparameterise = checks.vae.reparameterise(reparameterise)

# %% [markdown]
# An older way needs no derivative of $z$, the *score function* (REINFORCE): the gradient is the
# mean of $\log p(x\mid z)\cdot\partial\log q(z)/\partial\mu$. Both are unbiased. What is each
# single draw worth? On our small model the true gradient is known:

# %%
count, v = 100_000, torch.tensor(0.3, dtype=torch.float64)
m = torch.full((count,), 0.5, dtype=torch.float64, requires_grad=True)
z = reparameterise(m, v.log(), torch.randn(count, dtype=torch.float64))

# %%
log_lik = Normal(w * z, s).log_prob(x)
by_path = torch.autograd.grad(log_lik.sum(), m)[0]  # one gradient for each draw
by_score = log_lik.detach() * (z.detach() - 0.5) / v

# %%
exact = (w * (x - w * 0.5) / s**2).item()
for name, draws in {"reparameterised": by_path, "score function": by_score}.items():
    standard_error = (draws.std() / count**0.5).item()
    print(
        f"{name:>16}: {draws.mean():.3f} ± {standard_error:.3f} (exact {exact:.3f}), "
        f"variance {draws.var():.1f}"
    )
    assert abs(draws.mean() - exact) < 4 * standard_error

# %%
variance_ratio = (by_score.var() / by_path.var()).item()
print(f"the score function needs {variance_ratio:.0f} times as many draws for the same precision")
assert variance_ratio > 2

# %% [markdown]
# Same mean, very different noise, already in one dimension; Kingma and Welling call the plain score
# function impractical for that reason (section 2.2). With reparameterisation *one* draw of $z$ for
# each picture is enough if the batch is large, say 100 (section 2.3).
#
# ## Third piece: a likelihood, in honest units
#
# What is $p(x\mid z)$ for a picture? The usual choice: the decoder's picture is the *mean*, and
# each pixel lies around it independently, as a Gaussian of variance $\sigma_x^2$. (For black and
# white pictures one takes a Bernoulli distribution; its negative log likelihood is the binary
# cross-entropy.) The negative log likelihood of a picture is a **sum** over its 3,072 numbers,
# since independent densities multiply:
#
# $$-\log p(x\mid z) = \sum_i \tfrac12\left(\frac{(x_i-\hat x_i)^2}{\sigma_x^2} + \log\sigma_x^2 + \log 2\pi\right).$$
#
# Look at what a squared error alone leaves out: $\sigma_x$. It alone decides how many nats an error
# costs. A cross-entropy has no such number, but it is a likelihood only of pixels that are 0 or 1.
# Fed with grey ones it never comes down to 0, however well they are met:

# %%
black_or_white, grey = torch.tensor([1.0, 0.0, 1.0]), torch.tensor([0.9, 0.2, 0.5])
bce = nn.functional.binary_cross_entropy

# %%
assert torch.isclose(
    bce(grey, black_or_white, reduction="sum"), -Bernoulli(grey).log_prob(black_or_white).sum()
)
print(
    "cross-entropy of grey pixels with their own exact values: "
    f"{bce(grey, grey, reduction='sum'):.2f} nats"
)

# %% [markdown]
# ### Exercise: the likelihood
#
# *Medium, 8 minutes.* One number in nats for each picture, with the constant. `log_var` is
# $\log\sigma_x^2$; it may be a single number for all pixels or any tensor that broadcasts.
#
# <details><summary>Hint 1</summary>Write the bracket for every pixel first; let broadcasting do its
# work <em>before</em> anything is summed.</details>
# <details><summary>Hint 2</summary><code>values.flatten(1).sum(1)</code> sums all but the
# batch.</details>


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

# %% [markdown]
# ### Exercise: the loss
#
# *Easy, 4 minutes.* The negative ELBO as a mean over the batch. A factor `beta` weighs the KL: 1 is
# the ELBO itself; larger values ask for a simpler code at the price of worse pictures ([Higgins et
# al. 2017](https://openreview.net/forum?id=Sy2fzU9gl), eq. 4).
#
# <details><summary>Hint 1</summary>Both arguments are costs already. Which signs do they have in a
# cost?</details>


# %%
def negative_elbo(nll, kl, beta):
    """The loss in nats an image: (B,), (B,), float -> scalar, the mean over the batch."""
    ### BEGIN SOLUTION
    return (nll + beta * kl).mean()
    ### END SOLUTION


negative_elbo = checks.vae.negative_elbo(negative_elbo)

# %% [markdown]
# On the linear-Gaussian model the three pieces together must give back the closed form of above:

# %%
m, log_v = torch.full((count, 1), 0.5), torch.full((count, 1), math.log(0.3))
z = reparameterise(m, log_v, torch.randn(count, 1))
nll = gaussian_nll(x.float().expand(count, 1), w.float() * z, (s**2).log().float())

# %%
sampled, known = (
    negative_elbo(nll, gaussian_kl(m, log_v), beta=1.0),
    -linear_elbo(m[0, 0].double(), v),
)
assert abs(sampled - known) < 4 * nll.std() / count**0.5
print(f"negative ELBO: sampled {sampled:.3f}, known {known:.3f} nats")

# %% [markdown]
# ## ELBO accounting
#
# Many programs do not write this loss. They add an error that some library has averaged, a KL that
# is summed or averaged, and a weight that worked. A common factor changes no optimum. But if the
# *two terms* have different factors, their ratio is a beta, meant or not. Two ways in which it
# arises:
#
# - A *mean* over 784 pixels makes the first term 784 times smaller. Next to a summed KL that is
# β = 784.
# - The squared error of a pixel is $2\sigma_x^2$ times its part of the likelihood, with a
#   $\sigma_x$ that the program never mentions. Read it as σ = 1, and there is a beta; or demand β =
#   1, and there is a σ.
#
# `effective_beta` does this arithmetic. Here are the loss lines of four well-known programs
# ([PyTorch examples](https://github.com/pytorch/examples/tree/main/vae), the [Keras
# blog](https://blog.keras.io/building-autoencoders-in-keras.html),
# [PyTorch-VAE](https://github.com/AntixK/PyTorch-VAE) and [Lightning
# Bolts](https://github.com/Lightning-Universe/lightning-bolts)), with the sizes that they come
# with:

# %%
display(Markdown(elbo.table()))

# %% [markdown]
# Four programs, four objectives. Only the first has β = 1 as it stands. The two with squared errors
# can be read as ELBOs too, of models that believe in pixel noise of σ = 1.24 and 0.77, each in the
# units of its own pixels. On pixels between −1 and 1 that is far more than our learned σ. A beta
# may be chosen, so none of them is *wrong*. What is wrong is not to know it, and then to compare
# losses, or to carry the weight over to pictures of another size.
#
# Arithmetic can be checked by running: `measured_beta` takes a line as a function, compares its
# gradients with those of the two terms in nats, and finds beta without knowing where it came from.
# Put in a line of your own:


# %%
def my_line(x_hat, x, mean, log_var):
    """Mean squared error and a summed KL, as you will find it in a hundred repositories."""
    kl = -0.5 * torch.sum(1 + log_var - mean.pow(2) - log_var.exp(), dim=1).mean()
    return nn.functional.mse_loss(x_hat, x) + kl


# %%
beta = elbo.measured_beta(my_line, dims=3 * 32 * 32, latent_dim=latent_dim, likelihood="squared")
print(
    f"beta {beta:.0f}; as an ELBO it believes that sigma is {beta**0.5:.0f}, "
    "on pixels between -1 and 1"
)
assert abs(beta - 3072 / 2) < 1

# %% [markdown]
# Keep that line in mind; it comes back below.
#
# ## Bits per dimension, and a trap
#
# The common unit for losses is **bits per dimension**: how many bits a lossless code that uses the
# model would need for each of the 3,072 numbers. Raw bytes need 8.
#
# The trap: our Gaussian is a *density*, pictures are *bytes*, and a density can be as large as you
# like. If the model were allowed to put spikes on the 256 grey levels, it would be infinite. The
# remedy is **uniform dequantisation**: spread each byte evenly over its grey level. Then the
# expected log density is never larger than the log probability of the byte's whole cell (Jensen's
# inequality: a mean of logs is at most the log of the mean; [Theis et al.
# 2016](https://arxiv.org/abs/1511.01844), section 3.1), so our bits are an upper bound on true
# ones. A grey level is $1/127.5$ wide on $[-1,1]$, so a density $p$ gives it a probability of about
# $p/127.5$, that is $-\log_2 p + \log_2 127.5$ bits:


# %%
def bits_per_dim(nats, dims):
    """Negative log density on [-1, 1] in nats an image -> bits for each byte."""
    return nats / dims / math.log(2) + math.log2(127.5)


# %%
byte, pixel = 180.0, Normal(zero + 0.3, zero + 0.15)  # what a decoder might say of one pixel
spread = (byte + torch.rand(100_000, dtype=torch.float64) - 0.5) / 127.5 - 1

# %%
dequantised = bits_per_dim(-pixel.log_prob(spread).mean(), 1)
edges = (byte + torch.tensor([-0.5, 0.5], dtype=torch.float64)) / 127.5 - 1
discretised = -torch.log2(pixel.cdf(edges[1]) - pixel.cdf(edges[0]))

# %%
print(
    f"{discretised:.4f} bits for the cell of the byte, {dequantised:.4f} as the dequantised bound"
)
assert discretised - 1e-3 < dequantised < discretised + 1e-2

# %% [markdown]
# For a σ of some grey levels the two agree; the bound costs next to nothing. From here on every
# picture is dequantised.
#
# ## The model
#
# The decoder is lesson 2's generator, layer for layer, with another teacher. The encoder is the
# discriminator's road (32 → 16 → 8 → 4) with another end: a *linear* layer gives two numbers for
# each latent dimension. Nothing may squeeze them: a sigmoid could never say "exactly like the
# prior", $\mu=0$ and $\log\sigma^2=0$.


# %%
def make_encoder(latent_dim, width):
    """A module: images (B, 3, 32, 32) in [-1, 1] -> (B, 2 * latent_dim), mean and log_var side by
    side.
    """
    return nn.Sequential(
        nn.Conv2d(3, width, 4, 2, 1),  # (B, w, 16, 16)
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False),  # (B, 2w, 8, 8)
        nn.BatchNorm2d(2 * width),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2 * width, 4 * width, 4, 2, 1, bias=False),  # (B, 4w, 4, 4)
        nn.BatchNorm2d(4 * width),
        nn.LeakyReLU(0.2),
        nn.Flatten(),  # (B, 64w)
        nn.Linear(64 * width, 2 * latent_dim),
    )


# %%
class VAE(nn.Module):
    """Encoder, decoder, and one variance for all pixels, learned like every weight."""

    def __init__(self, latent_dim, width):
        super().__init__()
        generator = dcgan.make_generator(latent_dim, width, 3, size)
        larger = (
            vae.make_encoder(latent_dim, width, 3, size) if size != 32 else None
        )  # one layer more
        self.encoder = larger or make_encoder(latent_dim, width)
        self.decoder = nn.Sequential(nn.Unflatten(1, (latent_dim, 1, 1)), generator)
        self.log_var = nn.Parameter(torch.zeros(()))  # of a pixel, not of z

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
    few = vae.dequantise(train.images[:7]).to(run.device)
    mean, log_var = model.encode(few)
    assert mean.shape == log_var.shape == (len(few), latent_dim)
    assert model.decode(mean).shape == few.shape

# %%
parameters = {
    name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()
}
print(", ".join(f"{name} {count:,} parameters" for name, count in parameters.items()))

# %% [markdown]
# ## Training
#
# One step: encode, draw, decode, count. The passes through the networks may run in bf16; the sums
# over thousands of pixels are taken in float32, where small differences survive.


# %%
def train_step(model, optimizer, x, beta=1.0):
    """One step on images (B, 3, H, W) in [-1, 1]; returns nll and kl in nats an image,
    and sigma.
    """
    noise = torch.randn(len(x), latent_dim).to(x.device)
    with run.autocast():
        mean, log_var = model.encode(x)  # (B, D) each
        x_mean = model.decode(reparameterise(mean, log_var, noise))  # (B, 3, H, W)
    nll = gaussian_nll(x, x_mean, model.log_var)  # (B,)
    kl = gaussian_kl(mean, log_var)  # (B,)
    optimizer.zero_grad()
    negative_elbo(nll, kl, beta).backward()
    optimizer.step()
    sigma = torch.exp(0.5 * model.log_var.detach())
    return {"nll": nll.mean().item(), "kl": kl.mean().item(), "sigma": sigma.item()}


# %% [markdown]
# There is no game here: one loss, one optimiser, lower is better. Adam moves every weight by about
# its learning rate a step; $\log\sigma_x^2$ has a few whole units to go and gets a larger one.

# %%
networks = [*model.encoder.parameters(), *model.decoder.parameters()]
groups = [{"params": networks}, {"params": [model.log_var], "lr": 2e-2}]
optimizer = torch.optim.Adam(groups, lr=1e-3, fused=True)

# %%
state = {"vae": model, "optimizer": optimizer}
config = {
    "lesson": "vae",
    "data": train.name,
    "size": size,
    "sigma": None,
    "beta": 1.0,
    "latent_dim": latent_dim,
    "width": width,
}
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
    """Bits per dimension, the two parts in nats, and reconstructions under their originals."""
    figure, axes = plots.subplots(1, 3, width=11, height=2.9)
    h = training.history
    bits = [bits_per_dim(nll + kl, dims) for nll, kl in zip(h["nll"], h["kl"])]
    plots.curves(axes[0], h["step"], {"bits": bits}, "step", "bits per dimension", smooth=25)
    plots.curves(axes[1], h["step"], {"KL": h["kl"]}, "step", "nats an image", smooth=25)
    codes, _ = vae.encode_means(model, fixed)
    pictures = torch.cat([fixed, vae.decode_bytes(model, codes), vae.decode_bytes(model, fixed_z)])
    plots.image_grid(axes[2], pictures, columns=8, title=train.title(f"step {training.step}"))
    model.train()
    return figure


# %%
live = plots.LiveFigure(
    draw_progress, alt="Bits and KL by step; held-out pictures, reconstructions, samples."
)
pixels = train.images.to(run.device)
for index in training.batches():  # (B,) the examples of this step
    images = vae.dequantise(pixels[index]).contiguous(memory_format=torch.channels_last)
    training.log(**train_step(model, optimizer, images))
    live.update()
live.close()

# %% [markdown]
# On the right: pictures that the model has never seen, its reconstructions, and samples, the
# decoder's answer to draws from the prior. The left curve falls without any of lesson 2's drama.
# The KL (middle) drops in the first steps and then *rises*, because it pays to send more about the
# picture through $z$. A KL that stays at 0 would be *posterior collapse*, shown under "When it goes
# wrong".
#
# ## Reconstructions, samples, and what a VAE leaves out

# %%
mu, log_v = vae.encode_means(model, test.images[:1000])  # (1000, D)
sampled_z = torch.randn(1000, latent_dim, generator=torch.Generator().manual_seed(2))
rebuilt, samples = vae.decode_bytes(model, mu), vae.decode_bytes(model, sampled_z)
sigma = torch.exp(0.5 * model.log_var.detach()).item()


# %%
def with_noise(images, sigma):
    """Draws of p(x|z) instead of its means: uint8 (N, 3, H, W) -> the same."""
    return (
        (images + 127.5 * sigma * torch.randn(images.shape)).round().clamp(0, 255).to(torch.uint8)
    )


# %%
figure, axes = plots.subplots(4, 1, width=8.5, height=3.7)
plots.image_grid(axes[0], test.images[:16], 16, test.title("held-out pictures"))
plots.image_grid(axes[1], rebuilt[:16], 16, train.title("reconstructed: the decoder's mean"))
plots.image_grid(axes[2], samples[:16], 16, train.title("sampled: the decoder's mean"))
plots.image_grid(
    axes[3],
    with_noise(samples[:16], sigma),
    16,
    train.title("sampled as the model says: with noise"),
)
plots.show(
    figure,
    alt="Pictures, their blurred reconstructions, blurred samples, and the same samples under white noise.",
)

# %% [markdown]
# Everyone shows the third row. What the model *says* is the fourth: a mean, and around it
# independent noise of $\sigma_x$. Whatever the code cannot carry, edges, fur, leaves, is booked as
# noise, and the best mean is the *average* of all pictures that would fit: a blur. It can be
# counted, as the root mean square step from pixel to neighbour:


# %%
def sharpness(images):
    """Root mean square difference of neighbouring pixels, in grey levels: uint8 (N, 3, H, W) ->
    float.
    """
    x = images.float()
    across, down = x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]
    return torch.cat([across.flatten(), down.flatten()]).square().mean().sqrt().item()


# %%
print(f"sigma is {127.5 * sigma:.0f} of 255 grey levels")
for name, images in {
    "held-out": test.images[:1000],
    "reconstructed": rebuilt,
    "sampled": samples,
}.items():
    print(f"{name:>14}: {sharpness(images):.1f} grey levels from pixel to pixel")

# %% [markdown]
# ### The likelihood decides
#
# If blur comes from what $\sigma_x$ calls noise, another $\sigma_x$ must change it. Three short
# trainings of one network differ in nothing else: σ is 1 (*half* the sum of squared errors; without
# the half it would be σ = 0.71), learned, or 0.05.

# %%
sigmas = {"σ = 1": 1.0, "σ learned": None, "σ = 0.05": 0.05}
short = {
    "latent_dim": latent_dim,
    "width": run.pick(8, 16, 32),
    "batch_size": batch_size,
    "autocast": run.autocast,
}
rows = {"held-out": test.images[:16]}
for name, value in sigmas.items():
    recipe = vae_laboratory.Recipe(sigma=value)
    small = vae_laboratory.train_recipe(recipe, train.images, seed=0, steps=lab_steps, **short)
    codes, code_log_var = vae.encode_means(small, test.images[:1000])
    rows[name] = vae.decode_bytes(small, codes[:16])
    print(f"{name:>10}: KL {gaussian_kl(codes, code_log_var).mean():.0f} nats an image")

# %%
figure, axes = plots.subplots(4, 1, width=8.5, height=3.7)
for ax, (name, images) in zip(axes, rows.items()):
    plots.image_grid(
        ax, images, 16, train.title(f"{name}: {sharpness(images):.1f} grey levels a pixel")
    )
plots.show(
    figure,
    alt="Held-out pictures and reconstructions by three likelihoods: patches of colour, then more of the shapes.",
)

# %% [markdown]
# With σ = 1 edges are noise. A smaller $\sigma_x$ makes every error dearer, so more nats go through
# the code. Full runs of this lesson, three seeds each, on {{result:vae_laptop.json:data}} (mean,
# for FD with the 95 % interval over seeds):
#
# | likelihood | bits per dimension | KL (nats) | reconstruction, pixel to pixel | samples, FD |
# | --- | --- | --- | --- | --- |
# | σ = 1 | {{result:vae_laptop.json:one.bits.value:.2f}} | {{result:vae_laptop.json:one.kl.value:.0f}} | {{result:vae_laptop.json:one.sharpness_rebuilt.value:.1f}} | {{result:vae_laptop.json:one.FD.value:.2f}} ({{result:vae_laptop.json:one.FD.low:.2f}} to {{result:vae_laptop.json:one.FD.high:.2f}}) |
# | σ learned ({{result:vae_laptop.json:learned.sigma.value:.2f}}) | {{result:vae_laptop.json:learned.bits.value:.2f}} | {{result:vae_laptop.json:learned.kl.value:.0f}} | {{result:vae_laptop.json:learned.sharpness_rebuilt.value:.1f}} | {{result:vae_laptop.json:learned.FD.value:.2f}} ({{result:vae_laptop.json:learned.FD.low:.2f}} to {{result:vae_laptop.json:learned.FD.high:.2f}}) |
# | σ = 0.05 | {{result:vae_laptop.json:small.bits.value:.2f}} | {{result:vae_laptop.json:small.kl.value:.0f}} | {{result:vae_laptop.json:small.sharpness_rebuilt.value:.1f}} | {{result:vae_laptop.json:small.FD.value:.2f}} ({{result:vae_laptop.json:small.FD.low:.2f}} to {{result:vae_laptop.json:small.FD.high:.2f}}) |
# | photographs | | | {{result:vae_laptop.json:sharpness_real:.1f}} | {{result:vae_laptop.json:floor.FD.value:.2f}} (floor) |
#
# Read it by columns. *Bits* reward the σ that matches the error really made (a root mean square of
# {{result:vae_laptop.json:learned.error.value:.0f}} grey levels); with either fixed σ a photograph
# would cost more than its raw 8 bits. *Reconstructions* sharpen from σ = 1 to the learned one;
# below that no more, though the code grows: the network cannot do better. *Samples* do not follow.
# Their FD is lowest for σ = 1 (by the accounting that is β ≈ 31 for the learned σ), and at 0.05 the
# three seeds scatter widely, each above the mean of the learned σ: a cheap code fills the prior, a
# precise one leaves gaps, as the latent plane below will show. A sharp reconstruction and a good
# sample are two aims. And no σ helps against the main loss: independent pixels can express no
# texture.

# %% [markdown]
# ## How probable is a photograph? Bits on held-out pictures
#
# The ELBO with one draw is noisy, and it is *loose*. Averaging the logs of more draws cures only
# the noise; averaging the weights *inside* the log also tightens the bound. With importance weights
# $w_k = p(x,z_k)/q(z_k\mid x)$, whose expectation is $p(x)$ exactly, [Burda et al.
# 2016](https://arxiv.org/abs/1509.00519) (eq. 8, theorem 1) take
#
# $$\mathcal L_K = \mathbb E\left[\log \tfrac1K\sum_{k=1}^K w_k\right],\qquad \mathcal L_1 = \text{ELBO} \le \mathcal L_2 \le \dots \le \log p(x).$$

# %% [markdown]
# ### Exercise: the importance-weighted bound
#
# *Medium, 8 minutes.* You get *log* weights, one row for each of K draws. With 3,072 pixels ±1,000
# is nothing unusual, and `exp` of that is infinite, or 0.
#
# <details><summary>Hint 1</summary>log of a mean = log of the sum − log K.</details>
# <details><summary>Hint 2</summary>Subtract the largest log weight before you take exp; PyTorch has
# a function for that. Which dimension holds the K draws?</details>


# %%
def iwae_bound(log_weights):
    """Mean over the images of the log of the mean weight: (K, B) -> scalar, in nats."""
    ### BEGIN SOLUTION
    return (torch.logsumexp(log_weights, dim=0) - math.log(len(log_weights))).mean()
    ### END SOLUTION


iwae_bound = checks.vae.iwae_bound(iwae_bound)

# %% [markdown]
# First where we know the answer. Take a poor $q$ for the linear-Gaussian model, so that the ELBO
# misses by much, and let K grow:

# %%
poor = Normal(posterior.mean - 0.3, 1.5 * posterior.stddev)
draws = {k: torch.empty(0) for k in (1, 2, 4, 8, 16, 64, 256, 1024)}
for k in draws:
    z = poor.sample((k, 4000))  # (K, 4000): four thousand repetitions stand in for the batch
    weights = Normal(zero, one).log_prob(z) + Normal(w * z, s).log_prob(x) - poor.log_prob(z)
    draws[k] = torch.logsumexp(weights, 0) - math.log(k)
    assert torch.isclose(iwae_bound(weights), draws[k].mean())

# %%
values = torch.stack([draws[k].mean() for k in draws])
errors = torch.stack([draws[k].std() / len(draws[k]) ** 0.5 for k in draws])
for k, value, standard_error in zip(draws, values, errors):
    print(f"K = {k:>4}: {value:.4f} ± {standard_error:.4f}")

# %%
print(f"log p(x) = {log_px:.4f}")
steps_up, noise = values.diff(), (errors[1:] ** 2 + errors[:-1] ** 2).sqrt()
assert (steps_up > -3 * noise).all() and abs(values[-1] - log_px) < 4 * errors[-1] + 1e-3

# %% [markdown]
# Rising all the way, to the exact value. Now pictures. The interval is over pictures: another
# thousand would give other numbers.

# %%
held_out = vae.dequantise(
    test.images[: run.pick(100, 1000, 1000)], torch.Generator().manual_seed(3)
)
parts = [
    vae.log_weights(model, part.to(run.device), draws=run.pick(4, 16, 64))
    for part in held_out.split(250)
]
log_w = torch.cat(parts, dim=1).cpu()  # (K, N)

# %%
bounds = {
    "ELBO": log_w.mean(0),
    f"IWAE, K = {len(log_w)}": torch.logsumexp(log_w, 0) - math.log(len(log_w)),
}
for name, bound in bounds.items():
    bits = bits_per_dim(-bound, dims)  # (N,)
    print(
        f"{name:>14}: {bits.mean():.3f} ± {1.96 * bits.std() / len(bits) ** 0.5:.3f} "
        "bits per dimension"
    )
assert iwae_bound(log_w) >= log_w.mean()

# %% [markdown]
# Both are upper bounds on the bits of bytes. Sixteen draws gain little here. That does not show
# that the bound is tight: in 64 latent dimensions many more draws may be needed. Stronger published
# models of CIFAR-10 need less than half as many (3.06 in [Hoogeboom et al.
# 2020](https://arxiv.org/abs/2001.11235), abstract): they spend their effort on the dependence
# between *neighbouring pixels*, which ours calls noise. (And where the name of the set says JPEG
# copy, the pixels are not quite the same.)
#
# ## Side by side with lesson 2

# %%
reference = metrics.RealReference.from_images(train, test, n=n_each)
shipped, facts = vae.load_shipped("vae_cifar10", run.device)
gan, gan_facts = dcgan.load_shipped_generator(run.device)


# %%
def vae_sampler(network, dims):
    """A function that makes as many new pictures as it is asked for."""
    return lambda count: vae.decode_bytes(network, torch.randn(count, dims))


# %%
def gan_sampler(count):
    """New pictures by the shipped generator of lesson 2."""
    return dcgan.sample(gan, torch.randn(count, int(gan_facts["latent_dim"]), 1, 1).to(run.device))


# %%
yours = vae_sampler(model, latent_dim)
candidates = {
    "your VAE": yours,
    "your VAE, with its noise": lambda count: with_noise(yours(count), sigma),
}
if (
    train.name == facts["data"]
):  # against other pictures than they learned from, their scores would mean nothing
    candidates |= {
        "shipped VAE": vae_sampler(shipped, shipped.latent_dim),
        "shipped GAN of lesson 2": gan_sampler,
    }

# %%
scores = {
    name: reference.score(candidate)
    for name, candidate in progress_bars.progress(candidates.items(), "candidates")
}
display(Markdown(metrics.table({**scores, "other real images (the floor)": reference.floor})))

# %% [markdown]
# Here are the course's own measurements on {{result:vae_cifar10.json:data}}: same features, same
# n =
# {{result:vae_cifar10.json:n:,d}}, same {{result:vae_cifar10.json:draws}} draws.
#
# | model | FD (95 % interval) | KD |
# | --- | --- | --- |
# | VAE, this lesson's `laptop` run, three seeds | {{result:vae_laptop.json:learned.FD.value:.2f}} ({{result:vae_laptop.json:learned.FD.low:.2f}} to {{result:vae_laptop.json:learned.FD.high:.2f}}) | {{result:vae_laptop.json:learned.KD.value:.3f}} |
# | VAE, {{result:vae_cifar10.json:epochs}} epochs | {{result:vae_cifar10.json:score.FD.value:.2f}} ({{result:vae_cifar10.json:score.FD.low:.2f}} to {{result:vae_cifar10.json:score.FD.high:.2f}}) | {{result:vae_cifar10.json:score.KD.value:.3f}} |
# | the same, with its noise | {{result:vae_cifar10.json:score_with_noise.FD.value:.2f}} ({{result:vae_cifar10.json:score_with_noise.FD.low:.2f}} to {{result:vae_cifar10.json:score_with_noise.FD.high:.2f}}) | {{result:vae_cifar10.json:score_with_noise.KD.value:.3f}} |
# | GAN, lesson 2's `laptop` run, three seeds | {{result:dcgan_laptop.json:laptop.FD.value:.2f}} ({{result:dcgan_laptop.json:laptop.FD.low:.2f}} to {{result:dcgan_laptop.json:laptop.FD.high:.2f}}) | {{result:dcgan_laptop.json:laptop.KD.value:.3f}} |
# | GAN, {{result:dcgan_cifar10.json:epochs}} epochs | {{result:dcgan_cifar10.json:score.FD.value:.2f}} ({{result:dcgan_cifar10.json:score.FD.low:.2f}} to {{result:dcgan_cifar10.json:score.FD.high:.2f}}) | {{result:dcgan_cifar10.json:score.KD.value:.3f}} |
# | other real images (the floor) | {{result:vae_cifar10.json:floor.FD.value:.2f}} | {{result:vae_cifar10.json:floor.KD.value:.3f}} |

# %%
figure, axes = plots.subplots(1, 2, width=11, height=3.2)
plots.image_grid(
    axes[0],
    vae_sampler(shipped, shipped.latent_dim)(40),
    10,
    f"{facts['data']}: VAE, {facts['epochs']} epochs",
)
plots.image_grid(
    axes[1],
    gan_sampler(40),
    10,
    f"{gan_facts['data']}: GAN of lesson 2, {gan_facts['epochs']} epochs",
)
plots.show(
    figure,
    alt="Left: 40 soft pictures by the VAE. Right: 40 pictures by the GAN, with edges and texture.",
)

# %% [markdown]
# White noise lowers the VAE's FD and raises its KD: the scores disagree, so neither alone shows
# that noise helps. The GAN's distance is less than half the VAE's by both. (Its generator has the
# same layers and is twice as wide, and the shipped one trained for more epochs: this is not a
# controlled comparison.) For the blur, though, the teacher gives a reason. A fine line that is
# missing costs a squared error of 1; drawn one pixel off it costs 2, at the wrong place *and* at
# the right one. So where the code cannot tell the place, the best mean has no line. A discriminator
# sees at once that lines are missing. In return the VAE trains without a game, encodes pictures,
# and gives a bound on how probable it finds each; the GAN can do none of that.
#
# ## Walking through a latent plane
#
# Which number of $z$ does what? Sort the dimensions by their KL (how many nats about the picture
# each carries) and move one at a time:

# %%
kl_per_dim = vae.gaussian_kl_per_dim(mu, log_v).mean(0)  # (D,)
order = kl_per_dim.argsort(descending=True)
stops = torch.linspace(-3, 3, 11)
start = mu[:1].expand(len(stops), -1)

# %%
figure, axes = plots.subplots(4, 1, width=6.5, height=3.4)
for ax, d in zip(axes, order[:4].tolist()):
    moved = start.clone()
    moved[:, d] = stops
    plots.image_grid(
        ax,
        vae.decode_bytes(model, moved),
        11,
        train.title(f"dimension {d}: {kl_per_dim[d]:.1f} nats"),
    )
plots.show(figure, alt="Four rows: one picture while one latent number goes from minus 3 to 3.")

# %% [markdown]
# Brightness and large areas come first, as they save the most nats. To *see* a whole latent space
# it must be two-dimensional, and to judge it we must know the truth. So here we leave photographs
# **on purpose** and take drawn hearts of which only the place varies, across and down. The course
# ships VAEs with two latent dimensions and a learned $\sigma_x$, trained on them with five betas.

# %%
hearts = vae_laboratory.moving_hearts(600, "test")
betas = {beta: vae.load_shipped(f"vae_plane_{beta}")[0] for beta in (1, 10, 100, 400, 1000)}

# %%
figure, axes = plots.subplots(2, 5, width=12, height=4.9)
for above, below, (beta, network) in zip(axes[:5], axes[5:], betas.items()):
    latent_plane.plane_static(above, network, f"β = {beta:,}")
    latent_plane.codes_static(below, network, hearts)
title = "drawn at 81 points, and codes of held-out pictures (colour: true x, size: true y)"
figure.suptitle(hearts.title(title), fontsize=10)
plots.show(
    figure,
    alt="For five betas: above, the heart at 81 points; below, codes that shrink into the dotted square, and to a point.",
)

# %% [markdown]
# Above: the decoder's answers on the square from −2 to 2, where 91 % of the draws from the prior
# fall. Below: each dot is a held-out picture where the encoder puts it. Do the two fit together,
# and do the axes mean anything?

# %%
for beta, network in betas.items():
    codes, _ = vae.encode_means(network, hearts.images)
    inside = (codes.abs() < 2).all(1).float().mean()
    both = torch.stack(
        [*codes.T, hearts.factors["x"].float(), hearts.factors["y"].float()]
    )  # (4, N)
    of_x, of_y = both.corrcoef()[:2, 2:].abs().amax(0)
    print(f"β = {beta:>4}: {inside:4.0%} in the square, spread {codes.std():.2f}; ", end="")
    print(f"best correlation of an axis with x {of_x:.2f}, with y {of_y:.2f}")

# %% [markdown]
# At β = 1 a nat of KL weighs little against 3,072 pixels. Codes spread twice as wide as the prior,
# and the square holds only hearts near the middle: samples would seldom be at the rim. As β rises
# the codes move into the square; at 400 they fill it, and its axes are the two true factors, which
# nobody named to the network. At 1,000 it has given up: one point, one picture (and correlations of
# nothing). A β is a price: so many nats of pixels for one nat of code.
#
# A caution: this is one training for each β. At 100 the same factors lie diagonally, and in general
# nothing guarantees axes with a meaning ([Locatello et al. 2019](https://arxiv.org/abs/1811.12359),
# theorem 1).
#
# With a running kernel you can walk yourself: choose beta, and drag the two sliders.

# %%
latent_plane.latent_plane(betas, hearts)

# %% [markdown]
# ## When it goes wrong: posterior collapse
#
# Train with the line from the accounting section, mean squared error plus summed KL. The pictures
# are the drawn stand-in again: it is quick, and the point does not depend on photographs.

# %%
toys = load_images("standin", limit=run.pick(256, 4000, 4000))
held_out_toys = load_images("standin", "test", limit=run.pick(200, 500, 500))
recipes = {
    "mean error + summed KL": vae_laboratory.Recipe(sigma=1.0, mean_error=True),
    "the same, free bits": vae_laboratory.Recipe(sigma=1.0, mean_error=True, free_nats=1.0),
    "learned sigma": vae_laboratory.Recipe(sigma=None),
}
lab = {
    name: vae_laboratory.train_recipe(
        recipe, toys.images, seed=0, steps=lab_steps, autocast=run.autocast
    )
    for name, recipe in recipes.items()
}

# %%
findings = {
    name: vae_laboratory.examine(network, held_out_toys.images) for name, network in lab.items()
}

# %% [markdown]
# Nothing crashed, and there was no warning. Here is how to see the failure: the KL of each
# dimension, and the number of **active units**, dimensions whose posterior mean has a variance of
# more than 0.01 over the pictures (Burda et al., section 5.2).

# %%
figure, axes = plots.subplots(1, 3, width=11, height=2.4)
for ax, (name, found) in zip(axes, findings.items()):
    ax.bar(range(1, 17), found["kl_per_dim"])
    ax.set(
        xlabel="latent dimension, sorted", ylabel="KL (nats)", ylim=(0, 5), xticks=(1, 4, 8, 12, 16)
    )
    ax.set_title(f"{name}: {found['active']} active", fontsize=10)
figure.suptitle(toys.title("KL of each dimension"), fontsize=10)
plots.show(
    figure,
    alt="KL of each of 16 dimensions under three recipes: none, a little, several nats each.",
)

# %%
figure, axes = plots.subplots(4, 1, width=8.5, height=3.7)
plots.image_grid(axes[0], held_out_toys.images[:16], 16, toys.title("held-out"))
for ax, (name, network) in zip(axes[1:], lab.items()):
    codes, _ = vae.encode_means(network, held_out_toys.images[:16])
    plots.image_grid(ax, vae.decode_bytes(network, codes), 16, toys.title(f"reconstructed: {name}"))
plots.show(
    figure,
    alt="Drawn pictures and three reconstructions: sixteen times one average, coarse colours, blurred objects.",
)

# %% [markdown]
# **What happened.** The encoder answers every picture with the prior, the decoder every $z$ with
# one average picture. That is no accident: it *is the best answer* to this loss. The
# linear-Gaussian model shows why. Its variance is $w^2+s^2$. For data of variance $\lambda$ the
# best $w^2$ is therefore $\lambda - s^2$, or 0 when $\lambda < s^2$: a latent number is worth
# having only where the data vary more than the noise that the model believes in.

# %%
squares = torch.linspace(0, 6, 601, dtype=torch.float64)  # candidates for w squared
for variance in (4.0, 1.0, 0.2):
    evidence = -0.5 * (
        torch.log(squares + s**2) + variance / (squares + s**2)
    )  # expected log p(x), but for a constant
    best = squares[evidence.argmax()].item()
    print(f"data of variance {variance}, noise of variance {s**2:.2f}: best w² = {best:.2f}")
    assert abs(best - max(variance - s.item() ** 2, 0.0)) < 0.01

# %% [markdown]
# The same holds for each direction of many-dimensional data (probabilistic PCA, Tipping and Bishop
# 1999, section 3.2; for VAEs [Lucas et al. 2019](https://arxiv.org/abs/1911.02469)). Our line
# believes in $\sigma_x\approx 39$. How many directions of the pictures vary more than
# $39^2 = 1536$?

# %%
flat = toys.images.flatten(1).float() / 127.5 - 1  # (N, 3072)
spectrum = torch.linalg.eigvalsh(torch.cov(flat.T))  # variance along each principal direction

# %%
print(f"largest variance along any direction: {spectrum.max():.0f}")
for name, variance in {
    "σ² = 1536 (the line above)": 1536.0,
    "σ² = 1": 1.0,
    "σ² = 0.05": 0.05,
}.items():
    print(f"{name:>27}: {(spectrum > variance).sum():4} directions are worth a latent dimension")
assert (spectrum > 1536).sum() == 0 < (spectrum > 1.0).sum()

# %% [markdown]
# None. **Two cures.** *Right units*: with the sum over pixels and a learned $\sigma_x$ the loss is
# the ELBO, and its best answer uses the code. *Free bits* ([Kingma et al.
# 2016](https://arxiv.org/abs/1606.04934), appendix C.8): below a given number of nats a dimension's
# KL is not charged, so nothing pushes it to 0. A third remedy, *KL annealing*, lets beta rise from
# 0 during training ([Bowman et al. 2016](https://arxiv.org/abs/1511.06349), section 3.1). It helps
# where training would miss a good optimum. Here the optimum itself is collapsed. The course's own
# measurement, five seeds each on the {{result:vae_collapse.json:data}},
# {{result:vae_collapse.json:settings.steps}} steps, held-out pictures, mean and 95 % interval over
# seeds:
#
# | recipe | active of 16 | KL (nats) | error (grey levels) | bits, σ refitted |
# | --- | --- | --- | --- | --- |
# | mean error + summed KL | {{result:vae_collapse.json:mean.active.value:.0f}} | {{result:vae_collapse.json:mean.kl.value:.1f}} ({{result:vae_collapse.json:mean.kl.low:.1f}} to {{result:vae_collapse.json:mean.kl.high:.1f}}) | {{result:vae_collapse.json:mean.error.value:.1f}} ({{result:vae_collapse.json:mean.error.low:.1f}} to {{result:vae_collapse.json:mean.error.high:.1f}}) | {{result:vae_collapse.json:mean.bits.value:.2f}} ({{result:vae_collapse.json:mean.bits.low:.2f}} to {{result:vae_collapse.json:mean.bits.high:.2f}}) |
# | the same, annealed | {{result:vae_collapse.json:annealed.active.value:.0f}} | {{result:vae_collapse.json:annealed.kl.value:.1f}} ({{result:vae_collapse.json:annealed.kl.low:.1f}} to {{result:vae_collapse.json:annealed.kl.high:.1f}}) | {{result:vae_collapse.json:annealed.error.value:.1f}} ({{result:vae_collapse.json:annealed.error.low:.1f}} to {{result:vae_collapse.json:annealed.error.high:.1f}}) | {{result:vae_collapse.json:annealed.bits.value:.2f}} ({{result:vae_collapse.json:annealed.bits.low:.2f}} to {{result:vae_collapse.json:annealed.bits.high:.2f}}) |
# | the same, free bits (1 nat each) | {{result:vae_collapse.json:free_bits.active.value:.0f}} | {{result:vae_collapse.json:free_bits.kl.value:.1f}} ({{result:vae_collapse.json:free_bits.kl.low:.1f}} to {{result:vae_collapse.json:free_bits.kl.high:.1f}}) | {{result:vae_collapse.json:free_bits.error.value:.1f}} ({{result:vae_collapse.json:free_bits.error.low:.1f}} to {{result:vae_collapse.json:free_bits.error.high:.1f}}) | {{result:vae_collapse.json:free_bits.bits.value:.2f}} ({{result:vae_collapse.json:free_bits.bits.low:.2f}} to {{result:vae_collapse.json:free_bits.bits.high:.2f}}) |
# | learned σ | {{result:vae_collapse.json:learned.active.value:.0f}} | {{result:vae_collapse.json:learned.kl.value:.1f}} ({{result:vae_collapse.json:learned.kl.low:.1f}} to {{result:vae_collapse.json:learned.kl.high:.1f}}) | {{result:vae_collapse.json:learned.error.value:.1f}} ({{result:vae_collapse.json:learned.error.low:.1f}} to {{result:vae_collapse.json:learned.error.high:.1f}}) | {{result:vae_collapse.json:learned.bits.value:.2f}} ({{result:vae_collapse.json:learned.bits.low:.2f}} to {{result:vae_collapse.json:learned.bits.high:.2f}}) |
#
# (The last column gives every model the $\sigma_x$ that suits it best.) In all five seeds collapse
# leaves no active unit, annealing changes nothing, and both cures wake all sixteen. They are not
# equal: free bits revive the code but leave the wrong units in place; right units also use it.

# %% [markdown]
# ## Questions
#
# Think first; then open the answer, which also says why each other choice is wrong.
#
# **1. Your VAE's loss stays at 1,850 nats an image. Should a good VAE reach 0?** (a) yes (b) nobody
# can say, the unit is missing (c) no: the best loss is the entropy of the data (the mean of −log
# p(x) under the true p), which for densities can be any number (d) no, it should become the KL
#
# <details><summary>Answer</summary>(c): even the perfect model pays −log p(x). (a) takes a bound on
# the log evidence for a distance.
# (b) The unit is there: nats an image. (d) The likelihood's term does not vanish.</details>
#
# **2. Which loss line has β = 1 for 28×28 pictures, with a Bernoulli likelihood?** (a) mean BCE
# over everything + KL summed over the latents, mean over the batch (b) BCE and KL both summed over
# everything (c) BCE mean and KL mean over everything (d) BCE summed over pixels, mean over the
# batch + KL summed over everything
#
# <details><summary>Answer</summary>(b): a common factor B changes no optimum. (a) has β = 784. (c)
# has β = 784/D: right only if there are as many latents as pixels.
# (d) has β = B, another one for every batch size.</details>
#
# **3. Someone draws z with <code>mean + log_var.exp() * noise</code>. What happens?** (a) an error
# (b) training runs, but likelihood and KL speak of two different posteriors (c) the network
# compensates completely (d) the gradient does not reach log_var
#
# <details><summary>Answer</summary>(b): the draw has σ² where the KL has σ, and the sum no longer
# bounds log p(x). (a) The shapes fit. (c) If it mends the draw, it pays the KL of another
# distribution. (d) It does, with another slope.</details>
#
# **4. A VAE trained with half the summed squared errors (σ = 1) reconstructs patches of colour.
# What sharpens its reconstructions?** (a) learning σ (b) a larger beta (c) more draws of z a step
# (d) a wider prior
#
# <details><summary>Answer</summary>(a): errors become dearer, as the rows showed; samples need not
# get better by it. (b) does the opposite. (c) lowers the noise of the gradient, not its meaning.
# (d) is only another scale for z.</details>
#
# **5. KL is 0.00 in all dimensions, and all reconstructions are one grey picture. What first?** (a)
# train longer (b) a larger decoder (c) work out which beta the loss line has (d) a lower learning
# rate
#
# <details><summary>Answer</summary>(c): most often a mean stands where a sum should. (a) and (d)
# reach the same optimum sooner or later. (b) makes it easier to do without z.</details>
#
# ## Recap
#
# You derived the ELBO and checked it where the answer is known exactly, sent gradients through a
# random draw, kept account of units, trained a VAE and measured it in bits per dimension, and
# recognised posterior collapse and cured it.
#
# **What this did not show.** A Gaussian encoder and pixels that are independent given $z$ are
# choices; models with several layers of latents or autoregressive decoders do better, at a price.
# Bits say nothing about how pictures look, and FD nothing about probability: lesson 6 is about
# that.
#
# **Sources.** Kingma and Welling 2014, [arXiv 1312.6114](https://arxiv.org/abs/1312.6114), eq. 1 to
# 3, section 2.4, appendix B · Rezende, Mohamed, Wierstra 2014, [arXiv
# 1401.4082](https://arxiv.org/abs/1401.4082), section 3 · Doersch 2016, [arXiv
# 1606.05908](https://arxiv.org/abs/1606.05908), section 2 · Burda, Grosse, Salakhutdinov 2016,
# [arXiv 1509.00519](https://arxiv.org/abs/1509.00519), eq. 8, theorem 1, section 5.2 · Higgins et
# al. 2017, [β-VAE](https://openreview.net/forum?id=Sy2fzU9gl), eq. 4 · Bowman et al. 2016, [arXiv
# 1511.06349](https://arxiv.org/abs/1511.06349), section 3.1 · Kingma et al. 2016, [arXiv
# 1606.04934](https://arxiv.org/abs/1606.04934), appendix C.8 · Theis, van den Oord, Bethge 2016,
# [arXiv 1511.01844](https://arxiv.org/abs/1511.01844), section 3.1 · Lucas et al. 2019, [arXiv
# 1911.02469](https://arxiv.org/abs/1911.02469) · Tipping and Bishop 1999, *Probabilistic principal
# component analysis*, section 3.2 · Hoogeboom et al. 2020, [arXiv
# 2001.11235](https://arxiv.org/abs/2001.11235), abstract · Locatello et al. 2019, [arXiv
# 1811.12359](https://arxiv.org/abs/1811.12359), theorem 1.
#
# **Next:** lesson 4 leaves pictures for words: BERT, fine-tuned on film reviews.
