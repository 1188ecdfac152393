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
# Two networks, a generator G and a discriminator D, play against each other until G draws samples
# that look like the data. Below are two such games, with equal data and networks. Their losses look
# alike. One of the two generators has failed.
#
# ![Two films side by side. On the left the samples spread over all eight clusters of a ring; on the right they run in one streak from place to place and settle nowhere. Below, both discriminator losses lie near 1.386.](figures/gan_twins.gif)
#
# *What to see: data in black, samples in colour, and in the background D's answer (dark: "real").
# The curves are D's losses, and they do not tell which generator has failed.*
#
# **You will learn to** derive the best discriminator and the value of the game · write both losses
# in terms of logits, so that they stay finite · write the training step and say what each gradient
# reaches · tell the two generator losses apart by their gradients · make mode collapse, count it
# and cure it.
#
# **You need** Python, some PyTorch (tensors, layers, one step of an optimiser), derivatives, and
# the mean of a random variable.
#
# **Time** about {{minutes}} minutes to read and solve, in two halves that need not be done on the
# same day: *the game*, and *what breaks*. The table gives the computer's share. Nothing is
# downloaded.
#
# {{tiers}}
#
# ## Set-up

# %%
import math

from course_utils import checks, progress_bars, runtime  # before torch: waiting threads sleep
import torch
import torch.nn.functional as F
from torch import nn

# %%
from course_utils.display import game_plots, plots
from course_utils.display.widgets import gan_game
from course_utils.evaluation import gan_trace
from course_utils.models.stacked import stacked_mlp

run = runtime.setup(seed=0)
torch.set_num_threads(1)  # networks this small run faster on one thread than on two

# %%
from course_utils.machine import minutes_here

# fmt: off
#                           smoke laptop    gpu
d_steps      = run.pick(      100, 1_000, 1_500)  # of a discriminator on its way to the optimum
g_steps      = run.pick(      300, 1_500, 3_000)  # of each player in one dimension
copies       = run.pick(        3,     5,    10)  # independent repetitions in the second half
race_steps   = run.pick(       60,   800,   800)  # of the race between the two generator losses
ring_steps   = run.pick(       60, 2_000, 3_000)  # of each player on the ring
critic_steps = run.pick(      200,   300,   300)  # of a Wasserstein critic
batch        = 128                                # examples per step
tolerance    = run.pick(     0.15,  0.02,  0.02)  # largest accepted mean |D - D*|
# fmt: on
minutes_here.tell(run, "01_gan_theory")

# %% [markdown]
# Numbers that no cell prints were measured by `measuring/measure_gan_theory.py`.
#
# ## A sampler without a density
#
# A *discriminative* model answers a question about a given x: is this a cat? A *generative* model
# describes how the x themselves are distributed. It can have a *density* $p(x)$ that you evaluate.
# Or it can be a *sampler*: it draws a *latent variable* $z$ from a simple distribution and passes
# it through a function, $x = G(z)$.

# %%
z = torch.randn(100_000)  # latent variable
x = torch.exp(z)  # the whole generator
print("six samples:", [round(v, 2) for v in x[:6].tolist()])

# %% [markdown]
# Because exp can be inverted, the samples' density is known, the log-normal:

# %%
share = (x < 1.5).float().mean()
exact = torch.distributions.LogNormal(0.0, 1.0).cdf(torch.tensor(1.5))
print(f"share of samples below 1.5: {share:.4f}, by the density: {exact:.4f}")
assert abs(share - exact) < 0.01  # six standard errors

# %% [markdown]
# A network that turns 100 numbers into the 3,072 of a small photograph cannot be inverted. We
# can draw from it but not evaluate a density, so we cannot train it by raising the density of the
# data (*maximum likelihood*).
# *Generative adversarial networks* ([Goodfellow et al. 2014](https://arxiv.org/abs/1406.2661)) do
# without: a second network says how the samples differ from the data.
#
# ## The game
#
# ![Noise goes into the generator G, which makes fakes. Fakes and real examples go into the discriminator D. Its answers go into two losses. The gradient of D's loss stops in D; the gradient of G's loss passes back through D and through the fake into G.](figures/gan_game.svg)
#
# *What to see: G never touches the data. Only the gradient that comes back through D tells it where
# to go.*
#
# D's answer $D(x)$ is its estimate of the probability that x is real. D wants to be right, and G
# wants it to be wrong. Both look at one number, the *value* (equation 1 of the paper):
#
# $$\min_G \max_D\; V(D, G) = \mathbb E_{x \sim p_{data}} \log D(x) + \mathbb E_{z} \log\bigl(1 - D(G(z))\bigr).$$
#
# $\mathbb E$ is the mean over draws. Logarithms are natural, so V is measured in *nats*. D
# *ascends* V, and G *descends* it.
#
# For the theory, pretend that the generator's samples have a density too, called $p_g$. An average
# over $z$ is then one over $x \sim p_g$.
#
# ### In miniature: one point
#
# Take one x where the data have density $p = 0.6$ and the generator's samples $q = 0.2$. The answer
# $d$ contributes $0.6 \log d + 0.2 \log(1-d)$ to V there. Which $d$ is best?

# %% tags=["nbval-check-output"]
p, q = 0.6, 0.2
d = torch.linspace(0.01, 0.99, 99, dtype=torch.float64)  # every answer in steps of 0.01
contribution = p * torch.log(d) + q * torch.log(1 - d)
print(f"best answer: {d[contribution.argmax()]:.2f}")

# %% [markdown]
# ### Exercise: the optimal discriminator
#
# *Easy, 5 minutes.* Which formula gives 0.75 here, and the best answer at every other point? Set
# the derivative of $p \log d + q \log(1-d)$ to zero, and write the solution for arrays of
# densities. Where both are 0 no sample ever falls; answer ½ there.
#
# <details><summary>Hint 1</summary>The derivative of log d is 1/d, and that of log(1 − d) is
# −1/(1 − d).</details>
# <details><summary>Hint 2</summary>0/0 is NaN in floating point, and NaN spreads into every later
# sum. <code>torch.where(condition, a, b)</code> chooses entry by entry.</details>


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
# Your formula is proposition 1 of the paper. The second derivative, $-p/d^2 - q/(1-d)^2$, is
# negative everywhere, so the one place where the slope is zero is the maximum. In theory D chooses
# its answer at each x separately, so what is best at each point is best for all of V. This is
# $D^*$, the *optimal discriminator for a fixed generator*.
#
# ## Does training find it?
#
# A network never sees densities, only samples. So we take two densities that *we* know, show a
# discriminator samples of both, and compare. The data have two bumps, the generator has one:


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
# To train D, we compute V from its outputs. The network returns a *logit* $a$, any real number, and
# $D = \sigma(a)$, its sigmoid. Taking the logarithm of a sigmoid in two steps fails as soon as D is
# sure of itself:

# %% tags=["nbval-check-output"]
a = torch.tensor([-200.0, 2.0])
print("in two steps:", torch.log(torch.sigmoid(a)).tolist())
print("in one step: ", F.logsigmoid(a).tolist())

# %% [markdown]
# At −200 the sigmoid is rounded to 0, and its logarithm, −∞, turns all weights into NaN.
# `logsigmoid` does the algebra first.
#
# ### Exercise: the value from logits
#
# *Easy, 5 minutes.* Write $V$ in terms of logits: a mean over the real logits plus one over the
# fake logits. The two batches may differ in size. D's loss, everywhere in this lesson, will be
# minus what you return.
#
# <details><summary>Hint 1</summary>Mean of logarithms, not logarithm of the mean: the latter is
# larger (Jensen's inequality).</details>
# <details><summary>Hint 2</summary>The sigmoid is symmetric: what is 1 − σ(a), written as a sigmoid
# again?</details>


# %%
def value_function(real_logits, fake_logits):
    """The value V in nats (scalar tensor), finite for logits of +-200."""
    ### BEGIN SOLUTION
    return F.logsigmoid(real_logits).mean() + F.logsigmoid(-fake_logits).mean()
    ### END SOLUTION


value_function = checks.gan.value_function(value_function)

# %% [markdown]
# The discriminator itself is as plain as it can be:

# %%
discriminator = nn.Sequential(
    nn.Linear(1, 64), nn.LeakyReLU(0.2),
    nn.Linear(64, 64), nn.LeakyReLU(0.2),
    nn.Linear(64, 1),
)  # points (B, 1) -> logits (B, 1)  # fmt: skip


# %%
def train_discriminator(discriminator, steps, *shape):
    """Train D on samples of p_data against samples of p_g; ``shape`` is that of a batch."""
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)  # ends with small steps
    for _ in progress_bars.progress(range(steps), "training D", leave=False):
        real = draw_data(*shape)
        fake = 0.5 + 1.3 * torch.randn(shape)
        d_loss = -value_function(discriminator(real), discriminator(fake))
        optimizer.zero_grad()
        d_loss.backward()
        optimizer.step()
        schedule.step()


# %%
train_discriminator(discriminator, d_steps, 512, 1)

# %% [markdown]
# How far is it from the formula? We weight the error by the density of all samples, real and fake,
# the mixture $(p_{data} + p_g)/2$:

# %%
grid = torch.linspace(-6, 6, 1201)
dx = (grid[1] - grid[0]).item()
with torch.no_grad():
    trained = discriminator(grid[:, None]).sigmoid()[:, 0]  # (1201,)
formula = torch.as_tensor(optimal_discriminator(p_data(grid), p_g(grid)))  # (1201,)

# %%
mixture = (p_data(grid) + p_g(grid)) / 2
error = (((trained - formula).abs() * mixture).sum() * dx).item()
print(f"mean |D - D*| = {error:.4f}, accepted up to {tolerance}")
assert error < tolerance

# %%
alt = "The trained discriminator lies on the dashed formula wherever either density is large. It leaves the formula only at the edges, where no sample ever came."
plots.show(game_plots.optimum(grid, p_data(grid), p_g(grid), trained, formula), alt=alt)

# %% [markdown]
# In ten repetitions of {{result:gan_optimum.json:steps:,d}} steps the error was
# {{result:gan_optimum.json:error.mean:.4f}} on average and
# {{result:gan_optimum.json:error.max:.4f}} at worst.
#
# ### Exercise: the data, from fakes alone
#
# *Hard, 20 minutes.* D was shown samples only, and yet it knows something about densities. Prove
# it: turn the generator's samples into the data, *without using the data or a formula for a
# density*. Give each fake a weight, computed from D's logit for it, so that the weighted fakes are
# distributed like the data. The weights sum to 1.
#
# <details><summary>Hint 1</summary>Suppose D is perfect. Which function of D(x) tells you how much
# too rare or too frequent x is among the fakes?</details>
# <details><summary>Hint 2</summary>Then write D in terms of the logit, and see what is left. Logits
# of ±200 must not overflow.</details>


# %%
def data_weights(logits):
    """D's logits at N fakes (N,) -> the weight of each fake (N,), at least 0, sum 1."""
    ### BEGIN SOLUTION
    return torch.softmax(logits, dim=0)
    ### END SOLUTION


data_weights = checks.gan.data_weights(data_weights)

# %%
fakes = 0.5 + 1.3 * torch.randn(20_000)
with torch.no_grad():
    weights = data_weights(discriminator(fakes[:, None])[:, 0])
mean = (weights * fakes).sum()
std = (weights * (fakes - mean) ** 2).sum().sqrt()

# %%
print(f"fakes:          mean {fakes.mean():+.2f}, standard deviation {fakes.std():.2f}")
print(f"weighted fakes: mean {mean:+.2f}, standard deviation {std:.2f}")
print(f"data:           mean +0.00, standard deviation {math.sqrt(2.0**2 + 0.6**2):.2f}")
assert abs(mean) < 15 * tolerance and abs(std - math.sqrt(4.36)) < 10 * tolerance

# %%
alt = "Left, the fakes are one bump. Right, the same samples with D's weights are two bumps that fill the density of the data."
plots.show(game_plots.weighted(grid, p_data(grid), fakes, weights), alt=alt)

# %% [markdown]
# So a discriminator *estimates a ratio of densities* from samples alone. This estimate is all that
# the generator ever learns from.
#
# ## What the best discriminator measures
#
# Put $D^*$ into V. With the mixture $m = (p_{data}+p_g)/2$ we have $p_{data} + p_g = 2m$, so
# $D^* = p_{data}/2m$ and $1 - D^* = p_g/2m$:
#
# $$V(D^*, G) = \int p_{data} \log\frac{p_{data}}{2m} + \int p_g \log\frac{p_g}{2m}
# = -2\log 2 + \underbrace{\mathrm{KL}(p_{data}\,\|\,m) +
# \mathrm{KL}(p_g\,\|\,m)}_{2\,\mathrm{JSD}(p_{data}\,\|\,p_g)}.$$
#
# Here $\mathrm{KL}(p\,\|\,q) = \int p \log(p/q)$ is the *Kullback-Leibler divergence*: 0 if p = q,
# positive otherwise. (A mean of logs is at most the log of the mean, so
# $-\mathrm{KL} = \int p \log(q/p) \le \log \int p\, (q/p) = 0$.) Half the sum of the two KL terms
# is the *Jensen-Shannon divergence* (JSD). It is 0 when the two densities are equal, and $\log 2$
# when they do not overlap.
#
# So a generator that descends $V(D^*, \cdot)$ reduces a divergence from the data. The minimum,
# $-2 \log 2 = -\log 4 \approx -1.386$, is reached exactly at $p_g = p_{data}$ (theorem 1 of the
# paper).
#
# ### Exercise: both sides of the identity
#
# *Medium, 16 minutes.* Densities come as values on a grid of spacing `dx`. So an integral is a sum
# times `dx`, and $0 \log 0$ counts as 0. Write `js_divergence` for the right side, and
# `value_by_quadrature` for the left: $V(D^*, G)$ itself. Both have to be exact even for N(0, 1) and
# N(20, 1), which hardly overlap.
#
# <details><summary>Hint 1</summary>JSD is the <em>half</em> sum of two KL divergences, each to the
# mixture m, not to the other density.</details>
# <details><summary>Hint 2</summary><code>torch.xlogy(a, b)</code> is a·log b, and 0 where a is 0.
# Write log(p/m) as log p − log m.</details>
# <details><summary>Hint 3</summary>Where D* is almost 1, the computer rounds 1 − D* to 0, whose
# logarithm is −∞. Whose best answer would 1 − D* be?</details>


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


# %%
def value_by_quadrature(p, q, dx):
    """V(D*, G) in nats (scalar) for densities p of the data and q of the fakes, (N,) on a grid."""
    ### BEGIN SOLUTION
    best = torch.as_tensor(optimal_discriminator(p, q))  # D*
    rest = torch.as_tensor(optimal_discriminator(q, p))  # 1 - D*, all its digits
    return (torch.xlogy(p, best) + torch.xlogy(q, rest)).sum() * dx
    ### END SOLUTION


value_by_quadrature = checks.gan.value_by_quadrature(value_by_quadrature)

# %% [markdown]
# Do the two sides agree? The data are N(0, 1), the samples N(shift, 1): perfect at shift 0,
# hopeless at 20.

# %%
wide = torch.linspace(-30, 30, 6001, dtype=torch.float64)
p = normal_density(wide, 0.0, 1.0)
shifts = torch.linspace(0, 20, 201, dtype=torch.float64)
left, right = torch.zeros_like(shifts), torch.zeros_like(shifts)
for i, shift in enumerate(shifts):
    q = normal_density(wide, shift, 1.0)
    left[i] = float(value_by_quadrature(p, q, 0.01))
    right[i] = -2 * math.log(2) + 2 * float(js_divergence(p, q, 0.01))

# %%
for i in (0, 40, 200):
    print(f"shift {shifts[i]:4.0f}: V = {left[i]:+.9f}, -2 log 2 + 2 JSD = {right[i]:+.9f}")
assert torch.allclose(left, right, atol=1e-9)
assert abs(left[0] + math.log(4)) < 1e-9 and abs(left[-1]) < 1e-9

# %%
alt = "V rises from minus log 4, where the densities are equal, to 0, where they are far apart. From a distance of about 6 on it is flat."
plots.show(game_plots.value(shifts, left), alt=alt)

# %% [markdown]
# **0 is the largest value and belongs to the worst generator.** So do not wait for D's loss $-V$ to
# reach 0: at the end of a perfect game it is $\log 4 \approx 1.386$. And beyond a distance of about
# 6 the curve is *flat*. Remember that plateau.
#
# ### Play with it
#
# Three generators against our two-bump data:

# %%
figure, axes = plots.subplots(1, 3, width=10, height=3.0)
gan_game.game_static(axes, p_data, optimal_discriminator, js_divergence)
alt = "Three generators. Far away, D* is a step; on one bump, D* dips below one half there; over both bumps, D* has two humps."
plots.show(figure, alt=alt)

# %% [markdown]
# In the middle picture D answers less than ½ near 2, although half of the data are there: *all* of
# the fakes are there, too.
#
# With a running kernel, move the generator yourself. How low can a single bump bring the JSD?
#
# <details><summary>Answer</summary>0.155, at N(0, 2.05). This is the price of having one bump
# where the data have two; training cannot get below it.</details>

# %%
gan_game.game(p_data, optimal_discriminator, js_divergence)

# %% [markdown]
# ## Two losses for the generator
#
# The generator moves only the second term of V, $\mathbb E \log(1 - D(G(z)))$. This is its
# *minimax loss*. Early in training its samples are bad and D knows it: the logit $a$ of a fake is
# very negative. What does G then learn? With $\sigma' = \sigma(1-\sigma)$,
#
# $$\frac{d}{da} \log\bigl(1 - \sigma(a)\bigr) = \frac{-\sigma(a)\,(1-\sigma(a))}{1 - \sigma(a)} = -\sigma(a),$$
#
# which is almost 0 exactly when there is most to learn: the loss *saturates*. The paper therefore
# trains G by minimising $-\log D(G(z))$ instead (section 3). Its derivative is
#
# $$\frac{d}{da} \bigl(-\log \sigma(a)\bigr) = \frac{-\sigma(a)\,(1-\sigma(a))}{\sigma(a)} = -(1 - \sigma(a)).$$
#
# Both are negative, so descending either loss pushes the logit up. They differ in *when they push
# hard*. (With the second, *non-saturating* loss the players no longer share one value V, so theorem
# 1 no longer applies.)
#
# ### Exercise: both generator losses
#
# *Easy, 5 minutes.* Return the scalar to be *minimised*: the minimax loss if `saturating`,
# otherwise the non-saturating one.
#
# <details><summary>Hint 1</summary>Neither has anything to do with the real examples.</details>
# <details><summary>Hint 2</summary>One of the two is never positive, the other never
# negative.</details>


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
# Does autograd agree?

# %%
LOSSES = ("minimax", "non-saturating")
logits = torch.linspace(-8, 8, 161, dtype=torch.float64, requires_grad=True)
slopes = {}
for name in LOSSES:
    mean = generator_loss(logits, saturating=name == "minimax")
    total = len(logits) * mean  # a sum: each logit has its own slope
    (slopes[name],) = torch.autograd.grad(total, logits)

# %%
sigma = logits.detach().sigmoid()
expected = {"minimax": -sigma, "non-saturating": -(1 - sigma)}
for name, slope in slopes.items():
    print(f"{name} at logit -2: by autograd {slope[60]:.7f}, by formula {expected[name][60]:.7f}")
    assert torch.allclose(slope, expected[name], atol=1e-12)

# %%
alt = "Two mirrored sigmoids. In the grey zone, where D is sure of a fake, minimax pushes with almost 0 and non-saturating with almost 1."
plots.show(game_plots.pushes(logits.detach(), slopes), alt=alt)

# %% [markdown]
# At $a = -8$ the non-saturating loss pushes $e^{8} \approx 3000$ times as hard.
#
# ## The training step
#
# Now both players train together, on data as small as can be: single numbers from N(3, 0.5), with
# mean 3 and standard deviation 0.5.


# %%
def make_players():
    """A new generator and a new discriminator of numbers, both (B, 1) -> (B, 1)."""
    torch.manual_seed(3)
    generator = nn.Sequential(nn.Linear(1, 32), nn.ReLU(), nn.Linear(32, 1))
    discriminator = nn.Sequential(
        nn.Linear(1, 32), nn.LeakyReLU(0.2),
        nn.Linear(32, 32), nn.LeakyReLU(0.2),
        nn.Linear(32, 1),
    )  # fmt: skip
    return generator, discriminator


# %%
def adam(network):
    """The usual optimiser of a GAN's player: Adam that forgets old gradients quickly."""
    return torch.optim.Adam(network.parameters(), lr=1e-3, betas=(0.5, 0.999))


# %%
generator, discriminator = make_players()
g_optimizer, d_optimizer = adam(generator), adam(discriminator)
real, noise = 3.0 + 0.5 * torch.randn(batch, 1), torch.randn(batch, 1)

# %% [markdown]
# **The discriminator's half.** `detach` cuts the graph between the fakes and the generator. D's
# loss rewards *recognising* the fakes, and the generator must not learn to be recognised.

# %%
fake = generator(noise)  # (B, 1)
d_loss = -value_function(discriminator(real), discriminator(fake.detach()))
d_optimizer.zero_grad()
d_loss.backward()
print("gradients in D:", all(p.grad is not None for p in discriminator.parameters()))
print("gradients in G:", any(p.grad is not None for p in generator.parameters()))
d_optimizer.step()

# %% [markdown]
# **The generator's half** you will write yourself. Tutorials write both losses as binary
# cross-entropy. In D's half real examples have label 1 and fakes have label 0; in G's half
# **the fakes have label 1**:

# %%
a, b = torch.tensor([3.0, -0.5, 200.0]), torch.tensor([-2.0, 0.7])  # real and fake logits
bce = F.binary_cross_entropy_with_logits
with_labels = bce(a, torch.ones(3)) + bce(b, torch.zeros(2))
print(f"D's loss: -V = {-value_function(a, b):.6f}, with labels {with_labels:.6f}")
assert torch.isclose(-value_function(a, b), with_labels)
assert torch.isclose(generator_loss(b, saturating=False), bce(b, torch.ones(2)))

# %% [markdown]
# Here is a whole step, as found in somebody's repository. It runs:


# %%
def found_step(generator, discriminator, g_optimizer, d_optimizer, real, noise):
    """One step of each player, as found. Something is wrong with it."""
    fake = generator(noise)
    d_loss = -value_function(discriminator(real), discriminator(fake))
    d_loss.backward(retain_graph=True)
    d_optimizer.step()
    d_optimizer.zero_grad()
    g_loss = generator_loss(discriminator(fake), saturating=False)
    g_loss.backward()
    g_optimizer.step()
    g_optimizer.zero_grad()
    return d_loss.item(), g_loss.item()


# %%
def play(step_function, steps, every=0, look=None):
    """A game of numbers from its start; returns the players and the losses [(D's, G's), ...]."""
    generator, discriminator = make_players()
    optimizers = adam(generator), adam(discriminator)
    losses = []
    for step in progress_bars.progress(range(steps), "both players", leave=False):
        if every and step % every == 0:
            look(step, generator, discriminator)
        real, noise = 3.0 + 0.5 * torch.randn(batch, 1), torch.randn(batch, 1)
        losses.append(step_function(generator, discriminator, *optimizers, real, noise))
    return generator, discriminator, losses


# %%
generator, discriminator, losses = play(found_step, g_steps)
with torch.no_grad():
    fakes = generator(torch.randn(2_000, 1))
    answer = discriminator(fakes).sigmoid().mean()
print(f"G's loss {losses[-1][1]:.3f} (log 2 = {math.log(2):.3f}), D(G(z)) = {answer:.2f}")
print(f"mean of the fakes {fakes.mean():.2f} (target 3), spread {fakes.std():.2f} (target 0.5)")

# %% [markdown]
# $D(G(z)) = \tfrac12$ and $L_G = \log 2$: by these two numbers neither player can improve: a *Nash
# equilibrium*. The samples say otherwise.
#
# ### Exercise: repair the step
#
# *Medium, 15 minutes.* Write the step that `found_step` should have been: one discriminator step,
# then one generator step against the updated discriminator, with the non-saturating loss. Return
# both losses as Python floats. Real examples and noise may differ in number. (Algorithm 1 of the
# paper: minimax loss, fresh noise for G.)
#
# <details><summary>Hint 1</summary>For each of the two networks, list every loss whose gradient is
# in <code>.grad</code> at the moment when its optimiser steps.</details>
# <details><summary>Hint 2</summary>If PyTorch complains about a second backward or a variable
# modified in place, do not reach for <code>retain_graph</code>: ask which graph you are using
# again, and whether D has changed since.</details>


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
# Why `zero_grad` *before* each `backward`? G's loss also leaves gradients in D's weights:

# %%
generator, discriminator = make_players()
gan_step(generator, discriminator, adam(generator), adam(discriminator), real, noise)
print("G's half left gradients in D:", discriminator[0].weight.grad.abs().sum().item() > 0)

# %% [markdown]
# ## Watch a generator move
#
# The same start, with your step:

# %%
axis = torch.linspace(-2, 6, 400)
pictures = {}


# %%
def take_picture(step, generator, discriminator):
    """Keep fakes (2000,) and D on the axis (400,) after so many steps."""
    with torch.no_grad():
        fakes = generator(torch.randn(2_000, 1))[:, 0]
        pictures[step] = fakes, discriminator(axis[:, None]).sigmoid()[:, 0]


# %%
generator, discriminator, losses = play(gan_step, g_steps, g_steps // 20, take_picture)
take_picture(g_steps, generator, discriminator)

# %%
chosen = {step: pictures[step] for step in [sorted(pictures)[i] for i in (0, 1, 2, 4, 20)]}
alt = "In five snapshots the fakes move from around 0 to the target at 3, and D, at first a rising slope between them, flattens towards one half."
plots.show(game_plots.snapshots(axis, normal_density(axis, 3.0, 0.5), chosen), alt=alt)

# %% [markdown]
# The fakes climb a hill, and the hill is D: low where they start, high at the data. Once they have
# arrived, D is almost flat around them, and the push becomes small.

# %%
fakes, _ = pictures[g_steps]
d_end, g_end = torch.tensor(losses[-100:]).mean(dim=0).tolist()
print(f"fakes: mean {fakes.mean():.2f} (target 3), spread {fakes.std():.2f} (target 0.5)")
print(f"last losses: D {d_end:.3f} (log 4 = {math.log(4):.3f}), G {g_end:.3f} (log 2 = 0.693)")

# %% [markdown]
# Both losses end where the theory says. But so did G's loss in `found_step`; and even here the
# fakes may spread too little. Look at the samples before you believe a loss.
#
# **This is the end of the first half.** You have the game, its optimum, both losses and the step:
# lesson 2 needs no more.

# %% [markdown]
# ## Second half: what breaks
#
# From here on each experiment is repeated, since one run proves nothing. `stacked_mlp` trains
# several small networks (`copies`) side by side, each with its own weights and data. The code stays
# the same; tensors get one more dimension in front: (copies, batch, features).
#
# ## The same start, both losses
#
# What does saturation cost? Give D an advantage: train it alone for 200 steps. Then the same
# generator trains with one loss or the other, by plain SGD, whose steps are proportional to the
# gradient.


# %%
def leaky():
    """The activation of every discriminator in this half."""
    return nn.LeakyReLU(0.2)


# %%
def race(saturating, copies, steps, make_optimizer):
    """Mean of the fakes, (steps, copies), of a game against a discriminator with 200 steps of
    advantage.
    """
    torch.manual_seed(0)
    generator = stacked_mlp([1, 32, 1], copies, seed=1)
    discriminator = stacked_mlp([1, 32, 32, 1], copies, seed=2, activation=leaky)
    g_optimizer, d_optimizer = make_optimizer(generator), adam(discriminator)
    means = []
    for step in progress_bars.progress(range(200 + steps), "race", leave=False):
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
def sgd(network):
    """Plain SGD at rate 0.005; times copies, because the stack's loss is a mean over copies."""
    return torch.optim.SGD(network.parameters(), lr=0.005 * copies)


# %%
with_sgd = {name: race(name == "minimax", copies, race_steps, sgd) for name in LOSSES}


# %%
def arrival(mean, target=3.0):
    """First step (copies,) at which the mean of the fakes is within 0.3 of the target; len(mean) if
    never.
    """
    near = (mean - target).abs() < 0.3  # (steps, copies)
    return torch.where(near.any(dim=0), near.float().argmax(dim=0), len(mean))


# %%
for name, mean in with_sgd.items():
    print(f"{name}: arrived after {arrival(mean).tolist()} steps")
alt = "With SGD and the non-saturating loss all runs reach 3 within dozens of steps and overshoot. With the minimax loss most wait near 0 for hundreds of steps."
plots.show(game_plots.race(with_sgd, 3, "generator with SGD"), alt=alt)

# %% [markdown]
# In ten longer repetitions the median was
# {{result:gan_losses.json:sgd.non-saturating.median:.0f}} steps for the non-saturating loss and
# {{result:gan_losses.json:sgd.minimax.median:.0f}} for the minimax loss. Given
# {{result:gan_losses.json:steps:,d}} steps, all ten did arrive: *saturating is slow, not wrong*.
#
# ### Exercise: the same race with Adam (a prediction)
#
# *Easy, 2 minutes.* Almost nobody trains a GAN with SGD. Adam divides each step by the size of
# recent gradients. Which loss arrives first now? Write `"minimax"` or `"non-saturating"` in the
# place of the dots, *before* you run the next cells.

# %%
first_with_adam = ...
first_with_adam = checks.gan.first_with_adam(first_with_adam)

# %%
with_adam = {name: race(name == "minimax", copies, race_steps, adam) for name in LOSSES}

# %%
medians = {name: arrival(mean).median().item() for name, mean in with_adam.items()}
first_with_adam.beside(min(medians, key=medians.get))
print("median steps until arrival:", medians)

# %%
alt = "With Adam both losses reach 3 within a few hundred steps, and the minimax loss is no longer the slow one."
plots.show(game_plots.race(with_adam, 3, "the same with Adam"), alt=alt)

# %% [markdown]
# In ten repetitions the medians were {{result:gan_losses.json:adam.minimax.median:.0f}} steps for
# minimax and {{result:gan_losses.json:adam.non-saturating.median:.0f}} for non-saturating. The
# derivation was right, but "minimax is slow" holds for an optimiser that hardly anybody uses here.
# Adam divides a small gradient by its own size, and the step is as large as any other.
#
# ## Mode collapse
#
# Where does a generator go while D stands still? Its best reply is to put all samples on a single
# point, the one that D finds most real, whatever the data look like:
#
# $$\mathbb E_z \log D(G(z)) \;\le\; \max_x \log D(x).$$
#
# Try it: the data are N(1.5, 0.6), and D, frozen, is the best discriminator between them and
# N(0, 1).

# %%
p, q = torch.distributions.Normal(1.5, 0.6), torch.distributions.Normal(0.0, 1.0)
generator, _ = make_players()
g_optimizer = torch.optim.Adam(generator.parameters(), lr=1e-2)
for _ in range(500):
    fake = generator(torch.randn(batch, 1))
    frozen_logits = p.log_prob(fake) - q.log_prob(fake)  # of D*, which does not learn
    g_loss = generator_loss(frozen_logits, saturating=False)
    g_optimizer.zero_grad()
    g_loss.backward()
    g_optimizer.step()

# %%
best_x = 1.5 / (1 - 0.6**2)  # where the derivative of the logit, -(x - 1.5) / 0.36 + x, is zero
print(f"all fakes at {fake.mean():.3f} (spread {fake.std():.3f}), D is highest at {best_x:.3f}")
assert abs(fake.mean() - best_x) < 0.05 and fake.std() < 0.05

# %% [markdown]
# A *mode* is a peak of the data's density. A generator that makes good samples of a few modes and
# none of the others has *collapsed*: *mode collapse* ([tutorial](https://arxiv.org/abs/1701.00160),
# section 5.1.1). To see it in a real game we need data whose modes can be counted: eight small
# Gaussians on a ring.

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
# Three numbers describe a generator:
#
# - the *modes* it covers: a mode counts if at least 1 % of the samples lie within three standard
#   deviations of its centre (a fair share would be 12.5 %);
# - the share of *high-quality* samples, within three standard deviations of any centre;
# - the *reverse KL*, $\mathrm{KL}(\text{shares} \,\|\, \text{uniform})$, where every sample counts
#   for its nearest centre. It is 0 when all modes have equal shares, and $\log 8 \approx 2.08$ when
#   one has all. (*Reverse*: the generator comes first.)
#
# (After [Srivastava et al. 2017](https://arxiv.org/abs/1705.07761); the 1 % is ours.)

# %% [markdown]
# ### Exercise: how many modes? (a prediction)
#
# *Easy, 2 minutes.* In one of the games below G learns twenty times more slowly than D. So D stays
# close to its optimum after every move. How many of the eight modes will this generator cover?
# Write a number from 0 to 8, *before* you run the next cells.

# %%
modes_covered = ...
modes_covered = checks.gan.modes_covered(modes_covered)

# %% [markdown]
# ### Exercise: count what is missing
#
# *Hard, 35 minutes.* Three functions; the other two follow further down. First compute the three
# numbers, for any K centres and any standard deviation. Read the list again: they do not count the
# same samples.
#
# <details><summary>Hint 1</summary>In a row of <code>torch.cdist(samples, centres)</code>, (N, K),
# what do the smallest number and its place tell you?</details>
# <details><summary>Hint 2</summary><code>torch.bincount(places, minlength=K)</code> counts how
# often each place from 0 to K − 1 occurs; a generator may leave some out.</details>


# %%
def mode_scores(samples, centres, std):
    """Modes covered, share of high-quality samples and reverse KL in nats, three numbers: samples
    (N, 2) of Gaussians around centres (K, 2), each with standard deviation std.
    """
    ### BEGIN SOLUTION
    distance, nearest = torch.cdist(samples, centres).min(dim=1)  # (N,) each
    good = distance < 3 * std
    hits = torch.bincount(nearest[good], minlength=len(centres))  # good samples of each mode
    modes = (hits >= 0.01 * len(samples)).sum()
    shares = torch.bincount(nearest, minlength=len(centres)) / len(samples)  # (K,), of all samples
    reverse_kl = torch.xlogy(shares, len(centres) * shares).sum()
    return modes.item(), good.float().mean().item(), reverse_kl.item()
    ### END SOLUTION


mode_scores = checks.gan.mode_scores(mode_scores)


# %%
def score_ring(samples):
    """The three numbers of each copy: (copies, N, 2) -> three tensors (copies,)."""
    scores = [mode_scores(copy, ring_centres(), STD) for copy in samples]
    return [torch.tensor(column) for column in zip(*scores)]


# %% [markdown]
# First test it where we know the answer: on the data, and on one mode.

# %%
everything = draw_ring(1, 10_000)
x, y = everything[0].T
single = everything[:, (x > 1) & (y.abs() < 0.7)]  # only the mode at (2, 0) lies there
for name, samples in (("data", everything), ("one mode", single)):
    modes, good, reverse_kl = (value.item() for value in score_ring(samples))
    print(f"{name}: modes {modes}, high quality {good:.3f}, reverse KL {reverse_kl:.3f}")
assert abs(reverse_kl - math.log(8)) < 1e-5

# %% [markdown]
# ### One knob, three endings
#
# D always learns at rate 0.002. We change only the *generator's* rate: five times as high, equal,
# or a twentieth. All samples start as one little cloud in the middle, since the initial weights of
# G's last layer are small.

# %%
D_RATE = 2e-3
G_RATES = {"G faster": 1e-2, "equal rates": 2e-3, "G slower": 1e-4}


# %%
def make_ring_generator(copies):
    """Noise (copies, B, 2) -> points in the plane (copies, B, 2); at first all near the middle."""
    generator = stacked_mlp([2, 64, 64, 2], copies, seed=1)
    with torch.no_grad():
        generator[-1].weight.mul_(0.1)
    return generator


# %%
def make_judge(copies):
    """A discriminator of points in the plane: (copies, B, 2) -> logits (copies, B, 1)."""
    return stacked_mlp([2, 64, 64, 1], copies, seed=2, activation=leaky)


# %%
def ring_trace(generator, discriminator, step, copies):
    """What can be seen of the first copy: losses, probabilities, and how far samples and data
    spread.
    """
    real, noise = draw_ring(copies, 256), torch.randn(copies, 256, 2)
    return {"step": step, **gan_trace.of_the_first(generator, discriminator, real, noise)}


# %%
def play_ring(discriminator, g_lr, steps, copies, look=ring_trace):
    """Train on the ring; returns samples (copies, 2500, 2) and the first copy's history."""
    torch.manual_seed(0)
    generator, betas = make_ring_generator(copies), (0.5, 0.999)
    g_optimizer = torch.optim.Adam(generator.parameters(), lr=g_lr, betas=betas)
    d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=D_RATE, betas=betas)
    rows = []
    for step in progress_bars.progress(range(1, steps + 1), "ring", leave=False):
        real, noise = draw_ring(copies, 128), torch.randn(copies, 128, 2)
        gan_step(generator, discriminator, g_optimizer, d_optimizer, real, noise)
        if step % 20 == 0:
            rows.append(look(generator, discriminator, step, copies))
    with torch.no_grad():
        samples = generator(torch.randn(copies, 2_500, 2))
    return samples, {name: [row[name] for row in rows] for name in rows[0]}


# %%
games, histories, judges = {}, {}, {}
for name, g_lr in G_RATES.items():
    judges[name] = make_judge(copies)
    games[name], histories[name] = play_ring(judges[name], g_lr, ring_steps, copies)

# %%
for name, samples in games.items():
    modes, good, reverse_kl = score_ring(samples)
    print(
        f"{name}: modes {modes.tolist()}, high quality {good.mean():.2f}, "
        f"reverse KL {reverse_kl.mean():.2f}"
    )
modes_covered.beside(score_ring(games["G slower"])[0].float().mean().item(), ".1f")

# %%
alt = "Data in grey. Top, G faster: the samples of many runs are one streak that misses the clusters. Middle, equal rates: all eight clusters are covered. Bottom, G slower: all samples of a run sit on one cluster."
plots.show(game_plots.rings(games, draw_ring(1, 800)[0]), alt=alt)

# %% [markdown]
# The bottom row is mode collapse: the samples that come are good, and most modes are missing. The
# top row is another failure, a *chase*. D always rejects the place that G has just left, and most
# samples of a streak belong to no mode. A chase can end: in some runs D catches up. Ten repetitions
# of {{result:gan_collapse.json:steps:,d}} steps each, with 95 % intervals of the mean:
#
# | setting | modes of 8 | high quality | reverse KL (nats) |
# | --- | --- | --- | --- |
# | G five times faster: the chase | {{result:gan_collapse.json:faster.modes.text}} | {{result:gan_collapse.json:faster.good.text}} | {{result:gan_collapse.json:faster.reverse_kl.text}} |
# | the same, but D sees the spread of a batch (below) | {{result:gan_collapse.json:spread_faster.modes.text}} | {{result:gan_collapse.json:spread_faster.good.text}} | {{result:gan_collapse.json:spread_faster.reverse_kl.text}} |
# | **equal rates** | {{result:gan_collapse.json:equal.modes.text}} | {{result:gan_collapse.json:equal.good.text}} | {{result:gan_collapse.json:equal.reverse_kl.text}} |
# | G twenty times slower: collapse | {{result:gan_collapse.json:slower.modes.text}} | {{result:gan_collapse.json:slower.good.text}} | {{result:gan_collapse.json:slower.reverse_kl.text}} |
# | the same, but D sees the spread of a batch | {{result:gan_collapse.json:spread.modes.text}} | {{result:gan_collapse.json:spread.good.text}} | {{result:gan_collapse.json:spread.reverse_kl.text}} |
# | the data themselves | {{result:gan_collapse.json:data.modes.text}} | {{result:gan_collapse.json:data.good.text}} | {{result:gan_collapse.json:data.reverse_kl.text}} |
#
# Why does the collapsed generator stay where it is, while D calls seven other places "real"? Walk
# around the ring and ask D at every step:

# %%
turn = torch.linspace(0, 2 * math.pi, 721)
circle = 2.0 * torch.stack([turn.cos(), turn.sin()], dim=1)  # (721, 2)
with torch.no_grad():
    around = judges["G slower"](circle.expand(copies, -1, 2))[0, :, 0].sigmoid()

# %%
alt = "D around the ring for a collapsed run: near 1 everywhere but at the one cluster where all the fakes are; there it is near one ninth."
plots.show(game_plots.around(games, "G slower", turn, around), alt=alt)

# %% [markdown]
# D answers "real" everywhere but at the fakes' own cluster. There are an eighth of the data and all
# of the fakes, so $D^* = \frac{1/8}{1/8 + 1} = 1/9$. A likely reason why the cloud stays: between
# the clusters there are no data, and a D twenty times faster rejects at once what sets out.
#
# The remedy is in the table: with equal rates the cloud spreads over the ring (game A of the film
# at the top).
#
# The chase has another remedy (no cure for collapse: see the table). A D that judges points one by
# one cannot see that they are alike. Tell it how far a batch spreads, and a lack of variety gives
# the fakes away (*minibatch discrimination*, [Salimans et al.
# 2016](https://arxiv.org/abs/1606.03498), section 3.2, as in [Karras et al.
# 2018](https://arxiv.org/abs/1710.10196), section 3).
#
# **The second function of exercise {{exercise:with_spread}}.** Append to every point one more
# coordinate: the standard deviation of its batch, averaged over the coordinates. All points of a
# batch get the same number. Copies must not see each other, and G has to feel what its lack of
# variety costs.
#
# <details><summary>Hint</summary>Which dimension holds the points of one batch?</details>


# %%
def with_spread(points):
    """Append to every point the mean standard deviation of its batch: (copies, B, D) -> (copies, B,
    D + 1).
    """
    ### BEGIN SOLUTION
    spread = points.std(dim=1, keepdim=True)  # of each coordinate: (copies, 1, D)
    spread = spread.mean(dim=2, keepdim=True)  # (copies, 1, 1)
    column = spread.expand(-1, points.shape[1], -1)  # the same for all points of a batch
    return torch.cat([points, column], dim=2)
    ### END SOLUTION


with_spread = checks.gan.with_spread(with_spread)


# %%
class WithSpread(nn.Module):
    """Your function as a layer."""

    def forward(self, points):
        return with_spread(points)


# %%
def make_spread_judge(copies):
    """The same discriminator with the spread as a third input."""
    judge = stacked_mlp([3, 64, 64, 1], copies, seed=2, activation=leaky)
    return nn.Sequential(WithSpread(), judge)


# %%
spread, _ = play_ring(make_spread_judge(copies), G_RATES["G faster"], ring_steps, copies)
modes, good, _ = score_ring(spread)
print(f"G faster, D sees the spread: modes {modes.tolist()}, high quality {good.mean():.2f}")

# %% [markdown]
# ## Would you have noticed?
#
# The first run of each setting. From the two left plots alone, which would you have stopped?

# %%
alt = "Grey lines are the equilibrium, log 4 and one half. The chase and the good run both lie near them; the collapsed run has a low D loss. Only the spread of the samples shows both failures."
plots.show(game_plots.histories(histories), alt=alt)

# %% [markdown]
# The chase has the losses of a good game, since D is always late. **Losses do not show it: look at
# the samples, or measure their variety.** The collapsed run does look different. Could D's loss
# even say how many modes are left?
#
# **The third function of exercise {{exercise:loss_of_modes}}.** The data are spread evenly over
# `modes` clusters that do not overlap. All fakes lie on `covered` of them, in equal shares, and
# within a cluster they are like the data. How large is the loss $-V$ of the *best* D?
#
# <details><summary>Hint</summary>Which share of the data lies on one covered cluster, and which
# share of the fakes? And what does D* answer elsewhere?</details>


# %%
def loss_of_modes(covered, modes):
    """Loss of the best D, in nats (one number), against fakes on so many of the data's modes."""
    ### BEGIN SOLUTION
    best = (1 / modes) / (1 / modes + 1 / covered)  # D* on a covered cluster; 1 on the others
    of_real = -covered / modes * math.log(best)  # the others cost nothing
    of_fakes = -math.log(1 - best)  # all fakes lie on covered clusters
    return of_real + of_fakes
    ### END SOLUTION


loss_of_modes = checks.gan.loss_of_modes(loss_of_modes)

# %%
for covered in (1, 2, 4, 6, 8):
    print(f"{covered} of 8 modes: the best D's loss is {float(loss_of_modes(covered, 8)):.3f}")
for name, history in histories.items():
    print(f"{name}: D's loss is {torch.tensor(history['d_loss'][-10:]).mean():.3f}")

# %% [markdown]
# The collapsed run tells the truth: one mode. But by this table the chase covers nearly all. **D's
# loss measures G only while D is near its optimum.**
#
# ### When it goes wrong and looks right
#
# The same 1-D toy, with the right step and four wrong ones, after
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
# In the second row $L_G \to 0$ looks like success, while the samples ran *away* from the data. The
# last three rows have $D(G(z)) = ½$ and $L_G = \log 2$, with all samples in one wrong place. There
# both losses train G: $L_D$ pushes a fake's logit down with $\sigma(a)$, $L_G$ pushes it up with
# $1 - \sigma(a)$, and at ½ the two cancel, wherever the fakes are. Look at $D(x)$: at an
# equilibrium it is ½, here it is 1.
#
# ## Beyond Jensen-Shannon
#
# Remember the plateau. Two boxes (uniform densities) that do not overlap have a JSD of $\log 2$
# *wherever* they are, and no direction looks better than another. The *Wasserstein-1 distance*
# $W_1$ keeps growing ([Arjovsky et al. 2017](https://arxiv.org/abs/1701.07875), section 2, example
# 1). It is the smallest mean distance that mass must travel to turn one density into the other. In
# one dimension it takes one line: match the smallest with the smallest, and so on.


# %%
def wasserstein_1d(x, y):
    """W1 of two samples of equal size (N,), (N,): the mean distance after sorting."""
    return (x.sort().values - y.sort().values).abs().mean()


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

# %%
print(f"shift 0.5: JSD {jsd[4]:.3f}, by hand {0.5 * math.log(2):.3f}")
print(f"shift 3.0: JSD {jsd[24]:.3f}, W1 {w1[24]:.3f}")
assert torch.allclose(jsd, thetas.clamp(max=1) * math.log(2), atol=2e-3)  # theta log 2, then flat
assert torch.allclose(w1, thetas, atol=0.02)

# %%
alt = "Left, the JSD rises to log 2 at shift 1 and is flat from there. Right, Wasserstein-1 goes on rising with slope 1."
plots.show(game_plots.distances(thetas, jsd, w1), alt=alt)

# %% [markdown]
# In more dimensions nothing can be sorted, but there is a dual form (their equation 2, the
# *Kantorovich-Rubinstein* duality): $W_1 = \max_f \mathbb E_{p} f(x) - \mathbb E_{q} f(x)$ over all
# *1-Lipschitz* $f$, that is, all $f$ whose slope is at most 1. A network can take the part of $f$.
# It is called a *critic*: it has no sigmoid and returns no probability.
#
# Everything depends on the bound on the slope: without it, scaling $f$ by 10 would scale the
# "distance" by 10. We try two ways to enforce it, on two points at 0 and at 4, where $W_1 = 4$:
#
# - *weight clipping* to $[-c, c]$ (same paper, algorithm 1) bounds the slope by some number that
#   depends on $c$ and on the network;
# - a *gradient penalty* $\lambda\,(|f'(x)| - 1)^2$ at random points between real and fake
#   ([Gulrajani et al. 2017](https://arxiv.org/abs/1704.00028), equation 3). We penalise only slopes
#   above 1, a variant that they discuss in section 4.


# %%
def penalty_on_slope(critic):
    """Mean squared excess of the critic's slope over 1, at random points between 0 and 4."""
    between = (4 * torch.rand(copies, 64, 1)).requires_grad_()
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return ((slope.abs() - 1).clamp(min=0) ** 2).mean()


# %%
def train_critic(clip=None, penalty=0.0, steps=300):
    """W1 between points at 4 and at 0 as each copy's critic sees it (copies,), mean over the last
    100 steps.
    """
    torch.manual_seed(0)
    critic = stacked_mlp([1, 64, 64, 1], copies, seed=3, activation=leaky)
    optimizer = torch.optim.Adam(critic.parameters(), lr=2e-3, betas=(0.5, 0.9))
    here, there, distances = torch.zeros(copies, 1, 1), torch.full((copies, 1, 1), 4.0), []
    for _ in progress_bars.progress(range(steps), "critic", leave=False):
        distance = (critic(there) - critic(here)).flatten()  # (copies,)
        distances.append(distance.detach())
        loss = -distance.mean() + penalty * penalty_on_slope(critic)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if clip is not None:
            with torch.no_grad():
                for weight in critic.parameters():
                    weight.clamp_(-clip, clip)
    return torch.stack(distances[-100:]).mean(dim=0)


# %%
for c in (0.01, 0.1, 0.3):
    print(f"clipping to {c}: {train_critic(clip=c, steps=critic_steps).mean():.3g}")

# %%
for strength in (10.0, 100.0):
    estimate = train_critic(penalty=strength, steps=critic_steps)
    expected = 4 * (1 + 4 / (2 * strength))
    print(f"penalty {strength:.0f}: {estimate.mean():.3f}, expected {expected:.3f}")
    assert (estimate - expected).abs().max() < 0.1

# %% [markdown]
# With clipping the "distance" depends on $c$, over orders of magnitude. The penalty comes close to
# 4, and its error can be computed: the best slope $s$ maximises $4 s - \lambda (s-1)^2$, so
# $s = 1 + 4/(2\lambda)$.
#
# ## No promise to converge
#
# Theorem 1 says where the best generator is. That training gets there (proposition 2 of the paper)
# is proved for a D that is optimal after every move. Real players take one small step each. Here is
# the smallest game: the data are the single point 0, the generator's only sample is at $a$, and the
# critic is a line of slope $b$:
#
# $$\min_a \max_b\; a\,b, \qquad \text{solved at } a = b = 0.$$
#
# Each step, $\eta\,(-b, a)$ at learning rate $\eta$, is perpendicular to the direction of the
# solution. A penalty on D adds a pull of strength $\gamma$ on the slope $b$. A *zero-centred*
# penalty pulls $b$ to 0. The *one-centred* penalty of the last section, in its two-sided form,
# pulls it to ±1.


# %%
def bilinear_game(steps, rate, in_turn=False, pull=lambda b: 0.0):
    """Path (steps + 1, 2) of (a, b) from (1, 1): both step at once, or D after G."""
    a = b = 1.0
    path = [(a, b)]
    for _ in range(steps):
        new_a = a - rate * b
        b = b + rate * ((new_a if in_turn else a) - pull(b))
        a = new_a
        path.append((a, b))
    return torch.tensor(path, dtype=torch.float64)


# %%
GAMMA = 0.5  # strength of both penalties
paths = {
    "at once": bilinear_game(200, 0.1),
    "in turn": bilinear_game(200, 0.1, in_turn=True),
    "at once, zero-centred": bilinear_game(200, 0.1, pull=lambda b: GAMMA * b),
    "at once, one-centred": bilinear_game(
        200, 0.1, pull=lambda b: GAMMA * (abs(b) - 1) * math.copysign(1, b)
    ),
}  # fmt: skip

# %%
alt = "Four paths around the solution, a cross. At once: a spiral outwards. In turn: a closed curve. With a zero-centred penalty: a spiral into the solution. With a one-centred penalty: a curve that keeps circling."
plots.show(game_plots.paths(paths), alt=alt)

# %% [markdown]
# The first spiral can be computed by hand: each step multiplies the distance from the solution by
# $\sqrt{1 + \eta^2}$. With the zero-centred penalty the factor is
# $\sqrt{1 - \eta\gamma + \eta^2}$, below 1 as soon as $\gamma > \eta$.

# %%
distance = {name: path.norm(dim=1) for name, path in paths.items()}
predicted = {"at once": math.sqrt(1 + 0.1**2), "at once, zero-centred": math.sqrt(0.96)}
for name, factor in predicted.items():
    per_step = (distance[name][-1] / distance[name][0]) ** (1 / 200)
    print(f"{name}: x {per_step:.4f} per step, by formula {factor:.4f}")
    assert abs(per_step - factor) < 0.002

# %%
for name, radius in distance.items():
    print(f"{name}: distance from the solution {radius[0]:.2f} at first, {radius[-1]:.2f} at last")
assert distance["at once, zero-centred"][-1] < 0.1 < 0.9 < distance["at once, one-centred"][-1]

# %% [markdown]
# [Mescheder et al. 2018](https://arxiv.org/abs/1801.04406) (sections 2 to 4) prove it for this kind
# of game: zero-centred penalties on D's gradient make training converge near the solution; the
# one-centred one (WGAN-GP) does not always. The reason is in the picture: at the solution D must be
# flat, and a penalty that asks for slope 1 will not let it. Lesson 2 uses the zero-centred one,
# under the name R1.
#
# ## Questions
#
# Think first.
#
# **1. D's loss has fallen to 0.001 and stays there. What has happened?** (a) the GAN has converged
# (b) D tells real from fake almost without error (c) $p_g = p_{data}$ (d) mode collapse
#
# <details><summary>Answer</summary>(b): when −V is near 0, V is near its largest value, and real
# and fake do not overlap. (a) and (c) would show 1.386. (d) with one mode of eight left the best D
# still has a loss of 0.39.</details>
#
# **2. A fake gets logit −5. How hard does each loss push it up?** (a) minimax 0.007, non-saturating
# 0.993 (b) the other way round (c) both 0.5 (d) minimax pushes it down
#
# <details><summary>Answer</summary>(a): σ(−5) = 0.007. (b) would hold at logit +5. (c) holds at
# logit 0. (d) both derivatives are negative everywhere, so descending either one raises the
# logit.</details>
#
# **3. Why <code>detach</code> in the discriminator's half?** (a) it makes fakes real (b) D would
# not learn without it (c) D's loss must not train G to be caught (d) it only saves memory
#
# <details><summary>Answer</summary>(c). (a) it changes no value. (b) D's own gradients are the same
# with and without it. (d) it does save work, but without it D's loss leaves gradients in G, and
# only a <code>zero_grad</code> just before G's <code>backward</code> removes them.</details>
#
# **4. $D(G(z)) = 0.50$, $L_G = 0.69$, $D(x) = 0.99$. Equilibrium?** (a) yes, D is undecided (b)
# yes, $L_G = \log 2$ (c) no, D(x) would have to be ½ as well (d) it cannot be told
#
# <details><summary>Answer</summary>(c): the best D at equilibrium answers ½ to <em>everything</em>.
# (a) and (b) look at the fakes only; the last three rows of the table above show such numbers. (d)
# D(x) tells.</details>
#
# ## Recap
#
# You derived the best discriminator and the value of the game, wrote both losses in terms of
# logits, wrote the training step and said what each gradient reaches, told the two generator losses
# apart by their gradients, and made mode collapse, counted it and cured it. And the film at the
# top? Game B is a chase: the loss of a D that is always late looks like the loss of a D that cannot
# tell.
#
# **What this did not show.** On images nobody knows how many modes there are. That equal rates
# cured *this* collapse is no law for other networks and data. The proofs assume densities and a D
# free at every x. And of Wasserstein GANs you have met the critic only.
#
# **Sources.** Goodfellow et al. 2014,
# [1406.2661](https://arxiv.org/abs/1406.2661) · Goodfellow 2016,
# [1701.00160](https://arxiv.org/abs/1701.00160) · Salimans et al. 2016,
# [1606.03498](https://arxiv.org/abs/1606.03498) · Arjovsky et al. 2017,
# [1701.07875](https://arxiv.org/abs/1701.07875) · Gulrajani et al. 2017,
# [1704.00028](https://arxiv.org/abs/1704.00028) · Karras et al. 2018,
# [1710.10196](https://arxiv.org/abs/1710.10196) · Mescheder et al. 2018,
# [1801.04406](https://arxiv.org/abs/1801.04406) · Srivastava et al. 2017,
# [1705.07761](https://arxiv.org/abs/1705.07761).
#
# **Next:** [lesson 2](02_dcgan_cifar10.ipynb), the same step with convolutions, on photographs.
