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
# # 8. Steadying and steering GANs
#
# Two people reproduced the same three papers on the same 50,000 photographs (CIFAR-10). The numbers
# are FIDs, so lower is better. DCGAN is lesson 2's; the other two come below.
#
# | reproduction | DCGAN | WGAN-GP | SNGAN |
# | --- | --- | --- | --- |
# | [one collection](https://github.com/w86763777/pytorch-gan-collections) | 42.7 | 19.8 | **17.8** |
# | [the other](https://github.com/xyfJASON/gans-pytorch/tree/067891c) | **24.8** | 31.9 | 28.8 |
#
# In the first, DCGAN, the oldest of the three, is the worst by far. In the second it is the best.
# Who is right? You will write the main ones yourself, let nine methods play with many seeds, and
# see how far such a table can be trusted. Then you will steer a GAN: ask for a horse, and measure
# whether a horse comes.
#
# **You will learn to** hold down the slope of a discriminator in four ways and tell what each one
# holds · show which of them lets the smallest game converge · compare methods with seeds, so that a
# difference means something · build a generator that makes the class you ask for · judge it class
# by class, where a total score is blind · trade its variety for obedience, without training.
#
# **You need** lesson 1 (the game and its losses) and lesson 2 (DCGAN, the penalty on slope, FD).
#
# **Time** about {{minutes}} minutes to read and solve. The computer works as long as this table
# says, and on your machine as long as the line under the settings says.
#
# {{tiers}}

# %% [markdown]
# ## Set-up

# %%
import copy
import math

from course_utils import checks, runtime  # before torch: waiting threads sleep
import torch
import torch.nn.functional as F
from IPython.display import Markdown, display
from torch import nn

# %%
from course_utils import progress_bars, results
from course_utils.display import class_plots, game_plots, picture_rows, plane_plots, plots
from course_utils.display.widgets import class_walk
from course_utils.datasets.images import load_images
from course_utils.evaluation import class_scores, metrics
from course_utils.models import cgan, dcgan, gan_steady, plane_gan
from course_utils.training.run import TrainingRun, run_folder

# %%
run = runtime.setup(seed=0)

# %% [markdown]
# Everything you may want to change is in the next cell. Its columns are the course's three tiers:
# `smoke` for tests, `laptop` for a CPU, `gpu` for a GPU. The line above says which one you have.

# %%
from course_utils.machine import minutes_here

# fmt: off
#                       smoke  laptop     gpu
plane_steps  = run.pick(   20,    900,  2_000)  # steps of each game in the plane
seeds        = run.pick(    2,      4,      5)  # games of each method in the plane
steps        = run.pick(   30,  2_000, 80_000)  # steps of each player, with pictures
batch_size   = run.pick(   32,     64,     64)  # images per step
n_images     = run.pick(  512, 50_000, 50_000)  # training images
width        = run.pick(   16,     64,     64)  # channels of the last hidden map
average      = run.pick(  0.9,   0.99,  0.999)  # memory of the averaged generator
n_score      = run.pick(    4,    100,    200)  # images of a class that a score compares at a time
d_lr         = 4e-4   # learning rate of the discriminator; the generator's is 2e-4
gamma        = 0.1    # weight of the penalty on the discriminator's slope
latent_dim   = 100    # numbers that a picture is made from
source       = None   # None: CIFAR-10 where it is on this machine; or your own folder of classes
fresh        = False  # True: forget an earlier run and train again
# fmt: on
minutes_here.tell(run, "08_steady_conditional_gans")

# %% [markdown]
# ## The cliff
#
# All that a generator ever learns is the slope of D's logit at its own samples. Now let D win. Take
# one dimension, data at +1 and fakes at −1. D's logit is the line $w x$ with slope $w$. Gradient
# descent makes it steeper and steeper, and so the generator's steps longer and longer:


# %%
def train_line(steps, pull=0.0):
    """The slope w of the logit w * x, for data at +1 and fakes at -1, after gradient descent on
    -log D(1) - log(1 - D(-1)) + pull / 2 * w²."""
    w = 0.0
    for _ in range(steps):
        w += 0.5 * (2 / (1 + math.exp(w)) - pull * w)
    return w


# %% tags=["nbval-check-output"]
for steps_of_d in (10, 100, 1_000, 10_000):
    free, held = train_line(steps_of_d), train_line(steps_of_d, pull=0.1)
    print(f"after {steps_of_d:6,} steps: slope {free:5.2f}, with a small penalty {held:.2f}")

# %% [markdown]
# Without a penalty there is no best slope: whatever D has, twice as much is better. With even a
# small penalty there is one. The methods of the last ten years all hold the slope down, each in
# its own way:
#
# | method | it holds | source |
# | --- | --- | --- |
# | WGAN | each weight, by clipping | [1701.07875](https://arxiv.org/abs/1701.07875) |
# | WGAN-GP | the slope at 1, between data and fakes | [1704.00028](https://arxiv.org/abs/1704.00028) |
# | SNGAN | each layer, by its spectral norm | [1802.05957](https://arxiv.org/abs/1802.05957) |
# | R1 | the slope near 0, at the data | [1801.04406](https://arxiv.org/abs/1801.04406) |
# | R1 + R2 | the slope near 0, at data and fakes | [2501.05441](https://arxiv.org/abs/2501.05441) |
#
# You saw clipping in lesson 1. You write the others now.
#
# ## Hold each layer: the spectral norm
#
# A linear layer $Wx$ maps the circle of all vectors of length 1 to an ellipse. The most that it
# stretches a vector is the ellipse's longest semi-axis (from its centre to its farthest point). Its
# length is the largest *singular value* of $W$, also called its *spectral
# norm* $\sigma(W)$. Divide the weights by it, and no vector gets longer:

# %%
W = torch.tensor([[1.6, 0.9], [-0.3, 1.1]])
largest = torch.linalg.svdvals(W)[0]

# %%
titles = f"W: the longest semi-axis is {largest:.2f}", "W / σ(W): nothing gets longer"
plots.show(
    plane_plots.stretched(dict(zip(titles, (W, W / largest)))),
    alt="Left, a grey circle and the ellipse that a matrix makes of it, with an arrow along its longest semi-axis. Right, the ellipse of the divided matrix, which lies inside the circle and touches it at the arrow.",
)

# %% [markdown]
# The picture used `svdvals`, which is too slow for every training step. *Power iteration* is
# cheaper. Send a vector $u$ through $W^\top$, set the length of the result $v$ to 1, send it back
# through $W$, and set the length to 1 again. Each such *turn* brings the two nearer to the
# directions that are stretched most. Weights change little from step to step, so one turn per step
# is enough, **if the next step starts from the last $u$**.
#
# ### Exercise: the spectral norm
#
# *Medium, 12 minutes.* Write power iteration for any kernel `(out, ...)`, seen as a matrix with a
# row for each output, with `steps` turns (at least one). Return $\sigma$, and the $u$ from which
# the next call starts. $\sigma$ will stand in a loss. There its gradient has to reach the weight,
# but not go through the turns: $u$ and $v$ count as constants.
#
# <details><summary>Hint 1</summary>With unit vectors u (out,) and v, what is the number uᵀWv when
# both point where W stretches most?</details>
# <details><summary>Hint 2</summary>How many columns has the matrix of a kernel of shape (8, 3, 4,
# 4)? <code>flatten(1)</code> makes it.</details>
# <details><summary>Hint 3</summary>The directions are found without a gradient; only the last
# product is made with one.</details>


# %%
def spectral_norm(weight, u, steps):
    """Largest singular value of a kernel (out, ...), as a matrix, by power iteration from u (out,):
    sigma (a scalar that gradients reach through the weight alone) and the new u (out,)."""
    ### BEGIN SOLUTION
    matrix = weight.flatten(1)  # (out, in * k * k)
    with torch.no_grad():  # u and v are directions, constants for the gradient
        for _ in range(steps):
            v = F.normalize(matrix.T @ u, dim=0)  # (in * k * k,)
            u = F.normalize(matrix @ v, dim=0)  # (out,)
    return u @ matrix @ v, u
    ### END SOLUTION


spectral_norm = checks.stable.spectral_norm(spectral_norm)

# %% [markdown]
# Does one turn per step keep up with weights that move?

# %%
torch.manual_seed(0)
kernel, u = torch.randn(32, 16, 4, 4), F.normalize(torch.randn(32), dim=0)
for _ in range(200):
    kernel += 0.01 * torch.randn_like(kernel)  # random changes in the place of training
    sigma, u = spectral_norm(kernel, u, steps=1)

# %%
exact = torch.linalg.svdvals(kernel.flatten(1))[0]
print(f"one turn per step: {sigma:.3f}, exactly {exact:.3f}")
assert 0.98 * exact < sigma <= exact * (1 + 1e-5)


# %% [markdown]
# By the chain rule the slopes of layers multiply, and LeakyReLU has a slope of at most 1. So a
# network whose layers have norm 1 has a slope of at most $1 \cdot 1 \cdots 1 = 1$, wherever you
# measure it:


# %%
def normalised(network):
    """Divide the weights of each linear layer by their spectral norm, in place."""
    for layer in network:
        if isinstance(layer, nn.Linear):
            start = F.normalize(torch.randn(layer.out_features), dim=0)
            sigma, _ = spectral_norm(layer.weight, start, steps=500)
            layer.weight.data /= sigma.detach()
    return network


# %%
judge = nn.Sequential(
    nn.Linear(2, 64), nn.LeakyReLU(0.2),
    nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1),
)  # fmt: skip
points = (4 * torch.randn(2_000, 2)).requires_grad_(True)


# %%
def bound_and_steepest(judge):
    """Its layers' norms, their product, and the steepest of its slopes at the points."""
    (gradient,) = torch.autograd.grad(judge(points).sum(), points)  # (2000, 2)
    linear = judge[::2]  # every second layer; between them are the LeakyReLUs
    norms = [torch.linalg.svdvals(layer.weight)[0].item() for layer in linear]
    return norms, math.prod(norms), gradient.norm(dim=1).max().item()


# %%
for name in ("as initialised", "normalised"):
    if name == "normalised":
        judge = normalised(judge)
    norms, product, steepest = bound_and_steepest(judge)
    print(f"{name}: norms {[round(n, 3) for n in norms]}, their product {product:.3f}, "
          f"steepest of 2,000 slopes {steepest:.3f}")  # fmt: skip
    assert steepest <= product + 1e-5
assert max(norms) <= 1 + 1e-3

# %% [markdown]
# The bound holds, and the measured slope lies far below it: no vector is stretched most by all
# three layers at once. So D is held down more than was asked, and at every point. Where data and
# fakes lie close together, D should be steep, and now it cannot. (The games in the plane, further
# down, therefore hold each layer at 3 instead of 1.)
#
# A *convolution* has a second catch. Its kernel is not the whole map, since an input pixel takes
# part in several outputs. So a kernel of norm 1 can still stretch a picture:

# %% tags=["nbval-check-output"]
even = torch.full((1, 1, 4, 4), 0.25)  # all weights alike
plain = torch.ones(1, 1, 64, 64)
answer = F.conv2d(plain, even, stride=2)
print(f"norm of the kernel {torch.linalg.svdvals(even.flatten(1))[0]:.2f}, ", end="")
print(f"a plain picture gets {answer.norm() / plain.norm():.2f} times as long")

# %% [markdown]
# Nearly 2: all pixels but those at the border are seen by four outputs, and $\sqrt4 = 2$. SNGAN
# normalises the kernel all the same.
#
# SNGAN is often trained with the *hinge* losses. As in lesson 2, $a$ is D's logit. D gains nothing
# more from a photograph with a logit above the margin 1, or from a fake with one below −1. G has no
# margin:
#
# $$L_D = \mathbb{E}_x \max(0,\, 1 - a(x)) + \mathbb{E}_z \max(0,\, 1 + a(G(z))), \qquad
# L_G = -\mathbb{E}_z\, a(G(z)).$$
#
# ### Exercise: mend the hinge
#
# *Easy, 8 minutes.* The function below runs without a message and has three mistakes. You see them
# in training: D never learns to reject fakes; G stops learning long before its fakes are good; and
# D's loss changes when a batch has more fakes than photographs, although no logit has changed.
# Write `hinge_losses` as the two formulas say.
#
# <details><summary>Hint 1</summary>Try logits by hand: a photograph with logit 3 and a fake with
# logit −3 are both right. What should D's loss be?</details>
# <details><summary>Hint 2</summary>What is the slope of the generator's loss for a fake with
# logit −3?</details>


# %%
def hinge_as_found(real_logits, fake_logits):
    """D's loss and G's loss, with three mistakes."""
    both = torch.cat([F.relu(1 - real_logits), F.relu(1 - fake_logits)])
    return both.mean(), F.relu(-fake_logits - 4).mean()


# %%
def hinge_losses(real_logits, fake_logits):
    """The hinge game: what the discriminator and what the generator minimise, two scalars."""
    ### BEGIN SOLUTION
    d_loss = F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()
    return d_loss, -fake_logits.mean()
    ### END SOLUTION


hinge_losses = checks.stable.hinge_losses(hinge_losses)

# %% [markdown]
# Why a margin? A photograph with logit 3 has nothing more to teach D: the gradient comes from the
# doubtful pictures. G may not rest like that, since D will change.
#
# ## Hold the slope itself: two penalties
#
# WGAN-GP asks its *critic* (lesson 1's name for a discriminator without sigmoid) for a slope of
# exactly 1 at random points on the line between a photograph $x$ and a fake $\tilde x$. This is its
# equation 3, without the factor $\lambda$:
#
# $$\mathbb{E}\,\bigl(\lVert \nabla_{\!\hat x}\, a(\hat x) \rVert - 1\bigr)^2, \qquad
# \hat x = \alpha\, x + (1 - \alpha)\, \tilde x, \quad \alpha \sim U[0, 1].$$
#
# ### Exercise: the penalty between
#
# *Medium, 15 minutes.* Write the mean over a batch. Examples are points `(B, 2)` or pictures
# `(B, 3, H, W)`; `alpha` `(B,)` has one number for each pair. The result will be part of the
# critic's loss: its own gradient has to reach the critic's weights.
#
# <details><summary>Hint 1</summary>A number for each example has to be multiplied with all of its
# pixels: which shape lets it?</details>
# <details><summary>Hint 2</summary>Each example has a gradient with a length of its own, so flatten
# all dimensions but the first before you take it.</details>
# <details><summary>Hint 3</summary><code>torch.autograd.grad</code> throws its graph away, unless
# you ask for it, as in lesson 2.</details>


# %%
def gradient_penalty(critic, real, fake, alpha):
    """Mean over the batch of (length of the critic's gradient - 1)² at alpha * real + (1 - alpha) *
    fake: (B, ...), (B, ...), (B,) -> a scalar, without its factor lambda."""
    ### BEGIN SOLUTION
    alpha = alpha.view(-1, *[1] * (real.dim() - 1))  # (B, 1, ...): one for each example
    between = (alpha * real + (1 - alpha) * fake).detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()
    ### END SOLUTION


gradient_penalty = checks.stable.gradient_penalty(gradient_penalty)

# %% [markdown]
# R1 is the other kind. It is *zero-centred*: it asks for a slope of 0, at the photographs; R2 asks
# the same at the fakes. One function does both: it computes
# $\mathbb{E}\,\lVert \nabla_{\!x}\, a(x) \rVert^2$ at whatever $x$ it is given.
#
# ### Exercise: the zero-centred penalty
#
# *Hard, 20 minutes.* Lesson 2's penalty, for more cases. Three demands:
#
# - `x` are points or pictures, real or fake. Fakes may still hang on the generator's graph: the
#   penalty must leave `x` and the generator without a gradient, and reach D's weights.
# - The discriminator may have *BatchNorm* and be in training mode. Each slope must still be that of
#   one example's logit by this example alone.
# - Afterwards each layer is in the mode in which it came.
#
# <details><summary>Hint 1</summary>Lesson 2 asked for the slope at photographs. What is new here is
# what <code>x</code> may drag along.</details>
# <details><summary>Hint 2</summary>In which mode of BatchNorm does a picture's logit not depend on
# its batch? Some layers may have been in that mode before.</details>


# %%
def zero_centred_penalty(discriminator, x):
    """Mean over x (B, ...) of each logit's squared slope at its own example, a scalar without its
    factor. Right for a discriminator with BatchNorm too, which is left as it came."""
    ### BEGIN SOLUTION
    modes = [(layer, layer.training) for layer in discriminator.modules()]
    discriminator.eval()  # BatchNorm's averages in the place of the batch: a logit for each alone
    x = x.detach().requires_grad_(True)  # detached: the penalty is D's own affair
    (gradient,) = torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)  # (B, ...)
    for layer, mode in modes:
        layer.training = mode
    return gradient.square().flatten(1).sum(dim=1).mean()
    ### END SOLUTION


zero_centred_penalty = checks.stable.zero_centred_penalty(zero_centred_penalty)

# %% [markdown]
# ### The smallest game, with your penalties
#
# Slope 1 or slope 0: does it matter? In lesson 1's smallest game the data are the point 0, the
# generator's only sample is at $a$ (a place here, and no logit), and the critic is the line $b\,x$:


# %%
class Line(nn.Module):
    """The critic b * x: points (B, 1) -> logits (B,)."""

    def __init__(self):
        super().__init__()
        self.b = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return (self.b * x).sum(dim=1)


# %%
RATE = 0.1  # step size of both players
PULL = 0.5  # weight of the penalty

# %% [markdown]
# The critic wants the fake's logit low, the generator wants it high. Both minimise:
#
# $$L_D = b \cdot a - b \cdot 0 + \text{penalty}, \qquad L_G = -\, b \cdot a.$$
#
# The solution is $a = b = 0$. Which of your penalties lets the players find it?
#
# ### Exercise: the smallest game
#
# *Medium, 15 minutes.* Lesson 1 wrote the steps by arithmetic. Write them as a training loop, so
# that *your* penalties can join in. The critic is a `Line()`, and $a$ is a tensor `(1, 1)`. Both
# begin at 1.
#
# - In each of the `steps` both players take `rate` times the gradient of their own loss, downhill.
#   They move at once: neither sees where the other has just gone.
# - `penalty(critic, real, fake)` looks at two batches `(1, 1)`, the data and the generator's point.
#   It concerns the critic alone.
# - Return the path `(steps + 1, 2)`: plain numbers $(a, b)$ at first and after each step.
#
# <details><summary>Hint 1</summary>Lesson 1 wrote <code>new_a</code> beside <code>a</code>. What
# has to wait here until both gradients are known?</details>
# <details><summary>Hint 2</summary><code>torch.autograd.grad(loss, player)</code> leaves the other
# player alone. If two losses hang on one graph, it is gone after the first call.</details>
# <details><summary>Hint 3</summary>A step changes a tensor in place, and a list that holds the
# tensor holds the change. What do you want to keep?</details>


# %%
def smallest_game(penalty, rate, steps):
    """Path (steps + 1, 2) of (a, b) from (1, 1), both players stepping at once;
    penalty(critic, real, fake) is added to the critic's loss."""
    ### BEGIN SOLUTION
    critic, a = Line(), torch.ones(1, 1, requires_grad=True)
    data, path = torch.zeros(1, 1), [(1.0, 1.0)]
    for _ in range(steps):
        d_loss = (critic(a) - critic(data)).sum() + penalty(critic, data, a.detach())
        g_loss = -critic(a).sum()
        (of_b,) = torch.autograd.grad(d_loss, critic.b)
        (of_a,) = torch.autograd.grad(g_loss, a)
        with torch.no_grad():  # both gradients are known: now both players move
            a -= rate * of_a
            critic.b -= rate * of_b
        path.append((a.item(), critic.b.item()))
    return torch.tensor(path)
    ### END SOLUTION


smallest_game = checks.stable.smallest_game(smallest_game)

# %% [markdown]
# Now three games, two of them with your own penalties:

# %%
half = torch.full((1,), 0.5)  # any alpha does: a line is equally steep everywhere
penalties = {
    "no penalty": lambda critic, real, fake: 0.0,
    "zero-centred (R1)": lambda critic, real, fake: PULL / 2 * zero_centred_penalty(critic, real),
    "WGAN-GP": lambda critic, real, fake: PULL / 2 * gradient_penalty(critic, real, fake, half),
}
paths = {name: smallest_game(penalty, RATE, 400) for name, penalty in penalties.items()}

# %%
plots.show(
    game_plots.paths(paths, side=2.6),
    alt="Three paths around the solution, a cross in the middle. Without a penalty the spiral leaves the frame. With the zero-centred penalty it turns inwards and ends in the cross. With WGAN-GP's it goes on circling.",
)

# %% [markdown]
# R1's penalty on this line is `PULL / 2` times $b^2$, and its slope `PULL` times $b$.
# So without a penalty and with R1 a step multiplies $(a, b)$ by a matrix. The distance from the
# solution changes, on average, by the size that the two eigenvalues share. Below 1, the spiral
# turns inwards.

# %%
step_of = {  # (a, b) after a step = matrix @ (a, b)
    "no penalty": torch.tensor([[1.0, RATE], [-RATE, 1.0]]),
    "zero-centred (R1)": torch.tensor([[1.0, RATE], [-RATE, 1.0 - RATE * PULL]]),
}

# %%
for name, step in step_of.items():
    values, radius = torch.linalg.eigvals(step), paths[name].norm(dim=1)
    per_step = (radius[-1] / radius[0]) ** (1 / (len(radius) - 1))
    print(f"{name}: eigenvalues {values[0]:.3f} and {values[1]:.3f}, size {values[0].abs():.4f}; "
          f"measured {per_step:.4f} per step")  # fmt: skip
    assert abs(values[0].abs() - per_step) < 2e-3

# %%
ends = {name: path[-100:].norm(dim=1) for name, path in paths.items()}
for name, radius in ends.items():
    print(f"{name}: in the last 100 steps {radius.min():.4f} to {radius.max():.4f} from the goal")
assert ends["zero-centred (R1)"].max() < 0.02 < 0.5 < ends["WGAN-GP"].min()

# %% [markdown]
# At the solution the critic has nothing left to say: its slope must be 0. A penalty that demands
# slope 1 will not let it rest. [Mescheder et al. 2018](https://arxiv.org/abs/1801.04406) prove that
# zero-centred penalties converge near the solution and that WGAN-GP does not always.
#
# ## Change the question: which of the two?
#
# So far D answers *is this real?* A *relativistic* D is shown a pair and asks *which of the two is
# more real?* With the lead $\ell_i = a(x_i) - a(G(z_i))$ of the photograph over its partner,
#
# $$L_D = \tfrac1B \textstyle\sum_i \log(1 + e^{-\ell_i}), \qquad
# L_G = \tfrac1B \textstyle\sum_i \log(1 + e^{\ell_i}).$$
#
# If all fakes lie on one *mode* (one cluster of the data), the photographs of the other modes keep
# their lead, and G still loses. [Huang et al. 2024](https://arxiv.org/abs/2501.05441) (R3GAN) argue
# that this game with R1 and R2 needs no other tricks. Average last: the softplus of a mean lead
# would let one pair pay for another.


# %%
def relativistic_losses(real_logits, fake_logits):
    """The pairing game: what D and what G minimise, two scalars in nats; logits (B,), (B,)."""
    lead = real_logits - fake_logits  # (B,) by how much D finds the real one of each pair more real
    return F.softplus(-lead).mean(), F.softplus(lead).mean()


# %% [markdown]
# Only the lead counts. Add 5 to all logits, so that D calls everything more real: the hinge losses
# change, the relativistic ones do not.

# %%
of_real, of_fake = torch.randn(2, 64)

# %%
for name, game in (("hinge", hinge_losses), ("relativistic", relativistic_losses)):
    change = [
        (b - a).item() for a, b in zip(game(of_real, of_fake), game(of_real + 5, of_fake + 5))
    ]
    print(f"{name}: D's loss changes by {change[0]:.3f}, G's by {change[1]:.3f}")
assert max(abs(c) for c in change) < 1e-5  # of the last game, the relativistic one

# %% [markdown]
# ## Nine methods, many seeds
#
# Now let them play where success can be counted: in the plane, with a ring of 8 small clusters
# (modes) and a grid of 25. As in lesson 1, a generated point is *good* if it lies within three
# standard deviations of a mode's centre. A mode is *covered* if the good points on it are at least
# a tenth of its fair share of all points (1/8 or 1/25). All methods start from the same weights,
# see the same points, and take the same number of generator steps.
#
# The nine are: the saturating (minimax) and the non-saturating game of lesson 1 · least squares,
# where D pulls its logits to 1 for photographs and to 0 for fakes by squared distance, and G pulls
# its own to 1 · WGAN, clipped · WGAN-GP · hinge with spectral norm · non-saturating with R1 ·
# relativistic with R1 · relativistic with R1 and R2.
#
# ### Exercise: how many of 25?
#
# *Easy, 2 minutes.* A prediction: how many modes of the grid will the plain non-saturating game of
# lesson 1 cover, on average over seeds, after {{result:stable_plane.json:steps:,}} steps at learning
# rate 0.001? Write a number from 0 to 25.

# %%
grid_modes = ...
grid_modes = checks.stable.grid_modes(grid_modes)

# %% [markdown]
# Three methods you run yourself, on the ring, the third with the relativistic losses above. All
# seeds of a method are trained at once, by one batched network. In the figure, the grey behind the
# points is D's logit: the darker, the more real.

# %%
from dataclasses import replace

chosen = {name: plane_gan.METHODS[name] for name in ("non-saturating", "non-saturating + R1")}
# a copy of the package's method, with the losses above as its game
paired = replace(plane_gan.METHODS["relativistic + R1 + R2"], game=relativistic_losses)
chosen["relativistic + R1 + R2"] = paired

# %%
ring = plane_gan.ring()
played = {
    name: plane_gan.play(method, ring, seeds, plane_steps, rate=3e-3, words=name)
    for name, method in chosen.items()
}

# %%
counted = {name: plane_gan.score(samples, ring) for name, (samples, _) in played.items()}
plots.show(
    plane_plots.games(played, counted, ring),
    alt="Three rows of games on the ring, a column for each seed: orange samples on D's landscape in grey, crosses at the eight clusters. Titles count the modes covered and the share of good points.",
)

# %% [markdown]
# **How to read it.** A good game has orange on every cross and nowhere else. Look for two failures:
# points in a streak between the clusters, and dark clusters without points. Count before you judge:
# one lucky column proves nothing.
#
# And here are all nine, as recorded: two learning rates, five seeds each, with 95 % intervals of
# the mean over seeds. WGAN-GP has two rows (so ten in all, 45 pairs), with five critic steps for
# each of the generator's, as in its paper, and with one.

# %%
record = results.read("stable_plane.json")
plots.show(
    plane_plots.methods(record, "modes", "modes covered"),
    alt="Modes covered by method, on the ring and on the grid. A dot for each seed, and a bar with its interval for each of two learning rates; a line at the right stands for all modes. On the ring most intervals overlap, and the clipped WGAN covers none; on the grid least squares covers most, and many methods change places with the rate.",
)

# %%
grid_modes.beside(record["games"]["grid of 25"]["0.001"]["non-saturating"]["modes"]["value"], ".1f")

# %%
from itertools import combinations


def changed_places(one, two):
    """Two dicts method -> number: how many pairs they order differently, and how many there are."""
    pairs = list(combinations(one, 2))
    turned = [(one[a] - one[b]) * (two[a] - two[b]) < 0 for a, b in pairs]
    return sum(turned), len(pairs)


# %%
def most(mean):
    """The methods with the highest number."""
    return " and ".join(name for name in mean if mean[name] == max(mean.values()))


def mean_modes(rows):
    """Method -> modes covered, the mean over its seeds."""
    return {name: row["modes"]["value"] for name, row in rows.items()}


# %%
for data, rates in record["games"].items():
    low, high = [mean_modes(rows) for rows in rates.values()]  # of the two learning rates
    turned, of = changed_places(low, high)
    print(f"{data}: most modes at the low rate by {most(low)}, at the high rate by {most(high)}")
    print(f"    {turned} of {of} pairs of methods change places with the rate")

# %% [markdown]
# **How to read it.** Compare the two colours of *one* method before you compare two methods. A
# published table shows one colour, and one dot of it. A pair that changes places when only the
# learning rate changes has an order that is as much about the rate as about the methods.
#
# On the grid most games are far from done. Of points spread evenly over the square, without any
# training, one in ten would be good. Most of the recorded games do hardly better. The zero-centred
# games, which theory prefers, do not lead. But theory promises only that they converge near the
# solution, and not that they arrive in so few steps.
#
# The clipped WGAN covers no mode of the ring. Its authors themselves call clipping "a clearly
# terrible way" ([1701.07875](https://arxiv.org/abs/1701.07875), section 3).
#
# ## Steering: tell both players the class
#
# A generator that makes "something" is a toy; one that makes a *horse when asked* is a tool.
#
# **The generator** is told the class twice. A learned vector of the class stands beside the noise.
# And after every BatchNorm each class has a weight and a bias of its own for every channel. With
# $\hat x$ for the maps that come out of BatchNorm, class $y$ goes on with
#
# $$\gamma_y \cdot \hat x + \beta_y.$$
#
# So a class can turn one channel up and another one off.
#
# **The discriminator** must judge the picture *and* whether it fits its class. [Miyato and Koyama
# 2018](https://arxiv.org/abs/1802.05637) give it one logit for both. Let $h(x)$ be the features of
# the picture, the outputs of D's last hidden layer. A linear layer has weights $w$ and a bias $c$.
# Each class $y$ has a vector $e_y$, which is learned:
#
# $$a(x, y) = w \cdot h(x) + c + e_y \cdot h(x).$$
#
# The first two terms ask *is it a photograph?*, the last asks *of this class?*
#
# ### Exercise: tell both players
#
# *Medium, 18 minutes.* Write both formulas for a batch. An `nn.Embedding` is a table with a row for
# each class.
#
# - `conditional_norm` is the generator's: maps `(B, C, H, W)` and their classes `(B,)` become maps
#   of the same shape. `norm` is an `nn.BatchNorm2d`; the rows of `weight` are the $\gamma_y$, those
#   of `bias` the $\beta_y$.
# - `projection_logit` is the discriminator's: one logit $a(x, y)$ for each picture. The rows of
#   `embedding` are the $e_y$; `linear` is an `nn.Linear` to one number.
#
# <details><summary>Hint 1</summary>Which row of a table belongs to picture i? Print the shape of
# <code>embedding(labels)</code>.</details>
# <details><summary>Hint 2</summary>The generator's row has one number for each channel, which has
# H × W pixels: which shape makes the number meet all of them?</details>
# <details><summary>Hint 3</summary>The inner product is taken for each picture with the vector of
# its own class: a result (B,), not (B, B).</details>


# %%
def conditional_norm(x, labels, norm, weight, bias):
    """BatchNorm, then the weights and biases of each picture's class, a number for each channel:
    maps (B, C, H, W), labels (B,) -> (B, C, H, W)."""
    ### BEGIN SOLUTION
    gamma, beta = weight(labels), bias(labels)  # (B, C) each
    return gamma[:, :, None, None] * norm(x) + beta[:, :, None, None]
    ### END SOLUTION


conditional_norm = checks.stable.conditional_norm(conditional_norm)


# %%
def projection_logit(features, labels, embedding, linear):
    """The logit of each picture for the class that was asked: linear(h) + embedding(y) · h;
    features (B, F), labels (B,) -> (B,)."""
    ### BEGIN SOLUTION
    return linear(features).squeeze(1) + (embedding(labels) * features).sum(dim=1)
    ### END SOLUTION


projection_logit = checks.stable.projection_logit(projection_logit)

# %% [markdown]
# Both go into lesson 2's networks. At first all $\gamma_y$ are 1 and all $\beta_y$ are 0.


# %%
class ConditionalNorm(cgan.ConditionalBatchNorm):
    """Holds the tables; your function uses them."""

    def forward(self, x, label):
        return conditional_norm(x, label, self.norm, self.weight, self.bias)


# %%
class Discriminator(cgan.Discriminator):
    """Lesson 2's convolutions (``features``), with your logit at the end."""

    def forward(self, images, label):
        return projection_logit(self.features(images), label, self.embedding, self.linear)


# %%
train = load_images(source, split="train", limit=n_images)
test = load_images(source, split="test")
print(f"{train.name}: {len(train):,} training images of {', '.join(train.classes)}")

# %%
torch.manual_seed(0)
n_classes = len(train.classes)
generator = cgan.Generator(latent_dim, width, classes=n_classes, norm=ConditionalNorm)
discriminator = Discriminator(width, classes=n_classes)
for network in (generator, discriminator):
    network.to(run.device, memory_format=torch.channels_last)

# %%
labels = torch.tensor([3, 3, 7]).to(run.device)
noise = torch.randn(3, latent_dim, 1, 1).to(run.device)
pictures = generator(noise, labels)
print(f"{tuple(noise.shape)} and {labels.tolist()} -> {tuple(pictures.shape)}", end=" -> ")
print(f"{tuple(discriminator(pictures, labels).shape)}")

# %% [markdown]
# The step is lesson 2's, with the non-saturating losses and a label for both players: G makes one
# fake for the class of each photograph. The penalty is yours, at photographs (R1), in every
# sixteenth step. It calls D with pictures alone; `cgan.Judging` is D with the labels filled in.


# %%
def penalty_step(discriminator, d_optimizer, real, label):
    """A step of the discriminator against its slope at photographs, sixteen times as strong."""
    told = cgan.Judging(discriminator, label)  # pictures (B, 3, H, W) -> logits (B,)
    penalty = gamma / 2 * gan_steady.PENALTY_EVERY * zero_centred_penalty(told, real)
    d_optimizer.zero_grad()
    penalty.backward()
    d_optimizer.step()


# %%
averaged = gan_steady.make_average(generator, average)
g_optimizer, d_optimizer = cgan.make_optimizers(generator, discriminator, d_lr)
state = {"generator": generator, "discriminator": discriminator, "averaged": averaged}
state |= {"g_optimizer": g_optimizer, "d_optimizer": d_optimizer}
config = {"lesson": "cgan", "data": train.name, "width": width, "average": average, "gamma": gamma}

# %%
training = TrainingRun(
    run_folder("08_cgan", config, state),
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
each_class = torch.arange(n_classes).repeat_interleave(8)  # eight of each
fixed_noise = torch.randn(8, latent_dim, generator=torch.Generator().manual_seed(1))
fixed_noise = fixed_noise.repeat(n_classes, 1)  # every class from the same eight latent points


# %%
def draw_progress():
    """Losses, and eight pictures of each class."""
    pictures = cgan.sample(averaged, each_class, fixed_noise)
    losses = {"$L_D$": "d_loss", "$L_G$": "g_loss"}
    title = train.title(f"step {training.step:,}")
    return picture_rows.losses_and_pictures(
        training.history, losses, "loss (nats)", pictures, 8, title, train.classes
    )


# %% [markdown]
# While it runs, watch the rows. At first they look alike; where they part, steering begins. If they
# never part, one of the players does not listen to its label.

# %%
live = plots.LiveFigure(
    draw_progress,
    alt="Left, both losses. Right, eight generated pictures of each class, a row for each; the columns share a latent point.",
    seconds=10.0,
)
players = generator, discriminator, g_optimizer, d_optimizer

# %%
pixels, classes_of = train.images.to(run.device), train.labels.to(run.device)
for index in training.batches():  # (B,) the examples of this step
    real = dcgan.to_tanh_range(pixels[index]).contiguous(memory_format=torch.channels_last)
    label = classes_of[index]
    noise = torch.randn(len(index), latent_dim, 1, 1).to(run.device)
    losses = cgan.cgan_step(*players, real, label, noise, autocast=run.autocast)
    if training.step % gan_steady.PENALTY_EVERY == 0:
        penalty_step(discriminator, d_optimizer, real, label)
    averaged.update_parameters(generator)
    training.log(**losses)
    live.update()
live.close()

# %% [markdown]
# ## Ten kinds of pictures
#
# The course ships a generator of the same shape, after {{result:cgan_cifar10.json:steps:,}} steps
# on CIFAR-10. Nobody picked these pictures.

# %%
shipped, facts = cgan.load_shipped(run.device)
same_data = train.name == facts["data"]  # only then can the two be compared by a score
print(f"yours: {training.step:,} steps; shipped: {int(facts['steps']):,} [{facts['data']}]")

# %%
eight = torch.randn(8, int(facts["latent_dim"]), generator=torch.Generator().manual_seed(2))
grids = {}
for title, network, points, names in (
    (train.title("yours"), averaged, fixed_noise[:8], train.classes),
    (f"shipped [{facts['data']}]", shipped, eight, facts["classes"]),
):
    asked = torch.arange(len(names)).repeat_interleave(8)
    grids[title] = cgan.sample(network, asked, points.repeat(len(names), 1)), names

# %%
plots.show(
    picture_rows.class_grids(grids),
    alt="Ten rows of eight generated pictures, a row for each class that was asked for, of your generator on the left and of the shipped one on the right. A column shares a latent point, and with it colours and places.",
)

# %% [markdown]
# **How to read it.** Read across a row first: is it one kind of thing, in eight different ways?
# Then down a column: background, light and pose often stay while the object changes. After a few
# minutes of training expect only colours and where they lie; shapes come later.
#
# Does it make what you ask for? Do not trust your eyes: they have read the name of the row. A
# *reader*, a classifier, names each picture without knowing what was asked. On CIFAR-10 it is the
# feature network, which makes mistakes with photographs, too. So the last row below is what *other
# real images* get: the floor of FD, and the share of right names to hope for.

# %%
n_each = class_scores.fitting_n(n_score, train, test)  # n_score, or fewer for a small data set
reference = class_scores.ClassReference.from_images(train, test, n_each)


# %%
def pictures_of(network):
    """labels of one class -> its pictures; a class always gets the same noise."""

    def sample(labels):
        noise = torch.Generator().manual_seed(100 + int(labels[0]))
        return cgan.sample(network, labels, generator=noise)

    return sample


# %%
candidates = {"yours": averaged} | ({"shipped": shipped} if same_data else {})
scores = {
    name: reference.score(pictures_of(network))
    for name, network in progress_bars.progress(candidates.items(), "candidates")
}
# %%
rows = {**scores, "other real images": reference.real}
display(Markdown(metrics.table({name: row.total for name, row in rows.items()})))

# %%
print(f"read as the class asked for, by {reference.reader_name}:")
for name, row in rows.items():
    value, low, high = row.accuracy
    print(f"{name:18} {value:6.1%}  ({low:.1%} to {high:.1%})")

# %%
fd_of = {name: [one["FD"] for one in row.of_class] for name, row in rows.items()}
title = train.title(f"FD of each class, {n_each} images in a draw")
plots.show(
    class_plots.by_class(train.classes, fd_of, title),
    alt="FD of each class with its interval, for each generator and for other real images.",
)

# %% [markdown]
# **How to read it.** Each class has an FD and a floor of its own, and the gap between the two is
# what counts: one total FD shows nothing of it. Do not compare a class with the total: FD falls
# with the number of images (lesson 2).
#
# ### Exercise: which number moves?
#
# *Easy, 2 minutes.* A prediction. Somebody ships the last of these generators with two labels
# swapped: who asks for one class gets the other. Which FD will change: `"the total"`,
# `"the classes"` or `"both"`?

# %%
which_moves = ...
which_moves = checks.stable.which_moves(which_moves)

# %%
first, second = torch.randperm(n_classes, generator=torch.Generator().manual_seed(8))[:2].tolist()
order = torch.arange(n_classes)
order[[first, second]] = order[[second, first]]

# %%
best = list(candidates)[-1]  # the shipped one, where it can be compared
honest = pictures_of(candidates[best])
swapped = reference.score(lambda labels: honest(order[labels]))

# %%
total, moved = scores[best].total["FD"].value, swapped.total["FD"].value
print(f"total FD: {total:.4f}, and {moved:.4f} with two labels swapped")
assert abs(total - moved) < 1e-3 * total
which_moves.beside("the classes")

# %% [markdown]
# The total is *blind*: it sees the same pictures, only under other names. Which two classes were
# swapped? Compare the two tables row by row, without looking at `order`.

# %%
tables = {}
for name, row in {"as trained": scores[best], "swapped": swapped}.items():
    value, low, high = row.accuracy
    tables[f"{name}: {value:.0%} as asked ({low:.0%} to {high:.0%})"] = row.seen
plots.show(
    class_plots.read_as(tables, train.classes),
    alt="Two tables of shares, the class asked for down and the class read across. As trained, most rows are darkest on the diagonal. Swapped, two rows have changed places.",
)

# %%
worse = [b["FD"].value - a["FD"].value for a, b in zip(scores[best].of_class, swapped.of_class)]
suspects = torch.tensor(worse).topk(2).indices.tolist()
print("FD rose most for", " and ".join(f"{train.classes[k]} (+{worse[k]:.1f})" for k in suspects))

# %% [markdown]
# ## Nearer to the middle
#
# {{result:cgan_cifar10.json:accuracy.value:.0%}} of the shipped generator's pictures are read as
# asked, of photographs {{result:cgan_cifar10.json:real.accuracy.value:.0%}}. Can the same weights
# obey more often? BigGAN draws $z$ nearer to the middle ([Brock et al.
# 2019](https://arxiv.org/abs/1809.11096), section 3.1): each number beyond a threshold is drawn
# again. We multiply $z$ by a *scale* below 1 instead.
#
# Variety is measured by *recall*: the share of real images whose features lie near a generated
# image. Near means: no farther than that generated image's third nearest generated neighbour
# ([Kynkäänniemi et al. 2019](https://arxiv.org/abs/1904.06991), equations 1 and 2).
#
# ### Exercise: nearer to the middle
#
# *Easy, 2 minutes.* A prediction. With 0.4 $z$ in the place of $z$ the shipped generator
# `"obeys more, varies less"`, `"obeys more, varies more"`, `"obeys less, varies less"`, or there is
# `"no change"`?

# %%
nearer = ...
nearer = checks.stable.nearer(nearer)

# %%
scales = (1.0, 0.8, 0.6, 0.4, 0.2)
asked = torch.full((8,), 7)  # eight horses; any class from 0 to 9
faint = torch.cat([cgan.sample(shipped, asked, scale * eight) for scale in scales])

# %%
names = [f"{scale:g} z" for scale in scales]
title = f"asked for: {facts['classes'][asked[0]]} [{facts['data']}, shipped generator]"
plots.show(
    picture_rows.named_rows(dict(zip(names, faint.split(8))), title),
    alt="Five rows of the same eight latent points, multiplied by 1, 0.8, 0.6, 0.4 and 0.2. The horses fade row by row: in the last one all are the same brown blur.",
)

# %%
record = results.read("stable_truncation.json")
whole, short = (row for row in record["scaled"] if row["scale"] in (1.0, 0.4))
obeys = "more" if short["accuracy"]["value"] > whole["accuracy"]["value"] else "less"
varies = "more" if short["total"]["recall"]["value"] > whole["total"]["recall"]["value"] else "less"
nearer.beside(f"obeys {obeys}, varies {varies}")

# %% [markdown]
# At 0.4 only {{result:stable_truncation.json:scaled.6.accuracy.value:.0%}} are read as asked, and
# recall falls from {{result:stable_truncation.json:scaled.0.total.recall.value:.2f}} to
# {{result:stable_truncation.json:scaled.6.total.recall.value:.2f}}. Why? In lesson 2 nearly all $z$
# had a length close to 10. One of length 4 makes maps that vary less, but BatchNorm, in evaluation
# mode, still divides by the spread of training, and the pictures fade. Its averages are no weights:
# they can be measured anew.
#
# ### Exercise: averages measured anew
#
# *Medium, 12 minutes.* Return a copy of the generator for one batch, `noise`
# `(N, latent_dim, 1, 1)` with `labels` `(N,)`. Each `nn.BatchNorm2d` has this batch's mean and
# variance as its running averages, and nothing of the old ones. No weight moves, the copy is in
# evaluation mode, and `network` stays as it was.
#
# <details><summary>Hint 1</summary>In which mode does BatchNorm look at the batch?</details>
# <details><summary>Hint 2</summary>A BatchNorm's <code>momentum</code> is the share of the new
# batch in its average, usually 0.1.</details>
# <details><summary>Hint 3</summary><code>copy.deepcopy</code> shares nothing with the original;
# <code>modules()</code> visits every layer.</details>


# %%
def measured_anew(network, labels, noise):
    """A copy of a generator, in evaluation mode, whose BatchNorms have the averages of one batch:
    labels (N,), noise (N, latent_dim, 1, 1)."""
    ### BEGIN SOLUTION
    twin = copy.deepcopy(network).train()  # a batch is looked at in training mode only
    for layer in twin.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0  # all of the new average is this batch's
    with torch.no_grad():
        twin(noise, labels)
    return twin.eval()
    ### END SOLUTION


measured_anew = checks.stable.measured_anew(measured_anew)

# %%
mixed = torch.arange(len(facts["classes"])).repeat(100).to(run.device)  # 100 of each class
others = torch.randn(len(mixed), int(facts["latent_dim"]), 1, 1).to(run.device)
fresh_pictures = {}
for name, scale in zip(names, scales):
    network = measured_anew(shipped, mixed, scale * others)
    fresh_pictures[name] = cgan.sample(network, asked, scale * eight)

# %%
plots.show(
    picture_rows.named_rows(fresh_pictures, title + ", averages measured anew"),
    alt="The same latent points and scales, with averages measured anew. The horses no longer fade. In the last row all stand in the same pose on the same ground.",
)

# %% [markdown]
# Now the scores of thousands of pictures at each scale, recorded:

# %%
panels = {"accuracy": "share read as asked", "recall": "recall", "FD": "FD"}
plots.show(
    class_plots.by_scale(record, panels),
    alt="Share read as asked, recall and FD by scale, with the averages of training and with averages measured anew. From right to left, with new averages the share rises, at last above that of real photographs; recall holds until 0.5 and falls after it; FD is lowest at 0.4. With the averages of training recall and FD get worse from the start, the share after 0.8.",
)

# %% [markdown]
# **How to read it.** Go from right to left, along the blue lines. At scale 0.4 obedience has risen
# to {{result:stable_truncation.json:anew.6.accuracy.value:.0%}}, recall is
# {{result:stable_truncation.json:anew.6.total.recall.value:.2f}}, and FD has fallen from
# {{result:stable_truncation.json:anew.0.total.FD.value:.2f}} to
# {{result:stable_truncation.json:anew.6.total.FD.value:.2f}}. At 0.2 obedience is above that of
# photographs, {{result:stable_truncation.json:anew.7.accuracy.value:.0%}}. That is a warning: only
# the most typical pictures are left, and recall is down to
# {{result:stable_truncation.json:anew.7.total.recall.value:.2f}}. So a score belongs to a network
# *and* a way to draw $z$. Lesson 9's *guidance* makes the like trade for flows.
#
# ## A walk between two classes
#
# Inside the generator a class is a set of learned vectors. Ask for 30 % horse and 70 % ship, from
# one latent point: the generator takes the weighted mean of the two classes' vectors.


# %%
def decode(shares, z):
    """Shares of classes (N, classes) and latent points (N, latent_dim) -> pictures."""
    return cgan.sample(shipped, shares, z)


# %%
pairs = ((7, 8), (0, 2), (3, 5))  # horse and ship, airplane and bird, cat and dog

# %%
title = f"{facts['data']}, shipped generator"
plots.show(
    class_walk.class_walk_static(decode, facts["classes"], pairs, eight, title),
    alt="Three rows of pictures, each from one latent point, that walk from one class to another: horse to ship, airplane to bird, cat to dog. The share of the second class stands below.",
)

# %% [markdown]
# The network never saw such a mixture in training: no photograph is 30 % horse. The last row hardly
# changes: from this latent point, cat and dog are nearly one picture. With a running kernel, choose
# the classes and the point yourself.

# %%
class_walk.class_walk(decode, facts["classes"], eight)

# %% [markdown]
# ## Three ways with pictures, recorded
#
# Which way makes the best conditional GAN: non-saturating with R1, hinge with spectral norm, or
# relativistic with R1 and R2? (Least squares, best on the grid, was not tried.) Each had the same
# *time*: {{result:stable_pictures.json:minutes}} minutes of one core for each of three seeds, at
# width {{result:stable_pictures.json:settings.width}}. Cheaper steps, more steps:

# %%
record = results.read("stable_pictures.json")
for name, cost in record["seconds_per_step"].items():
    between = f"({cost['low']:.3f} to {cost['high']:.3f})"
    print(f"{name}: {record['steps'][name]:,} steps of {cost['value']:.3f} s {between}")

# %%
panels = {"FD": "FD", "recall": "recall", "accuracy": "share read as asked"}
plots.show(
    class_plots.by_way(record, panels),
    alt="FD, recall and the share of pictures read as the class asked for, of three ways: a dot for each seed and a bar for the 95 % interval of their mean. Dotted lines show what real test photographs get.",
)

# %%
ways = sorted(record["ways"].items(), key=lambda item: item[1]["FD"]["value"])
(name, lowest), others = ways[0], ways[1:]
print(f"lowest mean FD: {name}")

# %%
for other, row in others:
    apart = [b - a for a, b in zip(lowest["FD"]["seeds"], row["FD"]["seeds"])]
    mean, low, high = metrics.mean_interval(apart)
    verdict = "told apart" if low > 0 else "not told apart"
    print(f"{other} above {name} by {mean:.2f} ({low:.2f} to {high:.2f}): {verdict}")

# %% [markdown]
# **How to read it.** Low is good for FD, high for the other two. Compare the gap between two ways
# with the gap to the dotted line of real photographs. The printed differences are taken seed by
# seed: if the interval contains 0, three seeds cannot tell the two ways apart. Equal steps, another
# width or other rates may order them in another way.
#
# ## When it goes wrong: BatchNorm under a gradient penalty
#
# In lesson 2 a penalty read 0, because BatchNorm was in training mode. With WGAN-GP the same
# mistake does more harm. Here is a critic for two small clouds of points, with BatchNorm before its
# last layer:


# %%
def make_critic(norm):
    """Points (B, 2) -> logits (B,), with a layer ``norm`` of 32 channels."""
    torch.manual_seed(1)
    layers = nn.Linear(2, 32), nn.LeakyReLU(0.2), norm, nn.Linear(32, 1), nn.Flatten(0)
    return nn.Sequential(*layers)


# %%
def own_slopes(critic, x):
    """How long each logit's gradient by its own point is, one logit at a time: (B, 2) -> (B,)."""
    x = x.clone().requires_grad_(True)
    rows = [torch.autograd.grad(a, x, retain_graph=True)[0] for a in critic(x)]
    return torch.stack([row[i].norm() for i, row in enumerate(rows)])


# %%
def two_clouds():
    """64 points around (1, 0), the data, and 64 around (-1, 0), the fakes: (64, 2) each."""
    torch.manual_seed(0)
    cloud, shift = 0.1 * torch.randn(2, 64, 2), torch.tensor([1.0, 0.0])
    return cloud[0] + shift, cloud[1] - shift


# %%
def train_wgan_gp(critic, steps=300):
    """WGAN-GP's critic on two fixed clouds: its penalty, and its own mean slope, after training."""
    real, fake = two_clouds()
    optimizer = torch.optim.Adam(critic.parameters(), 1e-2)
    for _ in range(steps):
        alpha = torch.rand(64)
        penalty = gradient_penalty(critic, real, fake, alpha)
        of_fake, of_real = critic(torch.cat([fake, real])).chunk(2)
        optimizer.zero_grad()
        (of_fake.mean() - of_real.mean() + 10 * penalty).backward()
        optimizer.step()
    between = alpha[:, None] * real + (1 - alpha[:, None]) * fake
    return penalty.item(), own_slopes(critic, between).mean().item()


# %%
kinds = {"BatchNorm": nn.BatchNorm1d(32), "GroupNorm": nn.GroupNorm(4, 32), "none": nn.Identity()}
found = {name: train_wgan_gp(make_critic(norm)) for name, norm in kinds.items()}
# %%
for name, (penalty, slope) in found.items():
    print(f"{name:9}: the penalty reads {penalty:.4f}, the slope is {slope:,.2f}")
assert abs(found["BatchNorm"][0] - 1) < 1e-3 and found["BatchNorm"][1] > 100
assert all(abs(found[name][1] - 1) < 0.3 for name in ("GroupNorm", "none"))

# %% [markdown]
# The penalty reads 1 and cannot be lowered. BatchNorm fixes the mean over the batch, so the *sum*
# of the logits is a constant. Its gradient by each example is 0, and $(0 - 1)^2 = 1$ whatever the
# weights are. The penalty holds nothing, and the true slope grows without being seen. The two lower
# rows are cures: a norm that looks at each example alone, or none. (The authors of WGAN-GP omit
# BatchNorm in the critic for this reason, [1704.00028](https://arxiv.org/abs/1704.00028), section
# 4.) A third cure is to ask in evaluation mode, as your zero-centred penalty does:

# %%
critic = make_critic(nn.BatchNorm1d(32))
some = torch.randn(16, 2)
critic(some)  # BatchNorm has seen a batch

# %%
by_yours = zero_centred_penalty(critic, some).item()
critic.eval()
alone = torch.stack([own_slopes(critic, point) for point in some.split(1)]).square().mean().item()
print(f"your penalty {by_yours:.5f}, each point on its own {alone:.5f}")
assert abs(by_yours - alone) < 1e-4 * alone

# %% [markdown]
# ## Questions
#
# Think first; each answer also says why the other choices are wrong.
#
# **1. A discriminator's three linear layers have the spectral norms 2, 0.5 and 3. Its slope is**
# (a) exactly 3 (b) at most 3, with LeakyReLU between (c) at most 5.5 (d) at least 3
#
# <details><summary>Answer</summary>(b): norms multiply, and LeakyReLU stretches nothing. (a) would
# need each layer to stretch the very vector that the one before stretches most. (c) adds. (d) turns
# the bound around.</details>
#
# **2. At the end of a perfect game, what is the slope of D at the data?** (a) 1 (b) 0 (c) as large
# as possible (d) it cannot be said
#
# <details><summary>Answer</summary>(b): nothing is left to tell apart, so no direction is better.
# That is what R1 asks for. (a) is WGAN-GP's wish, which the smallest game never fulfils. (c) is the
# cliff.</details>
#
# **3. A conditional GAN has a lower total FD than yours. Its pictures are** (a) better in every
# class (b) better on the whole, perhaps worse in some classes, perhaps of the wrong class (c) more
# often of the class asked for (d) more varied
#
# <details><summary>Answer</summary>(b), as the swap showed: the total did not move at all. (a) and
# (c) need scores by class. (d) is what recall looks at.</details>
#
# **4. Method A has FD 2.1 and B 2.3, one seed each. You** (a) publish A (b) run both with more
# seeds, and print the interval of the difference (c) publish B (d) compute FD on more images
#
# <details><summary>Answer</summary>(b). With one seed you cannot know how far apart two seeds of
# the *same* method lie; look at the dots of the recorded runs. (a) and (c) repeat the table at the
# top. (d) makes the scores of these two networks more exact, and says nothing about other
# seeds.</details>
#
# ## Recap
#
# You held down the slope of a discriminator in four ways and told what each one holds, showed which
# of them lets the smallest game converge, compared methods with seeds, built a generator that makes
# the class you ask for, judged it class by class, and traded its variety for obedience.
#
# **Who was right?** Both, about their own programs. [Lucic et al.
# 2017](https://arxiv.org/abs/1711.10337) compared GANs with many settings and restarts, and found
# that most models reach similar scores with enough of both.
#
# **What this did not show.** The networks are smaller than those of papers, and two rates are not a
# search for the best settings. A reader that names a horse has not said that the horse has four
# legs.
#
# **Sources**, where the text does not say: Miyato et al. 2018, [arXiv
# 1802.05957](https://arxiv.org/abs/1802.05957), algorithm 1 · Mao et al. 2016, *Least squares GAN*,
# [arXiv 1611.04076](https://arxiv.org/abs/1611.04076) · Jolicoeur-Martineau 2018, *The relativistic
# discriminator*, [arXiv 1807.00734](https://arxiv.org/abs/1807.00734) · Dumoulin et al. 2017,
# [arXiv 1610.07629](https://arxiv.org/abs/1610.07629), the class's own weights after a
# normalisation.
#
# **Next:** lesson 9, where no game is played at all: a flow from noise to pictures.
