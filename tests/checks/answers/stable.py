"""Lesson 08: right and wrong answers to its exercises."""

import copy
from collections import namedtuple

import torch
import torch.nn.functional as F
from torch import nn

from answers import book

RIGHT, WRONG, right, wrong = book()
Losses = namedtuple("Losses", ["d", "g"])


# ---- spectral_norm


@right("spectral_norm")
def norm_by_normalize(weight, u, steps):
    matrix = weight.flatten(1)
    with torch.no_grad():
        for _ in range(steps):
            v = F.normalize(matrix.T @ u, dim=0)
            u = F.normalize(matrix @ v, dim=0)
    return u @ matrix @ v, u


@right("spectral_norm")
def norm_of_a_product(weight, u, steps):
    """The length of W v instead of uᵀ W v: the same number, and the same gradient."""
    matrix, fixed = weight.reshape(len(weight), -1), weight.detach().reshape(len(weight), -1)
    for _ in range(steps):
        v = fixed.t().mv(u)
        v = v / v.norm()
        u = fixed.mv(v)
        u = u / u.norm()
    return matrix.mv(v).norm(), u


@right("spectral_norm")
def norm_by_einsum(weight, u, steps):
    fixed, count = weight.detach().double(), 0
    u = u.double()
    while count < steps:
        v = torch.einsum("oi,o->i", fixed.flatten(1), u)
        v = v / (v.norm() + 1e-12)
        u = torch.einsum("oi,i->o", fixed.flatten(1), v)
        u = u / (u.norm() + 1e-12)
        count += 1
    sigma = torch.einsum("o,oi,i->", u.float(), weight.flatten(1), v.float())
    return sigma, u.float()


@right("spectral_norm")
class NormAsAnObject:
    """A class with `__new__`: the pair, by the convolution's own shape."""

    def __new__(cls, weight, u, steps):
        fixed = weight.data
        for _ in range(steps):
            v = (fixed * u.view(-1, *[1] * (weight.dim() - 1))).sum(0)
            v = v / v.square().sum().sqrt()
            u = (fixed * v).flatten(1).sum(1)
            u = u / u.square().sum().sqrt()
        return (weight * v).flatten(1).sum(1).dot(u), u.clone()


def iterated(
    weight,
    u,
    steps,
    flat=lambda w: w.flatten(1),
    sigma=lambda w, before, v, u: u @ w @ v,
    back=lambda before, v, u: u,
    unit=lambda x: F.normalize(x, dim=0),
    guard=torch.no_grad,
):
    """The right search but for what is given."""
    matrix = flat(weight)
    with guard():
        for _ in range(steps):
            before = u
            v = unit(matrix.T @ u)
            u = unit(matrix @ v)
    return sigma(matrix, before, v, u), back(before, v, u)


def search(**parts):
    return lambda weight, u, steps: iterated(weight, u, steps, **parts)


def in_place(weight, u, steps):
    matrix = weight.flatten(1)
    with torch.no_grad():
        for _ in range(steps):
            v = F.normalize(matrix.T @ u, dim=0)
            u.copy_(F.normalize(matrix @ v, dim=0))
    return u @ matrix @ v, u


def from_a_draw(weight, u, steps):
    return iterated(weight, F.normalize(torch.randn_like(u), dim=0), steps)


def from_ones(weight, u, steps):
    return iterated(weight, F.normalize(torch.ones_like(u), dim=0), steps)


def exact(weight, u, steps):
    matrix = weight.flatten(1)
    return torch.linalg.svdvals(matrix)[0], torch.linalg.svd(matrix.detach())[0][:, 0]


def of_each_kernel(weight, u, steps):
    return torch.linalg.matrix_norm(weight, 2).max(), u


def unit_at_the_end(weight, u, steps):
    matrix = weight.detach().flatten(1)
    for _ in range(steps):
        v = matrix.T @ u
        u = matrix @ v
    v, u = F.normalize(v, dim=0), F.normalize(u, dim=0)
    return u @ weight.flatten(1) @ v, u


@torch.no_grad()
def all_without_gradients(weight, u, steps):
    return iterated(weight, u, steps)


WRONG["spectral_norm"] += [
    (lambda w, u, steps: iterated(w, u, min(steps, 5)), "in *every* step"),
    (search(flat=lambda w: w), "not flattened to a matrix"),
    (search(flat=lambda w: w.flatten(0, -2)), "not flattened to a matrix"),
    (of_each_kernel, "not flattened to a matrix"),
    (search(flat=lambda w: w.view(len(w), -1)), "another order in memory"),
    (search(back=lambda before, v, u: before), "begin again from nothing"),
    (lambda w, u, steps: (iterated(w, u, steps)[0], u), "begin again from nothing"),
    (from_a_draw, "hundreds from a random one"),
    (from_ones, "hundreds from a random one"),
    (search(back=lambda before, v, u: v), "with the inputs' numbers"),
    (lambda w, u, steps: iterated(w, u, steps)[::-1], "Sigma comes first"),
    (lambda w, u, steps: iterated(w, u, steps)[0], "Return both"),
    (search(guard=torch.enable_grad), "constants for the gradient"),
    (
        lambda w, u, steps: (
            iterated(w, u, steps, guard=torch.enable_grad)[0],
            iterated(w, u, steps)[1],
        ),
        "constants for the gradient",
    ),
    (all_without_gradients, "lost its path"),
    (search(sigma=lambda w, before, v, u: (u @ w @ v).detach()), "lost its path"),
    (search(sigma=lambda w, before, v, u: before @ w @ v), "Half a step early"),
    (search(sigma=lambda w, before, v, u: (w.T @ before).norm()), "Half a step early"),
    (search(sigma=lambda w, before, v, u: (w @ v).square().sum()), "eigenvalue of W Wᵀ"),
    (search(sigma=lambda w, before, v, u: 1 / (u @ w @ v)), "the layer divides by it"),
    (exact, "Exact, and too dear"),
    (lambda w, u, steps: (w.norm(), iterated(w, u, steps)[1]), "Frobenius"),
    (lambda w, u, steps: (w.abs().max(), iterated(w, u, steps)[1]), "largest number in the kernel"),
    (lambda w, u, steps: iterated(w, u, 1), "One step, whatever"),
    (lambda w, u, steps: iterated(w, u, steps + 1), "One step too many"),
    (lambda w, u, steps: iterated(w, u, max(1, steps - 1)), "One step too few"),
    (search(sigma=lambda w, before, v, u: (w @ v) @ (w @ v)), "eigenvalue of W Wᵀ"),
    (search(back=lambda before, v, u: 2 * u), "by hand for W = diag"),
    (unit_at_the_end, "in *every* step"),
    (search(unit=lambda x: x / (x.norm() + 1e-2)), "by hand for W = diag"),
    (in_place, "caller's u was overwritten"),
    (search(sigma=lambda w, before, v, u: (u @ w @ v).item()), "nothing around it"),
    (search(sigma=lambda w, before, v, u: (u @ w @ v)[None]), "One number: uᵀ W v"),
]


# ---- hinge_losses


@right("hinge_losses")
def hinge_by_relu(real_logits, fake_logits):
    return F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean(), -fake_logits.mean()


@right("hinge_losses")
def hinge_by_clamp(real_logits, fake_logits):
    d_loss = (1 - real_logits).clamp(min=0).sum() / len(real_logits)
    d_loss = d_loss + (fake_logits + 1).clamp(min=0).sum() / len(fake_logits)
    return [d_loss, fake_logits.neg().mean()]


@right("hinge_losses")
def hinge_in_a_loop(real_logits, fake_logits):
    of_real = [1 - a if a < 1 else 0 * a for a in real_logits]
    of_fake = [1 + a if a > -1 else 0 * a for a in fake_logits]
    d_loss = sum(of_real) / len(of_real) + sum(of_fake) / len(of_fake)
    return d_loss, -sum(fake_logits) / len(fake_logits)


@right("hinge_losses")
def hinge_by_the_library(real_logits, fake_logits):
    loss = F.hinge_embedding_loss
    ones = torch.ones_like
    d_loss = loss(1 + fake_logits * 0 + fake_logits, ones(fake_logits), reduction="none")
    return (
        torch.where(1 - real_logits > 0, 1 - real_logits, 0.0).mean()
        + torch.where(d_loss > 0, d_loss, 0.0).mean(),
        -torch.mean(fake_logits),
    )


def d_hinge(r, f):
    return F.relu(1 - r).mean() + F.relu(1 + f).mean()


def hinge_as_found(r, f):
    """The page's broken one."""
    return torch.cat([F.relu(1 - r), F.relu(1 - f)]).mean(), F.relu(-f - 4).mean()


def one_mean(r, f):
    return torch.cat([F.relu(1 - r), F.relu(1 + f)]).mean(), -f.mean()


def two_as_named(r, f):
    """A tuple with names is a tuple."""
    return Losses(*hinge_by_relu(r, f))


WRONG["hinge_losses"] += [
    (lambda r, f: (d_hinge(r, f), F.relu(1 - f).mean()), "G's loss has no ReLU"),
    (lambda r, f: (d_hinge(r, f), F.relu(-f).mean()), "G's loss has no ReLU"),
    (lambda r, f: (d_hinge(r, f), -(1 + f).clamp_min(0).mean()), "G's loss has no ReLU"),
    (hinge_as_found, "Two things in one line"),
    (one_mean, "One mean over the joined batch"),
    (lambda r, f: (d_hinge(r, f), hinge_as_found(r, f)[1]), "G's loss has no ReLU"),
    (lambda r, f: (d_hinge(-r, -f), -f.mean()), "what is missing; fakes"),
    (lambda r, f: (d_hinge(r, -f), -f.mean()), "what is missing; fakes"),
    (
        lambda r, f: (F.relu(r - 1).mean() + F.relu(-1 - f).mean(), -f.mean()),
        "what is missing; fakes",
    ),
    (lambda r, f: (-d_hinge(r, f), -f.mean()), "both losses are minimised"),
    (lambda r, f: (d_hinge(r, f), f.mean()), "*lowers* D's opinion"),
    (lambda r, f: (d_hinge(r, f), -d_hinge(r, f)), "not minus D's"),
    (lambda r, f: (-f.mean(), d_hinge(r, f)), "are exchanged"),
    (lambda r, f: (d_hinge(r, f) / 2, -f.mean()), "Half of it"),
    (lambda r, f: (d_hinge(r, f), -f.mean() / 2), "Half of it"),
    (lambda r, f: (F.relu(1 - r).sum() + F.relu(1 + f).sum(), -f.mean()), "grows with the batch"),
    (lambda r, f: (d_hinge(r, f), -f.sum()), "grows with the batch"),
    (lambda r, f: (F.relu(1 - r.mean()) + F.relu(1 + f.mean()), -f.mean()), "ReLU of a mean"),
    (lambda r, f: (f.mean() - r.mean(), -f.mean()), "Wasserstein"),
    (lambda r, f: (2 + f.mean() - r.mean(), -f.mean()), "Wasserstein"),
    (lambda r, f: (F.relu(-r).mean() + F.relu(f).mean(), -f.mean()), "The margin is 1"),
    (
        lambda r, f: (F.relu(1 - r).pow(2).mean() + F.relu(1 + f).pow(2).mean(), -f.mean()),
        "Squared: the hinge",
    ),
    (lambda r, f: (F.softplus(-r).mean() + F.softplus(f).mean(), -f.mean()), "has a corner"),
    (lambda r, f: (d_hinge(r.sigmoid(), f.sigmoid()), -f.mean()), "sigmoids are too much"),
    (lambda r, f: (F.relu(1 - r).mean(), -f.mean()), "Only the real logits"),
    (lambda r, f: (F.relu(1 + f).mean(), -f.mean()), "Only the fake logits"),
    (lambda r, f: d_hinge(r, f), "Return both losses"),
    (lambda r, f: (F.relu(1 - r) + F.relu(1 + f[:1]), -f.mean()), "a mean over its logits"),
    (lambda r, f: (d_hinge(r, f), -f.detach().mean()), "no gradient passes"),
    (lambda r, f: (d_hinge(r, f.detach()), -f.mean()), "no gradient passes"),
    (lambda r, f: (d_hinge(r, f) + 0.5, -f.mean()), "lacks 0.7 to the margin"),
    (lambda r, f: (d_hinge(r.clamp(-9, 9), f), -f.mean()), "lacks 0.7 to the margin"),
]


RIGHT["hinge_losses"].append(two_as_named)


# ---- gradient_penalty


def shaped(alpha, real):
    return alpha.view(-1, *[1] * (real.dim() - 1))


def between(real, fake, alpha):
    return shaped(alpha, real) * real + (1 - shaped(alpha, real)) * fake


def gradients(network, x, of=torch.sum, graph=True):
    x = x.detach().clone().requires_grad_(True)
    return torch.autograd.grad(of(network(x)), x, create_graph=graph)[0]


def to_one(gradient):
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()


@right("gradient_penalty")
def penalty_by_rows(critic, real, fake, alpha):
    return to_one(gradients(critic, between(real, fake, alpha)))


@right("gradient_penalty")
def penalty_in_a_loop(critic, real, fake, alpha):
    total = 0
    for r, f, a in zip(real, fake, alpha, strict=True):
        x = (a * r + (1 - a) * f)[None].requires_grad_()
        (gradient,) = torch.autograd.grad(critic(x)[0], x, create_graph=True)
        total = total + (gradient.square().sum().sqrt() - 1) ** 2
    return total / len(real)


@right("gradient_penalty")
def penalty_with_grad_outputs(critic, real, fake, alpha):
    """As in much published code: ones for the outputs' gradients, a small number under the root."""
    x = torch.lerp(fake, real, shaped(alpha, real)).requires_grad_(True)
    scores = critic(x)
    gradient = torch.autograd.grad(
        outputs=scores,
        inputs=x,
        grad_outputs=torch.ones_like(scores),
        create_graph=True,
        retain_graph=True,
    )[0].reshape(len(x), -1)
    return ((torch.sqrt(torch.sum(gradient**2, dim=1) + 1e-12) - 1) ** 2).mean()


@right("gradient_penalty")
def penalty_by_functions(critic, real, fake, alpha):
    single = lambda x: critic(x[None])[0]  # noqa: E731
    gradient = torch.vmap(torch.func.grad(single))(between(real, fake, alpha))
    length = torch.einsum("bi,bi->b", gradient.flatten(1), gradient.flatten(1)).sqrt()
    return F.mse_loss(length, torch.ones_like(length))


def scored(reduce, **how):
    return lambda critic, r, f, a: reduce(gradients(critic, between(r, f, a), **how))


def asked(place):
    return lambda critic, r, f, a: to_one(gradients(critic, place(r, f, a)))


def with_backward(critic, r, f, a):
    x = between(r, f, a).requires_grad_(True)
    critic(x).sum().backward(create_graph=True)
    return to_one(x.grad)


def of_the_caller(critic, r, f, a):
    r.requires_grad_(True)
    return to_one(torch.autograd.grad(critic(r).sum(), r, create_graph=True)[0])


def never_asked(critic, r, f, a):
    return to_one(torch.autograd.grad(critic(between(r, f, a)).sum(), r, create_graph=True)[0])


def of_another(critic, r, f, a):
    x = between(r, f, a).requires_grad_(True)
    logits = critic(x.clone().detach()).sum()
    return to_one(torch.autograd.grad(logits, x, create_graph=True)[0])


def with_own_alpha(critic, r, f, a):
    return penalty_by_rows(critic, r, f, torch.rand_like(a))


WRONG["gradient_penalty"] += [
    (with_own_alpha, "`alpha` is an argument"),
    (scored(lambda g: (g.norm() - 1) ** 2), "One length for the whole batch"),
    (asked(lambda r, f, a: a[0] * r + (1 - a[0]) * f), "same share of its way"),
    (asked(lambda r, f, a: a.mean() * r + (1 - a.mean()) * f), "same share of its way"),
    (asked(lambda r, f, a: torch.lerp(f, r, 0.5)), "Always half-way"),
    (scored(to_one, graph=False), "`create_graph=True`"),
    (lambda c, r, f, a: penalty_by_rows(c, r, f, a).detach(), "`create_graph=True`"),
    (asked(lambda r, f, a: r), "real examples only"),
    (asked(lambda r, f, a: f), "generated examples only"),
    (asked(lambda r, f, a: between(f, r, a)), "real and fake are exchanged"),
    (asked(lambda r, f, a: a * r + (1 - a) * f), "alpha has B numbers"),
    (
        asked(lambda r, f, a: a.view(-1, 1, 1, 1) * r + (1 - a.view(-1, 1, 1, 1)) * f),
        "as many dimensions",
    ),
    (asked(lambda r, f, a: shaped(a, r) * r + f), "share is 1 - alpha"),
    (
        scored(lambda g: to_one(g.T) if g.dim() == 2 else to_one(g.transpose(0, 1))),
        "*across* the batch",
    ),
    (scored(lambda g: (g.flatten(1).norm(dim=1).mean() - 1) ** 2), "mean came too early"),
    (scored(lambda g: g.square().flatten(1).sum(1).mean()), "The 1 is missing"),
    (scored(lambda g: ((g.flatten(1) ** 2).sum(1) - 1).square().mean()), "root is missing"),
    (scored(lambda g: (g.flatten(1).norm(dim=1) - 1).abs().mean()), "not its absolute value"),
    (scored(lambda g: (g.flatten(1).norm(dim=1) - 1).mean()), "to 1 is not squared"),
    (scored(lambda g: (g.flatten(1).norm(dim=1) - 1).clamp_min(0).square().mean()), "One-sided"),
    (scored(lambda g: (g.flatten(1).norm(dim=1) - 1).square().sum()), "A sum over the batch"),
    (scored(lambda g: 10 * to_one(g)), "factor lambda"),
    (scored(to_one, of=torch.mean), "divides each gradient by B"),
    (scored(lambda g: (g.flatten(1).norm(p=1, dim=1) - 1).square().mean()), "Euclidean"),
    (
        scored(lambda g: (g.flatten(1).square().mean(1).sqrt() - 1).square().mean()),
        "over coordinates",
    ),
    (scored(lambda g: (g.norm(2, dim=1) - 1).square().mean()), "along the channels only"),
    (scored(lambda g: (g.flatten(1).norm(dim=1) - 1).square()), "what each example counts"),
    (scored(lambda g: to_one(g) + 0.1), "A plane of slope 3"),
    (with_backward, "`autograd.grad`"),
    (of_the_caller, "the point in between"),
    (never_asked, "needs a gradient before the critic"),
    (of_another, "that you differentiate by"),
    (lambda c, r, f, a: gradients(c, between(r, f, a), of=lambda y: y), "one number: the *sum*"),
]


# ---- measured_anew


def batch_norms(network):
    return [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]


@right("measured_anew")
def anew_by_momentum(network, labels, noise):
    twin = copy.deepcopy(network).train()
    for layer in batch_norms(twin):
        layer.momentum = 1.0
    with torch.no_grad():
        twin(noise, labels)
    return twin.eval()


@right("measured_anew")
def anew_by_reset(network, labels, noise):
    """Momentum None: the mean over all batches seen, and there is one; the graph is built for nothing."""
    twin = copy.deepcopy(network)
    for layer in twin.modules():
        if hasattr(layer, "running_mean"):
            layer.reset_running_stats()
            layer.momentum = None
    twin.train()(noise, labels)
    twin.train(False)
    return twin


@right("measured_anew")
def anew_by_many_passes(network, labels, noise):
    """0.9 to the power of 150 is nothing."""
    twin = copy.deepcopy(network).train()
    for _ in range(150):
        twin(noise, labels)
    return twin.eval()


@right("measured_anew")
def anew_by_hooks(network, labels, noise):
    """Biased variances, by hand, while the batch passes in evaluation mode."""
    twin = copy.deepcopy(network).eval()

    def look(layer, inputs):
        x = inputs[0]
        layer.running_mean.copy_(x.mean(dim=(0, 2, 3)))
        layer.running_var.copy_((x * x).mean(dim=(0, 2, 3)) - x.mean(dim=(0, 2, 3)) ** 2)

    handles = [layer.register_forward_pre_hook(look) for layer in batch_norms(twin)]
    with torch.inference_mode():
        twin(noise, labels)
    [handle.remove() for handle in handles]
    return twin


def anew(
    network,
    labels,
    noise,
    twin_of=copy.deepcopy,
    momentum=1.0,
    reset=False,
    train=True,
    end=True,
    run=lambda twin, noise, labels: twin(noise, labels),
    layers=lambda norms: norms,
    back=lambda twin: twin,
):
    """Right but for what is given."""
    twin = twin_of(network).train(train)
    for layer in layers(batch_norms(twin)):
        if reset:
            layer.reset_running_stats()
        layer.momentum = momentum
    with torch.no_grad():
        run(twin, noise, labels)
    return back(twin.eval() if end else twin)


def measured(**parts):
    return lambda network, labels, noise: anew(network, labels, noise, **parts)


def trained_a_little(twin, noise, labels):
    with torch.enable_grad():
        loss = twin(noise, labels).square().mean()
        loss.backward()
    torch.optim.SGD(twin.parameters(), 0.1).step()


def without_averages(network, labels, noise):
    twin = copy.deepcopy(network)
    for norm in batch_norms(twin):
        norm.track_running_stats, norm.running_mean, norm.running_var = False, None, None
    return twin.eval()


def anew_of_the_first(network, labels, noise):
    twin = copy.deepcopy(network).train()
    batch_norms(twin)[0].momentum = 1.0
    twin(noise, labels)
    return twin.eval()


WRONG["measured_anew"] += [
    (without_averages, "depends on the others beside it"),
    (measured(twin_of=lambda network: network), "which shares no layer with it"),
    (measured(twin_of=copy.copy), "which shares no layer with it"),
    (lambda network, labels, noise: network, "which shares no layer with it"),
    (measured(train=False), "The averages are the old ones"),
    (measured(momentum=0.0), "The averages are the old ones"),
    (measured(run=lambda twin, noise, labels: None), "The averages are the old ones"),
    (measured(momentum=0.1), "moved a tenth of the way: B"),
    (measured(momentum=0.1, reset=True), "from there: momentum is still"),
    (measured(reset=True, run=lambda twin, noise, labels: None), "as in a new network"),
    (measured(momentum=0.9), "share of the *new* batch"),
    (measured(momentum=None), "forget the earlier ones"),
    (anew_of_the_first, "Only the first BatchNorm"),
    (measured(end=False), "end with `.eval()`"),
    (measured(run=trained_a_little), "no weight moves"),
    (measured(run=lambda twin, z, y: twin(z, 0 * y)), "asked for as class 0"),
    (measured(run=lambda twin, z, y: twin(z, y.flip(0))), "goes with its own label"),
    (measured(run=lambda twin, z, y: twin(0 * z, y)), "all latent vectors were 0"),
    (measured(run=lambda twin, z, y: twin(y, z)), "noise first and labels second"),
    (
        measured(run=lambda twin, z, y: twin(torch.randn_like(z), y)),
        "goes through in training mode",
    ),
    (measured(back=lambda twin: (twin, 1)), "nothing around it"),
    (measured(back=lambda twin: twin.norms), "of the same layers"),
]


# ---- zero_centred_penalty


class evaluation:
    """Within this block a network is in evaluation mode; afterwards its layers have their modes back."""

    def __init__(self, network, put_back=True):
        self.modes = [(layer, layer.training) for layer in network.modules()]
        self.put_back = put_back

    def __enter__(self):
        for layer, _ in self.modes:
            layer.training = False

    def __exit__(self, *_):
        for layer, mode in self.modes if self.put_back else ():
            layer.training = mode


def squares(gradient):
    return gradient.square().flatten(1).sum(1).mean()


@right("zero_centred_penalty")
def centred_in_evaluation_mode(discriminator, x):
    with evaluation(discriminator):
        return squares(gradients(discriminator, x))


@right("zero_centred_penalty")
def centred_one_by_one(discriminator, x):
    with evaluation(discriminator):
        lengths = [gradients(discriminator, one).norm() ** 2 for one in x.split(1)]
    return sum(lengths) / len(x)


@right("zero_centred_penalty")
def centred_by_a_twin(discriminator, x):
    twin = copy.deepcopy(discriminator).eval()
    weights = dict(discriminator.named_parameters())
    network = lambda a: torch.func.functional_call(twin, weights, (a,))  # noqa: E731
    return squares(gradients(network, x))


@right("zero_centred_penalty")
def centred_with_norms_alone_in_evaluation_mode(discriminator, x):
    norms = [m for m in discriminator.modules() if isinstance(m, nn.BatchNorm2d) and m.training]
    for norm in norms:
        norm.eval()
    gradient = gradients(discriminator, x)
    for norm in norms:
        norm.train()
    return torch.einsum("bi,bi->", gradient.flatten(1), gradient.flatten(1)) / len(x)


def in_evaluation(reduce, put_back=True, **how):
    def answer(discriminator, x):
        with evaluation(discriminator, put_back):
            return reduce(gradients(discriminator, x, **how))

    return answer


def own_in_the_batch(discriminator, x):
    x = x.detach().clone().requires_grad_(True)
    rows = [torch.autograd.grad(a, x, create_graph=True)[0] for a in discriminator(x)]
    return torch.stack([row[i].square().sum() for i, row in enumerate(rows)]).mean()


def training_afterwards(discriminator, x):
    discriminator.eval()
    came = squares(gradients(discriminator, x))
    discriminator.train()
    return came


def centred_by_backward(discriminator, x):
    with evaluation(discriminator):
        x = x.detach().clone().requires_grad_(True)
        discriminator(x).sum().backward(create_graph=True)
        return squares(x.grad)


def on_the_callers_own(discriminator, x):
    with evaluation(discriminator):
        x.requires_grad_(True)
        return squares(torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)[0])


def through_the_generator(discriminator, x):
    with evaluation(discriminator):
        x = x if x.requires_grad else x.clone().requires_grad_(True)
        return squares(torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)[0])


def without_asking(discriminator, x):
    with evaluation(discriminator):
        return squares(torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)[0])


def by_another_copy(discriminator, x):
    with evaluation(discriminator):
        other = x.detach().clone().requires_grad_(True)
        logits = discriminator(x).sum()
        return squares(torch.autograd.grad(logits, other, create_graph=True)[0])


def for_pictures_alone(discriminator, x):
    with evaluation(discriminator):
        return gradients(discriminator, x).square().sum(dim=(1, 2, 3)).mean()


WRONG["zero_centred_penalty"] += [
    (lambda d, x: squares(gradients(d, x)), "BatchNorm mixes the batch"),
    (lambda d, x: squares(gradients(d.train(), x)), "BatchNorm mixes the batch"),
    (own_in_the_batch, "inside the batch"),
    (
        lambda d, x: torch.stack([squares(gradients(d, one)) for one in x.split(1)]).mean(),
        "that example's own mean",
    ),
    (in_evaluation(lambda g: g.flatten(1).norm(dim=1).mean()), "These are lengths"),
    (in_evaluation(to_one), "as WGAN-GP does"),
    (in_evaluation(lambda g: g.square().sum()), "squares of all examples"),
    (in_evaluation(lambda g: g.square().mean()), "A mean over coordinates"),
    (in_evaluation(squares, of=torch.mean), "by B twice"),
    (in_evaluation(lambda g: squares(g) / 2), "Half of it"),
    (in_evaluation(lambda g: g.flatten(1).sum(1).square().mean()), "Squared after the sum"),
    (in_evaluation(lambda g: g.mean(0).square().sum()), "opposite slopes cancel"),
    (in_evaluation(lambda g: g.square().sum(1).mean()), "along the channels only"),
    (in_evaluation(squares, of=lambda a: a.sigmoid().sum()), "slope of the probability"),
    (in_evaluation(lambda g: g.square().flatten(1).sum(1)), "what each example counts"),
    (in_evaluation(squares, put_back=False), "in which it was"),
    (training_afterwards, "in which it was"),
    (in_evaluation(squares, graph=False), "`create_graph=True`"),
    (lambda d, x: centred_in_evaluation_mode(d, x).detach(), "`create_graph=True`"),
    (centred_by_backward, "`autograd.grad`"),
    (on_the_callers_own, "ask it of a copy"),
    (through_the_generator, "G was pulled along"),
    (without_asking, "before D sees them"),
    (by_another_copy, "that you differentiate by"),
    (for_pictures_alone, "makes rows of both"),
    (in_evaluation(lambda g: squares(g) + 0.1), "A plane w · x"),
    (in_evaluation(squares, of=lambda a: a), "one number: the *sum*"),
]


# ---- smallest_game


class Line(nn.Module):
    """The lesson's critic."""

    def __init__(self):
        super().__init__()
        self.b = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return (self.b * x).sum(dim=1)


@right("smallest_game")
def game_by_two_gradients(penalty, rate, steps):
    critic, a = Line(), torch.ones(1, 1, requires_grad=True)
    path, data = [(1.0, 1.0)], torch.zeros(1, 1)
    for _ in range(steps):
        lead = critic(a).sum() - critic(data).sum()
        (of_a,) = torch.autograd.grad(-lead, a, retain_graph=True)
        (of_b,) = torch.autograd.grad(lead + penalty(critic, data, a.detach()), critic.b)
        with torch.no_grad():
            a -= rate * of_a
            critic.b -= rate * of_b
        path.append((a.item(), critic.b.item()))
    return torch.tensor(path)


@right("smallest_game")
def game_by_optimisers(penalty, rate, steps):
    critic, a = Line(), nn.Parameter(torch.ones(1, 1))
    g_optimizer, d_optimizer = torch.optim.SGD([a], rate), torch.optim.SGD([critic.b], rate)
    path = torch.ones(steps + 1, 2)
    for step in range(steps):
        fake = a.detach().clone()
        g_optimizer.zero_grad()
        (-critic(a)).sum().backward()
        d_optimizer.zero_grad()
        (critic(fake) - critic(torch.zeros(1, 1)) + penalty(critic, fake * 0, fake)).backward()
        g_optimizer.step()
        d_optimizer.step()
        path[step + 1] = torch.stack([a.detach().squeeze(), critic.b.detach().squeeze()])
    return path


@right("smallest_game")
def game_with_new_numbers(penalty, rate, steps):
    """A new point and a new critic in each step, in float64 at the end."""
    a, b, path = 1.0, 1.0, [[1.0, 1.0]]
    for _ in range(steps):
        critic, point = Line(), torch.full((1, 1), a)
        critic.b.data.fill_(b)
        loss = critic(point).sum() + penalty(critic, torch.zeros(1, 1), point)
        (of_b,) = torch.autograd.grad(loss, critic.b)
        a, b = a + rate * b, b - rate * of_b.item()
        path.append([a, b])
    return torch.tensor(path, dtype=torch.float64)


def played(
    penalty,
    rate,
    steps,
    *,
    order="at once",
    g_sign=1.0,
    d_sign=1.0,
    weight=1.0,
    lead=1.0,
    empty=True,
    first=True,
    drags=False,
    keep=lambda a, b: (a.item(), b.item()),
    end=torch.tensor,
):
    """The game with `backward`, right but for what is given."""
    critic, a = Line(), torch.ones(1, 1, requires_grad=True)
    b, data = critic.b, torch.zeros(1, 1)
    path = [keep(a, b)] if first else []

    def gradient_of_a():
        return torch.autograd.grad(-g_sign * critic(a).sum(), a)[0]

    def gradient_of_b():
        fake = a if drags else a.detach()
        loss = lead * (critic(fake) - critic(data)).sum() + weight * penalty(critic, data, fake)
        if not isinstance(loss, torch.Tensor):
            return torch.zeros(1), torch.zeros(1, 1)
        of_b = torch.autograd.grad(loss, b, retain_graph=True, allow_unused=True)[0]
        extra = penalty(critic, data, fake)
        moves = drags and isinstance(extra, torch.Tensor) and extra.requires_grad
        of_a = torch.autograd.grad(extra, a, allow_unused=True)[0] if moves else None
        return of_b if of_b is not None else 0 * b, 0 * a if of_a is None else of_a

    total_a, total_b = torch.zeros(1, 1), torch.zeros(1)
    for _ in range(steps):
        of_a = gradient_of_a()
        of_b, more = gradient_of_b()
        total_a, total_b = (total_a + of_a, total_b + of_b) if not empty else (of_a + more, of_b)
        with torch.no_grad():
            if order == "generator first":
                a -= rate * total_a
        if order == "generator first":
            total_b = gradient_of_b()[0]
        with torch.no_grad():
            b -= rate * d_sign * total_b
        if order == "critic first":
            total_a = gradient_of_a()
        with torch.no_grad():
            if order != "generator first":
                a -= rate * total_a
        path.append(keep(a, b))
    return end(path)


def game(**parts):
    return lambda penalty, rate, steps: played(penalty, rate, steps, **parts)


def moved_too_early(penalty, rate, steps):
    critic, a = Line(), torch.ones(1, 1, requires_grad=True)
    lead = critic(a).sum()
    critic.b.data -= 0
    with torch.no_grad():
        critic.b -= rate
    (of_a,) = torch.autograd.grad(-lead, a)
    return of_a


def one_graph_twice(penalty, rate, steps):
    critic, a = Line(), torch.ones(1, 1, requires_grad=True)
    lead = critic(a).sum()
    torch.autograd.grad(lead, critic.b)
    return torch.autograd.grad(-lead, a)[0]


def step_in_the_graph(penalty, rate, steps):
    critic, a = Line(), torch.ones(1, 1, requires_grad=True)
    (of_b,) = torch.autograd.grad(critic(a).sum(), critic.b)
    critic.b -= rate * of_b
    return critic.b


def all_without_graph(penalty, rate, steps):
    with torch.no_grad():
        return played(penalty, rate, steps)


WRONG["smallest_game"] += [
    (game(order="generator first"), "Both step at once"),
    (game(order="critic first"), "Both step at once"),
    (game(weight=0.0), "The penalty has no say"),
    (game(weight=-1.0), "The penalty's sign"),
    (game(lead=0.0), "the critic stands still"),
    (game(drags=True), "moves the generator, too"),
    (game(g_sign=-1.0), "The generator's sign"),
    (game(d_sign=-1.0), "The critic goes the wrong way"),
    (game(lead=-1.0), "The critic goes the wrong way"),
    (game(g_sign=-1.0, d_sign=-1.0), "Both go the wrong way"),
    (lambda penalty, rate, steps: played(penalty, 1.0, steps), "`rate` times the gradient"),
    (game(g_sign=0.0), "The generator never moves"),
    (game(empty=False), "earlier steps add up"),
    (game(keep=lambda a, b: (a, b)), "put today's number into it"),
    (lambda penalty, rate, steps: torch.ones(steps + 1, 2), "put today's number into it"),
    (game(keep=lambda a, b: (b.item(), a.item())), "The columns"),
    (game(end=lambda path: torch.tensor(path).T), "Rows are steps"),
    (game(first=False), "begins with (1, 1)"),
    (lambda penalty, rate, steps: played(penalty, rate, steps - 1), "begins with (1, 1)"),
    (game(end=lambda path: torch.tensor(path[-1])), "The whole path"),
    (game(end=lambda path: path), "nothing around it"),
    (game(end=lambda path: torch.tensor(path, requires_grad=True)), "out of the graph"),
    (lambda penalty, rate, steps: played(penalty, rate, steps) + 0.5, "The first step by hand"),
    (moved_too_early, "before the other's gradient"),
    (one_graph_twice, "hang on one graph"),
    (step_in_the_graph, "no part of the graph"),
    (all_without_graph, "outside of `torch.no_grad()`"),
]


# ---- conditional_norm


@right("conditional_norm")
def norm_by_broadcasting(x, labels, norm, weight, bias):
    return weight(labels)[:, :, None, None] * norm(x) + bias(labels)[:, :, None, None]


@right("conditional_norm")
def maps_by_einsum(x, labels, norm, weight, bias):
    made = torch.einsum("bchw,bc->bchw", norm(x), weight(labels))
    return made + bias(labels).unsqueeze(-1).unsqueeze(-1)


@right("conditional_norm")
def norm_picture_by_picture(x, labels, norm, weight, bias):
    made = []
    for maps, y in zip(norm(x), labels, strict=True):
        w, b = weight.weight[y], bias.weight[y]
        made.append(torch.stack([w[c] * maps[c] + b[c] for c in range(len(maps))]))
    return torch.stack(made)


@right("conditional_norm")
def norm_by_one_hot(x, labels, norm, weight, bias):
    chosen = F.one_hot(labels, weight.num_embeddings).float()  # (B, classes)
    shape = (*x.shape[:2], 1, 1)
    return norm(x) * (chosen @ weight.weight).view(shape) + (chosen @ bias.weight).view(shape)


def maps(row):
    return row.unsqueeze(2).unsqueeze(3)


def twice_asked(x, y, n, w, b):
    n(x)
    return maps(w(y)) * n(x) + maps(b(y))


def by_hand(x, y, n, w, b):
    """Right numbers in training mode, but norm's averages learn nothing of these maps."""
    mean, var = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), False, keepdim=True)
    plain = (x - mean) / (var + n.eps).sqrt()
    plain = plain * n.weight.view(1, -1, 1, 1) + n.bias.view(1, -1, 1, 1)
    return maps(w(y)) * plain + maps(b(y))


def in_mode(training):
    def answer(x, y, n, w, b):
        before = n.training
        made = maps(w(y)) * n.train(training)(x) + maps(b(y))
        n.train(before)
        return made

    return answer


def left_in_evaluation(x, y, n, w, b):
    made = norm_by_broadcasting(x, y, n, w, b)
    n.eval()
    return made


def in_the_callers_maps(x, y, n, w, b):
    return x.copy_(norm_by_broadcasting(x, y, n, w, b).detach())


WRONG["conditional_norm"] += [
    (lambda x, y, n, w, b: n(x), "The class has no say"),
    (lambda x, y, n, w, b: maps(w(y)) * n(x), "The biases are missing"),
    (lambda x, y, n, w, b: n(x) + maps(b(y)), "The weights are missing"),
    (lambda x, y, n, w, b: maps(w(y)) * x + maps(b(y)), "BatchNorm is missing"),
    (lambda x, y, n, w, b: n(maps(w(y)) * x + maps(b(y))), "BatchNorm comes first"),
    (lambda x, y, n, w, b: maps(w(y)) * (n(x) + maps(b(y))), "The bias is added last"),
    (lambda x, y, n, w, b: maps(b(y)) * n(x) + maps(w(y)), "are exchanged"),
    (lambda x, y, n, w, b: (maps(w(y)) + 1) * n(x) + maps(b(y)), "start at 1 already"),
    (lambda x, y, n, w, b: maps(w(y)) * n(x) - maps(b(y)), "not taken away"),
    (lambda x, y, n, w, b: w(y)[:, None, None] * n(x) + b(y)[:, None, None], "each *channel*"),
    (lambda x, y, n, w, b: w(y) * n(x) + b(y), "each *channel*"),
    (lambda x, y, n, w, b: norm_by_broadcasting(x, y.flip(0), n, w, b), "of *its own* label"),
    (lambda x, y, n, w, b: norm_by_broadcasting(x, 0 * y, n, w, b), "class 0 for every picture"),
    (lambda x, y, n, w, b: norm_by_broadcasting(x, y + 9, n, w, b), "for each label from 0 on"),
    (
        lambda x, y, n, w, b: maps(w(y).mean(0)[None]) * n(x) + maps(b(y).mean(0)[None]),
        "All pictures got the same",
    ),
    (
        lambda x, y, n, w, b: maps(w(y).mean(1, True)) * n(x) + maps(b(y).mean(1, True)),
        "all channels of a picture",
    ),
    (in_mode(False), "answered in evaluation mode"),
    (in_mode(True), "answered in training mode"),
    (lambda x, y, n, w, b: norm_by_broadcasting(x, y, n, w, b).relu(), "The ReLU is too much"),
    (left_in_evaluation, "and keeps it"),
    (twice_asked, "moves its running averages"),
    (by_hand, "moves its running averages"),
    (in_the_callers_maps, "changed in place"),
    (lambda x, y, n, w, b: norm_by_broadcasting(x, y, n, w, b).detach(), "is not: `.detach()`"),
    (lambda x, y, n, w, b: norm_by_broadcasting(x, y, n, w, b) + 0.5, "BatchNorm gives 0.5"),
    (lambda x, y, n, w, b: norm_by_broadcasting(x, y, n, w, b).mean((2, 3)), "keep their shape"),
]


# ---- projection_logit


@right("projection_logit")
def logit_by_rows(features, labels, embedding, linear):
    return linear(features).squeeze(1) + (embedding(labels) * features).sum(dim=1)


@right("projection_logit")
def logit_by_einsum(features, labels, embedding, linear):
    return linear(features)[:, 0] + torch.einsum("bf,bf->b", features, embedding(labels))


@right("projection_logit")
def logit_by_one_hot(features, labels, embedding, linear):
    chosen = F.one_hot(labels, embedding.num_embeddings).float()
    return (
        linear(features) + (features @ embedding.weight.T * chosen).sum(1, keepdim=True)
    ).flatten()


@right("projection_logit")
def logit_in_a_loop(features, labels, embedding, linear):
    rows = []
    for h, y in zip(features, labels, strict=True):
        rows.append(linear(h)[0] + torch.dot(h, embedding(y)))
    return torch.stack(rows)


@right("projection_logit")
def logit_by_gather(features, labels, embedding, linear):
    table = linear(features) + features @ embedding.weight.T  # (B, classes)
    return table.gather(1, labels[:, None]).squeeze(1)


@right("projection_logit")
class LogitAsAnObject:
    """A class with `__new__`: batched products of a row and a column."""

    def __new__(cls, features, labels, embedding, linear):
        own = torch.bmm(embedding(labels)[:, None, :], features[:, :, None])
        return linear(features).view(-1) + own.view(-1)


def product(h, y, e):
    return (e(y) * h).sum(1)


WRONG["projection_logit"] += [
    (
        lambda h, y, e, li: li(h).squeeze(1) + product(h, y.flip(0), e),
        "Another row of the embedding",
    ),
    (
        lambda h, y, e, li: (
            li(h).squeeze(1) + (h * e.weight[: len(h)]).sum(1)
            if len(h) <= e.num_embeddings
            else li(h).squeeze(1) + product(h, torch.zeros_like(y), e)
        ),
        "Another row of the embedding",
    ),
    (
        lambda h, y, e, li: li(h).squeeze(1) + product(h, (y + 1) % e.num_embeddings, e),
        "One row off",
    ),
    (lambda h, y, e, li: li(h).squeeze(1) + product(h, y + 1, e), "a row for each label from 0 on"),
    (lambda h, y, e, li: li(h).squeeze(1) + (e(y) * h).sum(), "adds the same number"),
    (lambda h, y, e, li: li(h).squeeze(1) + h @ e(y).mean(0), "adds the same number"),
    (lambda h, y, e, li: li(h).squeeze(1) + product(h, y, e).mean(), "adds the same number"),
    (lambda h, y, e, li: li(h).squeeze(1), "The class has no say"),
    (lambda h, y, e, li: product(h, y, e), "The first term is missing"),
    (lambda h, y, e, li: h @ li.weight[0] + product(h, y, e), "The bias is missing"),
    (lambda h, y, e, li: li(h).squeeze(1) + (h @ e.weight.T).amax(1), "fits best"),
    (lambda h, y, e, li: li(h).squeeze(1) + (h @ e.weight.T).sum(1), "All classes were added"),
    (lambda h, y, e, li: li(h).squeeze(1) + (h @ e.weight.T).mean(1), "All classes were averaged"),
    (lambda h, y, e, li: li(h).squeeze(1) + e(y).sum(1), "without the features"),
    (lambda h, y, e, li: li(h + e(y)).squeeze(1), "went into the features"),
    (lambda h, y, e, li: li(h * e(y)).squeeze(1), "through the linear layer"),
    (lambda h, y, e, li: li(h).squeeze(1) + (e(y) * h).mean(1), "A mean over the features"),
    (lambda h, y, e, li: li(h).squeeze(1) - product(h, y, e), "A sign"),
    (lambda h, y, e, li: li(h).squeeze(1) * product(h, y, e), "are added, not multiplied"),
    (lambda h, y, e, li: (li(h).squeeze(1) + product(h, y, e)).sigmoid(), "This is a probability"),
    (
        lambda h, y, e, li: li(h).squeeze(1) + F.cosine_similarity(e(y), h),
        "lengths were divided out",
    ),
    (lambda h, y, e, li: li(h) + product(h, y, e), "make a table"),
    (lambda h, y, e, li: li(h).squeeze(1) + h @ e(y).T, "Every picture met every label"),
    (lambda h, y, e, li: li(h) + product(h, y, e)[:, None], "the dimension of 1 off, "),
    (lambda h, y, e, li: (li(h).squeeze(1) + product(h, y, e)).mean(), "A mean over the batch"),
    (lambda h, y, e, li: li(h) + h @ e.weight.T, "A logit for every class"),
    (lambda h, y, e, li: (li(h).squeeze() + product(h, y, e)).squeeze(), "lost its dimension"),
    (lambda h, y, e, li: logit_by_rows(h, y, e, li).detach(), "is not: `.detach()`"),
    (lambda h, y, e, li: logit_by_rows(h, y, e, li) + 0.5, "h = (1, 2)"),
    (lambda h, y, e, li: logit_by_rows(h, y, e, li).double(), "Convert with"),
    (lambda h, y, e, li: li(h).squeeze(1) + h @ e(y), "multiply them number by number"),
]
