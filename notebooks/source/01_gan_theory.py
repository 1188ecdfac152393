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
# # 1. GAN theory and the minimax loss
#
# Two networks play against each other until one of them draws samples that look like the data. In
# this lesson you derive where their game ends, check every formula by number, and count what a
# generator forgets while its losses look perfect.
#
# **You will learn to** derive the best discriminator and the value of the game · write both losses
# on logits, so that they stay finite · write the training step and say what each gradient reaches ·
# tell the two generator losses apart by their gradients · see, count and cure mode collapse.
#
# **You need** Python, derivatives, the mean of a random variable, and what training a neural
# network means.
#
# **Time** about {{minutes}} minutes to read and solve. The computer works as long as this table
# says,
# and on your machine as long as stands under the settings; nothing is downloaded.
#
# {{tiers}}
#
# ## Set-up

# %%
import math

from course_utils import checks, progress_bars, runtime  # before torch: waiting threads sleep
import torch
import torch.nn.functional as F
from IPython.display import HTML, display
from torch import nn

# %%
from course_utils.display import palette, plots
from course_utils.display.widgets import gan_game
from course_utils.evaluation.diagnose import diagnose
from course_utils.models.stacked import stacked_mlp

# %%
run = runtime.setup(seed=0)
torch.set_num_threads(
    1
)  # matrices this small are computed faster by one thread than shared between two

# %% [markdown]
# One lucky run proves nothing, so experiments here are repeated. Numbers in the text that no cell
# prints were measured beforehand, with more repetitions, by `measuring/measure_gan_theory.py`; they
# are in `data/results/gan_*.json`. `stacked_mlp` stands `copies` small networks side by side, each
# with its own initial weights and its own data; tensors have the shape (copies, batch, features).

# %%
from course_utils.machine import minutes_here

# fmt: off
#                         smoke laptop    gpu
copies     = run.pick(        3,     5,    10)  # independent repetitions of each experiment
d_steps    = run.pick(      100, 1_000, 1_500)  # steps of a discriminator on its way to the optimum
g_steps    = run.pick(      300, 1_500, 3_000)  # steps of each player in one dimension
race_steps = run.pick(       60,   800,   800)  # steps of the race between the two generator losses
ring_steps = run.pick(       60, 2_000, 3_000)  # steps of each player on the ring
batch      = 128                                # examples a step
tolerance  = run.pick(     0.15,  0.02,  0.02)  # largest accepted mean |D - D*|
# fmt: on
minutes_here.tell(run, "01_gan_theory")


def leaky():
    """The activation of every discriminator in this lesson."""
    return nn.LeakyReLU(0.2)


# %% [markdown]
# ## A sampler without a density
#
# A *discriminative* model answers a question about a given x: is this a cat? A *generative* model
# describes the x themselves, and can do so in two ways. It can have a *density* $p(x)$ that you
# evaluate. Or it can be a *sampler*: draw a *latent variable* $z$ from something simple and push it
# through a function, $x = G(z)$.

# %%
z = torch.randn(100_000)  # latent variable
x = torch.exp(z)  # the whole generator
print("six samples:", [round(v, 2) for v in x[:6].tolist()])

# %% [markdown]
# Here G can be inverted, so its samples have a known density (the log-normal), and we can check one
# against the other:

# %%
share = (x < 1.5).float().mean()
exact = torch.distributions.LogNormal(0.0, 1.0).cdf(torch.tensor(1.5))
print(f"share of samples below 1.5: {share:.4f}, by the density: {exact:.4f}")
assert abs(share - exact) < 0.01  # six standard errors

# %% [markdown]
# A network that turns 100 numbers into 3,072 pixels cannot be inverted, and its samples lie on a
# thin surface in pixel space that has no density at all. We can draw from it but not evaluate it,
# so we cannot train it by raising the density of the data (*maximum likelihood*). The idea of
# *generative adversarial networks* ([Goodfellow et al. 2014](https://arxiv.org/abs/1406.2661)): let
# a second network say how the samples differ from the data.
#
# ## The game
#
# ![Noise goes into the generator G, which makes fakes. Fakes and real examples go into the discriminator D, which returns a logit. G's gradient comes back through D.](figures/gan_game.svg)
#
# *The generator never sees data. All it learns comes back through the discriminator.*
#
# The discriminator's answer $D(x)$ is the probability that x is real. It wants to be right, the
# generator wants it to be wrong, and both look at one number, the *value* (equation 1 of the
# paper):
#
# $$\min_G \max_D\; V(D, G) = \mathbb E_{x \sim p_{data}} \log D(x) + \mathbb E_{z} \log\bigl(1 - D(G(z))\bigr).$$
#
# Logarithms are natural, so V is in nats. Note the roles: D *ascends* V, and G *descends* it.
#
# ### In miniature: one point
#
# Take one x where the data have density 0.6 and the generator's samples have density 0.2. This
# point contributes $0.6 \log d + 0.2 \log(1-d)$ to V. What should D answer? Try all answers:

# %% tags=["nbval-check-output"]
p, q = 0.6, 0.2
d = torch.linspace(0.01, 0.99, 99, dtype=torch.float64)  # every answer in steps of 0.01
contribution = p * torch.log(d) + q * torch.log(1 - d)
print(f"best answer {d[contribution.argmax()]:.2f}, p / (p + q) = {p / (p + q):.2f}")

# %% [markdown]
# No coincidence. The derivative $p/d - q/(1-d)$ is zero at exactly one place, and the second
# derivative $-p/d^2 - q/(1-d)^2$ is negative everywhere, so that place is the maximum:
#
# $$D^*(x) = \frac{p_{data}(x)}{p_{data}(x) + p_g(x)}.$$
#
# D may answer independently at every x, so what is best at each point is best for the whole
# integral (proposition 1 of the paper). This is the *optimal discriminator for a fixed generator*.
#
# ### Exercise: the optimal discriminator
#
# *Easy, 4 minutes.* Write it for arrays of densities. Where both are 0 nothing is ever asked;
# answer ½ there.
#
# <details><summary>Hint 1</summary>0/0 is NaN in floating point, and NaN spreads into every later
# sum.</details>
# <details><summary>Hint 2</summary><code>torch.where(condition, a, b)</code> chooses entry by
# entry.</details>


# %%
def optimal_discriminator(p_data, p_g):
    """Densities of data and generator at the same points -> D* there, in [0, 1]; 0.5 where both are
    0.
    """
    ### BEGIN SOLUTION
    p_data, p_g = torch.as_tensor(p_data), torch.as_tensor(p_g)
    total = p_data + p_g
    return torch.where(total > 0, p_data / total, 0.5)
    ### END SOLUTION


optimal_discriminator = checks.gan.optimal_discriminator(optimal_discriminator)

# %% [markdown]
# ## Does training find it?
#
# A network never sees densities, only samples. So take two densities that *we* know, show a
# discriminator samples, and compare. The data have two bumps, the generator one:


# %%
def normal_density(x, mean, std):
    """Density of N(mean, std) at x."""
    return torch.exp(-0.5 * ((x - mean) / std) ** 2) / (std * math.sqrt(2 * math.pi))


# %%
def p_data(x):
    """Two bumps of equal mass, at -2 and at 2."""
    return 0.5 * normal_density(x, -2.0, 0.6) + 0.5 * normal_density(x, 2.0, 0.6)


# %%
def p_g(x):
    """One wide bump."""
    return normal_density(x, 0.5, 1.3)


# %%
def draw_data(*shape):
    """Samples of p_data."""
    return 2.0 * (2 * torch.randint(2, shape) - 1) + 0.6 * torch.randn(shape)


# %% [markdown]
# To train, D needs V computed from its outputs. Networks return a *logit* $a$, any real number,
# with $D = \sigma(a)$, the sigmoid. Taking the logarithm of a sigmoid in two steps fails as soon as
# D is sure of itself:

# %% tags=["nbval-check-output"]
a = torch.tensor([-200.0, 2.0])
print("in two steps:", torch.log(torch.sigmoid(a)).tolist())
print("in one step: ", F.logsigmoid(a).tolist())

# %% [markdown]
# At −200 the sigmoid has become 0, and its logarithm −∞ turns all weights into NaN. `logsigmoid`
# does the algebra first. And $1 - \sigma(a) = \sigma(-a)$, so it serves both terms.
#
# ### Exercise: the value from logits
#
# *Easy, 5 minutes.* Write $V$: the mean over the real logits plus the mean over the fake ones. The
# two batches may differ in size.
#
# <details><summary>Hint 1</summary>Mean of logarithms, not logarithm of the mean: by Jensen's
# inequality the latter is larger.</details>
# <details><summary>Hint 2</summary>log(1 − D) is <code>F.logsigmoid</code> of what?</details>


# %%
def value_function(real_logits, fake_logits):
    """The value V in nats (scalar tensor), finite for logits of +-200."""
    ### BEGIN SOLUTION
    return F.logsigmoid(real_logits).mean() + F.logsigmoid(-fake_logits).mean()
    ### END SOLUTION


value_function = checks.gan.value_function(value_function)

# %% [markdown]
# D ascends V. Optimisers descend, so its loss is $-V$:


# %%
def train_discriminator(copies, steps):
    """Train stacked discriminators on samples of p_data against samples of p_g; returns
    the stack.
    """
    discriminator = stacked_mlp([1, 64, 64, 1], copies, activation=leaky)
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, steps
    )  # small steps at the end: less noise
    for _ in progress_bars.progress(range(steps), "training D"):
        real = draw_data(copies, 512, 1)
        fake = 0.5 + 1.3 * torch.randn(copies, 512, 1)
        d_loss = -value_function(discriminator(real), discriminator(fake))
        optimizer.zero_grad()
        d_loss.backward()
        optimizer.step()
        schedule.step()
    return discriminator


# %%
discriminator = train_discriminator(copies, d_steps)
grid = torch.linspace(-6, 6, 1201)
dx = (grid[1] - grid[0]).item()

# %%
with torch.no_grad():
    trained = (
        discriminator(grid.view(1, -1, 1).expand(copies, -1, 1)).sigmoid().squeeze(-1)
    )  # (copies, 1201)
formula = torch.as_tensor(optimal_discriminator(p_data(grid), p_g(grid)))  # (1201,)

# %% [markdown]
# How far apart are they? Count errors where samples fall, that is, weigh them with the mixture
# $(p_{data} + p_g)/2$:

# %%
mixture = (p_data(grid) + p_g(grid)) / 2
error = ((trained - formula).abs() * mixture).sum(dim=1) * dx  # (copies,)
print("mean |D - D*| of each repetition:", [round(e, 4) for e in error.tolist()])
assert error.max() < tolerance

# %%
figure, (ax,) = plots.subplots(width=8, height=3.2)
ax.fill_between(grid, p_data(grid), alpha=0.2, label="$p_{data}$")
ax.fill_between(grid, p_g(grid), alpha=0.2, label="$p_g$")
ax.fill_between(
    grid, trained.amin(0), trained.amax(0), color="grey", label=f"trained D, range of {copies} runs"
)
ax.plot(grid, formula, "--", color="black", label="formula $D^*$")
ax.set(xlabel="x", ylim=(0, 1.05))
ax.legend(loc="upper center", ncol=4, bbox_to_anchor=(0.5, 1.2), fontsize=8)
plots.show(
    figure,
    alt="Trained discriminators, as a grey band, lie on the dashed formula wherever either density is large.",
)

# %% [markdown]
# The band hugs the formula where there are samples and leaves it where there are none: at the far
# left nobody ever asked. In ten repetitions of {{result:gan_optimum.json:steps:,d}} steps the error
# was
# {{result:gan_optimum.json:error.mean:.4f}} on average, at worst
# {{result:gan_optimum.json:error.max:.4f}}. So a discriminator *estimates a ratio of
# densities* from samples alone, and the generator learns from this estimate.
#
# ## What the best discriminator measures
#
# Put $D^*$ into V. With the mixture $m = (p_{data}+p_g)/2$ we have $D^* = p_{data}/2m$ and
# $1 - D^* = p_g/2m$:
#
# $$V(D^*, G) = \int p_{data} \log\frac{p_{data}}{2m} + \int p_g \log\frac{p_g}{2m}
# = -2\log 2 + \underbrace{\mathrm{KL}(p_{data}\,\|\,m) +
# \mathrm{KL}(p_g\,\|\,m)}_{2\,\mathrm{JSD}(p_{data}\,\|\,p_g)}.$$
#
# Here $\mathrm{KL}(p\,\|\,q) = \int p \log(p/q)$ is the *Kullback-Leibler divergence*: 0 if p = q,
# positive otherwise. Half the sum of the two, the *Jensen-Shannon divergence* (JSD), is 0 when the
# two densities are equal and $\log 2$ when they never overlap. So a generator that descends
# $V(D^*, \cdot)$ reduces a divergence from the data, and the minimum, $-\log 4 \approx -1.386$, is
# reached exactly at $p_g = p_{data}$ (theorem 1 of the paper).
#
# ### Exercise: the Jensen-Shannon divergence
#
# *Medium, 8 minutes.* Densities come as values on a grid of spacing `dx`, so an integral is a sum
# times `dx`. Mind that $0 \log 0$ counts as 0.
#
# <details><summary>Hint 1</summary>JSD is the <em>half</em> sum of two KL divergences, each to the
# mixture m, not to the other density.</details>
# <details><summary>Hint 2</summary><code>torch.xlogy(a, b)</code> is a·log b, and 0 where a is 0.
# Write log(p/m) as log p − log m.</details>


# %%
def js_divergence(p, q, dx):
    """Jensen-Shannon divergence in nats (scalar) of two densities given on a grid of spacing dx."""
    ### BEGIN SOLUTION
    p, q = torch.as_tensor(p), torch.as_tensor(q)
    m = (p + q) / 2
    kl_p = (torch.xlogy(p, p) - torch.xlogy(p, m)).sum() * dx
    kl_q = (torch.xlogy(q, q) - torch.xlogy(q, m)).sum() * dx
    return (kl_p + kl_q) / 2
    ### END SOLUTION


js_divergence = checks.gan.js_divergence(js_divergence)

# %% [markdown]
# Now compute the left side, $V(D^*, G)$ as an integral, and the right side,
# $-2\log 2 + 2\,\mathrm{JSD}$, for generators from perfect (shift 0) to hopeless (shift 20).
# ($1 - D^*$ is the same formula with the roles swapped, and computing it so avoids the rounding of
# 1 minus almost 1.)


# %%
def value_by_quadrature(p, q, dx):
    """V(D*, G) as a sum over the grid: p, q (N,) densities."""
    best, rest = (
        torch.as_tensor(optimal_discriminator(*pair)) for pair in ((p, q), (q, p))
    )  # D* and 1 - D*
    return (torch.xlogy(p, best) + torch.xlogy(q, rest)).sum() * dx


# %%
wide = torch.linspace(-30, 30, 6001, dtype=torch.float64)
p = normal_density(wide, 0.0, 1.0)
shifts = torch.linspace(0, 20, 41)
generators = [normal_density(wide, s, 1.0) for s in shifts]
left = torch.tensor(
    [float(value_by_quadrature(p, q, 0.01)) for q in generators], dtype=torch.float64
)

# %%
right = torch.tensor(
    [-2 * math.log(2) + 2 * float(js_divergence(p, q, 0.01)) for q in generators],
    dtype=torch.float64,
)
assert torch.allclose(left, right, atol=1e-9)
assert abs(left[0] + math.log(4)) < 1e-9 and abs(left[-1]) < 1e-9
print(f"V = {left[0]:.6f} at equality, {left[8]:.6f} at shift 4, {left[-1]:.6f} at shift 20")

# %%
figure, (ax,) = plots.subplots(width=8, height=2.8)
plots.curves(
    ax, shifts, {"V(D*, G)": left}, "distance between the means, in standard deviations", "V (nats)"
)
for level, name in (
    (0.0, "0: no overlap, the worst"),
    (-math.log(4), "−log 4: equality, the best"),
):
    ax.axhline(level, color="grey", linewidth=0.8)
    ax.annotate(name, (19.8, level), ha="right", va="top" if level == 0 else "bottom", fontsize=9)
plots.show(
    figure,
    alt="V rises from minus log 4 where the densities are equal to 0 where they are far apart, and is flat there.",
)

# %% [markdown]
# Two things to take away. **0 is the largest value and belongs to the worst generator**; whoever
# expects losses to go to 0 reads this plot upside down: D's loss $-V$ is $\log 4 \approx 1.386$ at
# the end of a perfect game. And beyond a distance of about 6 the curve is *flat*. Remember that
# plateau.
#
# ### Play with it
#
# Three generators against our two-bump data: far away, sitting on one bump, and one wide bump over
# both.

# %%
figure, axes = plots.subplots(1, 3, width=10, height=3.0)
gan_game.game_static(axes, p_data, optimal_discriminator, js_divergence)
plots.show(
    figure,
    alt="Three generators: far away D* is a step; on one bump D* dips below one half there; over both bumps D* has two humps.",
)

# %% [markdown]
# On the left D is almost always right and V is almost 0. In the middle the generator fools D near
# 2, where both densities are large, and D answers less than ½ because *all* of the generator's mass
# is there. On the right D still knows more than a coin: one bump is not two.
#
# With a running kernel, move the generator yourself: drag its mean and its standard deviation, or
# press Tab and then the arrow keys. Can you get below the right figure's JSD?

# %%
gan_game.game(p_data, optimal_discriminator, js_divergence)

# %% [markdown]
# ## Two losses for the generator
#
# The generator moves only the second term of V, $\mathbb E \log(1 - D(G(z)))$. Early in training
# its samples are bad and D knows it: the logit $a$ of a fake is very negative. What does G then
# learn? With $\sigma' = \sigma(1-\sigma)$,
#
# $$\frac{d}{da} \log\bigl(1 - \sigma(a)\bigr) = \frac{-\sigma(a)\,(1-\sigma(a))}{1 - \sigma(a)} = -\sigma(a),$$
#
# which is almost 0 exactly when there is most to learn: the loss *saturates*. The paper therefore
# trains G on $-\log D(G(z))$ (section 3), whose derivative is
#
# $$\frac{d}{da} \bigl(-\log \sigma(a)\bigr) = \frac{-\sigma(a)\,(1-\sigma(a))}{\sigma(a)} = -(1 - \sigma(a)).$$
#
# Both are negative, so both push the logit up. They differ in *when they push hard*.
#
# ### Exercise: both generator losses
#
# *Easy, 5 minutes.* Return the scalar to be *minimised*: the minimax loss if `saturating`,
# otherwise the non-saturating one.
#
# <details><summary>Hint 1</summary>Neither has anything to do with the real examples.</details>
# <details><summary>Hint 2</summary>The minimax loss has no minus sign in front; the other has
# one.</details>


# %%
def generator_loss(fake_logits, saturating):
    """The generator's loss in nats (scalar tensor), finite for logits of +-200."""
    ### BEGIN SOLUTION
    if saturating:
        return F.logsigmoid(-fake_logits).mean()
    return -F.logsigmoid(fake_logits).mean()
    ### END SOLUTION


generator_loss = checks.gan.generator_loss(generator_loss)

# %% [markdown]
# Automatic differentiation knows nothing of our derivation. Does it agree?

# %%
logits = torch.linspace(-8, 8, 161, dtype=torch.float64, requires_grad=True)
slopes = {}
for name, saturating in (("minimax", True), ("non-saturating", False)):
    total = generator_loss(logits, saturating) * len(
        logits
    )  # the sum, so that each logit has its own slope
    (slopes[name],) = torch.autograd.grad(total, logits)

# %%
sigma = logits.detach().sigmoid()
assert torch.allclose(slopes["minimax"], -sigma, atol=1e-12)
assert torch.allclose(slopes["non-saturating"], -(1 - sigma), atol=1e-12)

# %%
figure, (ax,) = plots.subplots(width=8, height=2.8)
plots.curves(
    ax,
    logits.detach(),
    {name: -s for name, s in slopes.items()},
    "logit of a fake",
    "push on the logit",
)
ax.axvspan(-8, -4, color="grey", alpha=0.15)
ax.annotate("D is sure: fake", (-7.8, 0.5), fontsize=9)
plots.show(
    figure,
    alt="Two mirrored sigmoids: where D is sure of a fake, minimax pushes with 0 and non-saturating with 1.",
)

# %% [markdown]
# In the grey zone the minimax loss pushes with nearly 0 and the other with nearly 1. At $a = -8$
# the ratio is $e^{8} \approx 3000$. At $a = 0$, the equilibrium, they are equal.
#
# ## The training step
#
# Now both players together. Here is the step, in two halves, with a look at what each gradient
# reaches. (Run one of the halves again, and it takes one more step; the next cell begins anew.)

# %%
generator = stacked_mlp([1, 32, 1], copies, seed=1)  # (copies, B, 1) -> (copies, B, 1)
discriminator = stacked_mlp(
    [1, 32, 32, 1], copies, seed=2, activation=leaky
)  # ... -> logits (copies, B, 1)

# %%
g_optimizer = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.999))
d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=1e-3, betas=(0.5, 0.999))
real, noise = 3.0 + 0.5 * torch.randn(copies, batch, 1), torch.randn(copies, batch, 1)

# %% [markdown]
# **The discriminator's half.** `detach` cuts the graph between the fakes and the generator: this
# loss wants the fakes to be *recognised*, and must not teach the generator that.

# %%
fake = generator(noise)
d_loss = -value_function(discriminator(real), discriminator(fake.detach()))
d_optimizer.zero_grad()
g_optimizer.zero_grad()  # for the next but one line, should this cell run again
d_loss.backward()
assert all(p.grad is None for p in generator.parameters())  # nothing reached G
d_optimizer.step()

# %% [markdown]
# **The generator's half.** The discriminator has changed, so the fakes are judged again, this time
# without `detach`: the gradient flows through D into G.

# %%
fake = generator(noise)  # the same fakes, in a graph that no `backward` has used up yet
g_loss = generator_loss(discriminator(fake), saturating=False)
g_optimizer.zero_grad()
before = [p.grad.clone() for p in discriminator.parameters()]
g_loss.backward()
assert all(p.grad is not None for p in generator.parameters())

# %%
leftover = any(not torch.equal(b, p.grad) for b, p in zip(before, discriminator.parameters()))
print("the generator's half left gradients in D:", leftover)
g_optimizer.step()

# %% [markdown]
# On its way the gradient also landed in D's `.grad`. Nobody steps on it, but it lies there, and
# this is why each half begins with `zero_grad` *before* `backward`. Tutorials write the same losses
# as binary cross-entropy: label 1 for real, 0 for fake, and in the generator's half label **1 for
# the fakes**.

# %%
a, b = torch.tensor([3.0, -0.5, 200.0]), torch.tensor([-2.0, 0.7])  # real and fake logits
bce = F.binary_cross_entropy_with_logits

# %%
assert torch.isclose(-value_function(a, b), bce(a, torch.ones(3)) + bce(b, torch.zeros(2)))
assert torch.isclose(generator_loss(b, saturating=False), bce(b, torch.ones(2)))

# %% [markdown]
# ### Exercise: the step as a function
#
# *Medium, 12 minutes.* Put both halves into one function (algorithm 1 of the paper with k = 1,
# non-saturating): one discriminator step, then one generator step on the same noise against the
# updated discriminator. Return both losses as Python floats. Real examples and noise may differ in
# number.
#
# <details><summary>Hint 1</summary>Order in each half: loss, <code>zero_grad</code>,
# <code>backward</code>, <code>step</code>.</details>
# <details><summary>Hint 2</summary>If PyTorch complains about a second backward or a variable
# modified in place, do not reach for <code>retain_graph</code>: ask which graph you are using
# again, and whether D has changed since.</details>
# <details><summary>Hint 3</summary>You may keep the fakes of the first half or make them again from
# the same noise; both are right.</details>


# %%
def gan_step(generator, discriminator, g_optimizer, d_optimizer, real, noise):
    """One step of each player, non-saturating; returns (discriminator loss, generator loss) as
    floats.
    """
    ### BEGIN SOLUTION
    fake = generator(noise)
    d_loss = -value_function(discriminator(real), discriminator(fake.detach()))
    d_optimizer.zero_grad()
    d_loss.backward()
    d_optimizer.step()

    g_loss = generator_loss(discriminator(fake), saturating=False)
    g_optimizer.zero_grad()
    g_loss.backward()
    g_optimizer.step()
    return d_loss.item(), g_loss.item()
    ### END SOLUTION


gan_step = checks.gan.gan_step(gan_step)

# %% [markdown]
# ## Watch a generator move
#
# The target is N(3, 0.5), the normal distribution of mean 3 and standard deviation 0.5. Every
# repetition starts somewhere around 0 and knows nothing but its discriminator. (The mean over the
# stack divides each copy's gradient by the number of copies; Adam does not care about scale.)


# %%
def take_picture():
    """Fakes (copies, 2000) and the first copy's D on the axis (200,), without training."""
    with torch.no_grad():
        fakes = generator(torch.randn(copies, 2_000, 1)).squeeze(-1)
        answers = discriminator(axis.view(1, -1, 1).expand(copies, -1, 1)).sigmoid()[0, :, 0]
    return fakes, answers


# %%
axis = torch.linspace(-3, 6, 200)
pictures, losses = {0: take_picture()}, []
for step in progress_bars.progress(range(1, g_steps + 1), "both players"):
    real, noise = 3.0 + 0.5 * torch.randn(copies, batch, 1), torch.randn(copies, batch, 1)
    losses.append(gan_step(generator, discriminator, g_optimizer, d_optimizer, real, noise))
    if step % (g_steps // 20) == 0:
        pictures[step] = take_picture()


# %%
def draw_picture(ax, step):
    """The first copy's fakes, the target and D after so many steps."""
    fakes, answers = pictures[step]
    ax.plot(axis, normal_density(axis, 3.0, 0.5), color=palette.BLUE, label="target")
    ax.hist(
        fakes[0].numpy(),
        bins=60,
        range=(-3, 6),
        density=True,
        color=palette.VERMILION,
        alpha=0.5,
        label="fakes",
    )
    ax.plot(axis, answers, "--", color="black", label="D")
    ax.set(ylim=(0, 1.6), xlabel="x", title=f"step {step:,}")


# %%
figure, axes = plots.subplots(1, 5, width=11, height=2.4)
for ax, step in zip(axes, sorted(pictures)[::5]):
    draw_picture(ax, step)
axes[0].legend(fontsize=7, loc="upper left")
plots.show(
    figure,
    alt="In five steps of time the fakes move from around 0 on to the target at 3, and D flattens towards one half.",
)

# %% [markdown]
# D is the slope that the fakes climb: it is low on the side they come from. Once they have arrived
# it is almost flat around them, and the push becomes small. As an animation:

# %%
import matplotlib.pyplot as plt
from matplotlib.animation import FuncAnimation


# %%
def film():
    """The pictures as a small film that runs in the notebook, with its own buttons (HTML text)."""
    figure, (ax,) = plots.subplots(width=4.5, height=2.6)
    figure.set_dpi(64)
    frames = FuncAnimation(
        figure, lambda step: (ax.clear(), draw_picture(ax, step)), sorted(pictures), interval=250
    )
    html = plots.film_html(frames)
    plt.close(figure)
    return html


# %%
display(
    HTML(film() + "<p><em>Animation. The same in 21 frames: the fakes climb D's slope.</em></p>")
)

# %%
fakes, _ = pictures[g_steps]
means, stds = fakes.mean(dim=1), fakes.std(dim=1)  # (copies,) each
d_end, g_end = torch.tensor(losses[-100:]).mean(dim=0).tolist()

# %%
print("mean of the fakes:", [round(m, 2) for m in means.tolist()], "target 3")
print("standard deviation:", [round(s, 2) for s in stds.tolist()], "target 0.5")

# %%
print(
    f"last losses: D {d_end:.3f} (log 4 = {math.log(4):.3f}), "
    f"G {g_end:.3f} (log 2 = {math.log(2):.3f})"
)
if run.tier != "smoke":
    assert (means - 3).abs().max() < 0.25 and abs(d_end - math.log(4)) < 0.02

# %% [markdown]
# Every repetition found the mean, and both losses end where the theory says. The standard
# deviations are less exact, some too small and some too large. Read this as a warning about losses,
# too: their mean stands at its textbook value although no repetition is exact.
#
# ## The same start, both losses
#
# What does saturation cost? Let D win early: train it alone for 200 steps, and then let the same
# generator, from the same seed, play on with either loss. The generator uses plain SGD, which steps
# in proportion to the gradient.


# %%
def race(saturating, copies, steps, make_optimizer):
    """Mean of the fakes, (steps, copies), of a game against a discriminator with 200 steps of
    advantage.
    """
    torch.manual_seed(0)
    generator = stacked_mlp([1, 32, 1], copies, seed=1)
    discriminator = stacked_mlp([1, 32, 32, 1], copies, seed=2, activation=leaky)
    d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=1e-3, betas=(0.5, 0.999))
    g_optimizer = make_optimizer(generator.parameters())
    means = []
    for step in progress_bars.progress(range(200 + steps), "race"):
        real, fake = 3.0 + 0.5 * torch.randn(copies, 128, 1), generator(torch.randn(copies, 128, 1))
        d_loss = -value_function(discriminator(real), discriminator(fake.detach()))
        d_optimizer.zero_grad()
        d_loss.backward()
        d_optimizer.step()
        if step >= 200:
            g_loss = generator_loss(discriminator(fake), saturating)
            g_optimizer.zero_grad()
            g_loss.backward()
            g_optimizer.step()
            means.append(fake.detach().mean(dim=(1, 2)))
    return torch.stack(means)


# %%
def sgd(parameters):
    """Plain SGD at rate 0.005; times copies, because the stack's loss is a mean over copies."""
    return torch.optim.SGD(parameters, lr=0.005 * copies)


curves = {
    name: race(name == "minimax", copies, race_steps, sgd) for name in ("minimax", "non-saturating")
}

# %%
figure, (ax,) = plots.subplots(width=8, height=2.8)
for (name, mean), colour, style in zip(curves.items(), palette.COLOURS, ("-", "--")):
    ax.fill_between(range(race_steps), mean.amin(1), mean.amax(1), color=colour, alpha=0.25)
    ax.plot(mean.median(dim=1).values, style, color=colour, label=name)
ax.axhline(3, color="grey", linewidth=0.8)
ax.set(xlabel="step of the generator", ylabel="mean of the fakes")
ax.legend(loc="lower right")
plots.show(
    figure,
    alt="Non-saturating: all runs reach 3 within dozens of steps and overshoot. Minimax: most wait near 0 for hundreds.",
)


# %%
def arrival(mean, target=3.0):
    """First step (copies,) at which the mean of the fakes is within 0.3 of the target; len(mean) if
    never.
    """
    near = (mean - target).abs() < 0.3  # (steps, copies)
    return torch.where(near.any(dim=0), near.float().argmax(dim=0), len(mean))


# %%
arrivals = {name: arrival(mean) for name, mean in curves.items()}
print({name: steps.tolist() for name, steps in arrivals.items()})
assert (arrivals["minimax"] >= arrivals["non-saturating"]).all()

# %% [markdown]
# ("Arrive" means the first time within 0.3 of 3, even if the run overshoots afterwards, as the
# non-saturating ones do here. A run that did not arrive counts with the number of steps.) In ten
# longer repetitions the non-saturating generator arrived after
# {{result:gan_losses.json:sgd.non-saturating.median:.0f}} steps (median;
# {{result:gan_losses.json:sgd.non-saturating.low}} to
# {{result:gan_losses.json:sgd.non-saturating.high}}),
# the minimax generator after {{result:gan_losses.json:sgd.minimax.median:.0f}}
# ({{result:gan_losses.json:sgd.minimax.low}} to {{result:gan_losses.json:sgd.minimax.high}}). Given
# 3,000 steps, all ten did arrive: *saturating is slow, not wrong*. And the optimiser matters. With
# Adam, which divides by the size of recent gradients, the median was
# {{result:gan_losses.json:adam.non-saturating.median:.0f}} steps non-saturating and
# {{result:gan_losses.json:adam.minimax.median:.0f}} minimax: on this toy the minimax loss was the
# *faster*
# one.
#
# ## Mode collapse
#
# Theorem 1 speaks of a D that is optimal after every move of G. Real training stops D halfway. In
# the other extreme, D frozen, the generator's best reply is a single point, the one that D finds
# most real, whatever the data look like:
#
# $$\mathbb E_z \log D(G(z)) \;\le\; \max_x \log D(x).$$

# %%
torch.manual_seed(0)
p, q = torch.distributions.Normal(1.5, 0.6), torch.distributions.Normal(0.0, 1.0)
generator = stacked_mlp([1, 32, 1], copies, seed=1)

# %%
g_optimizer = torch.optim.Adam(generator.parameters(), lr=1e-2)
for _ in range(500):
    fake = generator(torch.randn(copies, batch, 1))
    frozen_logits = p.log_prob(fake) - q.log_prob(fake)  # of D* = p / (p + q), which does not learn
    g_loss = generator_loss(frozen_logits, saturating=False)
    g_optimizer.zero_grad()
    g_loss.backward()
    g_optimizer.step()

# %%
print("fakes, mean:  ", [round(m, 2) for m in fake.mean(dim=1).flatten().tolist()])
print("fakes, spread:", [round(s, 3) for s in fake.std(dim=1).flatten().tolist()])

# %%
best_x = 1.5 / (1 - 0.6**2)  # where the derivative of the logit, -(x - 1.5) / 0.36 + x, is zero
assert (fake.mean(dim=1) - best_x).abs().max() < 0.05 and fake.std(dim=1).max() < 0.05

# %% [markdown]
# The data are N(1.5, 0.6), but every copy sits on one point at 2.34, where the logit is highest. If
# D then learns to reject that point, G can move on to another, and so on. A *mode* is a peak of the
# data's density; a generator that leaves most of them out has *collapsed*: *mode collapse*
# ([tutorial](https://arxiv.org/abs/1701.00160), section 5.1.1). To see it we need data whose modes
# can be counted: eight small Gaussians on a ring.

# %%
STD = 0.1  # of each Gaussian


# %%
def ring_centres():
    """Eight points (8, 2) on a circle of radius 2."""
    angles = torch.arange(8) * math.pi / 4
    return 2.0 * torch.stack([angles.cos(), angles.sin()], dim=1)


# %%
def draw_ring(copies, count):
    """Samples (copies, count, 2) of eight Gaussians around these points."""
    return ring_centres()[torch.randint(8, (copies, count))] + STD * torch.randn(copies, count, 2)


# %% [markdown]
# Three numbers describe a generator (after [Srivastava et al.
# 2017](https://arxiv.org/abs/1705.07761)): the *modes* it covers (a mode counts if at least 1 % of
# the samples lie within three standard deviations of its centre; its fair share is 12.5 %), the
# *share of high-quality samples* (within three standard deviations of any centre), and the *reverse
# KL* (the generator stands first), $\mathrm{KL}(\text{share of each mode} \,\|\, \text{uniform})$,
# with every sample given to its nearest centre: 0 for equal shares, $\log 8 \approx 2.08$ when all
# go to one.


# %%
def score_ring(samples):
    """Modes covered, share of high-quality samples, reverse KL in nats: (copies, N, 2) -> three
    tensors (copies,).
    """
    distance, nearest = torch.cdist(samples, ring_centres().expand(len(samples), 8, 2)).min(
        dim=-1
    )  # (copies, N) each
    good = distance < 3 * STD
    belongs = F.one_hot(nearest, 8).bool()  # (copies, N, 8)
    modes = ((belongs & good[..., None]).float().mean(dim=1) >= 0.01).sum(dim=1)
    shares = belongs.float().mean(dim=1)  # (copies, 8)
    return modes, good.float().mean(dim=1), torch.xlogy(shares, 8 * shares).sum(dim=1)


# %% [markdown]
# Test the ruler before the thing: on the data themselves, and on data of a single mode.

# %%
everything = draw_ring(1, 10_000)
single = everything[
    :, everything[0, :, 0] > 1.8
]  # only the mode at (2, 0) reaches that far to the right

# %%
for name, samples in (("data", everything), ("one mode", single)):
    print(name, [round(value.item(), 3) for value in score_ring(samples)])
assert score_ring(everything)[0] == 8 and score_ring(single)[0] == 1
assert abs(score_ring(single)[2] - math.log(8)) < 1e-5

# %% [markdown]
# Now the laboratory. G learns at rate 0.001. The discriminator's rate is the one thing that we
# change: 0.0002, so that D lags behind every move of G, or 0.002, so that it leads.


# %%
def ring_trace(generator, discriminator, step, copies):
    """What can be seen of the first copy: losses, probabilities, and how far samples and data
    spread.
    """
    with torch.no_grad():
        real, fake = draw_ring(copies, 256), generator(torch.randn(copies, 256, 2))
        real_logits, fake_logits = discriminator(real)[0], discriminator(fake)[0]
    return {
        "step": step,
        "d_loss": -value_function(real_logits, fake_logits).item(),
        "g_loss": generator_loss(fake_logits, saturating=False).item(),
        "d_real": real_logits.sigmoid().mean().item(),
        "d_fake": fake_logits.sigmoid().mean().item(),
        "diversity": fake[0].std(dim=0).norm().item(),
        "real_diversity": real[0].std(dim=0).norm().item(),
    }


# %%
def play_ring(discriminator, d_lr, steps, copies):
    """Train on the ring; returns samples (copies, 2500, 2) and the first copy's history."""
    torch.manual_seed(0)
    generator = stacked_mlp([2, 64, 64, 2], copies, seed=1)
    g_optimizer = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.999))
    d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=d_lr, betas=(0.5, 0.999))
    rows = []
    for step in progress_bars.progress(range(1, steps + 1), "ring"):
        gan_step(
            generator,
            discriminator,
            g_optimizer,
            d_optimizer,
            draw_ring(copies, 128),
            torch.randn(copies, 128, 2),
        )
        if step % 20 == 0:
            rows.append(ring_trace(generator, discriminator, step, copies))
    with torch.no_grad():
        samples = generator(torch.randn(copies, 2_500, 2))
    return samples, {name: [row[name] for row in rows] for name in rows[0]}


# %%
def make_judge(copies):
    """A discriminator of points in the plane: (copies, B, 2) -> logits (copies, B, 1)."""
    return stacked_mlp([2, 64, 64, 1], copies, seed=2, activation=leaky)


# %%
slow, slow_history = play_ring(make_judge(copies), 2e-4, ring_steps, copies)
fast, fast_history = play_ring(make_judge(copies), 2e-3, ring_steps, copies)

# %%
for name, samples in (("D lags", slow), ("D leads", fast)):
    modes, good, reverse_kl = score_ring(samples)
    print(
        f"{name}: modes {modes.tolist()}, high quality {good.mean():.2f}, "
        f"reverse KL {reverse_kl.mean():.2f}"
    )
if run.tier != "smoke":
    assert score_ring(slow)[0].float().mean() < 3 and score_ring(fast)[0].float().mean() > 7

# %%
figure, axes = plots.subplots(2, 5, width=10, height=4.2)
for row, (name, samples) in enumerate((("D lags", slow), ("D leads", fast))):
    for column in range(min(5, copies)):
        ax = axes[5 * row + column]
        ax.scatter(*ring_centres().T, marker="x", color="black", s=20)
        ax.scatter(*samples[column, :500].T, s=3, alpha=0.5, color=palette.COLOURS[1 - row])
        ax.set(
            xlim=(-3, 3),
            ylim=(-3, 3),
            xticks=[],
            yticks=[],
            aspect="equal",
            title=f"{name}, run {column + 1}",
        )
plots.show(
    figure,
    alt="Above, with a slow D, the samples of a run form one streak or arc. Below, with a fast D, all eight crosses are covered.",
)

# %% [markdown]
# The upper row is collapse: each generator is one streak or arc, and most of the ring has no
# samples. Below, same generator, same data, same number of steps. The whole measurement, ten
# repetitions of {{result:gan_collapse.json:steps:,d}} steps each, with 95 % intervals of the mean:
#
# | setting | modes of 8 | high quality | reverse KL (nats) |
# | --- | --- | --- | --- |
# | D lags (rate 0.0002) | {{result:gan_collapse.json:slow.modes.text}} | {{result:gan_collapse.json:slow.good.text}} | {{result:gan_collapse.json:slow.reverse_kl.text}} |
# | **one change: D leads (rate 0.002)** | {{result:gan_collapse.json:fast.modes.text}} | {{result:gan_collapse.json:fast.good.text}} | {{result:gan_collapse.json:fast.reverse_kl.text}} |
# | instead: D lags but sees the batch's spread | {{result:gan_collapse.json:spread.modes.text}} | {{result:gan_collapse.json:spread.good.text}} | {{result:gan_collapse.json:spread.reverse_kl.text}} |
# | the data themselves (the ruler's best) | {{result:gan_collapse.json:data.modes.text}} | {{result:gan_collapse.json:data.good.text}} | {{result:gan_collapse.json:data.reverse_kl.text}} |
#
# The third row is another cure for the same illness. A discriminator that judges points one by one
# cannot see that all points of a batch are the same. Tell it the batch's standard deviation, and
# lack of variety becomes evidence (the idea of *minibatch discrimination*, [Salimans et al.
# 2016](https://arxiv.org/abs/1606.03498), section 3.2, in the simple form of [Karras et al.
# 2018](https://arxiv.org/abs/1710.10196), section 3):


# %%
class BatchSpread(nn.Module):
    """Append to every point the mean standard deviation of its batch: (copies, B, 2) -> (copies, B,
    3).
    """

    def forward(self, points):
        spread = points.std(dim=1, keepdim=True).mean(dim=2, keepdim=True)  # (copies, 1, 1)
        return torch.cat([points, spread.expand(*points.shape[:2], 1)], dim=2)


# %%
def make_spread_judge(copies):
    """The same discriminator with the spread as a third input."""
    return nn.Sequential(
        BatchSpread(), stacked_mlp([3, 64, 64, 1], copies, seed=2, activation=leaky)
    )


# %%
spread, _ = play_ring(make_spread_judge(copies), 2e-4, ring_steps, copies)
print(f"D lags but sees the spread: modes {score_ring(spread)[0].tolist()}")
if run.tier != "smoke":
    assert score_ring(spread)[0].float().mean() > 7

# %% [markdown]
# ## Would you have noticed?
#
# Look at the first run of each setting. From the two left plots alone, could you tell which one
# collapsed?

# %%
figure, axes = plots.subplots(1, 3, width=11, height=2.7)
for ax, key, label in zip(
    axes, ("d_loss", "d_fake", "diversity"), ("D's loss (nats)", "D(G(z))", "spread of samples")
):
    series = {"D lags": slow_history[key], "D leads": fast_history[key]}
    plots.curves(ax, slow_history["step"], series, "step", label)
axes[0].axhline(math.log(4), color="grey", linewidth=0.8)
axes[2].plot(slow_history["step"], slow_history["real_diversity"], ":", color="black", label="data")
axes[2].legend()
plots.show(
    figure,
    alt="Losses and D(G(z)) of both runs lie near equilibrium; only the spread of the samples tells them apart.",
)

# %% [markdown]
# The collapsed run sits *closer* to the textbook equilibrium, $L_D = \log 4$ and $D = \tfrac12$,
# than the good one. A likely reason: D is always late and rejects places that the streak has
# already left. **These losses did not show the collapse; you have to measure variety.** The
# package's `diagnose` reads such a history and names what it finds:

# %%
for name, history in (("D lags", slow_history), ("D leads", fast_history)):
    for finding in diagnose(history):
        print(f"{name}: {finding}\n")

# %% [markdown]
# ### When it goes wrong and looks right
#
# The same 1-D toy, with the step written right and in four wrong ways, after
# {{result:gan_traces.json:toy.steps:,d}} steps (mean of five repetitions; target mean 3, standard
# deviation 0.5):
#
# | the step | mean | std | D(x) | D(G(z)) | $L_D$ | $L_G$ |
# | --- | --- | --- | --- | --- | --- | --- |
# | right | {{result:gan_traces.json:toy.right.mean:.2f}} | {{result:gan_traces.json:toy.right.std:.2f}} | {{result:gan_traces.json:toy.right.d_real:.2f}} | {{result:gan_traces.json:toy.right.d_fake:.2f}} | {{result:gan_traces.json:toy.right.d_loss:.3f}} | {{result:gan_traces.json:toy.right.g_loss:.3f}} |
# | G's label is "fake" | {{result:gan_traces.json:toy.caught.mean:.2f}} | {{result:gan_traces.json:toy.caught.std:.2f}} | {{result:gan_traces.json:toy.caught.d_real:.2f}} | {{result:gan_traces.json:toy.caught.d_fake:.2f}} | {{result:gan_traces.json:toy.caught.d_loss:.3f}} | {{result:gan_traces.json:toy.caught.g_loss:.3f}} |
# | no `detach`, no `zero_grad` between the two `backward` | {{result:gan_traces.json:toy.no_detach.mean:.2f}} | {{result:gan_traces.json:toy.no_detach.std:.2f}} | {{result:gan_traces.json:toy.no_detach.d_real:.2f}} | {{result:gan_traces.json:toy.no_detach.d_fake:.2f}} | {{result:gan_traces.json:toy.no_detach.d_loss:.3f}} | {{result:gan_traces.json:toy.no_detach.g_loss:.3f}} |
# | no `detach`, `zero_grad` after `step` | {{result:gan_traces.json:toy.stale.mean:.2f}} | {{result:gan_traces.json:toy.stale.std:.2f}} | {{result:gan_traces.json:toy.stale.d_real:.2f}} | {{result:gan_traces.json:toy.stale.d_fake:.2f}} | {{result:gan_traces.json:toy.stale.d_loss:.3f}} | {{result:gan_traces.json:toy.stale.g_loss:.3f}} |
# | one optimiser for $L_D + L_G$ | {{result:gan_traces.json:toy.joint.mean:.2f}} | {{result:gan_traces.json:toy.joint.std:.2f}} | {{result:gan_traces.json:toy.joint.d_real:.2f}} | {{result:gan_traces.json:toy.joint.d_fake:.2f}} | {{result:gan_traces.json:toy.joint.d_loss:.3f}} | {{result:gan_traces.json:toy.joint.g_loss:.3f}} |
#
# Line two: $L_G \to 0$ looks like success, while the samples ran *away* from the data. The last
# three have $D(G(z)) = ½$ and $L_G = \log 2$, like the equilibrium, with all samples in one wrong
# place. In them the fakes' logits are pulled down by $L_D$ and up by $L_G$ in the same networks:
# $\sigma(a) + (\sigma(a) - 1) = 2\sigma(a) - 1$ is zero at ½. The tell-tale is $D(x) = 1$ and
# $L_D = \log 2$ where an equilibrium has ½ and $2 \log 2$.
#
# ## Beyond Jensen-Shannon
#
# Remember the plateau. Take two boxes of width 1, the second one shifted by $\theta$. Once they do
# not overlap, the JSD is $\log 2$ *wherever* the second box stands: no direction is better than
# another. The *Wasserstein-1 distance*, the mean distance that mass has to travel, keeps counting
# ([Arjovsky et al. 2017](https://arxiv.org/abs/1701.07875), section 2, example 1). In one dimension
# it is computed in one line: match the smallest with the smallest, and so on.


# %%
def wasserstein_1d(x, y):
    """W1 of two samples of equal size (N,), (N,): the mean distance after sorting."""
    return (x.sort().values - y.sort().values).abs().mean()


# %%
def wasserstein_from_cdfs(p, q, dx):
    """W1 of two densities on a grid: the area between their distribution functions."""
    return ((p - q).cumsum(0) * dx).abs().sum() * dx


# %%
fine = torch.linspace(-1, 6, 7001, dtype=torch.float64)
u = torch.rand(20_000, dtype=torch.float64)
thetas = torch.linspace(0, 4, 33, dtype=torch.float64)


# %%
def box(theta):
    """Density of the uniform distribution on [theta, theta + 1)."""
    return ((fine >= theta - 1e-9) & (fine < theta + 1 - 1e-9)).double()


# %%
jsd = thetas.new_tensor([float(js_divergence(box(0), box(t), 0.001)) for t in thetas])
w1 = torch.stack([wasserstein_1d(torch.rand_like(u), t + u) for t in thetas])
w1_cdf = torch.stack([wasserstein_from_cdfs(box(0), box(t), 0.001) for t in thetas])

# %%
assert torch.allclose(jsd, thetas.clamp(max=1) * math.log(2), atol=2e-3)  # theta log 2, then flat
assert torch.allclose(w1, thetas, atol=0.02) and torch.allclose(w1, w1_cdf, atol=0.02)

# %%
figure, (ax,) = plots.subplots(width=8, height=2.7)
plots.curves(
    ax,
    thetas,
    {"JSD (nats)": jsd, "Wasserstein-1 (units of x)": w1},
    "shift of the second box",
    "distance",
)
plots.show(
    figure,
    alt="The JSD rises to log 2 at shift 1 and is flat from there; Wasserstein-1 goes on rising with slope 1.",
)

# %% [markdown]
# In more dimensions sorting is gone, but there is a dual form (their equation 2):
# $W_1 = \max_f \mathbb E_{p} f(x) - \mathbb E_{q} f(x)$ over all $f$ whose slope is at most 1. A
# network can play $f$; it is called a *critic*, has no sigmoid, and returns no probability.
# Everything hangs on the bound on its slope: without it, scaling $f$ by 10 would scale the
# "distance" by 10. Two ways to enforce it, tried on two points at 0 and at 4, where $W_1 = 4$:
#
# - *weight clipping* to $[-c, c]$ (same paper, algorithm 1) bounds the slope by some number that
#   depends on $c$ and on the network;
# - a *gradient penalty* $\lambda\,(|f'(x)| - 1)^2$ at random points between real and fake
#   ([Gulrajani et al. 2017](https://arxiv.org/abs/1704.00028), equation 3). We penalise only slopes
#   above 1, a variant that they discuss in section 4.


# %%
def train_critic(clip=None, penalty=0.0, steps=300):
    """W1 between points at 4 and at 0 as each copy's critic sees it (copies,), mean over the last
    100 steps.
    """
    torch.manual_seed(0)
    critic = stacked_mlp([1, 64, 64, 1], copies, seed=3, activation=leaky)
    optimizer = torch.optim.Adam(critic.parameters(), lr=2e-3, betas=(0.5, 0.9))
    distances = []
    for _ in progress_bars.progress(range(steps), "critic"):
        distance = (
            critic(torch.full((copies, 1, 1), 4.0)) - critic(torch.zeros(copies, 1, 1))
        ).flatten()  # (copies,)
        distances.append(distance.detach())
        between = (4 * torch.rand(copies, 64, 1)).requires_grad_()
        (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        loss = -distance.mean() + penalty * ((slope.abs() - 1).clamp(min=0) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if clip is not None:
            with torch.no_grad():
                for weight in critic.parameters():
                    weight.clamp_(-clip, clip)
    return torch.stack(distances[-100:]).mean(dim=0)


# %%
critic_steps = run.pick(200, 300, 300)
for c in (0.01, 0.1, 0.3):
    print(f"clipping to {c}: {train_critic(clip=c, steps=critic_steps).mean():.3g}")
estimates = {
    strength: train_critic(penalty=strength, steps=critic_steps) for strength in (10.0, 100.0)
}

# %%
for strength, estimate in estimates.items():
    print(
        f"penalty {strength:.0f}: {estimate.mean():.3f}, "
        f"expected {4 * (1 + 4 / (2 * strength)):.3f}"
    )
    assert (estimate - 4 * (1 + 4 / (2 * strength))).abs().max() < 0.1

# %% [markdown]
# With clipping the "distance" is whatever $c$ makes it, over several orders of magnitude. The
# penalty comes close, and even its error can be computed: between the points the best slope $s$
# maximises $4 s - \lambda (s-1)^2$, so $s = 1 + 4/(2\lambda)$. At $\lambda = 10$ the critic lands
# on it; at 100 it comes out at about half the predicted error. (Not tried here, but by the same
# reasoning the two-sided penalty has a trap in one dimension: a critic that starts with slope −1
# would have to pass through slope 0, which is penalised, to turn around.)
#
# ## No promise to converge
#
# Theorem 1 says where the game ends, not that training gets there. The smallest game,
# $\min_a \max_b\; ab$, has its solution at $a = b = 0$. Let both players step at once, or one after
# the other:


# %% tags=["nbval-check-output"]
def bilinear_game(steps, rate, alternating):
    """Distance from the solution (steps + 1,) of gradient steps on min over a, max over b, of a*b
    from (1, 1).
    """
    a = b = 1.0
    radii = [math.hypot(a, b)]
    for _ in range(steps):
        new_a = a - rate * b
        b = b + rate * (new_a if alternating else a)
        a = new_a
        radii.append(math.hypot(a, b))
    return radii


together, alternating = bilinear_game(200, 0.1, False), bilinear_game(200, 0.1, True)
assert abs(together[-1] - math.sqrt(2) * (1 + 0.1**2) ** 100) < 1e-9
print(
    f"distance from the solution: start {together[0]:.2f}, "
    f"together {together[-1]:.2f}, in turn {alternating[-1]:.2f}"
)

# %% [markdown]
# Together they spiral *outwards*: each step multiplies the distance by exactly $\sqrt{1 + \eta^2}$,
# because the step is at right angles to the way home. In turn they circle for ever. Adding a
# penalty on D's gradient makes such games converge locally ([Mescheder et al.
# 2018](https://arxiv.org/abs/1801.04406), sections 2 to 4).
#
# ## Questions
#
# Think first; the answer also says why each other choice is wrong.
#
# **1. D's loss has fallen to 0.001 and stays there. What has happened?** (a) the GAN has converged
# (b) D tells real from fake almost without error (c) $p_g = p_{data}$ (d) mode collapse
#
# <details><summary>Answer</summary>(b): −V near 0 means V near its largest value, no overlap. (a)
# and (c) would show 1.386. (d) cannot be read off D's loss: our collapsed run sat near log
# 4.</details>
#
# **2. At some x the data have density 0.1 and the generator 0.3. What does the best D answer?** (a)
# 0.25 (b) 0.75 (c) 0.33 (d) 0.1
#
# <details><summary>Answer</summary>(a): 0.1 / (0.1 + 0.3). (b) has the roles swapped: it is the
# probability of fake. (c) is the ratio of the densities, without the sum below. (d) is a density,
# not a probability.</details>
#
# **3. A fake gets logit −5. How hard does each loss push it up?** (a) minimax 0.007, non-saturating
# 0.993 (b) the other way round (c) both 0.5 (d) minimax pushes it down
#
# <details><summary>Answer</summary>(a): σ(−5) = 0.007. (b) would hold at logit +5. (c) holds at
# logit 0. (d) both derivatives are negative everywhere, so descending either one raises the
# logit.</details>
#
# **4. Why <code>detach</code> in the discriminator's half?** (a) it makes fakes real (b) D would
# not learn without it (c) D's loss must not train G to be caught (d) it only saves memory
#
# <details><summary>Answer</summary>(c). (a) it changes no value. (b) D's own gradients are the same
# with and without it. (d) it does save work, but without it D's loss leaves gradients in G. Only a
# <code>zero_grad</code>
# just before G's <code>backward</code> removes them; the table above shows what happens when it is
# missing or misplaced.</details>
#
# **5. $D(G(z)) = 0.50$, $L_G = 0.69$, $D(x) = 0.99$. Equilibrium?** (a) yes, D is undecided (b)
# yes, $L_G = \log 2$ (c) no, D(x) would have to be ½ as well (d) it cannot be told
#
# <details><summary>Answer</summary>(c): the best D at equilibrium answers ½ to <em>everything</em>.
# (a) and (b) look at the fakes only; the last three rows of the table above show such numbers. (d)
# D(x) tells.</details>
#
# ## Recap
#
# You derived the best discriminator and the value of the game, wrote both losses on logits, so that
# they stay finite, wrote the training step and said what each gradient reaches, told the two
# generator losses apart by their gradients, and saw, counted and cured mode collapse.
#
# **What this did not show.** Toys in one and two dimensions, where modes can be counted; on images
# nobody knows how many there are. That a faster D cured *this* collapse is no law: where D wins too
# clearly, the minimax loss saturates. The proofs assume densities and a D free at every x, and a
# network is neither. And Wasserstein GANs are known here only by their critic.
#
# **Sources.** Goodfellow et al. 2014, [arXiv 1406.2661](https://arxiv.org/abs/1406.2661), equation
# 1, algorithm 1, section 3, proposition 1, theorem 1 · Goodfellow 2016, [arXiv
# 1701.00160](https://arxiv.org/abs/1701.00160), section 5.1.1 · Salimans et al. 2016, [arXiv
# 1606.03498](https://arxiv.org/abs/1606.03498), section 3.2 · Arjovsky, Chintala, Bottou 2017,
# [arXiv 1701.07875](https://arxiv.org/abs/1701.07875), section 2, equation 2, algorithm 1 ·
# Gulrajani et al. 2017, [arXiv 1704.00028](https://arxiv.org/abs/1704.00028), equation 3, section 4
# · Karras et al. 2018, [arXiv 1710.10196](https://arxiv.org/abs/1710.10196), section 3 · Mescheder,
# Geiger, Nowozin 2018, [arXiv 1801.04406](https://arxiv.org/abs/1801.04406), sections 2 to 4 ·
# Srivastava et al. 2017, [arXiv 1705.07761](https://arxiv.org/abs/1705.07761), section 4 (counting
# modes on a ring).
#
# **Next:** [lesson 2](02_dcgan_cifar10.ipynb), the same step with convolutions, on photographs.
