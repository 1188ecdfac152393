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
# # 7. The debugging clinic
#
# Twenty-two patients: programs, formulas and claims of the kinds that tutorials really contain. The
# first ones scream, the last ones smile. You will mend them, and leave with a checklist of your
# own.
#
# **You will learn to** read a message for its cause instead of its advice · recognise programs that
# run, look right and are wrong · write tests that *separate* right from wrong · doubt numbers,
# texts and pictures in the right places · leave alone what is not broken.
#
# **You need** lesson 1; lessons 2 to 5 for the cases about images, VAEs and text. Every case stands
# alone: skip what you have not met.
#
# **Time** about {{minutes}} minutes to read and solve. The computer works as long as this table
# says,
# and on your machine as long as stands under the settings; nothing is downloaded.
#
# {{tiers}}
#
# ## Set-up

# %%
import hashlib
import math
import tempfile
from pathlib import Path

from course_utils import checks, runtime  # before torch: waiting threads sleep
import torch
import torch.nn.functional as F
from IPython.display import Markdown, display

# %%
from torch import nn

from course_utils.display import plots
from course_utils.learner import clinic
from course_utils.evaluation.diagnose import diagnose
from course_utils.datasets.images import load_images
from course_utils.models import dcgan

# %%
run = runtime.setup(seed=0)

# %% [markdown]
# And for the cases about text:

# %%
from sklearn.linear_model import SGDClassifier
from transformers import BertConfig, BertForSequenceClassification

from course_utils.evaluation.bag_of_words import bag_of_words
from course_utils.models.pretrained import load_encoder
from course_utils.datasets.reviews import load_reviews
from course_utils.machine import minutes_here

# fmt: off
#                       smoke laptop    gpu
n_reviews   = run.pick(   600, 3_000, 3_000)  # made-up sentences of the cases about text
slide_steps = run.pick(    30,    60,    60)  # gradient steps of case 12
reviews = load_reviews("standin", limit=n_reviews)
held    = load_reviews("standin", split="test", limit=n_reviews // 3)
encoder = load_encoder("standin", tier=run.tier, texts=reviews.texts)
# fmt: on
minutes_here.tell(run, "07_debugging_clinic")

# %% [markdown]
# ## How programs go wrong
#
# Each case goes the same way. You see the **symptom**, guess the cause (*before* you unfold the
# answer), look closer, and write the **mended** function under the broken one: copy it and change
# what must be changed. The check judges what your function *does*, so any right way is right, and
# it knows the fixes that the internet, the error message, or haste suggest. Three of the programs
# in this lesson are healthy.
#
# Reviews in this lesson are made-up sentences (a stand-in), encoders are tiny and random; the
# faults do not mind. Recorded runs and numbers that no cell prints come from
# `measuring/measure_clinic.py` and its siblings for lessons 1 and 4, and lie in `data/results`.
#
# ## Loud: it stops
#
# ### Exercise: it stops, an hour later
#
# *Medium, 8 minutes.* This epoch passed its trial with 64 images. Which three runs will it not
# survive?
#
# <details><summary>Your guess first, then look</summary>A last batch that is not full; the first
# step that writes a note (twice: a name that nobody defined, then a folder that nobody made). Each
# waits for its own condition, and a short trial meets none of them.</details>
# <details><summary>Hint</summary>Take the size from the batch.
# <code>path.parent.mkdir(parents=True,
# exist_ok=True)</code> makes a folder, and does not mind that it exists.</details>


# %%
def broken_epoch(images, batch_size, log_every, folder):
    """One epoch of a judge on real images alone; its loss goes to folder/notes/STEP.txt. Returns
    the number of steps.
    """
    judge, labels = nn.Linear(images[0].numel(), 1), torch.ones(batch_size)
    for step, batch in enumerate(images.split(batch_size), start=1):
        loss = F.binary_cross_entropy_with_logits(judge(batch.flatten(1)).squeeze(1), labels)
        if step % log_every == 0:
            (folder / "notes" / f"{step}.txt").write_text(f"{mean_loss:.3f}")
    return step


# %%
with tempfile.TemporaryDirectory() as name:
    for count, log_every in ((64, 100), (80, 100), (64, 2)):
        clinic.complaint(broken_epoch, torch.rand(count, 1, 8, 8), 32, log_every, Path(name))


# %%
def train_epoch(images, batch_size, log_every, folder):
    """The same, for any number of images, in a folder that may not exist yet; notes hold the loss
    of their step.
    """
    ### BEGIN SOLUTION
    judge = nn.Linear(images[0].numel(), 1)
    for step, batch in enumerate(images.split(batch_size), start=1):
        logits = judge(batch.flatten(1)).squeeze(1)
        loss = F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
        if step % log_every == 0:
            note = folder / "notes" / f"{step}.txt"
            note.parent.mkdir(parents=True, exist_ok=True)
            note.write_text(f"{loss.item():.3f}")
    return step
    ### END SOLUTION


train_epoch = checks.clinic.train_epoch(train_epoch)

# %% [markdown]
# **So that it cannot come back:** the first trial of any training is 80 images in batches of 32, a
# note at every step, an empty folder, and then the same again.
#
# ### Exercise: the wrong kind of one
#
# *Easy, 4 minutes.* The next program was right in an old version of PyTorch. What is the type of
# `torch.full((3,), 1)`?
#
# <details><summary>Your guess first, then look</summary>int64, because 1 is an integer (since
# version 1.7). <code>.float()</code> silences the message, and fails again in half or double
# precision. And <code>len(logits)</code> is a batch size, not a shape.</details>
# <details><summary>Hint</summary>Some function makes a tensor that is like another one in shape,
# type and device.</details>


# %%
def broken_label_loss(logits, label):
    """Mean cross-entropy of logits (any shape) against one label for all."""
    return F.binary_cross_entropy_with_logits(logits, torch.full((len(logits),), label))


# %%
clinic.complaint(broken_label_loss, torch.randn(3), 1)
clinic.complaint(broken_label_loss, torch.randn(3, 1), 1.0)


# %%
def label_loss(logits, label):
    """The same, for logits of any shape and any floating type."""
    ### BEGIN SOLUTION
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))
    ### END SOLUTION


label_loss = checks.clinic.label_loss(label_loss)

# %% [markdown]
# **So that it cannot come back:** make labels from logits, never from sizes and numbers that you
# remember.
#
# ### Exercise: noise of the wrong shape
#
# *Easy, 4 minutes.* A generator starts with a transposed convolution. It gets 100 noise vectors of
# 100 numbers as they are, and then after three repairs. Two of them run. Which one is right?
#
# <details><summary>Your guess first, then look</summary>None. With one dimension behind, the batch
# is taken for the channels of a <em>single</em> picture, (8, 103, 4). The last one exchanges batch
# and channels: picture i is made from the i-th number of <em>every</em> noise vector. Both run only
# because there happen to be as many pictures as latent numbers.</details>
# <details><summary>Hint</summary>(B, D) becomes (B, D, 1, 1): two dimensions at the end, by
# indexing, <code>view</code> or <code>unflatten</code>.</details>

# %%
first_layer = nn.ConvTranspose2d(100, 8, 4)
z = torch.randn(100, 100)
for repair in (z, z.unsqueeze(0), z.unsqueeze(-1), z.t()[..., None, None]):
    clinic.complaint(first_layer, repair)


# %%
def generator_input(z):
    """Noise (B, D) as a transposed convolution takes it: (B, D, 1, 1)."""
    ### BEGIN SOLUTION
    return z[:, :, None, None]
    ### END SOLUTION


generator_input = checks.clinic.generator_input(generator_input)

# %% [markdown]
# **So that it cannot come back:** test shapes with batches of 1, 7 and 100, and ask what a row
# depends on. A batch as large as another dimension hides exchanges.
#
# ### Exercise: twenty-five answers
#
# *Medium, 8 minutes.* This judge was written for 32 pixels and now gets 64. The first loss stops;
# the second one does not. What does it train?
#
# <details><summary>Your guess first, then look</summary>A judge of patches: the last map is 5×5, so
# each picture gets 25 logits, and <code>ones_like</code> makes 25 labels to match. Nobody will ever
# notice.</details>
# <details><summary>Hint</summary>Each (4, 2, 1) layer halves the map. How many of them lead from
# <code>size</code>
# to 4? No pooling, no shrinking of pictures: D should see every pixel and the whole.</details>


# %%
def broken_judge(size):
    """A discriminator: pictures (B, 3, size, size) -> logits (B,)."""
    layers = [
        nn.Conv2d(3, 8, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(8, 16, 4, 2, 1),
        nn.LeakyReLU(0.2),
    ]
    layers += [nn.Conv2d(16, 32, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(32, 1, 4), nn.Flatten(0)]
    return nn.Sequential(*layers)


# %%
logits = broken_judge(64)(torch.rand(2, 3, 64, 64))
clinic.complaint(F.binary_cross_entropy_with_logits, logits, torch.ones(2))
clinic.complaint(label_loss, logits, 1.0)


# %%
def make_judge(size):
    """A discriminator for 32 or 64 pixels: pictures (B, 3, size, size) -> logits (B,)."""
    ### BEGIN SOLUTION
    layers, channels = [], 3
    while size > 4:
        layers += [nn.Conv2d(channels, 2 * channels + 2, 4, 2, 1), nn.LeakyReLU(0.2)]
        channels, size = 2 * channels + 2, size // 2
    return nn.Sequential(*layers, nn.Conv2d(channels, 1, 4), nn.Flatten(0))
    ### END SOLUTION


make_judge = checks.clinic.make_judge(make_judge)

# %% [markdown]
# **So that it cannot come back:** `assert logits.shape == (len(pictures),)` right behind the judge.
# `ones_like` fits everything, faults included.
#
# ### Exercise: modified by an inplace operation
#
# *Hard, 12 minutes.* One step of a Wasserstein critic against its generator (the bound on the
# critic's slope is left out). The message speaks of an in-place operation. Which one is it?
#
# <details><summary>Your guess first, then look</summary><code>c_optimizer.step()</code>: it changes
# the critic's weights in place, and <code>g_loss</code>, computed before, still needs the old ones.
# No activation is to blame: there is no <code>inplace=True</code> here.</details>
# <details><summary>Hint 1</summary>Ask the critic again after its step. And should
# <code>c_loss</code>
# reach the generator?</details>
# <details><summary>Hint 2</summary><code>retain_graph=True</code> is the advice of another message.
# With it, and both steps moved to the end, the error is gone. Look at the next case before you
# believe in it.</details>


# %%
def broken_critic_step(generator, critic, g_optimizer, c_optimizer, real, noise):
    """One step of both players. Returns the critic's and the generator's loss."""
    fake = generator(noise)
    c_loss = critic(fake).mean() - critic(real).mean()
    g_loss = -critic(fake).mean()
    c_optimizer.zero_grad()
    g_optimizer.zero_grad()
    c_loss.backward(retain_graph=True)
    c_optimizer.step()
    g_loss.backward()
    g_optimizer.step()
    return c_loss.item(), g_loss.item()


# %%
def make_players():
    """Two small networks and their optimisers; the same ones at every call."""
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
    judge = nn.Sequential(
        nn.Linear(1, 8), nn.LeakyReLU(0.2), nn.Linear(8, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1)
    )
    return (
        generator,
        judge,
        *(torch.optim.SGD(net.parameters(), lr=0.1) for net in (generator, judge)),
    )


# %%
clinic.complaint(broken_critic_step, *make_players(), torch.randn(5, 1), torch.randn(5, 2))


# %%
def critic_step(generator, critic, g_optimizer, c_optimizer, real, noise):
    """The critic's half, then the generator's against the updated critic. Returns both losses as
    floats.
    """
    ### BEGIN SOLUTION
    fake = generator(noise)
    c_loss = critic(fake.detach()).mean() - critic(real).mean()
    c_optimizer.zero_grad()
    c_loss.backward()
    c_optimizer.step()
    g_loss = -critic(fake).mean()
    g_optimizer.zero_grad()
    g_loss.backward()
    g_optimizer.step()
    return c_loss.item(), g_loss.item()
    ### END SOLUTION


critic_step = checks.clinic.critic_step(critic_step)

# %% [markdown]
# **So that it cannot come back:** loss, `zero_grad`, `backward`, `step`: finish one half before the
# other begins, and ask what a message *says* before you take its advice.
#
# ## Quiet: it runs, and the curves look fine
#
# ### The false equilibrium
#
# Two recorded runs of lesson 1's toy. One of them followed the advice `retain_graph=True`, with
# both steps moved to the end. Which one?

# %%
runs = {
    "run A": clinic.recorded("healthy line"),
    "run B": clinic.recorded("false equilibrium: no detach"),
}

# %%
figure, axes = plots.subplots(1, 4, width=12, height=2.5)
for ax, key in zip(axes, ("g_loss", "d_fake", "d_real", "diversity")):
    plots.curves(
        ax,
        runs["run A"]["step"],
        {name: history[key] for name, history in runs.items()},
        "step",
        key.replace("_", " "),
    )
plots.show(
    figure,
    alt="Generator's loss and D(G(z)) end near log 2 and one half in both runs; only run B has D(x) at 1, and samples without any spread.",
)

# %% [markdown]
# Judged by the first two plots, B is the *better* run: no wobble at all. But its D(x) is 1, and all
# its samples are one and the same point (*diversity* is their standard deviation; the data's is
# 0.5). Five such runs ended at {{result:gan_traces.json:toy.no_detach.mean:.1f}} instead of 3.
#
# <details><summary>Why does it freeze?</summary>Without <code>detach</code> both losses reach both
# networks. The discriminator's pulls a fake's logit down with σ(a), the generator's up with σ(a) −
# 1.
# The sum, 2σ(a) − 1, is 0 where D says ½: nobody moves, and ½ is what the textbook
# promises.</details>
#
# The step is mended as in {{exercise:critic_step}}: detach, and finish the discriminator's half
# first. What was missing
# is an alarm.
#
# ### Exercise: is this the equilibrium?
#
# *Medium, 8 minutes.* Write the test that tells run A from run B by means over their last rows.
#
# <details><summary>Hint</summary>There D says ½ to real <em>and</em> to fake, and its loss, a sum
# of two means, is 2 log 2. Allow about 0.1 for noise.</details>


# %%
def is_equilibrium(d_loss, g_loss, d_real, d_fake):
    """Whether mean losses (nats) and mean probabilities D(x), D(G(z)) are those of the equilibrium
    (bool).
    """
    ### BEGIN SOLUTION
    undecided = abs(d_real - 0.5) < 0.1 and abs(d_fake - 0.5) < 0.1
    return undecided and abs(d_loss - 2 * math.log(2)) < 0.2 and abs(g_loss - math.log(2)) < 0.2
    ### END SOLUTION


is_equilibrium = checks.clinic.is_equilibrium(is_equilibrium)

# %%
for finding in diagnose(runs["run B"]):
    print(finding)

# %% [markdown]
# **So that it cannot come back:** log D(x) *and* D(G(z)), and look at the samples' spread.
#
# ### Exercise: success, says the loss
#
# *Medium, 6 minutes.* After {{result:gan_traces.json:toy.steps:,d}} steps (mean of five runs) the
# generator's loss is {{result:gan_traces.json:toy.caught.g_loss:.5f}}. The samples have mean
# {{result:gan_traces.json:toy.caught.mean:.1f}}; the data, 3.
#
# <details><summary>Your guess first, then look</summary>The generator's label is <em>fake</em>: it
# is trained to be caught, and succeeds. Healthy generators do not reach a loss of 0.</details>
# <details><summary>Hint</summary>One label is wrong, in one line. The cure is not a minus sign:
# compare slopes at logit −8, where D is sure.</details>


# %%
def broken_losses(real_logits, fake_logits):
    """The discriminator's loss (sum of two means) and the generator's, in nats."""
    real, fake = label_loss(real_logits, 1.0), label_loss(fake_logits, 0.0)
    return real + fake, label_loss(fake_logits, 0.0)


# %%
caught = torch.tensor([-8.0], requires_grad=True)
for name, loss in (
    ("as it is", label_loss(caught, 0.0)),
    ("with a minus", -label_loss(caught, 0.0)),
):
    (slope,) = torch.autograd.grad(loss, caught)
    print(f"{name}: slope of the generator's loss at logit -8 is {slope.item():+.5f}")


# %%
def gan_losses(real_logits, fake_logits):
    """The discriminator's loss (sum of two means) and the non-saturating one of the generator, in
    nats.
    """
    ### BEGIN SOLUTION
    d_loss = label_loss(real_logits, 1.0) + label_loss(fake_logits, 0.0)
    return d_loss, label_loss(fake_logits, 1.0)
    ### END SOLUTION


gan_losses = checks.clinic.gan_losses(gan_losses)

# %% [markdown]
# **So that it cannot come back:** descending a loss with a positive slope lowers the logit. Test
# the *slope* of a loss at a few logits; its value proves nothing.
#
# ### Exercise: swept up too late
#
# *Hard, 10 minutes.* No message, every network has its `zero_grad`, labels are right. Five such
# runs ended at mean {{result:gan_traces.json:toy.stale.mean:.2f}} with all samples in one place
# (standard deviation {{result:gan_traces.json:toy.stale.std:.3f}}).
#
# <details><summary>Your guess first, then look</summary>Follow one <code>.grad</code>.
# <code>d_loss.backward()</code>
# fills the generator's too, for nothing is detached, and nobody clears it before the generator
# steps. <code>g_loss.backward()</code> leaves a gradient in the discriminator, which steps on it
# <em>next
# time</em>.</details>
# <details><summary>Hint</summary>Move both <code>zero_grad</code>, and detach. Either alone is not
# always enough; the check plays three steps.</details>


# %%
def broken_gan_step(generator, discriminator, g_optimizer, d_optimizer, real, noise):
    """One step of both players on logits. Returns both losses."""
    d_loss, _ = gan_losses(discriminator(real), discriminator(generator(noise)))
    d_loss.backward()
    d_optimizer.step()
    d_optimizer.zero_grad()
    _, g_loss = gan_losses(discriminator(real), discriminator(generator(noise)))
    g_loss.backward()
    g_optimizer.step()
    g_optimizer.zero_grad()
    return d_loss.item(), g_loss.item()


# %%
generator, discriminator, *optimizers = make_players()
broken_gan_step(generator, discriminator, *optimizers, torch.randn(5, 1), torch.randn(5, 2))
left_over = [p.grad.abs().sum().item() for p in discriminator.parameters() if p.grad is not None]
print(f"gradient left in the discriminator after a whole step: {sum(left_over):.3f}")


# %%
def gan_step(generator, discriminator, g_optimizer, d_optimizer, real, noise):
    """The discriminator's half, then the generator's. Returns both losses as floats."""
    ### BEGIN SOLUTION
    fake = generator(noise)
    d_loss, _ = gan_losses(discriminator(real), discriminator(fake.detach()))
    d_optimizer.zero_grad()
    d_loss.backward()
    d_optimizer.step()
    g_loss = label_loss(discriminator(fake), 1.0)
    g_optimizer.zero_grad()
    g_loss.backward()
    g_optimizer.step()
    return d_loss.item(), g_loss.item()
    ### END SOLUTION


gan_step = checks.clinic.gan_step(gan_step)

# %% [markdown]
# **So that it cannot come back:** `zero_grad` directly above `backward`, always; and three SGD
# steps held against a second, independent implementation. One step would not show what is left for
# the next.
#
# ### Exercise: one pixel is enough
#
# *Medium, 6 minutes.* Photographs were read as numbers in [0, 1]. The generator ends in Tanh. What
# is the cheapest rule that tells them apart, before any training?
#
# <details><summary>Your guess first, then look</summary>“Any pixel below 0 is fake.” The first
# lesson that D teaches is then to avoid dark pixels, which says nothing about
# photographs.</details>
# <details><summary>Hint</summary>Data and last layer must fill the <em>same</em> interval. There
# are two honest ways: stretch the pictures, or change the layer. Not both.</details>

# %%
photographs = load_images("standin", limit=64)
pictures = photographs.images.float() / 255  # (64, 3, 32, 32) in [0, 1]
with torch.no_grad():
    made = dcgan.make_generator(100, 16, 3)(torch.randn(64, 100, 1, 1))

# %%
for name, batch in (
    (photographs.title("real"), pictures),
    ("made by an untrained generator", made),
):
    print(f"{name}: {(batch.amin((1, 2, 3)) < 0).float().mean():.0%} have a pixel below 0")


# %%
def match_ranges():
    """A function that prepares pictures in [0, 1], and the generator's last layer, so that both
    fill one range.
    """
    ### BEGIN SOLUTION
    return lambda pictures: 2 * pictures - 1, nn.Tanh()
    ### END SOLUTION


match_ranges = checks.clinic.match_ranges(match_ranges)

# %% [markdown]
# **So that it cannot come back:** print minimum and maximum of a real and of a generated batch,
# side by side, before the first step.
#
# ### One loss for two opponents
#
# “The loss of a GAN is $L_D + L_G$; minimise it with one optimiser.” Five such runs converged:
# $L_D + L_G$ = {{result:gan_traces.json:toy.joint.d_loss:.2f}} +
# {{result:gan_traces.json:toy.joint.g_loss:.2f}} is 2 log 2, as in the books. Their samples are at
# {{result:gan_traces.json:toy.joint.mean:.2f}} instead of 3. Bad luck? Let D help at each $x$ as
# well as it can, and see what is left of the objective when the generator's distribution goes from
# the data (t = 0) to somewhere else (t = 1).


# %%
def broken_objective(p_data, p_g):
    """The least L_D + L_G that any D reaches, for probabilities (N,), (N,): D is (p_data +
    p_g)/(p_data + 2 p_g).
    """
    best = (p_data + p_g) / (p_data + 2 * p_g)
    return -(torch.xlogy(p_data + p_g, best) + torch.xlogy(p_g, 1 - best)).sum()


# %%
p_data, elsewhere = torch.tensor([0.6, 0.3, 0.1]), torch.tensor([0.1, 0.1, 0.8])
t = torch.linspace(0, 1, 21)
joint = [broken_objective(p_data, (1 - s) * p_data + s * elsewhere).item() for s in t]

# %%
print(f"at the data {joint[0]:.4f}, largest {max(joint):.4f}, elsewhere {joint[-1]:.4f}")
assert joint[0] == max(joint)

# %% [markdown]
# The data are the **worst** point. No accident: for a fixed D the sum is linear in $p_g$, the least
# of linear functions is concave, and at the data its slope is the same, $\log\frac92$, for every
# $x$, so that moving mass about has no slope at all: a maximum.
#
# ### Exercise: what the generator should descend
#
# *Hard, 12 minutes.* Write the value of the game instead, $V = \sum p\log D + q\log(1-D)$, at *D's
# own* best answer.
#
# <details><summary>Hint 1</summary>D's own best answer is p/(p + q), lesson 1.</details>
# <details><summary>Hint 2</summary>At p = q the value is −log 4, for disjoint distributions 0.
# <code>torch.xlogy</code>
# knows that 0 log 0 is 0.</details>


# %%
def generator_objective(p_data, p_g):
    """V at the best D, in nats, for probabilities (N,), (N,)."""
    ### BEGIN SOLUTION
    total = p_data + p_g
    by_data = torch.xlogy(p_data, p_data) - torch.xlogy(p_data, total)
    by_model = torch.xlogy(p_g, p_g) - torch.xlogy(p_g, total)
    return (by_data + by_model).sum()
    ### END SOLUTION


generator_objective = checks.clinic.generator_objective(generator_objective)

# %%
game = [float(generator_objective(p_data, (1 - s) * p_data + s * elsewhere)) for s in t]

# %%
figure, axes = plots.subplots(1, 2, width=9, height=2.5)
plots.curves(axes[0], t, {"": joint}, "t: 0 is the data", "joint loss (nats)")
plots.curves(axes[1], t, {"": game}, "t: 0 is the data", "value of the game (nats)")
plots.show(
    figure,
    alt="The joint loss is largest at the data and falls away from them; the value of the game is smallest there and rises.",
)

# %% [markdown]
# **So that it cannot come back:** evaluate an objective at the data themselves. It has to be best
# there.
#
# ### Exercise: a term that nobody can move
#
# *Hard, 12 minutes.* A VAE, “reconstruction plus a term that ties the code to noise”. Its copies
# are sharp, its samples from the prior are junk. For a model that can be solved, $z \sim N(0, 1)$,
# $x \mid z \sim N(wz, s^2)$, compare its bound with the true $\log p(x)$. (The encoder below does
# what this loss likes best: it puts the whole posterior on one point that gives x back.)
#
# <details><summary>Your guess first, then look</summary>The second term holds nothing that is
# trained: a constant (about 0.88 for this one). Without a KL the posterior may go anywhere, and the
# “bound” can lie above what it should bound.</details>
# <details><summary>Hint</summary>KL(q ‖ N(0, 1)) = ½(mean² + e^log_var − 1 − log_var), one number
# for each x. The formula's other half is already right.</details>


# %%
def broken_elbo(x, mean, log_var, noise, w, s):
    """Bound (B,) on log p(x), for x, mean, log_var (B,) and noise (K, 1) from N(0, 1)."""
    z = mean + torch.exp(log_var / 2) * noise  # (K, B)
    log_likelihood = torch.distributions.Normal(w * z, s).log_prob(x).mean(0)  # (B,)
    return log_likelihood - (noise - torch.sigmoid(noise)).square().mean()


# %%
x, w, s = torch.tensor([3.0]), 1.0, 0.5
bound = broken_elbo(x, mean=x, log_var=torch.tensor([-6.0]), noise=torch.randn(10_000, 1), w=w, s=s)
exact = torch.distributions.Normal(0.0, math.sqrt(w**2 + s**2)).log_prob(x)
print(f"'bound' {bound.item():.3f}, log p(x) {exact.item():.3f}")


# %%
def elbo(x, mean, log_var, noise, w, s):
    """Bound (B,) on log p(x) in nats, never above it on average."""
    ### BEGIN SOLUTION
    z = mean + torch.exp(log_var / 2) * noise  # (K, B)
    log_likelihood = torch.distributions.Normal(w * z, s).log_prob(x).mean(0)  # (B,)
    return log_likelihood - 0.5 * (mean**2 + log_var.exp() - 1 - log_var)
    ### END SOLUTION


elbo = checks.clinic.elbo(elbo)

# %% [markdown]
# **So that it cannot come back:** ask every term for its gradient,
# `torch.autograd.grad(term, parameters, allow_unused=True)`; and hold a bound against a model that
# can be solved.
#
# ### Exercise: a divergence below zero
#
# *Medium, 6 minutes.* “We minimise the divergence of our model p from the data q.” The loss falls,
# and falls. Look at the sign.
#
# <details><summary>Your guess first, then look</summary>The logarithm is that of KL(p ‖ q), the
# weights are q: an expectation under the wrong distribution. The whole is −KL(q ‖ p); descending it
# drives the model <em>away</em> from the data, without end.</details>
# <details><summary>Hint</summary>KL(p ‖ q) weighs with its <em>first</em> argument. 0 log 0 is 0;
# where q is 0 and p is not, the answer is infinite, and that is right.</details>


# %%
def broken_kl(p, q):
    """KL(p || q) in nats, for probabilities (N,), (N,)."""
    return (q * torch.log(p / q)).sum()


# %%
q = torch.tensor([0.5, 0.3, 0.2])
logits = torch.zeros(3, requires_grad=True)
for _ in range(slide_steps):
    (slope,) = torch.autograd.grad(broken_kl(logits.softmax(0), q), logits)
    logits = (logits - slope).detach().requires_grad_()

# %%
print(
    f"'divergence' {broken_kl(logits.softmax(0), q).item():.2f}, "
    f"model {[round(v, 3) for v in logits.softmax(0).tolist()]}"
)


# %%
def kl(p, q):
    """KL(p || q) in nats, for probabilities (N,), (N,)."""
    ### BEGIN SOLUTION
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum()
    ### END SOLUTION


kl = checks.clinic.kl(kl)

# %% [markdown]
# **So that it cannot come back:** a divergence is tested on two *unequal* distributions, both ways
# round.
#
# ## Silent: text
#
# ### Exercise: the same name, another default
#
# *Medium, 6 minutes.* `from transformers import AdamW` stopped working (the class was
# [removed](https://github.com/huggingface/transformers/pull/36177) in 4.50). Everybody writes
# `torch.optim.AdamW` instead, and the program runs. The old class had `weight_decay=0.0` and
# `eps=1e-6`. What has changed?
#
# <details><summary>Your guess first, then look</summary>Every weight now shrinks by lr · 0.01 at
# each step, biases and layer norms included, and eps is a hundred times smaller. No message, no
# jump; results drift.</details>
# <details><summary>Hint</summary>Say both. A group of parameters without its own
# <code>weight_decay</code>
# takes the default.</details>

# %%
new = torch.optim.AdamW(nn.Linear(2, 2).parameters(), lr=1e-3)
print({key: new.defaults[key] for key in ("lr", "weight_decay", "eps")})
print(
    "a weight that gets no gradient, after 10,000 steps: "
    f"{(1 - 1e-3 * 0.01) ** 10_000:.1%} of it is left"
)


# %%
def make_optimizer(model, lr):
    """AdamW for all parameters of the model, as the old program had it: no weight decay,
    eps 1e-6.
    """
    ### BEGIN SOLUTION
    return torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.0, eps=1e-6)
    ### END SOLUTION


make_optimizer = checks.clinic.make_optimizer(make_optimizer)

# %% [markdown]
# **So that it cannot come back:** write down every setting that matters, and read it back from
# `optimizer.param_groups`.
#
# ### Exercise: one hundred per cent
#
# *Medium, 8 minutes.* Rows are pairs (text, "pos" or "neg"). The tokenizer takes the list of them
# without a word. To see what the model sees, we count the ids of a batch and train on **labels
# drawn by lot**, where nobody can beat 50 % on new reviews:
#
# <details><summary>Your guess first, then look</summary>A list of <em>pairs</em> means two
# segments: the label's text was encoded behind the review, and the classifier reads it
# there.</details>
# <details><summary>Hint</summary><code>zip(*rows)</code> separates texts and labels. Labels are
# whole numbers from 0: <code>torch.tensor</code> of ints is int64.</details>


# %%
def broken_encode(tokenizer, rows):
    """Rows (text, "pos" or "neg") -> ids, mask and labels."""
    batch = tokenizer(rows, padding=True, return_tensors="pt")
    return {**batch, "labels": torch.tensor([int(label == "pos") for _, label in rows])}


# %%
def accuracy_on_random_labels(encode):
    """Accuracy on unseen rows when all labels are drawn by lot: a linear model that counts ids."""
    names = ["pos" if coin else "neg" for coin in torch.rand(400) < 0.5]
    batch = encode(encoder.tokenizer, list(zip(reviews.texts[:400], names)))
    counts = torch.stack([ids.bincount(minlength=2_000) for ids in batch["input_ids"]]).numpy()
    model = SGDClassifier(loss="log_loss", random_state=0).fit(counts[:200], batch["labels"][:200])
    return model.score(counts[200:], batch["labels"][200:])


# %%
print(f"accuracy on labels drawn by lot: {accuracy_on_random_labels(broken_encode):.0%}")
some = broken_encode(encoder.tokenizer, [(reviews.texts[0], "pos")])
print(encoder.tokenizer.decode(some["input_ids"][0]))


# %%
def encode_batch(tokenizer, rows):
    """Rows (text, "pos" or "neg") -> dict with input_ids, attention_mask (B, T) and labels (B,)
    int64, 1 for pos.
    """
    ### BEGIN SOLUTION
    texts, names = zip(*rows)
    batch = tokenizer(list(texts), padding=True, return_tensors="pt")
    return {**batch, "labels": torch.tensor([int(name == "pos") for name in names])}
    ### END SOLUTION


encode_batch = checks.clinic.encode_batch(encode_batch)

# %%
print(f"accuracy on labels drawn by lot, mended: {accuracy_on_random_labels(encode_batch):.0%}")

# %% [markdown]
# **So that it cannot come back:** labels drawn by lot must give chance. And decode one batch, and
# read it.
#
# ### Exercise: a loss that is too good
#
# *Easy, 5 minutes.* The loss falls below log 2 at once and goes on falling; the accuracy stays at
# one half. First the recorded run, then an untrained model of the kind:
#
# <details><summary>Your guess first, then look</summary>With <code>num_labels=1</code> the library
# trains a <em>regression</em> with squared error, without a word; and <code>argmax</code> over one
# logit is always 0. Cross-entropy costs at least log 2 for each wrong answer, so a loss below 0.35
# with half of the answers wrong cannot be one.</details>
# <details><summary>Hint</summary>Two classes, two logits. Labels 1 and 2 would ask for a third:
# they should be 0 and 1.</details>

# %%
sizes = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
model = BertForSequenceClassification(BertConfig(vocab_size=2_000, num_labels=1, **sizes)).eval()

# %%
batch = encode_batch(
    encoder.tokenizer, [(reviews.texts[i], ("neg", "pos")[reviews.labels[i]]) for i in range(64)]
)
history = clinic.recorded("loss is not cross-entropy")
mean_accuracy = sum(history["accuracy"]) / len(history["accuracy"])

# %%
print(
    f"recorded: loss {history['loss'][0]:.2f} to {history['loss'][-1]:.2f}, "
    f"accuracy of all batches {mean_accuracy:.0%}"
)
with torch.no_grad():
    out = model(**batch)

# %%
print(
    f"untrained: logits {tuple(out.logits.shape)}, loss {out.loss:.3f}, "
    f"answers {out.logits.argmax(1).unique().tolist()}"
)


# %%
def make_classifier(vocab_size):
    """A small BERT for two classes, whose own loss is cross-entropy; sizes as above."""
    ### BEGIN SOLUTION
    return BertForSequenceClassification(BertConfig(vocab_size=vocab_size, num_labels=2, **sizes))
    ### END SOLUTION


make_classifier = checks.clinic.make_classifier(make_classifier)

# %% [markdown]
# **So that it cannot come back:** an untrained classifier's loss is about log(number of classes).
# Look at it before you train.
#
# ### Exercise: whatever came last
#
# *Medium, 6 minutes.* IMDB's folders come one after the other, so whoever reads them in turn gets
# one label first and then the other; here all positive reviews, then all negative ones. A
# bag-of-words classifier trained for one epoch in that order got
# {{result:clinic_imdb.json:sorted.value:.1%}} of the test reviews right (three seeds), with a last
# training loss of
# {{result:clinic_imdb.json:sorted_last_loss:.3f}}; shuffled,
# {{result:clinic_imdb.json:shuffled.value:.1%}} ({{result:clinic_imdb.json:shuffled.low:.1%}} to
# {{result:clinic_imdb.json:shuffled.high:.1%}}). Of {{result:clinic_imdb.json:batches:,d}} batches {{result:clinic_imdb.json:mixed_batches}} held both labels.
#
# <details><summary>What happens?</summary>In the second half everything is negative. The model
# learns the cheapest thing that is true there, “negative”, and forgets the rest.</details>
# <details><summary>Hint</summary>One permutation for both lists, from a generator of its own with
# this seed. Not a shuffle inside each batch: a batch of one label stays one.</details>


# %%
def broken_shuffle(texts, labels, seed):
    """Texts and labels in the order of an epoch."""
    pairs = sorted(zip(texts, labels), key=lambda pair: -pair[1])
    return [text for text, _ in pairs], [label for _, label in pairs]


# %%
def score_order(order):
    """Test accuracy after one epoch, in batches of 16, in this order."""
    texts, labels = order(reviews.texts, reviews.labels.tolist(), 0)
    counter = bag_of_words()[0].fit(texts)
    model = SGDClassifier(loss="log_loss", learning_rate="constant", eta0=0.5, random_state=0)
    for start in range(0, len(texts), 16):
        model.partial_fit(
            counter.transform(texts[start : start + 16]), labels[start : start + 16], classes=[0, 1]
        )
    return model.score(counter.transform(held.texts), held.labels)


# %%
def shuffled(texts, labels, seed):
    """Texts and labels in a random order that is a function of the seed; each review once, with its
    label.
    """
    ### BEGIN SOLUTION
    order = torch.randperm(len(texts), generator=torch.Generator().manual_seed(seed)).tolist()
    return [texts[i] for i in order], [labels[i] for i in order]
    ### END SOLUTION


shuffled = checks.clinic.shuffled(shuffled)

# %%
print(
    held.title("test accuracy"),
    f"sorted {score_order(broken_shuffle):.0%}, shuffled {score_order(shuffled):.0%}",
)

# %% [markdown]
# **So that it cannot come back:** print the labels of the first three batches.
#
# ### Exercise: what was never read
#
# *Easy, 4 minutes.* “`padding='max_length'` at 128 tokens wastes time on padding.” On IMDB
# {{result:bert_data.json:imdb.longer.128:.0%}} of the reviews are longer than 128 tokens, so there
# is hardly any padding to waste. What is wasted instead?
#
# <details><summary>Your guess first, then look</summary>The text:
# {{result:bert_data.json:imdb.cut.128:.1%}} of all tokens are cut off, and a reviewer's verdict
# often stands at the end. Even at 512 it is {{result:bert_data.json:imdb.cut.512:.0%}}.</details>
# <details><summary>Hint</summary>Of <em>tokens</em>, not of reviews: add up, then divide
# once.</details>


# %%
def share_cut(lengths, limit):
    """Share of all tokens, in [0, 1], that a limit throws away; lengths: tokens of each text,
    before the cut.
    """
    ### BEGIN SOLUTION
    return sum(max(0, n - limit) for n in lengths) / sum(lengths)
    ### END SOLUTION


share_cut = checks.clinic.share_cut(share_cut)

# %% [markdown]
# **So that it cannot come back:** whatever preprocessing throws away, count it, in the unit that
# the model reads.
#
# ## On paper
#
# ### A proof that ends in 0
#
# “The value of the game at its solution is 0.” Here is the derivation, a line each, for
# probabilities p and q and $m = (p+q)/2$. Lesson 1 says −log 4. A derivation is a program: *run
# it*. Which line is the first that does not equal the one above?


# %%
def best_log(p, q):
    """Mean over p of log D, for D = p / (p + q)."""
    return (p * torch.log(p / (p + q))).sum()


# %%
def to_middle(p, q):
    """The same with the mean m of both distributions in place of their sum, without the
    constant.
    """
    return (p * torch.log(2 * p / (p + q))).sum()


# %%
proof = [
    lambda p, q: (best_log(p, q) + best_log(q, p)).item(),  # V at the best D
    lambda p, q: (
        to_middle(p, q) + to_middle(q, p) - 2 * math.log(2)
    ).item(),  # p / (p + q) = p / 2m
    lambda p, q: (
        ((p * p / (p + q) * 2).sum().log() + (q * q / (p + q) * 2).sum().log()).item()
        - 2 * math.log(2)
    ),
    lambda p, q: math.log(p.sum() * q.sum()),  # log 1 = 0
]

# %%
points = [(p_data, p_data), (p_data, elsewhere)]
for k, line in enumerate(proof):
    print(f"line {k}:", *(f"{line(*point):+.4f}" for point in points))

# %% [markdown]
# ### Exercise: the first line that does not follow
#
# *Medium, 10 minutes.* Write the tool that finds it, for any chain of lines.
#
# <details><summary>Your guess first, then look</summary>Line 2: the logarithm was pulled out of the
# mean, and Jensen forbids it. At p = q (left column) the line still agrees: a symmetric point hides
# errors.</details>
# <details><summary>Hint</summary>Compare with the line <em>above</em>, at <em>every</em> point,
# with <code>math.isclose(..., rel_tol=1e-6, abs_tol=1e-9)</code>.</details>


# %%
def first_break(lines, points):
    """Index of the first line (function of a point's entries) that differs from the one above at
    any point, or None.
    """
    ### BEGIN SOLUTION
    for k in range(1, len(lines)):
        if not all(
            math.isclose(lines[k](*p), lines[k - 1](*p), rel_tol=1e-6, abs_tol=1e-9) for p in points
        ):
            return k
    return None
    ### END SOLUTION


first_break = checks.clinic.first_break(first_break)

# %% [markdown]
# **So that it cannot come back:** before you believe a derivation, evaluate both sides of each line
# at random points, none of them symmetric.
#
# ### Exercise: is 95.5 % plausible?
#
# *Easy, 5 minutes.* A tutorial reports 95.5 % on IMDB's 25,000 test reviews: BERT-base, 128 tokens,
# five epochs. A tuned fine-tuning with 512 tokens has 94.6 % ([Sun et al.
# 2019](https://arxiv.org/abs/1905.05583), table 6). Nine tenths of a point: luck?
#
# <details><summary>Your guess first, then look</summary>Six standard errors. Not luck; and the
# weaker set-up should do <em>worse</em>. What remains: tuned on the test set, other data, or never
# measured.</details>
# <details><summary>Hint</summary>A share p of n has the standard error √(p(1 − p)/n).</details>


# %%
def errors_apart(claimed, known, n):
    """How many standard errors a claimed accuracy lies above a known one (both in [0, 1]), on n
    examples.
    """
    ### BEGIN SOLUTION
    return (claimed - known) / math.sqrt(known * (1 - known) / n)
    ### END SOLUTION


errors_apart = checks.clinic.errors_apart(errors_apart)
print(f"{errors_apart(0.955, 0.946, 25_000):.1f} standard errors")

# %% [markdown]
# ### Exercise: did this model write that?
#
# *Medium, 6 minutes.* “Output of GPT-2” for the prompt *Language models are*, at most 12 tokens in
# all: see below. GPT-2's training text holds no links from after December 2017 ([Radford et al.
# 2019](https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf),
# section 2.1). Which three promises are broken?
#
# <details><summary>Your guess first, then look</summary>A generator <em>continues</em>: its output
# starts with the prompt. The limit counts prompt and continuation. And nobody in 2017 had heard of
# GPT-3.</details>
# <details><summary>Hint</summary><code>startswith</code>, a count, and a walk over
# <code>years.items()</code>.
# A text that reaches the limit exactly is fine.</details>


# %%
def objections(prompt, text, limit, count, years, trained):
    """Which of {"prompt", "length", "date"} speak against a text.

    count(text) gives its tokens; years: name -> first year; trained: last year of the training
    text.
    """
    ### BEGIN SOLUTION
    late = any(name in text for name, year in years.items() if year > trained)
    broken = {"prompt": not text.startswith(prompt), "length": count(text) > limit, "date": late}
    return {name for name, yes in broken.items() if yes}
    ### END SOLUTION


objections = checks.clinic.objections(objections)
claim = (
    "In recent years language models like GPT-3 have learned to write whole essays on any subject."
)
first_years = {"BERT": 2018, "GPT-2": 2019, "GPT-3": 2020}
print(
    sorted(
        objections(
            "Language models are",
            claim,
            12,
            lambda text: len(text.split()),
            first_years,
            trained=2017,
        )
    )
)

# %% [markdown]
# (Words undercount tokens, so the length alone is proof enough.)
#
# ### Exercise: can this address exist?
#
# *Easy, 4 minutes.* As evidence for its faces, a tutorial shows a picture at
# `.../wikipedia/commons/7/79/Generated_faces_epoch_5.png`. Wikimedia files a picture under the MD5
# digest of its name: first digit, then first two
# ([manual](https://www.mediawiki.org/wiki/Manual:$wgHashedUploadDirectory)). No network is needed
# to doubt.
#
# <details><summary>Hint</summary><code>hashlib.md5(name.encode()).hexdigest()</code>, ending and
# underscores included. <code>Example.jpg</code> lies in <code>a/a9</code>.</details>


# %%
def commons_folder(name):
    """The folder in which Wikimedia keeps a file of this name, such as "a/a9"."""
    ### BEGIN SOLUTION
    digest = hashlib.md5(name.encode()).hexdigest()
    return f"{digest[0]}/{digest[:2]}"
    ### END SOLUTION


commons_folder = checks.clinic.commons_folder(commons_folder)
print("it would have to be in", commons_folder("Generated_faces_epoch_5.png"))

# %% [markdown]
# ## Healthy: looks wrong, is right
#
# ### Exercise: prove that it is broken, first
#
# *Hard, 10 minutes.* The next step fills one label tensor in place, makes the fakes a second time,
# and takes more noise than data. Three complaints that you will hear in reviews. Is it ill? Do not
# argue: write the test that tells whether two steps *train alike*.
#
# <details><summary>Hint 1</summary>Give each step its own players, <code>make_players()</code>
# (always the same start), and play <em>all</em> batches.</details>
# <details><summary>Hint 2</summary>Compare all weights of <em>both</em> networks at the end, up to
# rounding: <code>torch.allclose(a, b, atol=1e-6)</code>.</details>


# %%
def suspicious_step(generator, discriminator, g_optimizer, d_optimizer, real, noise):
    """One step of both players on logits. Returns both losses."""
    labels, bce = torch.empty(len(real), 1), F.binary_cross_entropy_with_logits
    d_optimizer.zero_grad()
    real_loss = bce(discriminator(real), labels.fill_(1.0))
    real_loss.backward()
    labels = torch.empty(len(noise), 1)
    fake_loss = bce(discriminator(generator(noise).detach()), labels.fill_(0.0))
    fake_loss.backward()
    d_optimizer.step()
    g_loss = bce(discriminator(generator(noise)), labels.fill_(1.0))
    g_optimizer.zero_grad()
    g_loss.backward()
    g_optimizer.step()
    return (real_loss + fake_loss).item(), g_loss.item()


# %%
def same_training(step, other, make_players, batches):
    """Whether two training steps lead to the same weights (bool).

    make_players() gives generator, discriminator and their optimisers; batches: list of (real,
    noise).
    """
    ### BEGIN SOLUTION
    ends = []
    for play in (step, other):
        players = make_players()
        for real, noise in batches:
            play(*players, real, noise)
        ends.append(
            torch.cat([p.detach().flatten() for net in players[:2] for p in net.parameters()])
        )
    return torch.allclose(ends[0], ends[1], atol=1e-6)
    ### END SOLUTION


same_training = checks.clinic.same_training(same_training)

# %%
batches = [(torch.randn(n, 1), torch.randn(8, 2)) for n in (8, 5, 1)]
for name, step in (("suspicious", suspicious_step), ("gradients swept up late", broken_gan_step)):
    print(
        f"{name}: trains like the right step? "
        f"{same_training(step, gan_step, make_players, batches)}"
    )

# %% [markdown]
# All three complaints are void: each loss had gone backward before its labels were overwritten; the
# same noise gives the same fakes; two means do not mind different sizes. Two more decoys from text,
# in one cell: BERT without `token_type_ids`, and padding to the full length.

# %%
classifier = make_classifier(2_000).eval()

# %%
plain = encode_batch(encoder.tokenizer, [("a moving film", "pos"), ("dull", "neg")])
ids, mask = plain["input_ids"], plain["attention_mask"]
with torch.no_grad():
    short = classifier(input_ids=ids, attention_mask=mask).logits
    typed = classifier(
        input_ids=ids, attention_mask=mask, token_type_ids=torch.zeros_like(ids)
    ).logits
    long = classifier(input_ids=F.pad(ids, (0, 90)), attention_mask=F.pad(mask, (0, 90))).logits

# %%
assert torch.allclose(short, typed, atol=1e-6) and torch.allclose(short, long, atol=1e-5)
print("the same logits with and without token_type_ids, and with 90 more places of padding")

# %% [markdown]
# ## What a trace can tell
#
# `diagnose` reads histories: of GANs since lesson 1, and also of VAEs (`nll`, `kl`) and classifiers
# (`loss`, `accuracy`). Here it reads every recorded run. It must name the ill and leave the healthy
# and the decoys in peace:

# %%
for name in clinic.recorded_names():
    histories = clinic.recorded_all(name)
    found = sorted({finding.name for history in histories for finding in diagnose(history)})
    print(f"{len(histories):3} x {name:32} -> {', '.join(found)}")

# %% [markdown]
# Two of its rules are theorems: a divergence has no negative values, and a wrong answer between two
# classes costs at least log 2 nats. But most cases of this lesson leave **no** trace in any curve:
# a leaked label, a changed default, cut text, a wrong number on paper. Those need a test, or a
# doubt.
#
# ## Your checklist
#
# The page below is yours: ticks stand where you mended a case yourself. Add notes in your own
# words, run the cell again, and keep it.

# %%
notes = {"7.5": "The message names the victim, not the culprit."}  # your own lines, by exercise
page = clinic.checklist(globals(), notes)
display(Markdown(page))
print("saved in the folder of your runs as", clinic.save_checklist(page).name)

# %% [markdown]
# ## Questions
#
# **1. A network of yours stops with “… modified by an inplace operation”. First thing to do?** (a)
# `retain_graph=True` (b) `inplace=False` in all activations (c) look for an optimiser's step
# between a forward pass and its backward (d) `detach()` everywhere
#
# <details><summary>Answer</summary>(c): a step changes weights in place. (a) keeps graphs alive,
# not weights unchanged. (b) helps only where an activation really overwrites what is needed. (d)
# cuts gradients that you may want.</details>
#
# **2. Which test separates right from wrong?** (a) the loss is finite (b) both networks' weights
# change (c) a KL is 0 at p = q (d) three SGD steps equal those of an independent implementation
#
# <details><summary>Answer</summary>(d). (a) holds for most patients of this lesson. (b) holds for
# most broken steps. (c) holds for every wrong direction and factor: never test at a symmetric point
# only.</details>
#
# **3. Training accuracy is 100 % after two batches.** (a) celebrate (b) draw the labels by lot and
# train again (c) lower the learning rate (d) train longer
#
# <details><summary>Answer</summary>(b): if it stays, the label is in the input. (a) may be
# premature. (c) and (d) change how fast, not what, is learned.</details>
#
# **4. Sigmoid at the generator's end, pictures in [−1, 1].** (a) fine, both are bounded (b) D sees
# dark pixels that G can never make (c) G cannot make bright pixels (d) only the colours are off
#
# <details><summary>Answer</summary>(b): everything below 0 is real. (a) the bounds differ. (c)
# Sigmoid reaches 1. (d) D wins by one pixel; it is not about looks.</details>
#
# ## Recap
#
# You read messages for their causes instead of their advice, recognised programs that run, look
# right and are wrong, wrote tests that separate right from wrong, doubted numbers, texts and
# pictures in the right places, and left alone what was not broken.
#
# **What this did not show.** Faults of hardware, memory and parallel runs; faults that need a
# full-size model to appear; and your own, next week. Cases here are small on purpose: in a real
# program the hardest part is to make the case small.
#
# **Sources.** Goodfellow et al. 2014, [arXiv 1406.2661](https://arxiv.org/abs/1406.2661), equation
# 1, algorithm 1, theorem 1 · Radford et al. 2016, [arXiv
# 1511.06434](https://arxiv.org/abs/1511.06434), sections 3 and 4 · Kingma and Welling 2014, [arXiv
# 1312.6114](https://arxiv.org/abs/1312.6114), equation 3, appendix B · Devlin et al. 2019, [arXiv
# 1810.04805](https://arxiv.org/abs/1810.04805), section 3 · Sun et al. 2019, [arXiv
# 1905.05583](https://arxiv.org/abs/1905.05583), table 6 · Radford et al. 2019, *Language Models are
# Unsupervised Multitask Learners*, section 2.1.
#
# **Next:** your own program. Take the checklist along.
