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
# of 32×32 pixels, and you measure how far its pictures are from photographs. The distance starts at
# {{result:dcgan_laptop.json:untrained.FD.value:.1f}} for a network that has not learned anything.
# After this lesson's {{result:dcgan_laptop.json:settings.steps:,}} steps it was
# {{result:dcgan_laptop.json:laptop.FD.value:.2f}} in three recorded runs, and photographs among themselves score
# {{result:dcgan_laptop.json:floor.FD.value:.2f}}. On the way you will catch a penalty that does not
# measure what its formula says.
#
# **You will learn to** compute what a transposed convolution does to the size of a feature map ·
# build both networks of a DCGAN and initialise them · explain each line of the training step and
# read its curves · write a penalty on the discriminator's slope · measure generated images with a
# score that has an interval and a floor · walk through a latent space.
#
# **You need** lesson 1 (the two-player game and the non-saturating loss) and what a convolution is.
#
# **Time** about {{minutes}} minutes to read and solve. The table gives the computer's share; the
# time on your machine is printed below the settings.
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

from course_utils.display import gan_plots, plots, sketches
from course_utils.display.widgets import latent_walk

# %%
from course_utils import results
from course_utils.evaluation import metrics
from course_utils.evaluation.diagnose import diagnose
from course_utils.datasets.images import load_images
from course_utils.models import dcgan, gan_steady
from course_utils.training.run import TrainingRun, run_folder

# %%
run = runtime.setup(seed=0)

# %% [markdown]
# Everything you may want to change, with a column for each tier:

# %%
from course_utils.machine import minutes_here

# fmt: off
#                     smoke  laptop     gpu
steps      = run.pick(   30,  2_400, 80_000)  # optimisation steps of each player
batch_size = run.pick(   32,     64,     64)  # images per step
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
# At tier `laptop` they are used where this machine has them, at tier `gpu` they are fetched once.
# Otherwise, and always at tier `smoke`, the course draws its own *stand-in*, and every figure made
# from it says so. (Where a title says "JPEG copy", the photographs were stored as JPEG, which
# smooths them a little.)

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
plots.show(
    figure,
    alt=f"48 training images, {size} by {size} pixels each, in three rows. Each is a hint of an object: some colours, an outline, a background.",
)

# %% [markdown]
# A generator's last layer is Tanh, so its pictures lie in [−1, 1]. The photographs arrive as bytes
# from 0 to 255, and must be brought to the same range.


# %%
def to_tanh_range(images):
    """Images uint8 (...) in [0, 255] -> float32 (...) in [-1, 1]."""
    return images.to(torch.float32) / 127.5 - 1


# %%
noise_pictures = torch.rand(64, 3, size, size) * 2 - 1  # what a new Tanh layer may give
photographs = train.images[:64]

# %% [markdown]
# What if you forget this line, and leave the photographs in [0, 1] as torchvision's `ToTensor()`
# does? Nothing crashes. But here is a discriminator of one line, *a picture with a negative pixel
# is a fake*:

# %%
readings = {"[0, 1]": photographs.float() / 255, "[-1, 1]": to_tanh_range(photographs)}
for name, real in readings.items():
    called_real = (real.amin(dim=(1, 2, 3)) >= 0).float().mean()
    called_fake = (noise_pictures.amin(dim=(1, 2, 3)) < 0).float().mean()
    print(f"photographs in {name}: the rule is right in {(called_real + called_fake) / 2:.0%}")

# %% [markdown]
# In the wrong range this rule is always right. So a discriminator learns it first, and not what
# photographs look like.
#
# ## Growing a picture: the transposed convolution
#
# A convolution with stride 2 halves a feature map. A generator has to do the opposite: it starts
# from a single point and must arrive at 32×32. The layer for that is the *transposed convolution*.
# Each input number stamps a copy of the kernel, scaled by that number, onto the output. The stride
# says how far apart the stamps are, and where stamps overlap they add.
#
# In one dimension, with a kernel of powers of ten, you can read every stamp off the result:

# %% tags=["nbval-check-output"]
x, kernel, stride = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 10.0, 100.0, 1000.0]), 2
stamped = torch.zeros((len(x) - 1) * stride + len(kernel))
for i, value in enumerate(x):  # one stamp for each input number
    stamped[i * stride : i * stride + len(kernel)] += value * kernel
library = F.conv_transpose1d(x[None, None], kernel[None, None], stride=stride)[0, 0]
assert torch.equal(stamped, library)
print("stamped by hand:", stamped.int().tolist())
print("by the library: ", library.int().tolist())

# %%
figure, (ax,) = plots.subplots(width=8, height=2.1)
sketches.stamps(ax, x.tolist(), kernel.tolist(), stride, padding=1)
plots.show(
    figure,
    alt="Three stamps of four cells, each two cells to the right of the one before, and their sum of eight cells. The third cell, 102, is 100 from the first stamp and 2 from the second. Padding 1 cuts off the two grey cells.",
)

# %% [markdown]
# *Padding* $p$ then cuts $p$ numbers off **each** end of the sum.
#
# ### Exercise: the size of the output
#
# *Easy, 5 minutes.* How long is the result, for any number of stamps, any kernel, stride and
# padding? Find the rule in the figure. You will plan the generator with it.
#
# <details><summary>Hint 1</summary>Count the cells of the figure, for three stamps and four.
# </details>
# <details><summary>Hint 2</summary>Where does the last stamp begin, and where does it end?
# </details>


# %%
def conv_transpose_output_size(size, kernel_size, stride, padding):
    """Length of the output of a transposed convolution of ``size`` numbers (int)."""
    ### BEGIN SOLUTION
    return (size - 1) * stride - 2 * padding + kernel_size
    ### END SOLUTION


conv_transpose_output_size = checks.dcgan.conv_transpose_output_size(conv_transpose_output_size)

# %% [markdown]
# With kernel 4, stride 2 and padding 1 a layer doubles the size exactly. The first layer uses
# stride 1 and no padding, and turns a single point into 4×4. Four layers reach our 32:

# %% tags=["nbval-check-output"]
sizes = [1, conv_transpose_output_size(1, 4, 1, 0)]
while sizes[-1] < 32:
    sizes.append(conv_transpose_output_size(sizes[-1], 4, 2, 1))
print(" -> ".join(map(str, sizes)), f"({len(sizes) - 1} layers)")

# %% [markdown]
# Why kernel 4 and not 3? Count how many stamps cover each output, away from the ends. If the stride
# does not divide the kernel, the coverage alternates, and so does the brightness: a checkerboard
# that training must first unlearn ([Odena et al.
# 2016](https://distill.pub/2016/deconv-checkerboard/)).

# %% tags=["nbval-check-output"]
for k in (3, 4):
    cover = F.conv_transpose1d(torch.ones(1, 1, 6), torch.ones(1, 1, k), stride=2)[0, 0]
    print(f"kernel {k}, stride 2: each output is covered", cover[2:-2].int().tolist(), "times")

# %% [markdown]
# ## Two pyramids
#
# Radford, Metz and Chintala ([arXiv 1511.06434](https://arxiv.org/abs/1511.06434), section 3) found
# a family of networks that trained stably on several sets of images. Their rules, each with a
# reason (theirs where the section gives one, else ours):
#
# | rule | reason |
# | --- | --- |
# | strided and transposed convolutions instead of pooling | the networks learn their own way to shrink and to grow (theirs) |
# | convolutions up to the very end, no hidden fully connected layers | a middle way; averaging each map to one number was stable but slow to converge (theirs) |
# | BatchNorm in both networks | gradients reach deep layers, and the generator does not collapse to a single point (theirs) |
# | but not at the generator's output and the discriminator's input | the samples oscillated (theirs): it would fix the colours' mean and spread |
# | ReLU in the generator, Tanh at its end | a bounded output fills the range of colours faster (theirs) |
# | LeakyReLU (slope 0.2) in the discriminator | its gradient is all that the generator learns from, and must not vanish |
#
# *BatchNorm*, in training mode, takes each channel over the whole batch, subtracts its mean and
# divides by its standard deviation; then it multiplies by a learned weight and adds a learned bias.
#
# We keep these rules at 32×32 pixels instead of 64×64, with kernel 4 instead of 5 and noise from
# N(0, 1) instead of a uniform distribution.

# %%
figure, (ax,) = plots.subplots(width=9.4, height=3.2)
sketches.pyramids(ax, latent_dim, width, 3, size)
plots.show(
    figure,
    alt="Left, the generator: from noise through maps that double in height and halve in channels to a picture. Right, the discriminator runs the same sizes backwards, from a picture to one logit. Under each map: its height × width × channels.",
)

# %% [markdown]
# ### Exercise: the generator
#
# *Medium, 15 minutes.* Build the left pyramid for pictures of 32 pixels. Noise of shape
# `(B, latent_dim, 1, 1)` becomes maps of 4×4, 8×8 and 16×16 with `4*width`, `2*width` and `width`
# channels, and at last a picture `(B, channels, 32, 32)` in [−1, 1]. After each hidden map come
# BatchNorm and ReLU. (Before BatchNorm a bias has no use: it is subtracted.)
#
# <details><summary>Hint 1</summary>Which kernel, stride and padding doubles a map? Which makes 4
# out of 1?</details>
# <details><summary>Hint 2</summary>Build an <code>nn.Sequential</code>, one layer at a time, and
# print the shape after each.</details>


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
# Pictures of 64 pixels need one more doubling; the package has it.

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
# ### Exercise: the discriminator
#
# *Medium, 12 minutes.* Now the right pyramid. A picture becomes maps of 16×16, 8×8 and 4×4 and at
# last **one logit for each image**, in a flat row of shape `(B,)`. After each hidden map comes
# LeakyReLU(0.2), and BatchNorm before it in the second and third. No Sigmoid: the loss of lesson 1
# is exact and stable on logits.
#
# <details><summary>Hint 1</summary>A normal convolution gives $\lfloor (n + 2p - k)/s \rfloor + 1$.
# Which three numbers make 16 out of 32, which 1 out of 4?</details>
# <details><summary>Hint 2</summary><code>nn.Flatten(0)</code> makes a row of (B, 1, 1, 1).
# </details>


# %%
def make_discriminator(width, channels):
    """A module: images (B, channels, 32, 32) in [-1, 1] -> logits (B,)."""
    ### BEGIN SOLUTION
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
    ### END SOLUTION


make_discriminator = checks.dcgan.make_discriminator(make_discriminator)

# %% [markdown]
# How many logits come out? With one halving too few it would be a small *map* of them for every
# picture. The mean in the loss would hide that, and patches would be judged, not pictures.

# %%
discriminator = (
    make_discriminator(width, 3) if size == 32 else dcgan.make_discriminator(width, 3, size)
)
few = to_tanh_range(train.images[:7])

# %%
with torch.no_grad():
    of_real = discriminator(few)
    of_fake = discriminator(generator(torch.randn(7, latent_dim, 1, 1)))
print(f"{len(few)} pictures: {tuple(of_real.shape)} and {tuple(of_fake.shape)}")
assert of_real.shape == of_fake.shape == (len(few),)

# %% [markdown]
# ### Exercise: mend the start
#
# *Medium, 8 minutes.* The paper starts all convolutions from N(0, 0.02), where 0.02 is the standard
# deviation (section 4). The authors' [code](https://github.com/Newmu/dcgan_code) starts BatchNorm's
# weights from N(1, 0.02) and all biases from 0. `network.apply(function)` calls a function for
# every layer. `init_as_found` below runs without an error, but the generator that it starts makes
# the same grey from any noise. Find its four mistakes, and write `init_dcgan_weights` without them.
# It changes a layer in place.
#
# <details><summary>Hint 1</summary>Apply it to a generator and print each layer's class, and its
# weights' mean and deviation. Which layers did it miss?</details>
# <details><summary>Hint 2</summary>What does BatchNorm do with its weight, and what does a weight
# near 0 leave of a picture?</details>
# <details><summary>Hint 3</summary>Some layers have <code>bias=None</code>, and layers of other
# kinds must be left alone.</details>


# %%
def init_as_found(module):
    """Four mistakes."""
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, 0.0, 0.02**0.5)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 0.0, 0.02)


# %%
grey = dcgan.make_generator(latent_dim, 16, 3, size).apply(init_as_found)
with torch.no_grad():
    pictures = grey(torch.randn(64, latent_dim, 1, 1))  # (64, 3, H, W)
print(f"pixels lie within {pictures.abs().max():.4f} of 0, which is plain grey")


# %%
def init_dcgan_weights(module):
    """Initialise one layer in place as the authors of DCGAN do. Returns nothing."""
    ### BEGIN SOLUTION
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
    else:
        return
    if module.bias is not None:
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
# In training mode BatchNorm's mean and spread come from the batch, so the logit of one image
# depends on the images beside it.
#
# First, real and generated images go through the discriminator **in separate batches**. The
# generator's own step sends generated images only, and the same images get other logits when
# photographs are among them. (Pale grey noise plays the fakes.)

# %%
real, fake = to_tanh_range(train.images[:32]), torch.rand(32, 3, size, size) * 0.2
judge = dcgan.make_discriminator(8, 3, size).apply(init_dcgan_weights).train()
with torch.no_grad():
    alone = judge(fake)  # (32,)
    mixed = judge(torch.cat([real, fake]))[len(real) :]  # (32,) the same images in a mixed batch

# %%
print("the same four images alone:        ", [f"{a:+.3f}" for a in alone[:4].tolist()])
print("and with photographs in the batch: ", [f"{a:+.3f}" for a in mixed[:4].tolist()])
assert not torch.allclose(alone, mixed, atol=1e-3)

# %% [markdown]
# Second, pictures are shown in **evaluation mode**, where BatchNorm uses the averages it has
# collected. Then a picture is a function of its own latent vector alone.

# %%
noise = torch.randn(8, latent_dim, 1, 1)
example = dcgan.make_generator(latent_dim, 8, 3, size)
for mode in ("evaluation", "training"):
    example.train(mode == "training")
    with torch.no_grad():
        change = (example(noise)[0] - example(noise[:2])[0]).abs().max().item()
    print(f"{mode} mode: other batch mates change a picture by up to {change:.6f}")
    assert (change > 1e-4) == (mode == "training")

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
for sign, label in ((1, torch.ones(4)), (-1, torch.zeros(4))):
    ours = -F.logsigmoid(sign * logits).mean()
    theirs = F.binary_cross_entropy_with_logits(logits, label)
    print(f"label {label[0]:.0f}: {ours:.6f} by logsigmoid, {theirs:.6f} by cross-entropy")
    assert torch.allclose(ours, theirs)

# %% [markdown]
# Now the whole step; `autocast` computes in bf16, numbers of 16 bits, where that is faster. Bugs
# are common in the three numbered places.


# %%
def train_step(generator, discriminator, g_optimizer, d_optimizer, real, noise):
    """One step of both players; real (B, 3, H, W) in [-1, 1], noise (B, latent_dim, 1, 1)."""
    with run.autocast():  # bf16 where the hardware has it
        fake = generator(noise)  # (B, 3, H, W)
        real_logits = discriminator(real)  # (B,)
        fake_logits = discriminator(fake.detach())  # 1. D's loss must not reach G
    d_loss = -F.logsigmoid(real_logits.float()).mean() - F.logsigmoid(-fake_logits.float()).mean()
    d_optimizer.zero_grad()
    d_loss.backward()
    d_optimizer.step()

    discriminator.requires_grad_(False)  # G needs the gradient through D, not of D
    with run.autocast():
        logits = discriminator(fake)  # 2. (B,) asked again: D has just changed
    g_loss = -F.logsigmoid(logits.float()).mean()  # 3. non-saturating: G wants to be called real
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
# 1. *Detached.* Without it, the discriminator's loss would also push the generator, towards being
#    caught.
# 2. *Asked again.* From the first answer, about a detached copy, no gradient leads to the
#    generator; besides, D has changed.
# 3. *Wants to be called real.* With `-logits` in its place the generator's loss would fall to 0
#    while its pictures get worse.
#
# After the discriminator's half, no weight of the generator may hold a gradient. Does `detach` see
# to that?


# %%
def generator_gets_gradients(detach):
    """Whether D's loss on fakes leaves gradients in the generator."""
    g, d = dcgan.make_generator(8, 4, 3, size), dcgan.make_discriminator(4, 3, size)
    fake = g(torch.randn(4, 8, 1, 1))
    (-F.logsigmoid(-d(fake.detach() if detach else fake)).mean()).backward()
    return any(p.grad is not None for p in g.parameters())


# %%
for detach in (True, False):
    print(f"detach={detach}: gradients in the generator: {generator_gets_gradients(detach)}")
    assert generator_gets_gradients(detach) is not detach

# %% [markdown]
# ## What steadies the game
#
# The paper of 2015 trains with this step alone. Three later additions cost little and make the game
# calmer; each is one number in the settings cell.
#
# **An average.** The generator of any single step is a snapshot of a chase. A copy whose weights
# follow at a distance is calmer: after each step every weight moves a small share of the way,
#
# $$\bar w \leftarrow m\,\bar w + (1-m)\,w ,$$
#
# with the memory $m$ close to 1 ([Yazıcı et al. 2019](https://arxiv.org/abs/1806.04498)). It
# remembers about the last $1/(1-m)$ steps. It never takes part in the game; it is what we show and
# score. PyTorch ships this; `use_buffers` averages BatchNorm's own means and spreads as well. With
# $m = 0.9$ and a weight that goes 0, 1, 1 the average should go 0, 0.1, 0.19:

# %%
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

# %%
follower = nn.Linear(1, 1, bias=False)
behind = AveragedModel(follower, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
for w, expected in ((0.0, 0.0), (1.0, 0.1), (1.0, 0.19)):
    nn.init.constant_(follower.weight, w)
    behind.update_parameters(follower)
    print(f"weight {w:.0f}, average {behind.module.weight.item():.2f}, by hand {expected:.2f}")
    assert abs(behind.module.weight.item() - expected) < 1e-6

# %% [markdown]
# **Two rates.** The generator's gradient is worth following when the discriminator is close to its
# best answer (lesson 1's $D^*$), so the discriminator gets twice the learning rate ([Heusel et al.
# 2017](https://arxiv.org/abs/1706.08500), "Two Time-Scale Update Rule"). Twenty times, as in
# lesson 1, was too much.
#
# **A penalty on slope.** All that the generator learns comes through the gradient of the
# discriminator's logit $a(x)$. A winning discriminator becomes a cliff: enormous slope at its edge,
# and flat everywhere else. So we ask it to be flat where photographs are ([Mescheder et al.
# 2018](https://arxiv.org/abs/1801.04406), eq. 9). This penalty pulls the slope towards 0, and goes
# by the name $R_1$:
#
# $$R_1 = \tfrac{\gamma}{2}\,\mathbb{E}_{x \sim p_{\text{data}}}\,\lVert \nabla_{\!x}\, a(x) \rVert^2 .$$
#
# ### Exercise: the slope at each photograph
#
# *Hard, 25 minutes.* Write the expectation as a function: for a batch of $B$ photographs, the mean
# over the batch of $\lVert \nabla_{\!x_i} a(x_i) \rVert^2$. It trains this lesson's discriminator,
# the one that you built above, so it has to be right for *that* network. Three demands:
#
# - $a(x_i)$ is the discriminator's opinion of photograph $i$ and of nothing else. What would it say
#   if that photograph were alone in the world?
# - The result has to be trained on: its own gradient must reach the discriminator's weights.
# - Afterwards the discriminator is in every respect as it was, down to the mode of each layer. So
#   are the photographs.
#
# A loop over the photographs would do; one call of `torch.autograd.grad` is much faster. When may
# you differentiate the *sum* of the logits and read off each one's gradient?
#
# <details><summary>Hint 1</summary>Let $a_i$ be the logit of photograph $i$. The gradient of
# $\sum_j a_j$ by $x_i$ is a sum of $B$ terms. Which of them do you want, and when are the others
# 0?</details>
# <details><summary>Hint 2</summary>Which layers of your discriminator look at more than one
# photograph? Read the section on BatchNorm again, its second half in particular.</details>
# <details><summary>Hint 3</summary><code>torch.autograd.grad</code> returns a tuple and throws the
# graph away, unless you ask for it; its documentation names the argument.</details>


# %%
def slope(discriminator, real):
    """Mean squared length of each logit's gradient at its own photograph (B, 3, H, W): a scalar."""
    ### BEGIN SOLUTION
    modes = [(layer, layer.training) for layer in discriminator.modules()]
    discriminator.eval()  # BatchNorm's averages in the place of the batch: a logit for each alone
    real = real.detach().requires_grad_(True)
    logits = discriminator(real)  # (B,)
    (gradient,) = torch.autograd.grad(logits.sum(), real, create_graph=True)  # (B, 3, H, W)
    for layer, mode in modes:
        layer.training = mode
    return gradient.square().sum(dim=(1, 2, 3)).mean()
    ### END SOLUTION


slope = checks.dcgan.slope(slope)

# %% [markdown]
# A plane $a(x) = w \cdot x$ has the slope $\lVert w \rVert$ everywhere:

# %%
plane = nn.Sequential(nn.Flatten(), nn.Linear(48, 1), nn.Flatten(0))
measured, by_hand = slope(plane, torch.randn(5, 3, 4, 4)), plane[1].weight.square().sum()
print(f"squared slope of a plane: {measured:.6f} measured, {by_hand:.6f} by hand")
assert torch.isclose(measured, by_hand)

# %% [markdown]
# Second-order gradients are expensive, so the penalty is taken in every sixteenth step only,
# sixteen times as strong ([Karras et al. 2020](https://arxiv.org/abs/1912.04958), section 3.1).
# There it is added to the loss of that step; here it gets an Adam step of its own. Adam divides by
# the size of recent gradients, so no step becomes sixteen times as long: the factor weighs the
# penalty in Adam's averages.


# %%
def penalty_step(discriminator, d_optimizer, real, gamma, every):
    """A step of the discriminator against its own slope, ``every`` times as strong."""
    penalty = gamma / 2 * every * slope(discriminator, real)
    d_optimizer.zero_grad()
    penalty.backward()
    d_optimizer.step()


# %% [markdown]
# ## Training
#
# Adam with $\beta_1 = 0.5$: section 4 of the paper reports oscillation and instability with the
# usual 0.9. A likely reason: momentum keeps pushing after the opponent has turned.

# %%
adam = {"betas": (0.5, 0.999), "fused": True}
g_optimizer = torch.optim.Adam(generator.parameters(), lr=2e-4, **adam)
d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=d_lr, **adam)
averaged = gan_steady.make_average(generator, average)  # an AveragedModel as above, with buffers

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
# `TrainingRun` is what surrounds a loop and is not its subject: it shuffles, keeps the history and
# saves. If the kernel dies or you press stop, run the cells again and it goes on where it was.

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
    """Losses, probabilities and the present pictures."""
    title = f"{train.name}\ngenerated, step {training.step:,}"
    return gan_plots.progress(training.history, dcgan.sample(averaged, fixed_noise[:25]), title)


# %%
live = plots.LiveFigure(
    draw_progress,
    alt="Left, both losses; middle, D's mean belief in photographs and in fakes: faint lines are single steps, strong ones their moving average. D stays ahead without winning. Right, 25 generated pictures.",
)
penalty_every = 16
pixels = train.images.to(run.device)  # uint8: all 50,000 photographs take 154 MB
for index in training.batches():  # (B,) the examples of this step
    real = to_tanh_range(pixels[index]).contiguous(memory_format=torch.channels_last)
    noise = torch.randn(len(index), latent_dim, 1, 1).to(run.device)
    losses = train_step(generator, discriminator, g_optimizer, d_optimizer, real, noise)
    if gamma and training.step % penalty_every == 0:
        penalty_step(discriminator, d_optimizer, real, gamma, penalty_every)
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
strips = sorted(training.folder.glob("samples-*.png"))
plots.show(
    gan_plots.through_time(strips, train.title("generated")),
    alt="Rows of sixteen pictures, after more and more steps. Each column shows one latent vector: large areas settle first, details come later, and a picture may still turn into another.",
)

# %% [markdown]
# ## Reading the curves
#
# These two losses belong to a game, and neither says how good the pictures are. What they do tell:
#
# - If both networks were perfect, $D$ would answer ½ everywhere: $L_D = 2\log 2 \approx 1.386$ and
#   $L_G = \log 2 \approx 0.693$.
# - In practice the discriminator stays a little ahead: $D(x)$ above ½, $D(G(z))$ below, $L_G$ above
#   0.693.
# - $L_D \to 0$ is no success: the discriminator is then certain of every image, and its gradient
#   hardly tells how to fool it.
#
# `diagnose` looks for such signs in the whole history:

# %%
undecided, twice_log_2 = -2 * F.logsigmoid(torch.tensor(0.0)), 2 * torch.log(torch.tensor(2.0))
print(f"L_D of an undecided D: {undecided:.6f}, and 2 log 2 is {twice_log_2:.6f}")
assert torch.isclose(undecided, twice_log_2)
for finding in diagnose(training.history):
    print(finding)

# %% [markdown]
# ## The same network with the 2015 step alone
#
# The course ships a generator of the same shape that was trained the paper's way, with the plain
# step alone. How many images did it see?

# %%
shipped, facts = dcgan.load_shipped_generator(run.device)
shipped_steps = int(facts["steps"])
print(f"yours: {training.step:,} steps of {batch_size}, {training.step * batch_size:,} images")
print(f"shipped: {shipped_steps:,} steps of 128, {shipped_steps * 128:,} images [{facts['data']}]")

# %%
shipped_noise = torch.randn(
    64, int(facts["latent_dim"]), 1, 1, generator=torch.Generator().manual_seed(2)
).to(run.device)

# %%
figure, axes = plots.subplots(1, 2, width=9.4, height=4.6)
yours, longer = dcgan.sample(averaged, fixed_noise[:36]), dcgan.sample(shipped, shipped_noise[:36])
plots.image_grid(axes[0], yours, 6, train.title(f"yours, {training.step:,} steps"))
plots.image_grid(axes[1], longer, 6, f"shipped, {shipped_steps:,} steps [{facts['data']}]")
plots.show(
    figure,
    alt="Left: 36 pictures of your generator. Right: 36 of the shipped one. Backgrounds, horizons and outlines of animals come first; legs that meet a body and cars that keep their shape do not.",
)

# %% [markdown]
# They are the first thirty-six. Which half is better? Write down your
# verdict before reading on.

# %% [markdown]
# ## How good is it? Two distances and a floor
#
# "Looks better" is not a measurement. The usual way: a trained classifier turns every image into a
# feature vector, and the *clouds* of real and of generated vectors are compared. The (squared)
# **Fréchet distance** compares their means $\mu$ and covariances $\Sigma$ ([Heusel et al.
# 2017](https://arxiv.org/abs/1706.08500), eq. 6):
#
# $$\mathrm{FD} = \lVert \mu_1-\mu_2 \rVert^2 + \mathrm{Tr}\bigl(\Sigma_1 + \Sigma_2 - 2(\Sigma_1\Sigma_2)^{1/2}\bigr)$$
#
# The trace of the matrix root is the sum of the roots of the eigenvalues of $\Sigma_1\Sigma_2$:


# %%
def frechet(mean_1, cov_1, mean_2, cov_2):
    """FD of two clouds with means (F,) and covariances (F, F), a number."""
    eigenvalues = torch.linalg.eigvals(cov_1 @ cov_2)  # (F,) complex, with imaginary parts of 0
    trace_of_root = eigenvalues.real.clamp(min=0).sqrt().sum()
    return (mean_1 - mean_2).square().sum() + cov_1.trace() + cov_2.trace() - 2 * trace_of_root


# %%
one, two = torch.randn(2, 500, 6, dtype=torch.float64)
two = two @ torch.randn(6, 6, dtype=torch.float64) + 1
ours = frechet(one.mean(0), one.T.cov(), two.mean(0), two.T.cov()).item()
course = metrics.frechet_distance(one.mean(0), one.T.cov(), two.mean(0), two.T.cov())
print(f"two clouds in six dimensions: {ours:.6f} by the formula, {course:.6f} by the course")
assert abs(ours - course) < 1e-6 * course

# %% [markdown]
# The **kernel distance** (KD) compares vectors of $d$ numbers in pairs, by the kernel
# $k(a, b) = (a \cdot b/d + 1)^3$ ([Bińkowski et al. 2018](https://arxiv.org/abs/1801.01401),
# section 4). It is the mean of $k$ within the one cloud, plus that within the other, minus twice
# that between them. Its expected value does not depend on how many images are used, while FD falls
# as their number grows. For clouds at one point each, $a$ and $b$, it is
# $k(a,a) + k(b,b) - 2k(a,b)$:

# %%
kd = metrics.kernel_distance(torch.tensor([[1.0]] * 3), torch.tensor([[2.0]] * 3))
by_hand = (1 + 1) ** 3 + (4 + 1) ** 3 - 2 * (2 + 1) ** 3
print(f"KD of a cloud at 1 and one at 2: {kd:.6f}, by hand {by_hand}")
assert abs(kd - by_hand) < 1e-6

# %% [markdown]
# Our features come from a small network trained on CIFAR-10. The famous FID uses another
# (Inception): **our numbers are not FIDs** and must not be compared with published ones.
#
# A distance means nothing without its *floor*: what as many real images score against other real
# images. It is not 0, since two finite samples never have the same mean and covariance. Each score
# below is the mean of five comparisons, each time with fresh images on both sides, with its 95 %
# interval (Student's t over the five).

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
# **How to read it.**
#
# - *The nonsense.* An untrained generator makes a plain grey; the second row draws each pixel on
#   its own. Your generator has to be well below both.
# - *Yours.* On CIFAR-10 (JPEG copy) three recorded runs of
#   {{result:dcgan_laptop.json:settings.steps:,}} steps reached
#   {{result:dcgan_laptop.json:laptop.FD.value:.2f}} ({{result:dcgan_laptop.json:laptop.FD.low:.2f}}
#   to {{result:dcgan_laptop.json:laptop.FD.high:.2f}}) with the average, and
#   {{result:dcgan_laptop.json:last_step.FD.value:.2f}}
#   ({{result:dcgan_laptop.json:last_step.FD.low:.2f}} to
#   {{result:dcgan_laptop.json:last_step.FD.high:.2f}}) with the last step alone. This interval is
#   wider: a last step comes at a bad moment or a lucky one, and may even beat the average.
# - *The shipped one* reaches {{result:dcgan_cifar10.json:score.FD.value:.2f}}
#   ({{result:dcgan_cifar10.json:score.FD.low:.2f}} to
#   {{result:dcgan_cifar10.json:score.FD.high:.2f}}). Was that your verdict, too?
# - *The floor* is still far away. (A KD may fall below 0.)
#
# At tier `gpu`, with the extra `torch-fidelity`, the next cell also computes the Inception FID.

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
# ### What eight minutes buy
#
# The textbook's loop (batches of 128, one rate, no penalty, no average) and this lesson's had the
# same eight minutes on the same two cores, in turns, three seeds each. (With an older penalty, the
# sum that goes wrong below, and with the memory
# {{result:dcgan_equal_time.json:settings.course.average:.3f}}.)

# %%
figure, (ax,) = plots.subplots(width=8, height=3.4)
gan_plots.equal_time(ax, results.read("dcgan_equal_time.json"))
plots.show(
    figure,
    alt="FD by minutes of training, with bands from the best to the worst of three seeds. The textbook's loop falls from 11 to 2; the lesson's last step from 6 to 1; its average begins as high as the textbook's, because it remembers the start, and ends lowest, with the narrowest band.",
)

# %% [markdown]
# After eight minutes the lesson's distance is {{result:dcgan_equal_time.json:ratio.value:.2f}} of
# the textbook's (95 % interval {{result:dcgan_equal_time.json:ratio.low:.2f}} to
# {{result:dcgan_equal_time.json:ratio.high:.2f}}, which includes 1: three seeds do not settle it).
# Much of that is speed: {{result:bench.json:rows.0.ratio:.2f}} times as many images per second,
# because the images lie ready as one tensor, channels last, and bf16 is used. With smaller batches
# that made {{result:dcgan_equal_time.json:curves.8.course_steps.0:,}} steps (first seed), the textbook's
# {{result:dcgan_equal_time.json:curves.8.textbook_steps.0:,}}. The average adds little by then:
# {{result:dcgan_equal_time.json:curves.8.course_averaged.value:.2f}}, against
# {{result:dcgan_equal_time.json:curves.8.course_generator.value:.2f}} for the last step alone.
#
# ## Are they copies?
#
# A generator that had memorised its training images would score well. So look up the training image
# nearest to a sample, pixel by pixel, and the one nearest to a *test* image.


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
test_distance, test_index = nearest(test.images[:64], train.images)

# %%
print("median distance to the nearest training image (pixels in [0, 1], Euclidean):")
print(f"generated {sample_distance.median():.2f}, test images {test_distance.median():.2f}")

# %%
figure, axes = plots.subplots(4, 1, width=8, height=3.7)
of_samples = samples[:12], train.images[sample_index[:12]], sample_distance[:12]
of_test = test.images[:12], train.images[test_index[:12]], test_distance[:12]
gan_plots.neighbours(axes[:2], *of_samples, train.title("generated"))
gan_plots.neighbours(axes[2:], *of_test, "test images")
plots.show(
    figure,
    alt="Twelve generated pictures and below each the training image nearest to it with its distance; then the same for twelve test images, which no network made. A copy would show as the same object in the same place.",
)

# %% [markdown]
# Pixel distance sees large areas of colour, and little else. Look at the ninth test photograph of
# CIFAR-10 and its neighbour: the same rider, hardly moved, and yet they are farther apart than
# most strangers here. (CIFAR-10 has many such pairs: [Barz and Denzler
# 2020](https://arxiv.org/abs/1902.00423).) So this panel can expose a copy, but cannot prove that
# nothing was memorised.
#
# ## Walking through the latent space
#
# Which way leads from one latent vector to another? They are drawn from N(0, 1) in 100 dimensions,
# and there almost all of the mass lies in a thin shell: such a vector's length is close to
# $\sqrt{100} = 10$. The middle of a straight line between two of them is much too short.

# %%
z = torch.randn(10_000, latent_dim, generator=torch.Generator().manual_seed(3))
middle = (z[0::2] + z[1::2]) / 2
length, middle_length = z.norm(dim=1), middle.norm(dim=1)

# %%
print(f"length {length.mean():.2f}, square root of {latent_dim}: {latent_dim**0.5:.2f}")
print(f"of midpoints {middle_length.mean():.2f}, of half of it: {(latent_dim / 2) ** 0.5:.2f}")
assert abs(length.mean() - latent_dim**0.5) < 0.1
assert abs(middle_length.mean() - (latent_dim / 2) ** 0.5) < 0.1

# %%
figure, (ax,) = plots.subplots(width=7, height=2.2)
for values, name, hatch in ((length, "drawn vectors", ""), (middle_length, "midpoints", "///")):
    ax.hist(values.numpy(), bins=50, alpha=0.6, density=True, label=name, hatch=hatch)
ax.set(xlabel="length", ylabel="density")
ax.legend(frameon=False)
plots.show(
    figure,
    alt="Two narrow heaps that hardly touch: the lengths of drawn latent vectors, around 10, and of the midpoints between pairs of them, around 7. The generator was trained on the right heap only.",
)

# %% [markdown]
# So walk along the arc: *spherical* interpolation.
#
# ### Exercise: slerp
#
# *Medium, 15 minutes.* Let $z_0$ and $z_1$ have length 1, with the angle $\theta$ between them. On
# the arc, the point for $t$ lies at the angle $t\,\theta$ from $z_0$: with which weights is it
# $w_0 z_0 + w_1 z_1$? Vectors of other lengths get the same weights (Shoemake 1985; for latent
# spaces [White 2016](https://arxiv.org/abs/1609.04468)), each row of a batch its own. At $t=0$ and
# $t=1$ give back the ends exactly. Where the vectors are parallel, opposite or nearly so
# ($\sin\theta < 10^{-6}$), use the straight line.
#
# <details><summary>Hint 1</summary>Draw it, with $z_0$ along the ground. How high does $z_1$ stand,
# and how high the point? That gives $w_1$; for $w_0$ begin at the other end.</details>
# <details><summary>Hint 2</summary>The angle: <code>torch.arccos</code> of the inner product of the
# normalised rows, a column (B, 1). Rounding can make a cosine 1.0000001, and its arccos is NaN.
# </details>


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


# %% [markdown]
# Which ends? The two among 64 pictures that differ most, pixel by pixel, so that nobody can pick.

# %%
latents = shipped_noise.flatten(1).cpu()  # (64, 100)
difference = torch.cdist(decode(latents).flatten(1).float(), decode(latents).flatten(1).float())
start, end = divmod(difference.argmax().item(), len(latents))
paths = {"slerp": slerp, "lerp": lerp}
half_way = {
    name: path(latents[[start]], latents[[end]], 0.5).norm() for name, path in paths.items()
}
print(f"from sample {start} to sample {end}; the middle of the way has the length")
print(", ".join(f"{length:.1f} by {name}" for name, length in half_way.items()))

# %%
figure, axes = plots.subplots(2, 1, width=8, height=2.0)
titles = f"slerp: along the arc [{facts['data']}, shipped generator]", "lerp: straight"
for ax, path, title in zip(axes, paths.values(), titles):
    latent_walk.latent_walk_static(ax, decode, latents, start, end, path, title)
plots.show(
    figure,
    alt="Eleven pictures between the same two ends: above along the arc, below on the straight line. In the middle of the lower row contrast is lost.",
)

# %% [markdown]
# For 200 pairs, measure the *contrast* of every picture on the way, the standard deviation of its
# pixels:

# %%
pair = torch.randn(2, 200, latents.shape[1], generator=torch.Generator().manual_seed(6))
times = [0.0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0]
contrast = {
    name: [decode(path(*pair, t)).flatten(1).float().std(1).mean().item() for t in times]
    for name, path in paths.items()
}

# %%
figure, (ax,) = plots.subplots(width=7, height=2.4)
plots.curves(ax, times, contrast, "t", "contrast (grey levels)")
ax.set_ylim(0)
ax.set_title(f"mean of 200 pairs [{facts['data']}, shipped generator]")
plots.show(
    figure,
    alt="Mean contrast by t. On the arc it goes evenly from one end's to the other's; on the straight line it sags in the middle, where the vectors are too short.",
)

# %% [markdown]
# With a running kernel, choose both ends and drag $t$.

# %%
latent_walk.latent_walk(decode, latents, paths)

# %% [markdown]
# ## Arithmetic
#
# Section 6.3.2 of the paper averages latent vectors of pictures that share a property and uses
# differences of such averages as *directions*. We take a property that can be measured: how blue a
# picture is.


# %%
def blueness(images):
    """Mean of blue minus mean of red, in grey levels: uint8 (N, 3, H, W) -> (N,)."""
    means = images.float().mean(dim=(2, 3))  # (N, 3)
    return means[:, 2] - means[:, 0]


# %%
z = torch.randn(1_000, latents.shape[1], generator=torch.Generator().manual_seed(4))
order = blueness(decode(z)).argsort()
direction = z[order[-100:]].mean(0) - z[order[:100]].mean(0)  # the bluest minus the least blue

# %% [markdown]
# Now *other* latent vectors, moved along that direction. If the arithmetic works, blueness rises
# with every step, on average.

# %%
fresh_z = torch.randn(200, latents.shape[1], generator=torch.Generator().manual_seed(5))
amounts = [-1.0, -0.5, 0.0, 0.5, 1.0]
measured = [blueness(decode(fresh_z + a * direction)).mean().item() for a in amounts]

# %%
print("mean blueness:", ", ".join(f"{a:+.1f}: {m:+.1f}" for a, m in zip(amounts, measured)))
assert measured == sorted(measured)

# %%
figure, axes = plots.subplots(3, 1, width=8, height=2.7)
names = {-1.0: "− direction", 0.0: "as drawn", 1.0: "+ direction"}
for ax, (a, name) in zip(axes, names.items()):
    plots.image_grid(ax, decode(fresh_z[:12] + a * direction), 12)
    ax.set_title(f"{name}: mean blueness {measured[amounts.index(a)]:+.0f}", fontsize=9, loc="left")
figure.suptitle(f"{facts['data']}, shipped generator", fontsize=9)
plots.show(
    figure,
    alt="Twelve generated pictures in three rows: moved against the direction they turn brown and red, as drawn, and moved along it they turn blue. Shapes mostly stay.",
)


# %% [markdown]
# ## When it goes wrong: the penalty that measured something else
#
# Many programs compute the slope as follows, and so did this lesson for a while. It is right for a
# plane, trains without an error, and gives plausible numbers.


# %%
def slope_of_sum(discriminator, real):
    """As often published: the discriminator stays in training mode."""
    real = real.detach().requires_grad_(True)
    logits = discriminator(real)
    (gradient,) = torch.autograd.grad(logits.sum(), real, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean()


# %% [markdown]
# Take the smallest discriminator with BatchNorm: one BatchNorm, one linear layer, pictures of 2×2
# pixels. First the truth: how much does each logit change with its own picture?

# %%
torch.manual_seed(0)
small = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(12), nn.Linear(12, 1), nn.Flatten(0))
small[2].weight.data *= 10
tiny = torch.rand(16, 3, 2, 2) * 2 - 1


# %%
def own_slopes(discriminator, real):
    """Each logit's squared slope by its own picture, the batch around it: (B,), by B gradients."""
    real = real.detach().requires_grad_(True)
    logits = discriminator(real)
    rows = [torch.autograd.grad(a, real, retain_graph=True)[0] for a in logits]  # (B, 3, H, W) each
    return torch.stack([row[i].square().sum() for i, row in enumerate(rows)])


# %%
print(f"own squared slopes of 16 pictures: {own_slopes(small, tiny).mean():.2f} on average")

# %% [markdown]
# ### Exercise: what will the sum say?
#
# *Easy, 3 minutes.* A prediction: which number does `slope_of_sum(small, tiny)` return? Write your
# guess before you run the cell below; it is never marked.
#
# <details><summary>Hint</summary>BatchNorm subtracts the mean over the batch. What is then the sum
# over the batch?</details>

# %%
slope_of_the_sum = ...
slope_of_the_sum = checks.dcgan.slope_of_the_sum(slope_of_the_sum)

# %%
by_the_sum = slope_of_sum(small, tiny).item()
slope_of_the_sum.beside(by_the_sum, ".4f")
assert by_the_sum < 1e-6

# %% [markdown]
# Zero, whatever the linear layer's weights. After BatchNorm's subtraction each channel's sum over
# the batch is the same for any pictures. So the sum of the logits is a constant, and has no slope.
# This discriminator could be as steep as a wall, and its penalty would not notice. In general
# $\nabla_{x_i} \sum_j a_j$ is the wanted $\nabla_{x_i} a_i$ *plus* what picture $i$ does to all the
# others through the batch's mean and spread.
#
# Between more layers nothing cancels exactly. Here is your trained discriminator, at eight
# photographs. In evaluation mode the first two lines must agree: your function, and each photograph
# alone.

# %%
import copy

eight = to_tanh_range(train.images[:8]).to(run.device)
by_sum = slope_of_sum(copy.deepcopy(discriminator), eight).item()  # training mode moves averages
discriminator.eval()
one_by_one = torch.cat([own_slopes(discriminator, photo) for photo in eight.split(1)]).mean().item()
discriminator.train()
yours = slope(discriminator, eight).item()
print(f"your slope, used in training:     {yours:.5f}")
print(f"each photograph on its own:       {one_by_one:.5f}")
print(f"the sum, through the batch:       {by_sum:.5f}")
assert abs(yours - one_by_one) < 1e-3 * one_by_one

# %% [markdown]
# What does the wrong penalty cost? Both trained this lesson's networks, in its number of steps,
# from three seeds; without any penalty there is one run:

# %%
figure, (ax,) = plots.subplots(width=9, height=2.2)
gan_plots.penalties(ax, results.read("dcgan_penalty_whole.json"), yours="evaluation")
plots.show(
    figure,
    alt="FD by kind of penalty: a dot for each seed, a bar for their mean, orange for yours. The dots of the sum and of yours lie among each other; the one without a penalty is a little higher.",
)

# %% [markdown]
# **How to read it.** The two are not told apart: yours lies higher by
# {{result:dcgan_penalty_whole.json:differences.evaluation_above_sum.value:.2f}} (95 % interval
# {{result:dcgan_penalty_whole.json:differences.evaluation_above_sum.low:.2f}} to
# {{result:dcgan_penalty_whole.json:differences.evaluation_above_sum.high:.2f}}). Does that make the
# sum right? Look at the slopes of the trained discriminators, each picture's own:
# {{result:dcgan_penalty_whole.json:ways.none.slope_own.value:.0f}} without a penalty,
# {{result:dcgan_penalty_whole.json:ways.evaluation.slope_own.value:.1f}} with yours,
# {{result:dcgan_penalty_whole.json:ways.sum.slope_own.value:.1f}} with the sum. Both hold it down.
# But the sum reads {{result:dcgan_penalty_whole.json:ways.sum.slope_sum.value:.1f}} there: it
# counts more than the slope, and its $\gamma$ means something else.
#
# At half the width, in about {{result:dcgan_penalty.json:settings.steps:,}} steps, the sum was
# ahead of yours, by {{result:dcgan_penalty.json:differences.evaluation_above_sum.value:.2f}}
# ({{result:dcgan_penalty.json:differences.evaluation_above_sum.low:.2f}} to
# {{result:dcgan_penalty.json:differences.evaluation_above_sum.high:.2f}}); why is open. There a
# penalty paid: without one, FD was higher than with yours by
# {{result:dcgan_penalty.json:differences.none_above_evaluation.value:.2f}}
# ({{result:dcgan_penalty.json:differences.none_above_evaluation.low:.2f}} to
# {{result:dcgan_penalty.json:differences.none_above_evaluation.high:.2f}}). And two discriminators
# without BatchNorm, where the sum is right, were far behind in so short a run: *GroupNorm*, which
# takes mean and spread within each picture
# ({{result:dcgan_penalty.json:ways.group.averaged.value:.1f}}, two seeds), and *spectral norm*,
# which divides each layer's weights by the most by which they can stretch a vector ([Miyato et al.
# 2018](https://arxiv.org/abs/1802.05957);
# {{result:dcgan_penalty.json:ways.spectral.averaged.value:.1f}}, one).
#
# How could such a line survive? Losses and scores look right, and the usual test, a plane, cannot
# see it. **Test a penalty on the network that it will meet.** The authors of an older penalty knew,
# and left BatchNorm out of their critic ([Gulrajani et al. 2017](https://arxiv.org/abs/1704.00028),
# section 4).
#
# ## Where this loss lives today
#
# Few large image models are bare GANs now, and many have this loss inside. *Latent diffusion* works
# on pictures that an autoencoder has compressed; a discriminator on patches keeps that autoencoder
# from blurring ([Esser et al. 2021](https://arxiv.org/abs/2012.09841), VQGAN; [Rombach et al.
# 2022](https://arxiv.org/abs/2112.10752), section 3.1). *Speech*: many systems turn spectrograms
# into sound by a GAN's generator ([Kong et al. 2020](https://arxiv.org/abs/2010.05646), HiFi-GAN).
# *Speed*: a diffusion model is distilled into one of one to four steps with a discriminator's help
# ([Sauer et al. 2023](https://arxiv.org/abs/2311.17042)).
#
# ## Questions
#
# **1. A transposed convolution with kernel 4, stride 2, padding 1 gets a map of 7×7. What comes
# out?** (a) 14×14 (b) 16×16 (c) 3×3 (d) 15×15
#
# <details><summary>Answer</summary>(a): (7 − 1)·2 − 2 + 4 = 14. (b) forgets the padding, (d) cuts
# one end only. (c) is the normal convolution.</details>
#
# **2. In the discriminator's half of the step, what would happen without `detach`?** (a) nothing
# (b) the generator's weights would change at once (c) the discriminator's loss would send gradients
# into the generator, and use up its graph (d) the discriminator would not learn
#
# <details><summary>Answer</summary>(c). In this loop the generator's own <code>backward()</code>
# then stops with "Trying to backward through the graph a second time". (a) overlooks both. (b)
# Weights change only in <code>step()</code>. (d) D's own gradients are the same with and
# without.</details>
#
# **3. After an hour $L_D$ is 0.001 and $L_G$ is 9. What do you see?** (a) a converged GAN (b) a
# discriminator that wins, and a generator without a useful gradient direction (c) mode collapse (d)
# two learning rates that are too low
#
# <details><summary>Answer</summary>(b). At equilibrium L_D would be 2 log 2 ≈ 1.386, so (a) is the
# opposite of what happened. (c) cannot be told from these losses alone. (d) would leave both losses
# near their start.</details>
#
# **4. For which discriminator is the gradient of the *sum* of the logits each photograph's own, in
# training mode?** (a) one with BatchNorm after every layer (b) one with GroupNorm (c) one with
# BatchNorm in its first layer only (d) for none
#
# <details><summary>Answer</summary>(b): GroupNorm looks at one picture at a time. (a), (c) One
# BatchNorm is enough to mix the batch. (d) Any network without a layer that looks across the batch
# will do.</details>
#
# **5. Your code prints FD 31 on 2,000 images; suppose a paper reports FID 34. Is yours better?**
# (a) yes (b) no, it is worse (c) the numbers cannot be compared (d) only if both used the same seed
#
# <details><summary>Answer</summary>(c): other features, another number of images, perhaps another
# set of real images. (a) and (b) compare different units. (d) the seed is the least of the
# differences.</details>
#
# ## Recap
#
# You computed what a transposed convolution does to the size of a feature map, built both networks
# of a DCGAN and initialised them, explained each line of the training step and read its curves,
# wrote a penalty on the discriminator's slope, measured generated images with scores that have an
# interval and a floor, and walked through a latent space.
#
# **What this did not show.** One seed of one network is an anecdote: lesson 6 compares generators
# with error bars. FD and KD see no more than our feature network does, and it knows ten kinds of
# objects. And a GAN has no likelihood, which would tell how probable the model finds a photograph:
# lesson 3 builds a model that has one.
#
# **Sources**, where the text does not say which part: Radford, Metz, Chintala 2015, sections 3, 4
# and 6.3 · Goodfellow et al. 2014, [arXiv 1406.2661](https://arxiv.org/abs/1406.2661), algorithm 1
# and section 3 · Heusel et al. 2017, eq. 6 and the section on two time scales · Wu, He 2018, *Group
# normalization*, [arXiv 1803.08494](https://arxiv.org/abs/1803.08494) · Shoemake 1985, *Animating
# rotation with quaternion curves*, SIGGRAPH · Krizhevsky 2009, *Learning multiple layers of
# features from tiny images*, chapter 3.
#
# **Next:** lesson 3, the variational autoencoder, on the same images and with the same score.
