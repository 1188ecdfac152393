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
# # 2. DCGAN on CIFAR-10
#
# In this lesson you build and train a network that turns 100 random numbers into a colour picture
# of 32×32 pixels, and you measure how far its pictures are from photographs: a distance that starts
# at
# {{result:dcgan_laptop.json:untrained.FD.value:.1f}} for a network that has not learned anything,
# and after four minutes on two cores is
# {{result:dcgan_equal_time.json:curves.4.course_averaged.value:.1f}} (mean of three seeds; real
# photographs among themselves score {{result:dcgan_laptop.json:floor.FD.value:.2f}}).
#
# **You will learn to** compute what a transposed convolution does to the size of a feature map ·
# build a DCGAN and initialise it · explain each line of its training step and read its curves ·
# measure generated images with a score that has an interval and a floor · walk through a latent
# space.
#
# **You need** lesson 1 (the two-player game and the non-saturating loss) and what a convolution is.
#
# **Time** about {{minutes}} minutes to read and solve. The computer works as long as this table
# says,
# and on your machine as long as stands under the settings.
#
# {{tiers}}

# %% [markdown]
# ## Set-up

# %%
from course_utils import checks, progress_bars, runtime  # before torch: waiting threads sleep
import torch
import torch.nn.functional as F
from IPython.display import Markdown, display
from torch import nn

from course_utils.display import plots
from course_utils.display.widgets import latent_walk

# %%
from course_utils.evaluation import metrics
from course_utils.evaluation.diagnose import diagnose
from course_utils.datasets.images import load_images
from course_utils.models import dcgan, gan_steady
from course_utils.training.run import TrainingRun, run_folder

# %%
run = runtime.setup(seed=0)

# %% [markdown]
# Everything you may want to change stands in the next cell. The three columns are the course's
# three tiers: `smoke` for tests, `laptop` for a processor, `gpu` for a graphics card. The line
# above says which one this machine got.

# %%
from course_utils.machine import minutes_here

# fmt: off
#                     smoke  laptop     gpu
steps      = run.pick(   30,  2_400, 80_000)  # optimisation steps of each player
batch_size = run.pick(   32,     64,     64)  # images a step
n_images   = run.pick(  512, 50_000, 50_000)  # training images
width      = run.pick(   16,     64,     64)  # channels of the last hidden map
average    = run.pick(  0.9,   0.99,  0.999)  # memory of the average, see "What steadies the game"
n_score    = run.pick(   64,  1_000,  2_000)  # images that a score compares at a time
d_lr       = 4e-4   # learning rate of the discriminator; the generator's is 2e-4
gamma      = 0.1    # weight of the penalty on the discriminator's slope; 0 switches it off
latent_dim = 100    # numbers that a picture is made from; 128 works as well
source     = None   # None: CIFAR-10 where it is on this machine; or your own folder
size       = 32     # pixels; 64 for your own larger images
fresh      = False  # True: forget an earlier run and train again
# fmt: on
minutes_here.tell(run, "02_dcgan_cifar10", steps)

# %% [markdown]
# ## The images
#
# CIFAR-10 holds 60,000 photographs of ten kinds of things, 32×32 pixels each (Krizhevsky 2009).
# They are small enough for a processor and rich enough that a generator has something to learn. At
# tier `laptop` they are used where they are on this machine, at tier `gpu` they are fetched once;
# otherwise, and always at tier `smoke`, the course draws its own *stand-in*, and every figure made
# from it says so.

# %%
train = load_images(source, split="train", size=size, limit=n_images)
test = load_images(source, split="test", size=size)
n_each = metrics.fitting_n(n_score, train, test)  # images in each draw of a score

# %%
print(
    f"{train.name}: {len(train):,} training and {len(test):,} test images, "
    f"{tuple(train.images.shape[1:])}"
)

# %%
figure, (ax,) = plots.subplots(width=8, height=1.8)
plots.image_grid(ax, train.images[:48], columns=16, title=train.title("training images"))
plots.show(figure, alt="48 training images, 32 by 32 pixels each, in three rows.")

# %% [markdown]
# At this size a photograph is a hint of an object: some colours, an outline, a background. Keep
# that in mind when you judge what the generator makes; it can at best be as good as these.
#
# A generator's last layer is Tanh, so its pictures lie in [−1, 1]. The photographs arrive as bytes
# from 0 to 255. Both must share one range, because whatever separates them for no good reason is
# the first thing a discriminator learns; the end of this lesson shows what happens then.
#
# ### Exercise: bytes to the range of Tanh
#
# *Easy, 3 minutes.* Write a function that maps bytes to float32 numbers in [−1, 1]: 0 becomes −1
# exactly, 255
# becomes 1 exactly.
#
# <details><summary>Hint 1</summary>A straight line through two points: what is its slope, what is
# its offset?</details>
# <details><summary>Hint 2</summary>Whole-number arithmetic on bytes wraps around at 256
# (<code>images * 2</code>, say), so leave bytes first.</details>
#
# The last line of the next cell checks your function. While it is not written yet, the lesson goes
# on with the course's own; when it is wrong, the line says what it expected, what came, and what
# may be behind it.


# %%
def to_tanh_range(images):
    """Images uint8 (...) in [0, 255] -> float32 (...) in [-1, 1]."""
    ### BEGIN SOLUTION
    return images.to(torch.float32) / 127.5 - 1
    ### END SOLUTION


to_tanh_range = checks.dcgan.to_tanh_range(to_tanh_range)

# %% [markdown]
# No information may get lost on the way. All 256 values must survive the trip there and back:

# %% tags=["nbval-check-output"]
every_byte = torch.arange(256, dtype=torch.uint8)
there = to_tanh_range(every_byte)
assert torch.equal(dcgan.to_bytes(there), every_byte)
print("range:", there.min().item(), "to", there.max().item(), "| all 256 values come back")

# %% [markdown]
# ## Growing a picture: the transposed convolution
#
# A convolution with stride 2 halves the width and height of a feature map. A generator has to do
# the opposite: it starts from a single point and must arrive at 32×32. The layer for that is the
# *transposed convolution*. Each input number stamps a copy of the kernel, scaled by that number,
# onto the output. The stride says how far apart the stamps are, and where stamps overlap they add.
#
# In one dimension, with a kernel of powers of ten, you can read every stamp off the result:

# %% tags=["nbval-check-output"]
x, kernel, stride = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 10.0, 100.0, 1000.0]), 2
stamped = torch.zeros((len(x) - 1) * stride + len(kernel))
for i, value in enumerate(x):
    stamped[i * stride : i * stride + len(kernel)] += (
        value * kernel
    )  # one stamp for each input number
library = F.conv_transpose1d(x[None, None], kernel[None, None], stride=stride)[0, 0]
assert torch.equal(stamped, library)
print(stamped.int().tolist())

# %% [markdown]
# The third number, 102, is 100 from the first stamp and 2 from the second, and the library agrees.
#
# So $n$ numbers give $n-1$ distances between stamps and one whole kernel: $(n-1)\,s + k$ outputs.
# *Padding* $p$ then cuts $p$ numbers off **each** end (in a normal convolution padding adds them;
# here everything is the other way round).
#
# ### Exercise: the size of the output
#
# *Easy, 5 minutes.* Turn that sentence into a function. You will use it to plan the generator.
#
# <details><summary>Hint 1</summary>Draw three stamps of width 4, two apart, and count.</details>
# <details><summary>Hint 2</summary>Both ends are cut, so the padding counts twice.</details>


# %%
def conv_transpose_output_size(size, kernel_size, stride, padding):
    """Length of the output of a transposed convolution, along one dimension (int)."""
    ### BEGIN SOLUTION
    return (size - 1) * stride - 2 * padding + kernel_size
    ### END SOLUTION


conv_transpose_output_size = checks.dcgan.conv_transpose_output_size(conv_transpose_output_size)

# %% [markdown]
# With kernel 4, stride 2 and padding 1 a layer doubles the size exactly,
# $(n-1)\cdot 2 - 2 + 4 = 2n$. The first layer uses stride 1 and no padding, and makes 4×4 of a
# single point. Four layers reach our 32:

# %% tags=["nbval-check-output"]
sizes = [1, conv_transpose_output_size(1, 4, 1, 0)]
while sizes[-1] < 32:
    sizes.append(conv_transpose_output_size(sizes[-1], 4, 2, 1))
print(" -> ".join(map(str, sizes)), f"({len(sizes) - 1} layers)")

# %% [markdown]
# Why kernel 4 and not 3? Count how many stamps cover each output. If the stride does not divide the
# kernel, the cover alternates, and so does the brightness: a checkerboard that training must first
# unlearn ([Odena et al. 2016](https://distill.pub/2016/deconv-checkerboard/)). Kernel 4 removes the
# uneven cover, though learned weights can still make the pattern. (The first and last two outputs,
# at the border, are covered less and are left out here.)

# %% tags=["nbval-check-output"]
for k in (3, 4):
    cover = F.conv_transpose1d(torch.ones(1, 1, 6), torch.ones(1, 1, k), stride=2)[0, 0]
    print(f"kernel {k}, stride 2: each output is covered", cover[2:-2].int().tolist(), "times")

# %% [markdown]
# ## The generator
#
# Radford, Metz and Chintala ([arXiv 1511.06434](https://arxiv.org/abs/1511.06434), section 3) found
# a family of networks that trained stably on several sets of images. Their rules, each with a
# reason (theirs where the section gives one, else ours):
#
# | rule | reason |
# | --- | --- |
# | strided and transposed convolutions instead of pooling | the networks learn their own way to shrink and to grow |
# | no fully connected layers on top of the convolutions | fewer parameters, and more stable (theirs) |
# | BatchNorm in both networks | gradients reach the first layers (theirs) |
# | but not at the generator's output and the discriminator's input | the samples oscillated (theirs): it would fix the colours' mean and spread |
# | ReLU in the generator, Tanh at its end | a bounded output fills the range of colours faster (theirs) |
# | LeakyReLU (slope 0.2) in the discriminator | its gradient is the generator's only teacher and must not die |
#
# We keep these rules and change three sizes: 32×32 pixels instead of 64×64, kernel 4 instead of 5,
# and noise from N(0, 1) instead of a uniform distribution.
#
# ### Exercise: the generator
#
# *Medium, 15 minutes.* Build it. Noise of shape `(B, latent_dim, 1, 1)` becomes maps of 4×4, 8×8
# and 16×16 with `4*width`, `2*width` and `width` channels (256, 128, 64 for width 64) and at last a
# picture `(B, channels, 32, 32)` in [−1, 1]. After each hidden map comes BatchNorm and ReLU. A
# convolution before BatchNorm needs no bias: BatchNorm subtracts it.
#
# <details><summary>Hint 1</summary>The cell above with the sizes names kernel, stride and padding
# of all four layers. Which call makes 4 out of 1?</details>
# <details><summary>Hint 2</summary>Build it in an <code>nn.Sequential</code>, one layer at a time,
# and print the shape after each.</details>
# <details><summary>Hint 3</summary>The first layer is <code>nn.ConvTranspose2d(latent_dim, 4 *
# width, 4, 1, 0, bias=False)</code>; the last one has neither BatchNorm nor ReLU after it, only
# Tanh.</details>


# %%
def make_generator(latent_dim, width, channels):
    """A module: noise (B, latent_dim, 1, 1) -> images (B, channels, 32, 32) in [-1, 1]."""
    ### BEGIN SOLUTION
    return nn.Sequential(
        nn.ConvTranspose2d(latent_dim, 4 * width, 4, 1, 0, bias=False),  # (B, 4w, 4, 4)
        nn.BatchNorm2d(4 * width),
        nn.ReLU(),
        nn.ConvTranspose2d(4 * width, 2 * width, 4, 2, 1, bias=False),  # (B, 2w, 8, 8)
        nn.BatchNorm2d(2 * width),
        nn.ReLU(),
        nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=False),  # (B, w, 16, 16)
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.ConvTranspose2d(width, channels, 4, 2, 1, bias=False),  # (B, channels, 32, 32)
        nn.Tanh(),
    )
    ### END SOLUTION


make_generator = checks.dcgan.make_generator(make_generator)

# %% [markdown]
# A shape probe after each convolution. (For pictures of 64 pixels one more doubling is needed; the
# package has it.)

# %%
generator = (
    make_generator(latent_dim, width, 3)
    if size == 32
    else dcgan.make_generator(latent_dim, width, 3, size)
)
convolutions = [layer for layer in generator.modules() if isinstance(layer, nn.ConvTranspose2d)]

# %%
probes = [
    c.register_forward_hook(lambda _, x, y: print(tuple(x[0].shape), "->", tuple(y.shape)))
    for c in convolutions
]
generator(torch.randn(2, latent_dim, 1, 1))
for probe in probes:
    probe.remove()
parameters = sum(p.numel() for p in generator.parameters())
print(f"{parameters:,} parameters make {3 * size * size:,} numbers from {latent_dim}")

# %% [markdown]
# ## The discriminator
#
# The discriminator goes the other way: 32 → 16 → 8 → 4 → 1. For a convolution the size is
# $\lfloor (n + 2p - k)/s \rfloor + 1$. It ends in **one logit for each image**: no Sigmoid, because
# the loss of lesson 1 is exact and stable on logits.


# %%
def make_discriminator(width, channels):
    """A module: images (B, channels, 32, 32) in [-1, 1] -> logits (B,)."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 4, 2, 1, bias=False),  # (B, w, 16, 16)
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False),  # (B, 2w, 8, 8)
        nn.BatchNorm2d(2 * width),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2 * width, 4 * width, 4, 2, 1, bias=False),  # (B, 4w, 4, 4)
        nn.BatchNorm2d(4 * width),
        nn.LeakyReLU(0.2),
        nn.Conv2d(4 * width, 1, 4, 1, 0, bias=False),  # (B, 1, 1, 1)
        nn.Flatten(0),  # (B,)
    )


# %% [markdown]
# Count its answers. With stride 1 in place of one 2 the last convolution would return a small *map*
# of logits for every picture, `Flatten(0)` would make a longer list of it, and the mean in the loss
# would hide that: patches would be judged, not pictures.

# %%
discriminator = (
    make_discriminator(width, 3) if size == 32 else dcgan.make_discriminator(width, 3, size)
)
few = to_tanh_range(train.images[:7])

# %%
with torch.no_grad():
    assert discriminator(few).shape == (len(few),)
    assert discriminator(generator(torch.randn(7, latent_dim, 1, 1))).shape == (7,)

# %% [markdown]
# ### Exercise: where training starts
#
# *Medium, 8 minutes.* The paper starts all convolutions from N(0, 0.02), where 0.02 is the standard
# deviation (section 4); the authors' [program](https://github.com/Newmu/dcgan_code) starts
# BatchNorm's weights from N(1, 0.02) and all biases from 0. Write a function of one layer that does
# this in place; `network.apply(function)` then calls it for every layer.
#
# <details><summary>Hint 1</summary><code>isinstance(module, (nn.Conv2d,
# nn.ConvTranspose2d))</code>, and functions of <code>nn.init</code> whose names end in an
# underscore.</details>
# <details><summary>Hint 2</summary>Some layers have <code>bias=None</code>, and layers of other
# kinds are to be left alone.</details>


# %%
def init_dcgan_weights(module):
    """Initialise one layer in place as the authors of DCGAN do. Returns nothing."""
    ### BEGIN SOLUTION
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
    if (
        isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d))
        and module.bias is not None
    ):
        nn.init.zeros_(module.bias)
    ### END SOLUTION


init_dcgan_weights = checks.dcgan.init_dcgan_weights(init_dcgan_weights)

# %%
for network in (generator, discriminator):
    network.apply(init_dcgan_weights)
    # The same numbers in another order in memory (channel last), in which convolutions run faster.
    network.to(run.device, memory_format=torch.channels_last)

# %% [markdown]
# ## BatchNorm: the answer depends on the batch
#
# BatchNorm subtracts the mean of the *batch*. So in training mode the answer for one image depends
# on the images beside it. Two habits follow.
#
# First, real and generated images go through the discriminator **in separate batches**. The
# generator's own step sends a batch of generated images only, and the same images get other logits
# when photographs are among them:

# %%
real, fake = to_tanh_range(train.images[:32]), torch.rand(32, 3, size, size) * 0.2
judge = dcgan.make_discriminator(8, 3, size).train()
with torch.no_grad():
    alone = judge(fake)  # (32,)
    mixed = judge(torch.cat([real, fake]))[len(real) :]  # (32,) the same images in a mixed batch

# %%
print(
    f"the same 32 images: mean logit {alone.mean():+.3f} alone, "
    f"{mixed.mean():+.3f} beside photographs"
)
assert not torch.allclose(alone, mixed, atol=1e-3)

# %% [markdown]
# Second, pictures are shown in **evaluation mode**, where BatchNorm uses the averages it has
# collected. Then a picture is a function of its own latent vector and of nothing else.

# %%
noise = torch.randn(8, latent_dim, 1, 1)
example = dcgan.make_generator(latent_dim, 8, 3, size)
with torch.no_grad():
    example.eval()
    assert torch.allclose(
        example(noise)[:1], example(noise[:1]), atol=1e-4
    )  # batch mates do not matter
    example.train()
    assert not torch.allclose(example(noise)[:1], example(noise[:2])[:1], atol=1e-4)  # here they do

# %% [markdown]
# ## The training step
#
# The losses are those of lesson 1, as means over a batch, in nats. With logits $a$,
# $\log D = \log\sigma(a)$ and $\log(1-D) = \log\sigma(-a)$:
#
# $$L_D = -\tfrac1B\textstyle\sum \log D(x) - \tfrac1B\sum \log\bigl(1 - D(G(z))\bigr), \qquad
# L_G = -\tfrac1B\sum \log D(G(z)).$$
#
# Each is one call in code. They are what tutorials write as cross-entropy against labels 1 and 0:

# %%
logits = torch.tensor([-200.0, -3.0, 0.5, 200.0])
ones, zeros = torch.ones(4), torch.zeros(4)
assert torch.allclose(
    -F.logsigmoid(logits).mean(), F.binary_cross_entropy_with_logits(logits, ones)
)

# %%
assert torch.allclose(
    -F.logsigmoid(-logits).mean(), F.binary_cross_entropy_with_logits(logits, zeros)
)

# %% [markdown]
# Now the whole step. Read it twice; the text below it explains the three places where bugs are
# common.


# %%
def train_step(generator, discriminator, g_optimizer, d_optimizer, real, noise):
    """One step of both players; real (B, 3, H, W) in [-1, 1], noise (B, latent_dim, 1, 1)."""
    with run.autocast():  # bf16 where the hardware has it
        fake = generator(noise)  # (B, 3, H, W)
        real_logits = discriminator(real)  # (B,)
        fake_logits = discriminator(fake.detach())  # detach: D's loss must not reach G
    d_loss = -F.logsigmoid(real_logits.float()).mean() - F.logsigmoid(-fake_logits.float()).mean()
    d_optimizer.zero_grad()
    d_loss.backward()
    d_optimizer.step()

    discriminator.requires_grad_(False)  # G needs the gradient through D, not of D
    with run.autocast():
        logits = discriminator(fake)  # (B,) asked again: D has just changed
    g_loss = -F.logsigmoid(logits.float()).mean()  # non-saturating: G wants to be called real
    g_optimizer.zero_grad()
    g_loss.backward()
    g_optimizer.step()
    discriminator.requires_grad_(True)
    d_real, d_fake = real_logits.float().sigmoid().mean(), fake_logits.float().sigmoid().mean()
    return {
        "d_loss": d_loss.item(),
        "g_loss": g_loss.item(),
        "d_real": d_real.item(),
        "d_fake": d_fake.item(),
    }


# %% [markdown]
# *Detached*: without it, the discriminator's loss would also push the generator, towards being
# caught. *Asked again*: the first answer was about a detached copy, so no gradient leads from it to
# the generator; besides, D has changed since. *Wants to be called real*: with `-logits` in its
# place the generator's loss would fall to 0 while its pictures get worse. (The same fakes serve
# both players; algorithm 1 of the GAN paper draws new noise for the generator. Both are right.)
#
# What each loss *reaches* can be checked: after the discriminator's half, no weight of the
# generator may hold a gradient.


# %%
def generator_gets_gradients(detach):
    """Whether D's loss on fakes leaves gradients in the generator."""
    g, d = dcgan.make_generator(8, 4, 3, size), dcgan.make_discriminator(4, 3, size)
    fake = g(torch.randn(4, 8, 1, 1))
    (-F.logsigmoid(-d(fake.detach() if detach else fake)).mean()).backward()
    return any(p.grad is not None for p in g.parameters())


# %%
assert not generator_gets_gradients(detach=True)
assert generator_gets_gradients(detach=False)

# %% [markdown]
# ## What steadies the game
#
# The paper of 2015 trains with this step alone. Three later additions cost little and buy better
# pictures; each is one number in the settings cell.
#
# **An average.** The players chase each other, so the generator of any single step is a snapshot of
# a chase. A copy whose weights follow at a distance is calmer: after each step every weight moves a
# small share of the way,
#
# $$\bar w \leftarrow d\,\bar w + (1-d)\,w ,$$
#
# with $d$ close to 1 ([Yazıcı et al. 2019](https://arxiv.org/abs/1806.04498)). It remembers about
# the last $1/(1-d)$ steps. It never takes part in the game; it is what we show and score. PyTorch
# has it ready. With $d = 0.9$ and a weight that goes 0, 1, 1 the average goes 0, 0.1, 0.19:

# %%
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

# %%
follower = nn.Linear(1, 1, bias=False)
behind = AveragedModel(follower, multi_avg_fn=get_ema_multi_avg_fn(0.9))
for w, expected in ((0.0, 0.0), (1.0, 0.1), (1.0, 0.19)):
    nn.init.constant_(follower.weight, w)
    behind.update_parameters(follower)
    assert abs(behind.module.weight.item() - expected) < 1e-6

# %% [markdown]
# **A penalty on slope.** All that the generator learns comes through the gradient of the
# discriminator's logit $a(x)$. A discriminator that wins turns into a cliff between photographs and
# fakes: enormous slope at its edge, and no direction anywhere else. So we ask it to be flat where
# photographs are ([Mescheder et al. 2018](https://arxiv.org/abs/1801.04406), eq. 9; lesson 1 met a
# relative of this penalty):
#
# $$R_1 = \tfrac{\gamma}{2}\,\mathbb{E}_{x \sim p_{\text{data}}}\,\lVert \nabla_{\!x}\, a(x) \rVert^2 .$$
#
# A plane $a(x) = w \cdot x$ has the slope $\lVert w \rVert$ everywhere, which checks the code:


# %%
def slope(discriminator, real):
    """Mean squared length of the gradient of D's logit at photographs (B, 3, H, W): a scalar."""
    real = real.detach().requires_grad_(True)
    logits = discriminator(real)  # (B,)
    (gradient,) = torch.autograd.grad(
        logits.sum(), real, create_graph=True
    )  # (B, 3, H, W), itself to be differentiated
    return gradient.square().sum(dim=(1, 2, 3)).mean()


# %%
w = torch.randn(3, 4, 4)
assert torch.isclose(
    slope(lambda x: (x * w).sum(dim=(1, 2, 3)), torch.randn(5, 3, 4, 4)), w.square().sum()
)

# %% [markdown]
# A gradient of a gradient is dear, so the penalty is taken in every sixteenth step only, sixteen
# times as strong ([Karras et al. 2020](https://arxiv.org/abs/1912.04958), section 3.1).
#
# **Two rates.** The generator's gradient is worth following when the discriminator is close to the
# best answer to it (lesson 1's $D^*$), so the discriminator gets twice the learning rate ([Heusel
# et al. 2017](https://arxiv.org/abs/1706.08500), "Two Time-Scale Update Rule for GANs").
#
# ## Training
#
# Adam with $\beta_1 = 0.5$: section 4 of the paper reports oscillation and instability with the
# usual 0.9. A likely reason: momentum keeps pushing after the opponent has turned. (`fused`
# computes the same in fewer passes over memory.)

# %%
adam = {"betas": (0.5, 0.999), "fused": True}
g_optimizer = torch.optim.Adam(generator.parameters(), lr=2e-4, **adam)
d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=d_lr, **adam)
averaged = gan_steady.make_average(
    generator, average
)  # AveragedModel, BatchNorm's statistics included

# %%
state = {"generator": generator, "discriminator": discriminator, "averaged": averaged}
state |= {"g_optimizer": g_optimizer, "d_optimizer": d_optimizer}
config = {
    "lesson": "dcgan",
    "data": train.name,
    "images": len(train),
    "size": size,
    "batch_size": batch_size,
}
config |= {"latent_dim": latent_dim, "width": width, "gamma": gamma, "average": average}

# %% [markdown]
# `TrainingRun` is what surrounds a loop and is not its subject: it shuffles, draws the progress
# bar, keeps the history and saves. `state` is what it saves, `config` what defines the run: changed
# settings start a new one. If the kernel dies or you press stop, run the cells again and it goes on
# where it was. The pictures on the way are always made from the *same* noise, so that you see one
# picture change and not another one each time.

# %%
fixed_noise = torch.randn(64, latent_dim, 1, 1, generator=torch.Generator().manual_seed(1)).to(
    run.device
)

# %%
training = TrainingRun(
    run_folder("02_dcgan", config, state),
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
def draw_progress():
    """Losses, probabilities and the present pictures, side by side."""
    figure, axes = plots.subplots(1, 3, width=11, height=3.2)
    h = training.history
    plots.curves(
        axes[0],
        h["step"],
        {"$L_D$": h["d_loss"], "$L_G$": h["g_loss"]},
        "step",
        "loss (nats)",
        smooth=25,
    )
    plots.curves(
        axes[1],
        h["step"],
        {"D(x)": h["d_real"], "D(G(z))": h["d_fake"]},
        "step",
        "probability",
        smooth=25,
    )
    pictures = dcgan.sample(averaged, fixed_noise[:32])
    plots.image_grid(
        axes[2], pictures, columns=8, title=f"{train.name}\ngenerated, step {training.step}"
    )
    return figure


# %% [markdown]
# The loop itself. The figure below it is redrawn every few seconds.

# %%
live = plots.LiveFigure(
    draw_progress, alt="Losses and probabilities by step, and 32 generated pictures."
)
pixels = train.images.to(run.device)  # uint8: all 50,000 photographs take 154 MB
for index in training.batches():  # (B,) the examples of this step
    real = to_tanh_range(pixels[index]).contiguous(memory_format=torch.channels_last)
    noise = torch.randn(len(index), latent_dim, 1, 1).to(run.device)
    losses = train_step(generator, discriminator, g_optimizer, d_optimizer, real, noise)
    if gamma and training.step % 16 == 0:
        gan_steady.penalty_step(discriminator, d_optimizer, real, gamma)  # a step on 16 times R1
    averaged.update_parameters(generator)
    training.log(**losses)
    live.update()
    done = training.step + 1  # steps taken, this one included
    if done % max(1, steps // 6) == 0:
        pictures = dcgan.sample(averaged, fixed_noise[:16])
        plots.save_tile(training.folder / f"samples-{done:06d}.png", pictures, columns=16)
live.close()

# %% [markdown]
# The same sixteen latent vectors through time, from top to bottom:

# %%
from PIL import Image

# %%
strips = sorted(training.folder.glob("samples-*.png"))
figure, axes = plots.subplots(len(strips), 1, width=8, height=0.62 * len(strips))
for ax, path in zip(axes, strips):
    ax.imshow(Image.open(path), interpolation="nearest")
    ax.set_title(f"step {int(path.stem[-6:]):,}", fontsize=8, loc="left")
    ax.axis("off")
figure.suptitle(train.title("generated"), fontsize=10)
plots.show(
    figure,
    alt="Rows of sixteen pictures, after more and more steps; each column shows one latent vector.",
)

# %% [markdown]
# ## Reading the curves
#
# A classifier's loss falls and you are glad. These two losses are moves of a game, and neither says
# how good the pictures are. What they do tell:
#
# - If both networks were perfect, $D$ would answer ½ everywhere: $L_D = 2\log 2 \approx 1.386$ and
#   $L_G = \log 2 \approx 0.693$.
# - In practice the discriminator stays a little ahead: $D(x)$ above ½, $D(G(z))$ below, $L_G$ above
#   0.693.
# - $L_D \to 0$ is no success: the discriminator is then certain of every image, and how a picture
#   should change to fool it can hardly be read off its gradient.
#
# The package's `diagnose` knows the usual failures by their traces. Its rules were set on recorded
# runs of each failure and on healthy ones (lesson 1 shows them); it calls the discriminator too
# strong when $D(x)$ and $D(G(z))$ stay near 1 and 0 for a fifth of the run.

# %%
equilibrium = -2 * F.logsigmoid(torch.tensor(0.0))
assert torch.isclose(equilibrium, 2 * torch.log(torch.tensor(2.0)))
for finding in diagnose(training.history):
    print(finding)

# %% [markdown]
# ## Where longer training leads
#
# A few minutes on a processor see the data a handful of times. The course ships the generator of a
# longer run of the same network (width 64, trained with the plain step alone, in batches of 128),
# so that you can see where it leads.

# %%
shipped, facts = dcgan.load_shipped_generator(run.device)
print(
    f"trained on {facts['data']} for {facts['epochs']} epochs ({facts['steps']} steps, "
    f"seed {facts['seed']})"
)

# %%
shipped_noise = torch.randn(
    64, int(facts["latent_dim"]), 1, 1, generator=torch.Generator().manual_seed(2)
).to(run.device)

# %%
figure, axes = plots.subplots(1, 2, width=11, height=3.4)
yours, longer = dcgan.sample(averaged, fixed_noise[:40]), dcgan.sample(shipped, shipped_noise[:40])
plots.image_grid(axes[0], yours, 10, train.title(f"yours, {training.step} steps"))
plots.image_grid(axes[1], longer, 10, f"{facts['data']}: shipped, {facts['steps']} steps")
plots.show(figure, alt="Left: 40 pictures of your generator. Right: 40 of the shipped one.")

# %% [markdown]
# Look for backgrounds, horizons and animals' outlines, and look for what is wrong: legs that do not
# meet a body, cars that melt. Nobody picked these pictures; they are the first forty.
#
# ## How good is it? Two distances and a floor
#
# "Looks better" is no measurement. The usual way: a trained classifier turns every image into a
# feature vector, and the *clouds* of feature vectors of real and of generated images are compared.
# The (squared) **Fréchet distance** compares their means and covariances ([Heusel et al.
# 2017](https://arxiv.org/abs/1706.08500), eq. 6):
#
# $$\mathrm{FD} = \lVert \mu_1-\mu_2 \rVert^2 + \mathrm{Tr}\bigl(\Sigma_1 + \Sigma_2 - 2(\Sigma_1\Sigma_2)^{1/2}\bigr)$$
#
# The **kernel distance** compares all pairs of vectors $a, b$ of length $d$ with the kernel
# $(a \cdot b/d + 1)^3$ ([Bińkowski et al. 2018](https://arxiv.org/abs/1801.01401), section 4). Its
# expected value does not depend on how many images are used, while FD falls as their number grows.
# Two small cases that you can check by hand: for a single feature FD is
# $(\mu_1-\mu_2)^2 + (\sigma_1-\sigma_2)^2$, and for two clouds that sit in one point each, $a$ and
# $b$, KD is $k(a,a) + k(b,b) - 2k(a,b)$.

# %%
mean, variance = torch.tensor([[1.0], [4.0]]), torch.tensor([[[2.0**2]], [[6.0**2]]])
fd = metrics.frechet_distance(mean[0], variance[0], mean[1], variance[1])

# %%
assert abs(fd - ((1 - 4) ** 2 + (2 - 6) ** 2)) < 1e-6
kd = metrics.kernel_distance(torch.tensor([[1.0]] * 3), torch.tensor([[2.0]] * 3))
assert abs(kd - ((1 + 1) ** 3 + (4 + 1) ** 3 - 2 * (2 + 1) ** 3)) < 1e-6

# %% [markdown]
# Our features come from a small network that ships with the course and was trained on CIFAR-10. The
# famous FID uses another network (Inception), so **our numbers are not FIDs** and must not be
# compared with published ones. A distance also means nothing without its *floor*: what real images
# score against other real images, with the same number of images. It is not 0, because a finite
# sample never has exactly the mean and covariance of another. Each score below is the mean of five
# comparisons, with other images on both sides each time; the interval (95 %, Student's t over the
# five) says how far that mean may be off.

# %%
reference = metrics.RealReference.from_images(train, test, n=n_each)


# %%
def sampler(network, dims):
    """A function that makes as many new pictures as it is asked for."""
    return lambda count: dcgan.sample(network, torch.randn(count, dims, 1, 1).to(run.device))


# %%
untrained = (
    dcgan.make_generator(latent_dim, width, 3, size).apply(init_dcgan_weights).to(run.device)
)

# %%
each_pixel = metrics.mean_image_plus_noise(train)
candidates = {
    "untrained generator": sampler(untrained, latent_dim),
    "each pixel drawn on its own": lambda count: dcgan.to_bytes(each_pixel(count)),
    "your generator, last step": sampler(generator, latent_dim),
    "your generator, averaged": sampler(averaged, latent_dim),
}
same_data = (
    train.name.startswith("CIFAR-10") and size == 32
)  # what the shipped generator learned from
if same_data:
    candidates["shipped generator"] = sampler(shipped, int(facts["latent_dim"]))

# %%
scores = {
    name: reference.score(candidate)
    for name, candidate in progress_bars.progress(candidates.items(), "candidates")
}
display(Markdown(metrics.table({**scores, "other real images (the floor)": reference.floor})))

# %% [markdown]
# **How to read it.** An untrained generator makes a plain grey. The second row draws each pixel on
# its own, from that pixel's mean and spread over the training set. Both are nonsense, and the two
# distances do not even agree on which is worse. Your generator has to be well below both, that is
# below {{result:dcgan_laptop.json:untrained.FD.value:.1f}} and
# {{result:dcgan_laptop.json:pixels.FD.value:.1f}}: on CIFAR-10 (JPEG copy), three minutes of this
# training on two cores reach FD {{result:dcgan_equal_time.json:curves.3.course_averaged.value:.2f}}
# averaged (three seeds, 95 % interval of their mean
# {{result:dcgan_equal_time.json:curves.3.course_averaged.low:.2f}} to
# {{result:dcgan_equal_time.json:curves.3.course_averaged.high:.2f}}), and the shipped generator
# reaches {{result:dcgan_cifar10.json:score.FD.value:.2f}}. A score of the last step jumps from step
# to step as the two players chase each other, so a single run can lie far outside. A run whose
# interval touches the first row's has failed, however calm its losses. The last row is the floor:
# even the shipped generator is far from it. A KD interval may reach below 0, because an unbiased
# estimate of 0 falls on both sides of it.
#
# At tier `gpu`, with the extra `torch-fidelity` installed, the next cell also computes the
# Inception FID, which is what papers report.

# %%
if run.tier == "gpu":
    from course_utils.errors import CourseError
    from course_utils.evaluation.inception import inception_fid

    try:
        print(inception_fid(candidates["your generator, averaged"](10_000), train))
    except CourseError as error:
        print(error)
else:
    print("The Inception FID is computed at tier gpu only: it downloads a network of 91 MiB.")

# %% [markdown]
# ## Are they copies?
#
# A generator that had memorised its training images would score well. So look up, for some samples,
# the training image that is nearest pixel by pixel, and do the same for *test* images, which the
# generator has never seen.


# %%
def nearest(queries, images, chunk=5_000):
    """Distance to and index of the nearest image: uint8 (Q, C, H, W), (N, C, H, W) ->
    (Q,), (Q,).
    """
    q = queries.flatten(1).float() / 255
    parts = [
        torch.cdist(q, part.flatten(1).float() / 255) for part in images.split(chunk)
    ]  # (Q, chunk) each
    distance, index = torch.cat(parts, dim=1).min(dim=1)
    return distance, index


# %%
samples = dcgan.sample(shipped, shipped_noise) if same_data else dcgan.sample(averaged, fixed_noise)
sample_distance, sample_index = nearest(samples, train.images)
test_distance, _ = nearest(test.images[:64], train.images)

# %%
print("median distance to the nearest training image (pixels in [0, 1], Euclidean):")
print(f"generated {sample_distance.median():.2f}, test images {test_distance.median():.2f}")

# %%
figure, axes = plots.subplots(2, 1, width=8, height=1.7)
plots.image_grid(axes[0], samples[:12], 12, train.title("generated"))
plots.image_grid(
    axes[1], train.images[sample_index[:12]], 12, train.title("nearest training image to each")
)
plots.show(
    figure, alt="Twelve generated pictures and, below each, the training image nearest to it."
)

# %% [markdown]
# Compare each pair. A copy would show as the same object in the same place, and as a distance far
# below that of test images. Pixel distance sees little more than large areas of colour, and blurred
# pictures are near to many images, so this panel can expose a copy but cannot prove that nothing
# was learned by heart.
#
# ## Walking through the latent space
#
# Every point of the latent space is a picture, so there are pictures *between* two pictures. But
# which way? Latent vectors are drawn from N(0, 1) in 100 dimensions, and there almost all of the
# mass lies in a thin shell: the length of such a vector is close to $\sqrt{100} = 10$. The middle
# of a straight line between two of them is much too short.

# %%
z = torch.randn(10_000, latent_dim, generator=torch.Generator().manual_seed(3))
middle = (z[0::2] + z[1::2]) / 2
length, middle_length = z.norm(dim=1), middle.norm(dim=1)

# %%
print(f"length {length.mean():.2f} ± {length.std():.2f}, of midpoints {middle_length.mean():.2f}")
assert abs(length.mean() - latent_dim**0.5) < 0.1
assert abs(middle_length.mean() - (latent_dim / 2) ** 0.5) < 0.1

# %% [markdown]
# With 100 dimensions the midpoints are 7 long, and of 10,000 drawn vectors not one is that short
# (`length.min()` tells). The generator was never trained there. The way out is to walk along the
# arc: *spherical* interpolation.
#
# ### Exercise: slerp
#
# *Medium, 10 minutes.* With $\theta$ the angle between the **normalised** vectors,
#
# $$\mathrm{slerp}(z_0, z_1, t) = \frac{\sin((1-t)\,\theta)}{\sin\theta}\,z_0 + \frac{\sin(t\,\theta)}{\sin\theta}\,z_1$$
#
# (Shoemake 1985; for latent spaces [White 2016](https://arxiv.org/abs/1609.04468)), separately for
# each row of a batch. At $t=0$ and $t=1$ give back the ends exactly; where the vectors are parallel
# or nearly so ($\sin\theta < 10^{-6}$), use the straight line.
#
# <details><summary>Hint 1</summary>The angle: <code>torch.arccos</code> of the inner product of the
# normalised rows, kept as a column (B, 1).</details>
# <details><summary>Hint 2</summary>Rounding can make a cosine 1.0000001, and its arccos is NaN:
# clamp it first.</details>
# <details><summary>Hint 3</summary><code>torch.where</code> chooses the straight line in the rows
# that need it.</details>


# %%
def slerp(z0, z1, t):
    """Spherical interpolation, row by row: (B, D), (B, D), t in [0, 1] -> (B, D)."""
    ### BEGIN SOLUTION
    if t == 0 or t == 1:
        return (z1 if t == 1 else z0).clone()
    cosine = (F.normalize(z0, dim=1) * F.normalize(z1, dim=1)).sum(dim=1, keepdim=True).clamp(-1, 1)
    angle = torch.arccos(cosine)  # (B, 1)
    sine = torch.sin(angle)
    arc = (torch.sin((1 - t) * angle) * z0 + torch.sin(t * angle) * z1) / sine.clamp_min(1e-12)
    return torch.where(sine < 1e-6, (1 - t) * z0 + t * z1, arc)
    ### END SOLUTION


slerp = checks.dcgan.slerp(slerp)


# %%
def lerp(z0, z1, t):
    """The straight line, for comparison."""
    return (1 - t) * z0 + t * z1


# %%
def decode(z):
    """Latent vectors (N, D) -> pictures uint8 (N, 3, H, W) of the shipped generator."""
    return dcgan.sample(shipped, z[:, :, None, None].to(run.device))


# %%
latents = shipped_noise.flatten(1).cpu()  # (64, 100)
start, end = 3, 4  # which two of them

# %%
figure, axes = plots.subplots(2, 1, width=8, height=2.0)
latent_walk.latent_walk_static(
    axes[0],
    decode,
    latents,
    start,
    end,
    slerp,
    f"{facts['data']}, shipped generator, slerp: along the arc",
)
latent_walk.latent_walk_static(axes[1], decode, latents, start, end, lerp, "lerp: straight through")
plots.show(
    figure,
    alt="Eleven pictures between the same two ends: above along the arc, below on the straight line.",
)

# %% [markdown]
# Compare the middles of the two rows, where the vectors differ most. With a running kernel you can
# walk yourself: choose both ends and drag $t$.

# %%
latent_walk.latent_walk(decode, latents, {"slerp": slerp, "lerp": lerp})

# %% [markdown]
# ## Arithmetic
#
# Section 6.3.2 of the paper averages latent vectors of a few pictures that share a property and
# uses differences of such averages as *directions*, although the network was trained without any
# labels. We take a property that can be measured without judgement: how blue a picture is.


# %%
def blueness(images):
    """Mean of blue minus mean of red, in grey levels: uint8 (N, 3, H, W) -> (N,)."""
    means = images.float().mean(dim=(2, 3))  # (N, 3)
    return means[:, 2] - means[:, 0]


# %%
z = torch.randn(1_000, latents.shape[1], generator=torch.Generator().manual_seed(4))
order = blueness(decode(z)).argsort()
direction = z[order[-100:]].mean(0) - z[order[:100]].mean(
    0
)  # the bluest hundred minus the least blue

# %% [markdown]
# Now *other* latent vectors, moved along that direction. If the arithmetic works, blueness rises
# with every step, on average over pictures that took no part in finding the direction.

# %%
fresh_z = torch.randn(200, latents.shape[1], generator=torch.Generator().manual_seed(5))
amounts = [-1.0, -0.5, 0.0, 0.5, 1.0]
measured = [blueness(decode(fresh_z + a * direction)).mean().item() for a in amounts]

# %%
print("mean blueness:", ", ".join(f"{a:+.1f}: {m:+.1f}" for a, m in zip(amounts, measured)))
assert measured == sorted(measured)

# %%
figure, axes = plots.subplots(5, 1, width=8, height=3.6)
for ax, a in zip(axes, amounts):
    plots.image_grid(ax, decode(fresh_z[:12] + a * direction), 12)
    ax.set_title(f"{a:+.1f} × direction", fontsize=8, loc="left")
plots.show(
    figure,
    alt="Twelve generated pictures in five rows, from least blue at the top to bluest at the bottom.",
)

# %% [markdown]
# ## From the textbook's loop to this one
#
# Most tutorials read one picture at a time from a `DataLoader`. Ours computes the same and sees
# more images a second, by three steps.
#
# *All images as one tensor.* Tutorials keep pictures as PIL images and convert each one anew in
# every epoch. The numbers that come out are the same, as the first cell asserts. *Channels last.* A
# convolution adds up over the channels of a pixel, so it reads fastest when those stand side by
# side in memory. *bf16.* `autocast` gives matrix products and convolutions numbers of 16 bits,
# where the machine multiplies those faster; weights, losses and the optimiser stay in 32 bits.
#
# A machine's speed drifts. So these rungs take turns, a second each, several rounds long, and what
# counts is the ratio within a round. Each rung keeps what the one before it gained.

# %%
from torchvision import transforms

convert = transforms.Compose(
    [transforms.ToPILImage(), transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.5,) * 3)]
)


# %%
def one_by_one(index):
    """Images (B, 3, H, W) in [-1, 1], as tutorials read them."""
    return torch.stack([convert(image) for image in train.images[index]])


# %%
def all_at_once(index):
    """The same, as this lesson reads them."""
    return to_tanh_range(train.images[index])


# %%
some = torch.arange(min(8, len(train)))
assert torch.allclose(one_by_one(some), all_at_once(some), atol=1e-6)

# %%
import time
from contextlib import nullcontext


# %%
def make_rung(read, memory_format, autocast):
    """New networks, and a function that trains them for some seconds -> images a second."""
    players = [
        dcgan.make_generator(latent_dim, width, 3, size),
        dcgan.make_discriminator(width, 3, size),
    ]
    players = [
        p.apply(init_dcgan_weights).to(run.device, memory_format=memory_format) for p in players
    ]
    optimizers = [torch.optim.Adam(p.parameters(), lr=2e-4, **adam) for p in players]

    def images_per_second(seconds):
        start, images = time.perf_counter(), 0
        while time.perf_counter() - start < seconds:
            real = (
                read(torch.randint(len(train), (batch_size,)))
                .to(run.device)
                .contiguous(memory_format=memory_format)
            )
            noise = torch.randn(batch_size, latent_dim, 1, 1).to(run.device)
            dcgan.dcgan_step(*players, *optimizers, real, noise, autocast)
            images += batch_size
        return images / (time.perf_counter() - start)

    images_per_second(0)  # the first step prepares the machine's kernels
    return images_per_second


# %%
plain, fast = torch.contiguous_format, torch.channels_last
rungs = {
    "one image at a time, float32": make_rung(one_by_one, plain, nullcontext),
    "+ all images as one tensor": make_rung(all_at_once, plain, nullcontext),
    "+ channels last": make_rung(all_at_once, fast, nullcontext),
    "+ "
    + (
        "bf16" if run.autocast_dtype else "bf16, which this machine would only emulate: left out"
    ): make_rung(all_at_once, fast, run.autocast),
}

# %%
rounds = [
    [rung(run.pick(0.05, 1.0, 1.0)) for rung in rungs.values()]
    for _ in progress_bars.progress(range(4), "rounds")
]
lines = [
    "| training step | images a second | times the first (95 % interval) |",
    "| --- | --- | --- |",
]
for name, *speeds in zip(rungs, *rounds):
    value, low, high = metrics.mean_interval([s / r[0] for s, r in zip(speeds, rounds)])
    lines.append(
        f"| {name} | {sum(speeds) / len(speeds):,.0f} | {value:.2f} ({low:.2f} to {high:.2f}) |"
    )
display(Markdown("\n".join(lines)))

# %% [markdown]
# Against a whole tutorial loop (with a `DataLoader`, a Sigmoid and its loss, and gradients for the
# discriminator's weights in the generator's step, which nobody uses) `python3 run.py bench`
# measured {{result:bench.json:rows.0.ratio:.2f}} times as many images a second (95 % interval
# {{result:bench.json:rows.0.ratio_low:.2f}} to {{result:bench.json:rows.0.ratio_high:.2f}}) on
# {{result:bench.json:machine.cores}} cores of {{result:bench.json:machine.cpu}}, and
# {{result:bench.json:rows.1.ratio:.2f}} times without bf16. That is
# {{result:bench.json:rows.0.peak_share:.0%}} of what these cores reach in one large matrix product.
#
# ### What the time buys
#
# Speed alone is no better picture. So both ways of training were given the same eight minutes on
# the same two cores: the textbook's loop (batches of 128, one rate, no penalty, no average) and
# this lesson's (with $d = 0.998$, since it takes three times as many steps as here), in turns of
# ten seconds, three seeds each. What counts is the distance that they reach.

# %%
from course_utils import results

recorded = results.read("dcgan_equal_time.json")
points = [p for p in recorded["curves"] if p["minutes"] >= 1]
ways = {
    "textbook's loop": "textbook_generator",
    "this lesson, last step": "course_generator",
    "this lesson, averaged": "course_averaged",
}

# %%
figure, (ax,) = plots.subplots(width=8, height=3.4)
minutes = [p["minutes"] for p in points]
plots.curves(
    ax,
    minutes,
    {name: [p[key]["value"] for p in points] for name, key in ways.items()},
    "minutes of training",
    "FD",
)
for line, key in zip(ax.lines[:3], ways.values()):
    seeds = [p[key]["seeds"] for p in points]
    ax.fill_between(
        minutes,
        [min(s) for s in seeds],
        [max(s) for s in seeds],
        color=line.get_color(),
        alpha=0.15,
    )
ax.axhline(recorded["floor"], color="black", linewidth=0.8)
ax.set_title(f"equal time, three seeds [{recorded['data']}]")
ax.set_ylim(0)
plots.show(
    figure,
    alt="FD by minutes of training, with bands from the best to the worst of three seeds. The textbook's loop falls from 8 to 2; the lesson's last step from 3 to 1; its average begins highest, because it remembers the start, and ends lowest. A thin line at the bottom is the floor.",
)

# %% [markdown]
# **How to read it.** After eight minutes the lesson's averages stand at FD
# {{result:dcgan_equal_time.json:curves.8.course_averaged.seeds.0:.2f}},
# {{result:dcgan_equal_time.json:curves.8.course_averaged.seeds.1:.2f}} and
# {{result:dcgan_equal_time.json:curves.8.course_averaged.seeds.2:.2f}}, the textbook's at
# {{result:dcgan_equal_time.json:curves.8.textbook_generator.seeds.0:.2f}},
# {{result:dcgan_equal_time.json:curves.8.textbook_generator.seeds.1:.2f}} and
# {{result:dcgan_equal_time.json:curves.8.textbook_generator.seeds.2:.2f}}: on average
# {{result:dcgan_equal_time.json:ratio.value:.2f}} times the distance (95 % interval
# {{result:dcgan_equal_time.json:ratio.low:.2f}} to {{result:dcgan_equal_time.json:ratio.high:.2f}},
# wide with three seeds). Much of it is speed. After four minutes the lesson's way had seen about as
# many images as the textbook's after eight, and stood at
# {{result:dcgan_equal_time.json:curves.4.course_averaged.value:.2f}}: where two of the textbook
# runs end. The third was stopped at a bad moment, and that is the other gain: the averages hardly
# jump. (Which addition gives how much was not taken apart.)
#
# ## When it goes wrong: images left in [0, 1]
#
# `ToTensor()` of torchvision gives numbers in [0, 1], and many programs stop there. Nothing
# crashes. Two short trainings of small networks with the same seed, one in each range, show what
# happens.


# %%
def short_training(scale, count):
    """Train small networks on ``scale(images)`` for ``count`` steps; returns the generator and the
    history.
    """
    torch.manual_seed(0)
    narrow = max(16, width // 2)
    players = dcgan.make_generator(32, narrow, 3, size), dcgan.make_discriminator(narrow, 3, size)
    optimizers = [
        torch.optim.Adam(p.apply(dcgan.init_dcgan_weights).parameters(), lr=2e-4, **adam)
        for p in players
    ]
    rows = []
    for step in progress_bars.progress(range(count), "training"):
        start = 64 * step % max(1, len(train) - 63)
        noise = torch.randn(64, 32, 1, 1)
        row = train_step(*players, *optimizers, scale(train.images[start : start + 64]), noise)
        with torch.no_grad():
            rows.append({**row, "negative": (players[0](noise) < 0).float().mean().item()})
    return players[0].eval(), {name: [row[name] for row in rows] for name in rows[0]}


# %%
short_steps = run.pick(25, 150, 150)
wrong_generator, wrong = short_training(lambda images: images.float() / 255, short_steps)
right_generator, right = short_training(to_tanh_range, short_steps)

# %%
figure, axes = plots.subplots(1, 2, width=9, height=2.8)
x = range(1, short_steps + 1)
plots.curves(axes[0], x, {"[0, 1]": wrong["d_real"], "[−1, 1]": right["d_real"]}, "step", "D(x)")
plots.curves(
    axes[1],
    x,
    {"[0, 1]": wrong["negative"], "[−1, 1]": right["negative"]},
    "step",
    "share of G's pixels below 0",
)
figure.suptitle(train.title("images in two ranges"), fontsize=10)
plots.show(
    figure,
    alt="By step, for both ranges: left D's belief in photographs, right the share of negative pixels of G.",
)

# %%
if not train.is_own:  # what your own pictures do, nobody has tried
    assert wrong["d_real"][9] > right["d_real"][9]
    assert wrong["negative"][-1] < right["negative"][-1]

# %% [markdown]
# In the wrong range the discriminator is sure of its photographs within a few steps (left), and the
# generator spends its first steps on getting rid of negative numbers (right). Why? Take the
# simplest discriminator one could write by hand: *an image with a negative pixel is a fake*.

# %%
untrained.eval()
with torch.no_grad():
    fakes = untrained(fixed_noise).cpu()  # (64, 3, H, W)
reals = {"[0, 1]": train.images[:64].float() / 255, "[-1, 1]": to_tanh_range(train.images[:64])}

# %%
for name, real in reals.items():
    called_real, called_fake = real.amin(dim=(1, 2, 3)) >= 0, fakes.amin(dim=(1, 2, 3)) < 0
    accuracy = (called_real.float().mean() + called_fake.float().mean()) / 2
    print(f"data in {name}: the rule is right in {accuracy:.0%} of the cases")
    assert train.is_own or (accuracy == 1 if name == "[0, 1]" else accuracy < 0.75)

# %% [markdown]
# On data in [0, 1] the rule is always right, so the discriminator's first lesson is not what
# photographs look like. What remains of it later? Show the pictures, and score them, once as if
# they were in [−1, 1], as every other cell of this lesson does, and once in the range that they
# really have.


# %%
def small_sampler(generator, to_unit):
    """New pictures of a small generator as bytes, read as in [-1, 1] after ``to_unit``."""
    return lambda count: dcgan.to_bytes(to_unit(generator(torch.randn(count, 32, 1, 1))))


# %%
readings = {
    "trained and read in [−1, 1]": small_sampler(right_generator, lambda x: x),
    "trained in [0, 1], read as [−1, 1]": small_sampler(wrong_generator, lambda x: x),
    "trained in [0, 1], read as [0, 1]": small_sampler(
        wrong_generator, lambda x: 2 * x.clamp(0, 1) - 1
    ),
}

# %%
display(
    Markdown(
        metrics.table(
            {
                name: reference.score(reading)
                for name, reading in progress_bars.progress(readings.items(), "readings")
            }
        )
    )
)

# %%
figure, axes = plots.subplots(3, 1, width=8, height=2.7)
for ax, (name, reading) in zip(axes, readings.items()):
    torch.manual_seed(0)
    plots.image_grid(ax, reading(12), 12, train.title(name))
plots.show(
    figure,
    alt="Twelve pictures for each reading; those trained in [0, 1] and read as [−1, 1] are pale.",
)

# %% [markdown]
# Compare the first and the last row of the table: read in its own range, the training in [0, 1]
# comes out no worse than the other. The generator did learn to avoid negative numbers, and the game
# went on. What breaks is everything around it that relies on the range: the pictures of the middle
# row are pale, and its score belongs to pictures that nobody meant. Neither the losses nor, this
# early, that score gives an alarm, which is why the mistake lives long. The cure is the one line of
# exercise {{exercise:to_tanh_range}}, and a check of the range wherever data enter a program. (One
# seed each, early in
# training.)
#
# ## Questions
#
# Think first; then open the answer, which also says why each other choice is wrong.
#
# **1. A transposed convolution with kernel 4, stride 2, padding 1 gets a map of 7×7. What comes
# out?** (a) 14×14 (b) 16×16 (c) 3×3 (d) 15×15
#
# <details><summary>Answer</summary>(a): (7 − 1)·2 − 2·1 + 4 = 14. (b) forgets the padding. (c) is
# the normal convolution. (d) cuts the padding off one end only.</details>
#
# **2. In the discriminator's half of the step, what would happen without `detach`?** (a) nothing
# (b) the generator's weights would change at once (c) the discriminator's loss would send gradients
# into the generator, and use up its graph (d) the discriminator would not learn
#
# <details><summary>Answer</summary>(c). In this loop the generator's own <code>backward()</code>
# then stops with "Trying to backward through the graph a second time".
# The often suggested <code>retain_graph=True</code> silences that message; in loops that clear
# gradients elsewhere it leaves gradients that push the generator towards being caught. (a)
# overlooks both. (b) Weights change only in <code>step()</code>. (d) The discriminator's own
# gradients are the same with and without.</details>
#
# **3. After an hour $L_D$ is 0.001 and $L_G$ is 9. What do you see?** (a) a converged GAN (b) a
# discriminator that wins, and a generator without a useful gradient direction (c) mode collapse (d)
# two learning rates that are too low
#
# <details><summary>Answer</summary>(b). At equilibrium L_D would be 2 log 2 ≈ 1.386, so (a) is the
# opposite of what happened. (c) cannot be told from these losses alone. (d) would leave both losses
# near their start.</details>
#
# **4. Your program prints FD 31 on 2,000 images; suppose a paper reports FID 34. Is yours better?**
# (a) yes (b) no, it is worse (c) the numbers cannot be compared (d) only if both used the same seed
#
# <details><summary>Answer</summary>(c): other features, another number of images, perhaps another
# set of real images. (a) and (b) compare different units. (d) the seed is the least of the
# differences.</details>
#
# ## Recap
#
# You computed what a transposed convolution does to the size of a feature map, built a DCGAN and
# initialised it, explained each line of its training step and read its curves, measured generated
# images with scores that have an interval and a floor, and walked through a latent space.
#
# **What this did not show.** One seed of one network is an anecdote: lesson 6 compares generators
# with error bars. Our feature network knows ten kinds of objects and nothing else; what it does not
# see, FD and KD do not see. And a likelihood, which would tell how probable the model finds a
# photograph, a GAN does not have: lesson 3 builds a model that does.
#
# **Sources.** Radford, Metz, Chintala 2015, [arXiv 1511.06434](https://arxiv.org/abs/1511.06434),
# sections 3, 4 and 6.3 · Goodfellow et al. 2014, [arXiv
# 1406.2661](https://arxiv.org/abs/1406.2661), algorithm 1 and section 3 · Heusel et al. 2017,
# [arXiv 1706.08500](https://arxiv.org/abs/1706.08500), eq. 6 and the section on two time scales ·
# Mescheder, Geiger, Nowozin 2018, [arXiv 1801.04406](https://arxiv.org/abs/1801.04406), eq. 9 ·
# Yazıcı et al. 2019, [arXiv 1806.04498](https://arxiv.org/abs/1806.04498) · Karras et al. 2020,
# [arXiv 1912.04958](https://arxiv.org/abs/1912.04958), section 3.1 · Bińkowski et al. 2018, [arXiv
# 1801.01401](https://arxiv.org/abs/1801.01401), section 4 · Shoemake 1985, *Animating rotation with
# quaternion curves*, SIGGRAPH, section 3.3 · White 2016, [arXiv
# 1609.04468](https://arxiv.org/abs/1609.04468), section 2 · Odena, Dumoulin, Olah 2016,
# [Deconvolution and checkerboard artifacts](https://distill.pub/2016/deconv-checkerboard/) ·
# Krizhevsky 2009, *Learning multiple layers of features from tiny images*, section 3.
#
# **Next:** lesson 3, the variational autoencoder, on the same images and with the same score.
