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
# # 9. Diffusion and flow matching
#
# A VAE decodes in one blurred step. A GAN decodes in one sharp step, and forgets part of the data.
# The models of this lesson *walk* from noise to data, and you choose how many steps to pay for.
#
# ![A film. A round cloud of points moves, opens and ends in eight clusters on a ring; each cluster drew its points from one slice of the cloud.](figures/flow_ring.gif)
#
# *What to see: this is the ring that killed a generator in lesson 1. All eight clusters are
# reached, by a network that trained for seconds. Colours tell where a point will end.*
#
# **You will learn to** train a network to predict a velocity, and walk along it · say which part of
# its loss no network can remove · show why perfect training would memorise · turn velocity, noise,
# clean picture and score into each other, and so read diffusion papers · generate a class on
# demand, and pay for it in network calls.
#
# **You need** lesson 3 (Gaussians and the ELBO), and from lesson 2 the distance FD and its floor.
#
# **Time** about {{minutes}} minutes to read and solve. The computer's share is in this table, and
# for your machine it is printed under the settings.
#
# {{tiers}}
#
# ## Set-up

# %%
import math

from course_utils import checks, progress_bars, runtime  # before torch: waiting threads sleep
import torch
from IPython.display import Markdown, display
from torch import nn
from torch.distributions import Normal, kl_divergence

from course_utils import results
from course_utils.datasets import cifar10
from course_utils.datasets.images import load_images
from course_utils.display import flow_plots, picture_rows, plots

# %%
from course_utils.display.widgets import flow_steps
from course_utils.evaluation import metrics
from course_utils.evaluation.diagnose import diagnose
from course_utils.models import dcgan, flow, gan_steady, known_flow
from course_utils.training.run import TrainingRun, run_folder

# %%
run = runtime.setup(seed=0)

# %% [markdown]
# Everything you may want to change, with the values of the three tiers side by side:

# %%
from course_utils.machine import minutes_here

# fmt: off
#                     smoke  laptop     gpu
ring_steps = run.pick(  200,  3_000,  3_000)  # steps of the small network in the plane
steps      = run.pick(   40,  1_600, 80_000)  # steps of the network for pictures
batch_size = run.pick(   32,     64,    128)  # pictures per step
n_images   = run.pick(  512, 50_000, 50_000)  # training pictures
width      = run.pick(    8,     32,     64)  # channels of the largest feature map
average    = run.pick(  0.9,   0.99, 0.9995)  # memory of the averaged network (lesson 2)
calls      = run.pick(    4,     16,     32)  # network calls that a shown picture costs
n_score    = run.pick(   32,  1_000,  2_000)  # pictures that a score compares at a time
n_search   = run.pick(   40,    300,  1_000)  # pictures whose nearest training picture is looked up
source     = None   # None: CIFAR-10 where it is on this machine; or your own folder
size       = 32     # pixels
fresh      = False  # True: forget an earlier run and train again
# fmt: on
minutes_here.tell(run, "09_diffusion_flow", steps)

# %% [markdown]
# ## A straight line from noise to data
#
# Take a point of noise and a point of data, and join them by a straight line. Let a traveller leave
# the noise at time 0 and arrive at the data at time 1, at constant speed.
#
# ### Exercise: where, and how fast?
#
# *Easy, 6 minutes.* Return two tensors: where the traveller is at time `t`, and its velocity (how
# far it goes in one unit of time, and in which direction). Each pair in the batch has a time of its
# own, so `t` has shape `(B,)`. The points are `(B, 2)` now and `(B, 3, 32, 32)` later.
#
# <details><summary>Hint 1</summary>At t = 0 only the noise may count, at t = 1 only the data, and
# half-way both the same.</details>
# <details><summary>Hint 2</summary>A tensor (B,) does not multiply (B, 3, 32, 32) as you wish;
# (B, 1, 1, 1) does. How many ones do you need in general?</details>


# %%
def interpolate(noise, data, t):
    """Place at time t and velocity of each: (B, ...), (B, ...), t (B,) -> two (B, ...)."""
    ### BEGIN SOLUTION
    t = t.view(-1, *[1] * (data.dim() - 1))  # (B, 1, ...)
    return (1 - t) * noise + t * data, data - noise
    ### END SOLUTION


interpolate = checks.diffusion.interpolate(interpolate)

# %% [markdown]
# Now many travellers, with lesson 1's ring of eight clusters, and partners by chance:

# %%
ring = known_flow.ring()  # eight Gaussians, on a circle of radius 2
noise, data = torch.randn(400, 2), ring.draw(400)
times = torch.linspace(0, 1, 5)
places = [interpolate(noise, data, t.expand(400))[0] for t in times]

# %%
plots.show(
    flow_plots.planes({f"t = {t:.2f}": x for t, x in zip(times, places)}),
    alt="Five clouds of 400 points at times 0 to 1. A round cloud of noise splits into eight clusters on a ring, which shrink to small clouds at time 1.",
)

# %% [markdown]
# A generator must do the same *without the partners*. All it can know is where it is, $x$, and what
# time it is, $t$. But through one place run many lines, with different velocities. Which one should
# it take?
#
# ## Many lines cross: take the mean
#
# The mean of them. Let everyone at $x$ move with the mean velocity of all who pass there at time
# $t$ (read the bar as "given that"):
#
# $$u(x, t) = \mathbb E\bigl[\text{data} - \text{noise} \;\big|\; x_t = x\bigr] .$$
#
# Then the *cloud* at each time is the same as with straight lines, although single travellers take
# other ways ([Lipman et al. 2022](https://arxiv.org/abs/2210.02747), theorem 1).
#
# An example by hand. On a line, let the data be −1 or +1, with equal chance. A traveller who stands
# at $x=0$ at $t=\tfrac12$ came from +1 and goes to −1, or the other way round. The velocities are
# −2 and +2, both equally likely, and the mean is 0: stay, until it is clear where to go. And a
# traveller at $x=\tfrac12$? Count, with many lines:

# %%
n_lines = 400_000
line_noise, line_data = torch.randn(n_lines, 1), 2.0 * torch.randint(2, (n_lines, 1)) - 1
place, velocity = interpolate(line_noise, line_data, torch.full((n_lines,), 0.5))
passing = {}
for x in (0.0, 0.5):
    near = (place[:, 0] - x).abs() < 0.02  # (N,) who passes here half-way
    passing[x] = near, velocity[near].mean().item()
    up = (line_data[near] > 0).float().mean()
    print(f"{near.sum():,} lines pass x = {x}: {up:.0%} go up, mean velocity {passing[x][1]:+.2f}")

# %%
plots.show(
    flow_plots.crossings(line_noise, line_data, passing),
    alt="Straight lines from noise at time 0 to -1 or +1 at time 1, twice. Left, those through 0 at half time go up and down alike, and the arrow of their mean is level. Right, most of those through 0.5 go up, and so does the arrow.",
)

# %% [markdown]
# How do we find this mean? Squared error finds it: the guess of a random number with the least
# squared error is its mean. So we never compute a mean ourselves. We show a network $x_t$ and $t$,
# ask for the velocity of that *one* line, and average the squared error over many lines.
#
# ### Exercise: the loss
#
# *Medium, 10 minutes.* Write this loss, the mean over all pairs and all their coordinates. You will
# train both networks of this lesson with it.
#
# <details><summary>Hint 1</summary>You wrote both ingredients a moment ago. Mind the order:
# <code>interpolate</code> takes the noise first.</details>
# <details><summary>Hint 2</summary>The network must see the place, never the partners, and each
# place with the time of its own row.</details>


# %%
def flow_loss(network, data, noise, t):
    """Loss of network(x_t, t): data and noise (B, ...), t (B,) in [0, 1] -> a scalar."""
    ### BEGIN SOLUTION
    x, velocity = interpolate(noise, data, t)
    return (network(x, t).float() - velocity).square().mean()
    ### END SOLUTION


flow_loss = checks.diffusion.flow_loss(flow_loss)

# %% [markdown]
# For a mixture of Gaussians we can know the mean $u(x,t)$ exactly, by Bayes' rule; the course has
# it as `ring.velocity`. Flow matching (FM) would compare the network with $u$, which nobody knows
# in real life. Conditional flow matching (CFM) compares it with single lines. Their *gradients*
# must agree on average (theorem 2 of the same paper). So any difference is sampling noise, and
# falls as $1/\sqrt n$ with the number $n$ of lines: a power of −0.5.


# %%
class PlaneNetwork(nn.Module):
    """A velocity in the plane: x (B, 2), t (B,) -> (B, 2)."""

    def __init__(self, hidden=128):
        super().__init__()
        layers = [nn.Linear(3, hidden), nn.SiLU()]
        for _ in range(2):
            layers += [nn.Linear(hidden, hidden), nn.SiLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(hidden, 2))

    def forward(self, x, t):
        return self.layers(torch.cat([x, t[:, None]], dim=1))


# %%
def gradient_difference(network, n):
    """Length of the difference between both losses' gradients on the same n lines."""
    noise, data, t = torch.randn(n, 2), ring.draw(n), torch.rand(n)
    x, _ = interpolate(noise, data, t)  # (n, 2)
    known = nn.functional.mse_loss(network(x, t), ring.velocity(x, t))  # FM
    losses = known, flow_loss(network, data, noise, t)  # and CFM
    both = [torch.autograd.grad(loss, list(network.parameters())) for loss in losses]
    flat = [torch.cat([g.flatten() for g in gradients]) for gradients in both]
    return (flat[1] - flat[0]).norm().item()


# %%
torch.manual_seed(0)
untrained = PlaneNetwork()
sizes = [64, 256, 1_024, 4_096]
gaps = [sum(gradient_difference(untrained, n) for _ in range(16)) / 16 for n in sizes]
slope = math.log(gaps[-1] / gaps[0]) / math.log(sizes[-1] / sizes[0])

# %%
for n, gap in zip(sizes, gaps):
    print(f"{n:6,} lines: the gradients differ by {gap:.3f}")
print(f"difference ~ n to the power of {slope:.2f}")
assert -0.6 < slope < -0.4

# %% [markdown]
# A single line is a noisy teacher, but an honest one: in the long run it teaches what
# the mean of all lines would.


# %%
def train_ring(steps, look=None):
    """Train a network in the plane. ``look(step, network, loss)`` is called after each step."""
    network = PlaneNetwork()
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in progress_bars.progress(range(steps), "ring", leave=False):
        loss = flow_loss(network, ring.draw(512), torch.randn(512, 2), torch.rand(512))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if look:
            look(step + 1, network, loss.item())
    return network.eval().requires_grad_(False)


# %% [markdown]
# While it trains, we keep the loss of each step, and now and then the *excess*: the mean squared
# distance from the known $u$, on lines that are not used for training.

# %%
test_noise, test_data, test_t = torch.randn(8_192, 2), ring.draw(8_192), torch.rand(8_192)
test_x, _ = interpolate(test_noise, test_data, test_t)
test_u = ring.velocity(test_x, test_t)


# %%
def look(step, network, loss):
    """Keep the loss, and at every fiftieth of the run the excess."""
    ring_losses.append(loss)
    if step % (ring_steps // 50) == 0:
        with torch.no_grad():
            excess[step] = (network(test_x, test_t) - test_u).square().mean().item()


# %%
ring_losses, excess = [], {}
ring_network = train_ring(ring_steps, look)
print(f"the last hundred losses: {sum(ring_losses[-100:]) / 100:.2f} on average")

# %% [markdown]
# ## Walking
#
# The network is a map of arrows that changes with time. To generate, start at noise and follow the
# arrows in small steps. **Euler's** method looks at the arrow where it stands and follows it for a
# whole step. **Heun's** method then looks at the arrow where that step *would* end, goes back, and
# takes the mean of the two arrows. Its path is better, and each step costs two calls of the
# network.
#
# ### Exercise: follow the arrows
#
# *Medium, 15 minutes.* From `t = 0` to `t = 1` in equal steps, by `"euler"` or `"heun"`. Euler must
# call `velocity(x, t)` exactly `steps` times and Heun twice as often, with `t` of shape `(B,)`.
#
# <details><summary>Hint 1</summary>With 4 steps, at which four times does Euler look? What is the
# last time at which Heun looks?</details>
# <details><summary>Hint 2</summary>Where everyone has the same time,
# <code>x.new_full((len(x),), time)</code> makes the row of times.</details>


# %%
def solve(velocity, noise, steps, method):
    """Follow velocity(x, t) from noise (B, ...) at t = 0 to t = 1: (B, ...)."""
    ### BEGIN SOLUTION
    x, h = noise, 1 / steps
    for i in range(steps):
        now, later = (x.new_full((len(x),), (i + j) / steps) for j in (0, 1))
        v = velocity(x, now)
        if method == "heun":
            v = (v + velocity(x + h * v, later)) / 2
        x = x + h * v
    return x
    ### END SOLUTION


solve = checks.diffusion.solve(solve)

# %% [markdown]
# To see the way, let the velocity write down where it is asked:


# %%
def with_diary(velocity, diary):
    """The same velocity, which also appends each place that it is asked about."""

    def velocity_and_note(x, t):
        diary.append(x)
        return velocity(x, t)

    return velocity_and_note


# %%
start = torch.randn(2_000, 2, generator=torch.Generator().manual_seed(1))
diary = []
end = solve(with_diary(ring_network, diary), start, 50, "euler")
paths = torch.stack([*diary, end])  # (51, 2000, 2)


# %%
def nearest_cluster(x):
    """Distance to and index of the nearest centre: (N, 2) -> (N,), (N,)."""
    return torch.cdist(x, ring.centres).min(dim=1)


# %%
distance, cluster = nearest_cluster(end)
shares = cluster[distance < 3 * ring.std].bincount(minlength=8) / len(end)
quality = (distance < 3 * ring.std).float().mean().item()
print("share of the samples in each cluster:", [f"{s:.1%}" for s in shares.tolist()])
print(f"within three standard deviations of a centre: {quality:.1%} (data: 98.9 %)")
if ring_steps >= 2_000:
    assert (shares > 0.08).all() and quality > 0.8

# %%
plots.show(
    flow_plots.ways_and_lines(paths, cluster),
    alt="Left, the ways from noise to eight clusters, like petals; opposite clusters share a colour: they first lead inward, then turn out to a cluster, and do not cross. Right, straight lines between the same ends.",
)

# %% [markdown]
# A regression reaches all eight clusters: the noise is cut into slices, one for each (opposite
# clusters share a colour). The lines of training crossed each other. These ways cannot, since at
# each time a place has only one arrow. So they must bend: compare them with the direct lines on the
# right. Bends are what makes a walk of few steps inexact. And why do the ways first lead inward?
#
# ### Exercise: what does a single step give?
#
# *Easy, 3 minutes.* A prediction. The clusters lie at distance 2 from the middle. After **one**
# Euler step, how far from the middle is a point, on average?
#
# <details><summary>Hint</summary>At t = 0 nobody has moved yet. What does the place of a traveller
# tell about the partner? What is then the mean of all lines?</details>

# %%
one_call = ...
one_call = checks.diffusion.one_call(one_call)

# %%
n_steps = 1, 2, 4, 8, 32
walks = {n: solve(ring_network, start, n, "euler") for n in n_steps}
one_call.beside(walks[1].norm(dim=1).mean().item(), ".2f")
assert walks[1].norm(dim=1).mean() < 0.6

# %%
plots.show(
    flow_plots.planes({f"{n} call{'s' * (n > 1)}": x for n, x in walks.items()}),
    alt="The same 800 points of noise after walks of 1, 2, 4, 8 and 32 Euler steps. One step: a dot in the middle, where there are no data. Then a blurred ring, and at last eight small clusters.",
)

# %% [markdown]
# After one step everyone is in the middle, where there are no data at all. At $t=0$ place and
# partner are independent, so the arrow points to the mean of *all* data. Lesson 3's decoder blurred
# for the same reason. Each further step asks again, and less is undecided.
#
# Does Heun repay its double price? Take the exact velocities, and a walk of 500 steps as the truth:


# %%
def mean_error(steps, method):
    """Mean distance between the ends of this walk and of a very fine one, from the same noise."""
    return (solve(ring.velocity, start[:500], steps, method) - truth).norm(dim=1).mean().item()


# %%
truth = solve(ring.velocity, start[:500], 500, "heun")
prices = [4, 8, 16, 32, 64, 128]
errors = {
    "Euler": [mean_error(n, "euler") for n in prices],
    "Heun": [mean_error(n // 2, "heun") for n in prices],
}

# %%
plots.show(
    flow_plots.error_by_calls(prices, errors),
    alt="Error against calls, both axes logarithmic. Euler's line starts lower; Heun's falls twice as steeply and crosses it.",
)

# %%
for name, order in (("Euler", 1), ("Heun", 2)):
    halved = errors[name][-2] / errors[name][-1]
    print(f"{name}: twice the calls divide the error by {halved:.1f}, theory says {2**order}")
    assert abs(halved - 2**order) < 0.25 * 2**order

# %% [markdown]
# Euler's error is proportional to the length of a step, Heun's to its square. So Heun wins when you
# can pay for many calls. With few, long steps Euler wins: Heun takes its second look at a wrong
# place.
#
# ## "My loss stopped falling. Is something broken?"
#
# Many ask this ([ermongroup/ddim,
# 33](https://github.com/ermongroup/ddim/issues/33); [CompVis/latent-diffusion,
# 369](https://github.com/CompVis/latent-diffusion/issues/369)). The loss of a
# network $v$ is the sum of two parts (the mixed term is zero on average, since $u$ is the mean):
#
# $$\mathbb E\,\lVert v(x_t,t) - (\text{data}-\text{noise})\rVert^2 =
# \underbrace{\mathbb E\,\lVert v(x_t,t) - u(x_t,t)\rVert^2}_{\text{excess: can be learned}} +
# \underbrace{\mathbb E\,\mathrm{Var}(\text{data}-\text{noise}\mid x_t)}_{\text{floor: cannot}} .$$
#
# Many lines pass each place, and no network can tell which one you meant. (The code divides all
# three terms by the number of coordinates.)
#
# ### Exercise: how much could be removed?
#
# *Easy, 3 minutes.* A prediction. Of your trained network's loss, how many **percent** are excess,
# which a perfect network could still remove?

# %%
removable = ...
removable = checks.diffusion.removable(removable)

# %%
final_excess = excess[max(excess)]
with torch.no_grad():
    final_loss = flow_loss(ring_network, test_data, test_noise, test_t).item()
removable.beside(100 * final_excess / final_loss, ".1f")

# %% [markdown]
# For the ring, the floor at each time is an integral over the plane, and `ring.floor` computes it.
# The network's loss at the same time must lie on it or above:

# %%
levels = [0.02 + 0.06 * k for k in range(17)]
floors = [ring.floor(t) for t in levels]
at_level = []
for t in levels:
    x, v = interpolate(test_noise, test_data, torch.full((8_192,), t))
    at_level.append((ring_network(x, torch.full((8_192,), t)) - v).square().mean().item())

# %%
blocks = torch.tensor(ring_losses).unflatten(0, (50, -1)).mean(1).tolist()
by_time = {"t": levels, "floor": floors, "loss": at_level}
by_step = {"step": list(excess), "loss": blocks, "excess": list(excess.values())}
plots.show(
    flow_plots.floor_and_excess(by_time, by_step),
    alt="Left, the loss at each time: the network's dots lie on the grey floor. Right, on a logarithmic axis over the steps: the loss goes flat at once, while the excess keeps falling.",
)

# %%
print("from the second fifth of the run to the last")
for name in ("loss", "excess"):
    second, last = sum(by_step[name][10:20]), sum(by_step[name][-10:])
    print(f"the {name} changed by {last / second - 1:+.0%}")

# %% [markdown]
# **How to read it.** On the left, every dot of a perfect network lies on the edge of the grey.
# Near $t=1$ you see the data and cannot tell the noise, whose variance is 1. Near $t=0$ you see the
# noise and cannot tell the partner. The floor is lowest near 0.8, where $x$
# shows the cluster and still carries the noise. Where dots leave the grey, as ours do near 0.8, the
# network has not learned these times yet, and the mean over all times would hide it.
#
# On the right, the loss is nearly all floor: a constant plus noise, which hides what is learned.
# **A healthy loss looks dead.** On pictures the floor is not known,
# but something like it happens (this lesson's network for pictures, on fixed pictures, noise and
# times): from step {{result:flow_laptop.json:curve.2.step:,}} to
# {{result:flow_laptop.json:curve.4.step:,}} its loss fell from
# {{result:flow_laptop.json:curve.2.loss.value:.3f}} only to
# {{result:flow_laptop.json:curve.4.loss.value:.3f}}, but FD (lower is better) from
# {{result:flow_laptop.json:curve.2.FD.value:.1f}} to
# {{result:flow_laptop.json:curve.4.FD.value:.1f}}.

# %%
plots.show(
    flow_plots.by_step(results.read("flow_laptop.json")),
    alt="Left, the loss by steps: after a first drop almost flat. Right, FD of the same network: it keeps falling.",
)

# %% [markdown]
# ## What perfect training would give
#
# So the perfect network reaches the floor. Do we want it? Your training set is finite: $N$ pictures
# $x_1 \dots x_N$, and every line ends in one of them. So here, too, the mean velocity is known
# exactly.
#
# ### Exercise: the exact optimum
#
# *Hard, 25 minutes.* Write the mean velocity of the lines that pass $x$ at time $t<1$. Before you
# look at $x$, all $N$ points are equally likely as partners, and the noise is $N(0, I)$. How likely
# is each point once you know $x$? The points may be pictures.
#
# <details><summary>Hint 1</summary>If the partner were $x_i$, which noise must the traveller have
# started from to be at $x$ now? How dense is the noise there?</details>
# <details><summary>Hint 2</summary>From $x$, in the time that is left, a traveller bound for $x_i$
# must arrive there. What is that velocity?</details>
# <details><summary>Hint 3</summary>Probabilities of $N$ points that are proportional to the
# exponential of something: there is one stable function for that. Mind its axis.</details>


# %%
def exact_velocity(x, t, data):
    """Mean velocity at x (B, ...) at time t (B,) < 1, for a training set (N, ...): (B, ...)."""
    ### BEGIN SOLUTION
    rows, examples, t = x.flatten(1), data.flatten(1), t[:, None]  # (B, D), (N, D), (B, 1)
    squares = (rows[:, None] - t[:, None] * examples).square().sum(-1)  # (B, N)
    share = (-squares / (2 * (1 - t) ** 2)).softmax(dim=1)  # (B, N)
    return ((share @ examples - rows) / (1 - t)).view_as(x)
    ### END SOLUTION


exact_velocity = checks.diffusion.exact_velocity(exact_velocity)

# %% [markdown]
# Now walk with it, from fresh noise, among real training pictures:

# %%
train = load_images(source, split="train", size=size, limit=n_images)
test = load_images(source, split="test", size=size)
print(f"{train.name}: {len(train):,} training and {len(test):,} test pictures")

# %%
few = dcgan.to_tanh_range(train.images[:100])  # (100, 3, H, W)
fresh_noise = torch.randn(12, *few.shape[1:], generator=torch.Generator().manual_seed(2))
diary = []
optimum = with_diary(lambda x, t: exact_velocity(x, t, few), diary)
perfect = solve(optimum, fresh_noise, 20, "euler")
_, which = metrics.nearest_distance(perfect.flatten(1), few.flatten(1))

# %%
rows = {f"t = {k / 20:.2f}": diary[k] for k in (0, 8, 14)} | {"t = 1.00": perfect}
rows["nearest\nin training"] = few[which]
rows = {name: dcgan.to_bytes(x.clamp(-1, 1)) for name, x in rows.items()}
plots.show(
    picture_rows.named_rows(rows, train.title("the exact optimum")),
    alt="Twelve pictures on their way from noise. The last row, the nearest training pictures, is the same as the row above it.",
)

# %%
to_nearest = (perfect - few[which]).flatten(1).norm(dim=1)  # (12,)
print(f"largest distance to the nearest training picture: {to_nearest.max():.6f}")
assert to_nearest.max() < 1e-2

# %% [markdown]
# Every walk ends *on* a training picture. The perfect answer to this loss is a very slow database.
# New pictures come from the *error* of a real network, and it is a useful error: [Kadkhodaie et al.
# 2023](https://arxiv.org/abs/2310.02557) trained two networks on large sets with no picture in
# common, and from the same noise both made nearly the same new one. Still, such a model *can* copy:
# we shall search for copies.
#
# ## Diffusion is the same network on another path
#
# Diffusion models came first ([Ho et al. 2020](https://arxiv.org/abs/2006.11239), DDPM). They
# destroy a picture $x_0$ in many small steps, $x_k = \sqrt{1-\beta_k}\,x_{k-1} +
# \sqrt{\beta_k}\,\varepsilon_k$. Here $\beta_k$ is the share of variance that step $k$ replaces,
# and $\varepsilon_k$ is fresh noise from $N(0, I)$. A sum of independent Gaussians is Gaussian, so
# one can jump from $x_0$ to $x_k$ in a single draw: $x_k = \alpha_k x_0 + \sigma_k \varepsilon$
# with $\alpha_k = \prod_j \sqrt{1-\beta_j}$ and $\sigma_k^2 = 1-\alpha_k^2$.

# %%
betas = torch.linspace(1e-4, 0.02, 1_000)  # of the paper, section 4
x_0, x_k = 1.5, torch.full((50_000,), 1.5)
alphas = (1 - betas).sqrt().cumprod(0)
for beta in betas[:400]:
    x_k = (1 - beta).sqrt() * x_k + beta.sqrt() * torch.randn(50_000)
by_jump = alphas[399] * x_0, (1 - alphas[399] ** 2).sqrt()

# %%
print(f"400 small steps: mean {x_k.mean():.3f}, standard deviation {x_k.std():.3f}")
print(f"one jump:        mean {by_jump[0]:.3f}, standard deviation {by_jump[1]:.3f}")
assert abs(x_k.mean() - by_jump[0]) < 0.02 and abs(x_k.std() - by_jump[1]) < 0.02

# %% [markdown]
# That is our line again: some data, some noise. Only the weights lie on a circle,
# $\alpha^2+\sigma^2=1$, where ours lie on a straight line, $t$ and $1-t$. Papers count time from
# data to noise. Their networks predict the noise, the clean picture, the velocity, or the *score*
# $\nabla_x \log p_t(x)$: the direction in which the density of the cloud grows fastest (no mark for
# quality). Each of the four determines the others.
#
# ### Exercise: diffusion with your network
#
# *Medium, 35 minutes.* Two more parts follow below. **Part one, four names:** a network tells you
# the velocity at `x` and `t`. Return the clean picture and the noise that it expects, and the
# score: the expected noise divided by the standard deviation of the noise in `x`, with a minus. `x`
# holds points or pictures.
#
# <details><summary>Hint 1</summary>From x, a traveller goes on at this velocity. Where will it be
# when time is up? And where did it start?</details>
# <details><summary>Hint 2</summary>How much of the noise, whose standard deviation is 1, is still
# in x at time t?</details>


# %%
def from_velocity(x, t, velocity):
    """Mean clean picture, mean noise and score at x (B, ...), t (B,) in (0, 1): three (B, ...)."""
    ### BEGIN SOLUTION
    t = t.view(-1, *[1] * (x.dim() - 1))  # (B, 1, ...)
    clean = x + (1 - t) * velocity
    noise = x - t * velocity
    return clean, noise, -noise / (1 - t)
    ### END SOLUTION


from_velocity = checks.diffusion.from_velocity(from_velocity)

# %% [markdown]
# And back again, from each of the three to the velocity:

# %%
x, t = torch.randn(1_000, 2).double(), torch.rand(1_000).double() * 0.9 + 0.05
column = t[:, None]
v = ring.velocity(x, t)
clean, noise, score = from_velocity(x, t, v)
back = {
    "the clean picture": (clean - x) / (1 - column),
    "the noise": (x - noise) / column,
    "the score": (x + (1 - column) * score) / column,
}
for name, velocity in back.items():
    print(f"velocity from {name}: largest error {(velocity - v).abs().max():.1e}")
    assert (velocity - v).abs().max() < 1e-5

# %% [markdown]
# So does your network know diffusion already? The best known sampler of diffusion is DDIM ([Song et
# al. 2020](https://arxiv.org/abs/2010.02502)). Each step guesses clean picture and noise, and mixes
# the two anew, in the shares of the next time. It walks on the circle:


# %%
def on_circle(t):
    """The factor from the line to the circle, with the same ratio of data to noise."""
    return 1 / math.sqrt(t**2 + (1 - t) ** 2)


# %% [markdown]
# **Part two, diffusion's sampler.** Write DDIM with your `from_velocity`, from `t = 0` to `t = 1`
# in equal steps, one call in each. `x` is on the circle. The network learned on the line, so bring
# `x` back to the line before you ask, and the new mixture to the circle afterwards.
#
# <details><summary>Hint 1</summary>A point on the circle is <code>on_circle(t)</code> times the
# point on the line that holds the same data and the same noise.</details>
# <details><summary>Hint 2</summary>On the line, how much of the clean picture is in x at the time
# where the step ends, and how much of the noise?</details>


# %%
def ddim(network, noise, steps):
    """Diffusion's sampler on the circle, with network(x, t) of the line: noise (B, 2) -> (B, 2)."""
    ### BEGIN SOLUTION
    x = noise
    for k in range(steps):
        now, then = k / steps, (k + 1) / steps
        x_line, t = x / on_circle(now), torch.full((len(x),), now)  # back on the line
        clean, mean_noise, _ = from_velocity(x_line, t, network(x_line, t))
        x = on_circle(then) * (then * clean + (1 - then) * mean_noise)
    return x
    ### END SOLUTION


ddim = checks.diffusion.ddim(ddim)

# %%
gap = (ddim(ring_network, start, 20) - solve(ring_network, start, 20, "euler")).abs().max()
print(f"DDIM and Euler, 20 calls each, 2,000 points: they differ by {gap:.1e} at most")
assert gap < 1e-4

# %% [markdown]
# They are one algorithm ([Gao et al. 2024](https://diffusionflow.github.io/)). DDPM's own sampler
# also adds fresh noise while walking, and follows the score to remove it. The ways become jagged,
# yet the cloud at each time stays the same.
#
# Why? A smooth walk carries the errors of a learned velocity to its end. Fresh noise corrects them,
# but needs more steps ([Karras et al. 2022](https://arxiv.org/abs/2206.00364), section
# 4).
#
# In a short time $h$ we add noise of variance $g^2 h$. To keep the cloud as it was, the velocity
# must grow by $\tfrac{g^2}{2}$ times the score ([Song et al.
# 2021](https://arxiv.org/abs/2011.13456)). We choose $g^2 = 2(1-t)$.
#
# **Part three, the noisy walk.** Write it. The fresh noise of each step, from $N(0, I)$, is in
# `kicks` (S, B, 2); the S steps lead from time 0 to `until`.
#
# <details><summary>Hint 1</summary>The kicks have variance 1. By which factor must you multiply
# them, so that it becomes g² h?</details>
# <details><summary>Hint 2</summary>Which of your three results is the score? At which time does a
# step need it?</details>


# %%
def noisy_walk(velocity, noise, kicks, until=1.0):
    """Follow velocity(x, t) from noise (B, 2) to time ``until``, with kicks (S, B, 2): (B, 2)."""
    ### BEGIN SOLUTION
    x, h = noise, until / len(kicks)
    for k, kick in enumerate(kicks):
        t = x.new_full((len(x),), k * h)
        v = velocity(x, t)
        *_, score = from_velocity(x, t, v)
        half = 1 - k * h  # of g²
        x = x + h * (v + half * score) + math.sqrt(2 * half * h) * kick
    return x
    ### END SOLUTION


noisy_walk = checks.diffusion.noisy_walk(noisy_walk)

# %% [markdown]
# Do both kinds of walk make the same cloud, half-way and at the end?


# %%
def compare(until):
    """Distance from the middle at time ``until``, (N,) each: a smooth walk's and a noisy one's."""
    many = torch.randn(4_000, 2)
    # solve walks from 0 to 1: stretch the time until `until` over it
    shorter = lambda x, t: until * ring.velocity(x, until * t)  # noqa: E731
    smooth = solve(shorter, many, 60, "euler")
    noisy = noisy_walk(ring.velocity, many, torch.randn(120, 4_000, 2), until)
    return smooth.norm(dim=1), noisy.norm(dim=1)


# %%
for until in (0.5, 1.0):
    smooth, noisy = compare(until)
    print(f"distance from the middle at t = {until}, mean and standard deviation:")
    print(f"{smooth.mean():.2f} ± {smooth.std():.2f} by smooth walks,", end=" ")
    print(f"{noisy.mean():.2f} ± {noisy.std():.2f} by noisy ones")
    assert abs(smooth.mean() - noisy.mean()) < 0.04 and abs(smooth.std() - noisy.std()) < 0.03

# %% [markdown]
# **And the ELBO?** Read the chain as lesson 3's VAE, whose encoder has no weights and only adds
# noise. Its ELBO has a KL term for each step down from noise level $t$ to a cleaner $s$. It
# compares two Gaussians of equal variance: the step of someone who knows the clean picture $x$, and
# the step of the network, which has only a guess $\hat x$. So each KL is a squared error, weighted
# by how much the ratio of signal to noise (SNR) grows ([Kingma et al.
# 2021](https://arxiv.org/abs/2107.00630)); for our line, $\alpha = t$ and $\sigma = 1-t$:
#
# $$\mathrm{KL} = \tfrac12\,\bigl(\mathrm{SNR}(s)-\mathrm{SNR}(t)\bigr)\,\lVert x-\hat x\rVert^2,
# \qquad \mathrm{SNR} = \alpha^2/\sigma^2 .$$


# %%
def step_down(z, clean, t, s):
    """The point at s, given z at t and the clean picture, by Bayes' rule; 0 < t < s < 1."""
    carried = t / s  # z at t is carried * z at s, plus noise
    noise = (1 - t) ** 2 - carried**2 * (1 - s) ** 2  # of this variance
    mean = carried * (1 - s) ** 2 * z + s * noise * clean
    return Normal(mean / (1 - t) ** 2, math.sqrt(noise) * (1 - s) / (1 - t))


# %%
t, s, truth, guess = 0.4, 0.5, torch.randn(5).double(), torch.randn(5).double()
z = t * truth + (1 - t) * torch.randn(5).double()
kl = kl_divergence(step_down(z, truth, t, s), step_down(z, guess, t, s)).sum()
snr_gain = (s / (1 - s)) ** 2 - (t / (1 - t)) ** 2
by_formula = snr_gain / 2 * (truth - guess).square().sum()

# %%
print(f"KL of one step: {kl:.9f} nats by the library, {by_formula:.9f} by the formula")
assert torch.isclose(kl, by_formula)

# %% [markdown]
# So the losses of this field differ from an ELBO only in how they weigh the noise levels ([Kingma
# and Gao 2023](https://arxiv.org/abs/2303.00848)). The posterior cannot collapse, since the encoder
# has nothing to learn, and the decoder's blur is spread over many steps, each with little to
# average.
#
# ## On demand
#
# To get a horse, give the network the label beside $x$ and $t$, in training and in use. The mean is
# then taken over lines that end in horses. Hide one label in ten in training, and the same network
# also learns the velocity of *any* picture. Ask it twice, with and without: the difference says
# what makes a horse a horse. *Guidance* exaggerates that difference ([Ho and Salimans
# 2022](https://arxiv.org/abs/2207.12598)).
#
# ### Exercise: mend the guidance, then guide a network
#
# *Medium, 20 minutes.* **Mend:** the line below leads *away* from what was asked for. Write it so
# that scale 0 ignores the label, scale 1 is the velocity with label, and scale 2 goes twice as far
# from the one without. **Then guide:** `network(x, t, label)` takes labels (B,) from 0 to
# `network.classes - 1`; the label `network.classes` means "no label". Write `guided_velocity` with
# your `guided`. It asks both questions in *one* call with a batch of twice the size; at scale 1 it
# asks only what counts.
#
# <details><summary>Hint 1</summary>Put in numbers: with label 3, without 1. What comes out at
# scale 0, 1 and 2, and what should?</details>
# <details><summary>Hint 2</summary>Somebody swapped two names, and copied from a paper in which 0
# means what your 1 means.</details>
# <details><summary>Hint 3</summary>Which three tensors are twice as long in the large batch? Where
# in the answer lies the half without label?</details>


# %%
def guided_as_found(with_label, without, scale):
    """Two mistakes, which hide each other at scale 0."""
    return (1 + scale) * without - scale * with_label


# %%
def guided(with_label, without, scale):
    """The guided velocity from two of the same shape; 0 ignores the label, 1 follows it."""
    ### BEGIN SOLUTION
    return without + scale * (with_label - without)
    ### END SOLUTION


guided = checks.diffusion.guided(guided)


# %%
def guided_velocity(network, x, t, label, scale):
    """The network's guided velocity: x (B, 3, H, W), t (B,), label (B,) -> (B, 3, H, W)."""
    ### BEGIN SOLUTION
    if scale == 1:
        return network(x, t, label)
    nobody = torch.full_like(label, network.classes)
    labels = torch.cat([label, nobody])
    both = network(torch.cat([x, x]), torch.cat([t, t]), labels)
    with_label, without = both.chunk(2)
    return guided(with_label, without, scale)
    ### END SOLUTION


guided_velocity = checks.diffusion.guided_velocity(guided_velocity)

# %% [markdown]
# In the plane, take a ring of broader clusters, and let the one on the right be the class. Grey is
# the whole ring:

# %%
broad = known_flow.ring(std=0.5)
one = known_flow.Mixture(broad.centres[:1], broad.std)
steered = {}
for scale in (0, 1, 2, 4):

    def towards_one(x, t, scale=scale):
        return guided(one.velocity(x, t), broad.velocity(x, t), scale)

    steered[f"scale {scale}"] = solve(towards_one, start, 60, "euler")

# %%
plots.show(
    flow_plots.planes(steered, behind=broad.draw(800), side=4.6),
    alt="Samples by scale of guidance. At 0 they cover the whole ring, at 1 the one cluster. At 2 and 4 they leave it outwards, away from the others, and crowd.",
)
spread = [x.std(0).norm() for x in steered.values()]
assert spread[1] > spread[2] > spread[3]

# %% [markdown]
# Above 1 the samples crowd where the class is most unlike the others.
#
# ## Pictures
#
# Nothing changes but the network. A *U-Net* shrinks the noisy picture to see it as a whole, grows
# it back, and passes details across ([Ronneberger et al. 2015](https://arxiv.org/abs/1505.04597)).
# Time and class scale and shift the maps in each of its blocks. GroupNorm, which looks at one
# picture at a time, takes BatchNorm's place: a batch mixes pure noise with almost clean pictures.
#
# The U-Net takes each square of 2 × 2 pixels as one place: three times as many steps. FD after
# {{result:flow_pilot.json:minutes}} minutes of one core is
# {{result:flow_pilot.json:variants.as in the lesson.FD.value:.2f}}
# ({{result:flow_pilot.json:variants.as in the lesson.FD.low:.2f}} to
# {{result:flow_pilot.json:variants.as in the lesson.FD.high:.2f}}), with single pixels
# {{result:flow_pilot.json:variants.single pixels.FD.value:.2f}}
# ({{result:flow_pilot.json:variants.single pixels.FD.low:.2f}} to
# {{result:flow_pilot.json:variants.single pixels.FD.high:.2f}}). One training each: not told apart.

# %%
classes = len(train.classes)
torch.manual_seed(0)
network = flow.Velocity(size, width, classes)
network.to(run.device).to(memory_format=torch.channels_last)
averaged = gan_steady.make_average(network, average)
averaged.classes = classes
parameters = sum(p.numel() for p in network.parameters())
print(f"{parameters:,} weights, {classes} classes: {', '.join(train.classes)}")

# %%
four = dcgan.to_tanh_range(train.images[:4]).to(run.device)
with torch.no_grad():
    probe = network(four, torch.rand(4).to(run.device), train.labels[:4].to(run.device))
print(f"pictures {tuple(four.shape)} -> velocities {tuple(probe.shape)}")
assert probe.shape == four.shape

# %% [markdown]
# The step is that of the plane, with three habits of large networks: a learning rate that rises and
# then falls, gradients cut at length 1, and the average of the weights from lesson 2. Times from
# the middle of the way come more often, because at both ends the best answer is a plain mean
# ([Esser et al. 2024](https://arxiv.org/abs/2403.03206), section 3.1); `flow.sample_times` draws
# them.
#
# ### Exercise: the step
#
# *Medium, 15 minutes.* This step trains your network. Pictures where `hidden` (B,) is True lose
# their label. Take your `flow_loss` within `autocast()`. Cut the
# gradients of all weights together to length 1 (`nn.utils.clip_grad_norm_`), take the step, and
# return the loss as a plain number.
#
# <details><summary>Hint 1</summary><code>flow_loss</code> asks its network with x_t and t alone.
# Give it a function of these two that adds the labels.</details>
# <details><summary>Hint 2</summary>When do the gradients of this step exist, and who uses
# them?</details>


# %%
def train_step(network, optimizer, x, label, noise, t, hidden, autocast):
    """One step: x and noise (B, 3, H, W); label, t and hidden (B,). Returns the loss."""
    ### BEGIN SOLUTION
    shown = label.masked_fill(hidden, network.classes)
    with autocast():
        loss = flow_loss(lambda x_t, t: network(x_t, t, shown), x, noise, t)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    return loss.item()
    ### END SOLUTION


train_step = checks.diffusion.train_step(train_step)

# %%
optimizer = flow.make_optimizer(network)  # AdamW
state = {"network": network, "averaged": averaged, "optimizer": optimizer}
config = {"lesson": "flow", "data": train.name, "images": len(train), "size": size}
config |= {"batch_size": batch_size, "width": width, "average": average}
training = TrainingRun(
    run_folder("09_flow", config, state), state=state, config=config, steps=steps,
    examples=len(train), batch_size=batch_size, seed=0, fresh=fresh, data_sha256=train.sha256,
)  # fmt: skip


# %%
def sample(network, labels, noise, steps, method="euler", scale=1.0):
    """Pictures uint8 (N, 3, H, W) of the labels (N,), from noise of that shape."""
    pictures, batches = [], list(zip(labels.split(100), noise.split(100)))
    for label, z in progress_bars.progress(batches, "pictures", leave=False):
        label = label.to(run.device)

        def velocity(x, t, label=label):
            return guided_velocity(network, x, t, label, scale).float()

        with torch.no_grad(), run.autocast():
            pictures.append(solve(velocity, z.to(run.device), steps, method).cpu())
    return dcgan.to_bytes(torch.cat(pictures).clamp(-1, 1))


# %%
fixed_noise = torch.randn(60, 3, size, size, generator=torch.Generator().manual_seed(1))
fixed_labels = torch.arange(60) % classes


# %%
def draw_progress():
    """The loss so far and the present pictures."""
    pictures = sample(averaged, fixed_labels[:20], fixed_noise[:20], min(calls, 8))
    title = train.title(f"generated, step {training.step}")
    return picture_rows.losses_and_pictures(
        training.history, {"loss": "loss"}, "loss", pictures, 5, title
    )


# %%
live = plots.LiveFigure(
    draw_progress,
    alt="Left, the loss: a quick fall, then almost flat. Right, 20 pictures that go on improving.",
    seconds=20,
)
pixels, labels = train.images.to(run.device), train.labels.to(run.device)
for index in training.batches():  # (B,) the examples of this step
    x = dcgan.to_tanh_range(pixels[index.to(run.device)])
    noise = training.draw(torch.randn, 3, size, size).to(run.device)
    t = flow.sample_times(training.draw(torch.randn).to(run.device))  # (B,) in (0, 1)
    hidden = training.draw(torch.rand).to(run.device) < 0.1  # (B,) one in ten
    label = labels[index.to(run.device)]
    optimizer.param_groups[0]["lr"] = flow.learning_rate(training.step, steps)
    loss = train_step(network, optimizer, x, label, noise, t, hidden, run.autocast)
    averaged.update_parameters(network)
    training.log(loss=loss, t=t.mean().item())
    live.update()
live.close()

# %%
averaged.eval()
some = sample(averaged, fixed_labels[:40], fixed_noise[:40], min(calls, 8))
in_range = {"data": dcgan.to_tanh_range(train.images[:500]), "samples": dcgan.to_tanh_range(some)}
for finding in diagnose({**training.history, **in_range}):
    print(finding)

# %% [markdown]
# ## What it draws
#
# Left, your network; right, the one that the course ships, after
# {{result:flow_cifar10.json:steps:,}} steps on {{result:flow_cifar10.json:data}}. Nobody picked these.
# Rows are classes; guidance is 3.

# %%
shipped, facts = flow.load_shipped(run.device)
best, best_name, best_names = averaged, train.name, train.classes
if size == 32:  # the shipped network's pictures have 32 pixels
    best, best_name, best_names = shipped, f"shipped [{facts['data']}]", cifar10.CLASSES


# %%
def each_class(network, names):
    """Six pictures of each class, and the classes' names."""
    asked = torch.arange(len(names)).repeat_interleave(6)
    noise = fixed_noise[torch.arange(len(asked)) % len(fixed_noise)]
    return sample(network, asked, noise, calls, scale=3.0), names


# %%
drawn = {train.title("yours"): each_class(averaged, train.classes)}
drawn[best_name] = each_class(best, best_names)
plots.show(
    picture_rows.class_grids(drawn),
    alt="Two grids with a class in each row, six pictures each: left your network, right the shipped one.",
)

# %% [markdown]
# After minutes of training expect impressions, and a class you can often only guess. Do the
# rows differ? If not, the label never reached the network. Do the six pictures of a row? If not, it
# is lesson 1's collapse. The feature network behind FD names
# {{result:flow_cifar10.json:guided.accuracy.value:.0%}} of the shipped network's pictures as the
# class that was asked for ({{result:flow_cifar10.json:accuracy.value:.0%}} without guidance), and
# {{result:flow_guidance.json:accuracy_real.value:.0%}} of real test photographs: guided pictures
# are plainer than life.
#
# A film of the shipped network:
#
# ![A film of 30 pictures, a class in each column. Noise turns into coloured blots, and blots into outlines and detail.](figures/flow_pictures.gif)
#
# As in the plane, each further call decides something:

# %%
same_noise, same_labels = fixed_noise[:10], torch.arange(10) % len(best_names)
rows = {
    f"{n} call{'s' * (n > 1)}": sample(best, same_labels, same_noise, n) for n in (1, 2, 4, 8, 25)
}
plots.show(
    picture_rows.named_rows(rows, best_name, [best_names[k] for k in same_labels]),
    alt="Ten pictures from the same noise, with 1, 2, 4, 8 and 25 network calls in five rows: first a grey blur with rests of the noise, then outlines, at last contrast and details.",
)

# %%
plots.show(
    flow_plots.by_calls(results.read("flow_calls.json")),
    alt="FD against network calls for Euler and Heun. Each falls with the calls; the line at the bottom is the floor.",
)

# %% [markdown]
# This curve's network trained as long as yours. With 8 calls Euler reaches
# {{result:flow_calls.json:euler.8.FD.value:.2f}} and Heun
# {{result:flow_calls.json:heun.8.FD.value:.2f}}; with 32,
# {{result:flow_calls.json:euler.32.FD.value:.2f}} and
# {{result:flow_calls.json:heun.32.FD.value:.2f}}: there neither is ahead. With 4 calls Euler is, as
# in the plane. Where a curve is level, the network's own error is left. Now guidance, from 0 to 5:

# %%
horse = 7 % len(best_names)
horses = torch.full((6,), horse)
guided_horses = {
    f"scale {scale:g}": sample(best, horses, fixed_noise[:6], calls, scale=scale)
    for scale in (0.0, 1.0, 2.0, 3.5, 5.0)
}
plots.show(
    picture_rows.panels(guided_horses, 2, f"asked for: {best_names[horse]}, {best_name}"),
    alt="The same six noises by scale of guidance. At 0 the label is ignored. With the scale, the class shows more plainly and contrast grows.",
)

# %%
recorded = results.read("flow_guidance.json")
plots.show(
    flow_plots.by_guidance(recorded),
    alt="Left, by scale of guidance: accuracy of the asked class, precision and recall. Right, FD with its floor.",
)

# %%
for score, best_of in (("accuracy", max), ("FD", min), ("recall", max)):
    row = best_of(recorded["rows"], key=lambda row, score=score: row[score]["value"])
    print(f"best {score}: {row[score]['value']:.2f}, at scale {row['scale']:g}")

# %% [markdown]
# Guidance buys obedience. The figure is of a network that trained as long as yours. The asked class
# is recognised at scale 0 by chance, in {{result:flow_guidance.json:rows.0.accuracy.value:.0%}} of
# the pictures, at 1 in {{result:flow_guidance.json:rows.1.accuracy.value:.0%}}, at 5 in
# {{result:flow_guidance.json:rows.5.accuracy.value:.0%}}. FD falls all the way, since this network
# follows its label too weakly by itself. Recall (how many real photographs have a generated
# neighbour) is not told apart: its bands overlap. The shipped network shows the price: at scale
# {{result:flow_cifar10.json:guided.scale:g}} FD falls from
# {{result:flow_cifar10.json:score.FD.value:.2f}} to
# {{result:flow_cifar10.json:guided.score.FD.value:.2f}}, and so does recall, from
# {{result:flow_cifar10.json:score.recall.value:.2f}} to
# {{result:flow_cifar10.json:guided.score.recall.value:.2f}}: the pictures become more alike.
#
# ### Twice as large
#
# Another shipped network, for 64×64 pixels, learned from drawings by a program of the course. Two
# of these four rows are the program's own, two the network's. Which?

# %%
artist, _ = flow.load_shipped(run.device, flow.SHIPPED_64)
drawings = load_images("standin", "test", 64).take(20)  # two of each class
drawn_64 = drawings.images[drawings.labels.argsort(stable=True)]
noise_64 = torch.randn(20, 3, 64, 64, generator=torch.Generator().manual_seed(2))
made_64 = sample(artist, torch.arange(10).repeat(2), noise_64, calls, scale=3.0)

# %%
sheets = (drawn_64[0::2], drawn_64[1::2], made_64[:10], made_64[10:])
mixed = torch.randperm(4, generator=torch.Generator().manual_seed(4)).tolist()
plots.show(
    picture_rows.named_rows(
        {letter: sheets[k] for letter, k in zip("ABCD", mixed)},
        "drawn stand-in (not CIFAR-10): two rows drawn, two generated",
        drawings.classes,
    ),
    alt="Four rows of ten small drawings, from ball to tree, on coloured grounds. Two rows are generated.",
)

# %% [markdown]
# <details><summary>Answer (decide first)</summary>The network drew A and C. Things have their
# parts in the right places. Edges waver, and clouds stand where the program draws stripes, squares
# or hills.</details>
#
# A reader sees the asked class in {{result:flow_standin64.json:guided.accuracy.value:.0%}} of such
# drawings, in {{result:flow_standin64.json:real.accuracy.value:.0%}} of the program's, and
# {{result:flow_standin64.json:guided.copied.value:.1%}} are copies by the search below.
#
# ## How good, how fast, how original?
#
# Yours at 8 calls a picture. FD's floor is what *other real pictures* reach, not the floor of the
# loss:

# %%
n_each = metrics.fitting_n(n_score, train, test)
reference = metrics.RealReference.from_images(train, test, n=n_each)


# %%
def sampler(network, steps):
    """A function that makes as many pictures as it is asked for, classes in turn."""
    return lambda count: sample(
        network, torch.arange(count) % classes, torch.randn(count, 3, size, size), steps
    )


# %%
scores = {"your network, averaged": reference.score(sampler(averaged, min(calls, 8)))}
scores["other real pictures (the floor)"] = reference.floor
display(Markdown(metrics.table(scores)))

# %% [markdown]
# On CIFAR-10 (JPEG copy) the recorded run of {{result:flow_laptop.json:settings.steps:,}} steps
# reached {{result:flow_laptop.json:laptop.FD.value:.2f}}
# ({{result:flow_laptop.json:laptop.FD.low:.2f}} to {{result:flow_laptop.json:laptop.FD.high:.2f}}),
# and the shipped network {{result:flow_cifar10.json:score.FD.value:.2f}}
# ({{result:flow_cifar10.json:score.FD.low:.2f}} to {{result:flow_cifar10.json:score.FD.high:.2f}}).
# Here are the three families, in minutes of the same two cores:

# %%
plots.show(
    flow_plots.families(results.read("flow_families.json")),
    alt="FD by minutes of training for the GAN, the VAE and the flow on the same cores.",
)

# %% [markdown]
# | after its last point | FD | KD | precision | recall |
# | --- | --- | --- | --- | --- |
# | GAN | {{result:flow_families.json:end.gan.FD.value:.2f}} | {{result:flow_families.json:end.gan.KD.value:.3f}} | {{result:flow_families.json:end.gan.precision.value:.2f}} | {{result:flow_families.json:end.gan.recall.value:.2f}} |
# | VAE | {{result:flow_families.json:end.vae.FD.value:.2f}} | {{result:flow_families.json:end.vae.KD.value:.3f}} | {{result:flow_families.json:end.vae.precision.value:.2f}} | {{result:flow_families.json:end.vae.recall.value:.2f}} |
# | flow | {{result:flow_families.json:end.flow.FD.value:.2f}} | {{result:flow_families.json:end.flow.KD.value:.3f}} | {{result:flow_families.json:end.flow.precision.value:.2f}} | {{result:flow_families.json:end.flow.recall.value:.2f}} |
# | shipped flow, {{result:flow_cifar10.json:steps:,}} steps | {{result:flow_cifar10.json:score.FD.value:.2f}} | {{result:flow_cifar10.json:score.KD.value:.3f}} | {{result:flow_cifar10.json:score.precision.value:.2f}} | {{result:flow_cifar10.json:score.recall.value:.2f}} |
# | the same, guidance {{result:flow_cifar10.json:guided.scale:g}} | {{result:flow_cifar10.json:guided.score.FD.value:.2f}} | {{result:flow_cifar10.json:guided.score.KD.value:.3f}} | {{result:flow_cifar10.json:guided.score.precision.value:.2f}} | {{result:flow_cifar10.json:guided.score.recall.value:.2f}} |
#
# At the last two points the GAN leads the flow; the VAE has stopped. Trained longer, both cover
# more: recall {{result:cgan_cifar10.json:total.recall.value:.2f}} for lesson 8's GAN. The flows
# were told the classes, the other two were not, and each runs its own lesson's settings: this
# compares lessons, not families at their best. A flow also pays later: 1,000 pictures took
# {{result:flow_seconds.json:per_1000.gan.value:.1f}} seconds by the GAN,
# {{result:flow_seconds.json:per_1000.vae.value:.1f}} by the VAE, and
# {{result:flow_seconds.json:per_1000.flow_25.value:.0f}} by the flow with 25 calls.
#
# **Copies?** The perfect network copied. Does a real one? Look up the nearest training picture, at
# 8×8 pixels. Real test pictures say how near is normal; the exact optimum plays the thief.


# %%
def thumbnails(images):
    """Pictures uint8 (N, 3, H, W) -> (N, 192), each as 8×8 pixels in a row."""
    parts = [nn.functional.avg_pool2d(p.float(), size // 8).flatten(1) for p in images.split(2_000)]
    return torch.cat(parts)


# %%
suspects = {"the exact optimum": dcgan.to_bytes(perfect.clamp(-1, 1))}
suspects["your network"] = sampler(averaged, min(calls, 8))(n_search)
if size == 32:
    suspects["the shipped network"] = sampler(shipped, min(calls, 8))(n_search)

# %%
known, unseen = thumbnails(train.images), thumbnails(test.images[:2_000])
for name, pictures in suspects.items():
    share = metrics.copied(thumbnails(pictures), known, unseen, level=0.01).float().mean()
    print(f"{name:20} {share:4.0%} nearer to a training picture than 99 % of the test pictures are")

# %% [markdown]
# About 1 % is chance, and the thief is caught every time. A copy that was shifted, mirrored or
# repainted escapes this search: a low share is no proof.
#
# ### Choose for yourself
#
# With a running kernel, choose class, steps, guidance and noise:


# %%
def walk_from(labels, steps, guidance, seed):
    """Pictures of the labels (N,), from the noise with this number."""
    noise = torch.randn(len(labels), 3, size, size, generator=torch.Generator().manual_seed(seed))
    return sample(best, labels, noise, steps, scale=guidance)


# %%
figure, (ax,) = plots.subplots(width=5, height=4)
flow_steps.flow_steps_static(ax, walk_from, horse, best_name, guidance=3.0)
plots.show(
    figure,
    alt="Four noises in four rows, one class, with 1, 2, 4, 8 and 16 steps from left to right: from a blur to a picture.",
)

# %%
flow_steps.flow_steps(walk_from, best_names)

# %% [markdown]
# ## When it goes wrong: time runs backwards
#
# Much of the literature has data at $t=0$, as DDPM does. The [training
# script](https://github.com/huggingface/diffusers/blob/main/examples/dreambooth/train_dreambooth_sd3.py)
# of diffusers for Stable Diffusion 3 learns `noise - model_input`, our velocity with the other
# sign. Each is right with the sampler that belongs to it. Mix two conventions, and nothing crashes;
# only the pictures are wrong. On the ring we can watch, with the exact velocities:

# %%
mistakes = {
    "right": ring.velocity,
    "time reversed": lambda x, t: ring.velocity(x, 1 - t),
    "sign turned": lambda x, t: -ring.velocity(x, t),
}
wrecks = {name: solve(velocity, start, 100, "euler") for name, velocity in mistakes.items()}

# %%
ends = {}
for name, x in wrecks.items():
    good = (nearest_cluster(x)[0] < 3 * ring.std).float().mean().item()
    ends[f"{name}: {good:.0%} good"] = x[:500]
    assert (good > 0.9) == (name == "right")
plots.show(
    flow_plots.planes(ends, behind=data, side=6),
    alt="Where walks end with the exact velocities. Right: on the eight clusters. With time reversed or the sign turned they end elsewhere, without any message.",
)

# %% [markdown]
# Find it in two lines: **does your solver turn `noise` into `data` when
# the velocity is the straight line's own?**

# %%
one_noise, one_data = torch.randn(5, 2), ring.draw(5)
arrived = solve(lambda x, t: interpolate(one_noise, one_data, t)[1], one_noise, 4, "euler")
print(f"largest distance from the data: {(arrived - one_data).abs().max():.1e}")
assert torch.allclose(arrived, one_data, atol=1e-5)

# %% [markdown]
# **Two conventions of guidance.** Yours has the pure label at scale 1. The paper that introduced
# guidance writes $(1+w)\,v_{\text{label}} - w\,v_{\text{none}}$ (equation 6, there for the noise),
# with the pure label at $w=0$:

# %%
a, b = torch.randn(2, 4, 3, 8, 8)
for w in (0.0, 0.5, 2.0):
    paper = (1 + w) * a - w * b
    print(f"the paper's w = {w} is scale {1 + w}")
    assert torch.allclose(paper, guided(a, b, 1 + w), atol=1e-5)

# %% [markdown]
# ## Where this lives today, and what of lessons 1 to 3 is in it
#
# *Latent diffusion* ([Rombach et al. 2022](https://arxiv.org/abs/2112.10752)) walks in the latent
# space of an autoencoder. Its public
# [configuration](https://github.com/CompVis/stable-diffusion/blob/main/models/first_stage_models/kl-f8/config.yaml)
# is lesson 3's KL with a weight of $10^{-6}$ beside lesson 2's discriminator. *Stable Diffusion 3*
# trains this lesson's straight line ([Esser et al. 2024](https://arxiv.org/abs/2403.03206)). And to
# get back to one to four calls, a walk is *distilled*: a second network learns to jump along it,
# with a discriminator's help ([Sauer et al. 2023](https://arxiv.org/abs/2311.17042)).
#
# ## Questions
#
# Think first; each answer also says why the other choices are wrong.
#
# **1. Your loss has been flat for an hour. What do you do first?** (a) lower the learning rate (b)
# stop: it has converged (c) look at samples, or a score, of two checkpoints (d) enlarge the network
#
# <details><summary>Answer</summary>(c): most of the loss is floor, and the excess may fall unseen.
# (b) mistakes the floor for the end. (a) and (d) treat a disease that nobody has
# diagnosed.</details>
#
# **2. Why is a picture that was made with one call blurred?** (a) the network is too small (b) the
# step is too long for float32 (c) at $t=0$ the best answer is the mean of all pictures of the class
# (d) Euler lacks Heun's correction
#
# <details><summary>Answer</summary>(c). (a) A perfect network blurs just so. (b) Rounding is a
# million times smaller. (d) A Heun step costs two calls.</details>
#
# **3. A network that predicts noise is trained with squared error. How do you get a velocity?** (a)
# train again (b) you cannot, it has lost the data (c) compute the clean picture from x and noise;
# clean picture minus noise is the velocity (d) divide by the score
#
# <details><summary>Answer</summary>(c), for any 0 &lt; t &lt; 1. (a) is not needed, since one mean
# determines the other. (b) x holds the data. (d) The score is itself a multiple of the
# noise.</details>
#
# **4. Suppose that guidance of 5 gives perfect horses, all alike. Which score will notice the
# "alike"?** (a) accuracy of the asked class (b) recall (c) precision (d) the training loss
#
# <details><summary>Answer</summary>(b) asks how much of the data is covered. (a) and (c) reward
# clear horses, even a single one. (d) knows nothing of sampling.</details>
#
# ## Recap
#
# You trained networks to predict a velocity and walked along it. Most of the loss is a floor, and
# the perfect network copies. Velocity, noise, clean picture and score are four names for one
# answer.
#
# **What this did not show.** Text as a condition, latents instead of pixels, and transformers
# instead of a U-Net.
#
# **Sources**, where the text does not say which part: Tong
# et al. 2023, [arXiv 2302.00482](https://arxiv.org/abs/2302.00482) · Liu, Gong, Liu 2022,
# *rectified flow*, [arXiv 2209.03003](https://arxiv.org/abs/2209.03003) · Ho et al. 2020, sections 2
# and 4 · Karras et al. 2022, Heun's method for diffusion,
# [arXiv 2206.00364](https://arxiv.org/abs/2206.00364).
#
# **Next:** lesson 10 asks what all these models can do in the world, and what they cost.
