"""Lesson 09: right and wrong answers to its exercises."""

from contextlib import nullcontext
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from answers import book
from course_utils.models import flow

RIGHT, WRONG, right, wrong = book()


def column(t, x):
    return t.view(-1, *[1] * (x.dim() - 1))


# ---- interpolate


@right("interpolate")
def path(noise, data, t):
    t = t.view(-1, *[1] * (data.dim() - 1))
    return (1 - t) * noise + t * data, data - noise


@right("interpolate")
def path_in_a_loop(noise, data, t):
    points = [n + float(s) * (d - n) for n, d, s in zip(noise, data, t, strict=True)]
    return torch.stack(points), torch.stack([d - n for n, d in zip(noise, data, strict=True)])


@right("interpolate")
def path_by_einsum(noise, data, t):
    point = torch.einsum("b,b...->b...", 1 - t, noise) + torch.einsum("b,b...->b...", t, data)
    return point, -(noise - data)


@right("interpolate")
def path_in_numpy(noise, data, t):
    n, d = noise.numpy().astype(np.float64), data.numpy().astype(np.float64)
    s = t.numpy().reshape(-1, *[1] * (d.ndim - 1))
    return [torch.from_numpy(d * s + n * (1 - s)), torch.from_numpy(d - n)]


@right("interpolate")
class Path:
    def __new__(cls, noise, data, t):
        flat = torch.addcmul(noise.flatten(1), t[:, None], (data - noise).flatten(1))
        return flat.view_as(data), torch.sub(data, noise)


def path_by_what_is_left(noise, data, t):
    point, _ = path(noise, data, t)
    return point, (data - point) / (1 - column(t, data))


def path_for_pictures(noise, data, t):
    t = t.view(-1, 1, 1, 1)
    return (1 - t) * noise + t * data, data - noise


def path_with(point=None, velocity=None):
    """Right but for one of the two."""

    def answer(noise, data, t):
        x, v = path(noise, data, t)
        s = column(t, data)
        return (point(noise, data, s) if point else x, velocity(noise, data, s) if velocity else v)

    return answer


WRONG["interpolate"] += [
    (path_with(point=lambda n, d, s: s * n + (1 - s) * d), "Time runs the other way"),
    (path_with(point=lambda n, d, s: d.lerp(n, s)), "Time runs the other way"),
    (lambda n, d, t: path(d, n, t), "Time runs the other way"),
    (lambda n, d, t: ((1 - t) * n + t * d, d - n), "the *last* dimension"),
    (lambda n, d, t: (torch.lerp(n, d, t[:, None]), d - n), "the *last* dimension"),
    (path_for_pictures, "dimensions for pictures only"),
    (path_with(point=lambda n, d, s: (1 - s[0]) * n + s[0] * d), "One time for the whole"),
    (path_with(point=lambda n, d, s: n.lerp(d, s.mean())), "One time for the whole"),
    (path_with(point=lambda n, d, s: (1 - s * s).sqrt() * n + s * d), "a path of diffusion"),
    (path_with(point=lambda n, d, s: (1 - s) ** 0.5 * n + s**0.5 * d), "a path of diffusion"),
    (path_with(point=lambda n, d, s: n + s * d), "both have a weight"),
    (path_with(point=lambda n, d, s: n - s * (d - n)), "leads away from the data"),
    (lambda n, d, t: path(n, d, t)[::-1], "two results are exchanged"),
    (lambda n, d, t: path(n, d, t)[0], "Return both"),
    (path_with(velocity=lambda n, d, s: n - d), "The sign of the velocity"),
    (path_with(velocity=lambda n, d, s: (1 - s) * (d - n)), "the way still to go"),
    (path_with(velocity=lambda n, d, s: s * (d - n)), "the way already gone"),
    (path_with(velocity=lambda n, d, s: d.clone()), "the data themselves"),
    (path_with(velocity=lambda n, d, s: n.clone()), "predicts it is a relative (DDPM)"),
    (path_with(velocity=lambda n, d, s: n + d), "the derivative of (1 - t)"),
    (path_with(velocity=lambda n, d, s: (d - n) / 2), "goes from 2 to 10, evenly"),
    (path_with(point=lambda n, d, s: (n + d) / 2), "three quarters of 2"),
    (path_with(point=lambda n, d, s: (n.lerp(d, s)).clamp(-1, 1)), "three quarters of 2"),
    (path_by_what_is_left, "0/0"),
]


# ---- flow_loss


@right("flow_loss")
def loss(network, data, noise, t):
    x, velocity = path(noise, data, t)
    return (network(x, t) - velocity).square().mean()


@right("flow_loss")
def loss_by_sums(network, data, noise, t):
    x, velocity = path_by_einsum(noise, data, t)
    error = (velocity - network(x, t)).flatten()
    return error @ error / len(error)


@right("flow_loss")
def loss_of_each(network, data, noise, t):
    x, velocity = path(noise, data, t)
    came = network(x, t)
    return torch.stack([F.mse_loss(a, b) for a, b in zip(came, velocity, strict=True)]).mean()


@right("flow_loss")
class Loss(nn.Module):
    """In float64, one example after the other."""

    def __new__(cls, network, data, noise, t):
        total = 0.0
        for i in range(len(data)):
            x, velocity = path(noise[i : i + 1], data[i : i + 1], t[i : i + 1])
            total = total + (network(x, t[i : i + 1]) - velocity).double().norm() ** 2
        return (total / data.numel()).float()


def loss_with(
    reduce=lambda e: (e**2).mean(), target=None, point=None, told=lambda t: t, used=lambda t: t
):
    """A solution with parts to get wrong."""

    def answer(network, data, noise, t):
        x, velocity = path(noise, data, used(t))
        x = x if point is None else point(data, noise, x)
        goal = velocity if target is None else target(data, noise, x)
        return reduce(network(x, told(used(t))) - goal)

    return answer


def loss_with_own_noise(network, data, noise, t):
    return loss(network, data, torch.randn_like(data), t)


def loss_with_own_times(network, data, noise, t):
    return loss(network, data, noise, torch.rand(len(data)))


def loss_that_trains(network, data, noise, t):
    value = loss(network, data, noise, t)
    value.backward(retain_graph=True)
    return value


def loss_without_a_graph(network, data, noise, t):
    with torch.no_grad():
        return loss(network, data, noise, t)


def loss_of_one_answer(network, data, noise, t):
    x, velocity = path(noise, data, t)
    return (network(x, t).detach() - velocity).square().mean() + 0 * network(x, t).sum()


WRONG["flow_loss"] += [
    (loss_with(lambda e: (e**2).sum()), "A sum over everything"),
    (loss_with(lambda e: (e**2).sum() / len(e)), "A sum over the pixels"),
    (loss_with(lambda e: (e**2).flatten(1).mean(1).sum()), "A sum over the pictures"),
    (loss_with(lambda e: F.l1_loss(e, torch.zeros_like(e))), "mean of absolute errors"),
    (loss_with(lambda e: (e**2).mean() ** 0.5), "The root is too much"),
    (loss_with(lambda e: 0.5 * (e**2).mean()), "Half of it"),
    (loss_with(lambda e: e.mean() ** 2), "square of the mean"),
    (loss_with(lambda e: e.mean()), "The square is missing"),
    (loss_with(lambda e: (e**2).flatten(1).mean(1)), "One number for the whole batch"),
    (loss_with(target=lambda d, n, x: d), "this takes the data"),
    (loss_with(target=lambda d, n, x: n), "this takes the noise"),
    (loss_with(target=lambda d, n, x: n - d), "The sign of the target"),
    (loss_with(target=lambda d, n, x: d - x), "the way that is left"),
    (loss_with(target=lambda d, n, x: x), "this takes x_t itself"),
    (lambda f, d, n, t: loss(f, n, d, t), "Noise and data are exchanged"),
    (loss_with(point=lambda d, n, x: d), "asked about the wrong picture"),
    (loss_with(point=lambda d, n, x: n), "asked about the wrong picture"),
    (loss_with(told=lambda t: 1 - t), "told another time"),
    (loss_with(told=lambda t: 0 * t), "told another time"),
    (loss_with(used=lambda t: t[0].repeat(len(t))), "One time for the whole batch"),
    (loss_with(used=lambda t: torch.full_like(t, float(t.mean()))), "One time for the whole batch"),
    (loss_with(told=lambda t: t.view(-1, 1, 1, 1)), "The network takes t as (B,)"),
    (loss_with(told=lambda t: float(t[0])), "The network takes t as (B,)"),
    (loss_with_own_noise, "draw none of your own"),
    (loss_with_own_times, "draw none of your own"),
    (loss_that_trains, "training loop's part"),
    (loss_without_a_graph, "it trains nothing"),
    (loss_of_one_answer, "it trains nothing"),
    (lambda *a: loss(*a).item(), "Return a tensor"),
    (loss_with(lambda e: (e**2).mean() * 1.05), "the loss is 1."),
]


# ---- solve


@right("solve")
def walk(velocity, noise, steps, method):
    x, h = noise, 1 / steps
    for i in range(steps):
        now, later = (x.new_full((len(x),), (i + j) / steps) for j in (0, 1))
        v = velocity(x, now)
        if method == "heun":
            v = (v + velocity(x + h * v, later)) / 2
        x = x + h * v
    return x


@right("solve")
def walk_from_step_to_step(velocity, noise, steps, method):
    """By recursion, with times in float32."""
    times = torch.linspace(0, 1, steps + 1)

    def after(i, x):
        if i == steps:
            return x
        step = times[i + 1] - times[i]
        k1 = velocity(x, times[i].expand(len(x)))
        if method == "euler":
            return after(i + 1, x + step * k1)
        k2 = velocity(x + step * k1, times[i + 1].repeat(len(x)))
        return after(i + 1, x + step / 2 * k1 + step / 2 * k2)

    return after(0, noise)


@right("solve")
@torch.no_grad()
def walk_in_double(velocity, noise, steps, method):
    """In float64, the time added up."""
    x, t = noise.double(), torch.zeros(len(noise), dtype=torch.float64)
    for _ in range(steps):
        v = velocity(x, t)
        t = t + 1 / steps
        if method != "euler":
            v = torch.stack([v, velocity(x + v / steps, t)]).mean(0)
        x = x.add(v, alpha=1 / steps)
    return x.float()


@right("solve")
class Walk:
    """On a copy, in place."""

    def __new__(cls, velocity, noise, steps, method):
        x = noise.clone()
        for k in range(1, steps + 1):
            begin, end = (k - 1) / steps, k / steps
            slope = velocity(x, torch.full((len(x),), begin))
            if method == "heun":
                slope = 0.5 * slope + 0.5 * velocity(
                    x + (end - begin) * slope, torch.full((len(x),), end)
                )
            x += (end - begin) * slope
        return x


def walk_with(
    first=0,
    more=0,
    step=lambda n: 1 / n,
    begin=lambda i, n: i / n,
    end=lambda i, n: (i + 1) / n,
    heun=lambda x, h, a, v, t: (a + v(x + h * a, t)) / 2,
    is_heun=lambda method, i, n: method == "heun",
):
    """A solution with parts to get wrong."""

    def answer(velocity, noise, steps, method):
        x, h = noise, step(steps)
        for i in range(first, steps + more):
            slope = velocity(x, torch.full((len(x),), float(begin(i, steps))))
            if is_heun(method, i, steps):
                slope = heun(x, h, slope, velocity, x.new_full((len(x),), end(i, steps)))
            x = x + h * slope
        return x

    return answer


def walk_while(velocity, noise, steps, method):
    """0.1 ten times is less than 1."""
    x, t, h = noise, 0.0, 1 / steps
    while t < 1:
        slope = velocity(x, torch.full((len(x),), t))
        if method == "heun":
            slope = (slope + velocity(x + h * slope, torch.full((len(x),), t + h))) / 2
        x, t = x + h * slope, t + h
    return x


def walk_with_both_slopes(velocity, noise, steps, method):
    x = noise
    for i in range(steps):
        v = velocity(x, torch.full((len(x),), i / steps))
        w = velocity(x + v / steps, torch.full((len(x),), (i + 1) / steps))
        x = x + (v if method == "euler" else (v + w) / 2) / steps
    return x


def walk_in_finer_steps(velocity, noise, steps, method):
    return walk(velocity, noise, 2 * steps, method)


def walk_with_a_time(time):
    def answer(velocity, noise, steps, method):
        return walk(lambda x, t: velocity(x, time(x, t)), noise, steps, method)

    return answer


WRONG["solve"] += [
    (walk_with(more=-1), "The last step is missing"),
    (lambda v, x, n, m: walk_with(more=-1)(v, x, n, m) if n > 1 else walk(v, x, n, m), "The last"),
    (walk_with(more=1), "A step too many"),
    (walk_while, "A step too many"),
    (walk_with(begin=lambda i, n: (i + 1) / n), "where the step *begins*"),
    (
        lambda v, x, n, m: walk_with(end=lambda i, n: (i + 2) / n)(v, x, n, m),
        "asked for past t = 1",
    ),
    (walk_with(end=lambda i, n: i / n), "not to where it begins"),
    (
        walk_with(heun=lambda x, h, a, v, t: (a + v(x, t)) / 2),
        "the point that Euler's step reaches",
    ),
    (
        walk_with(begin=lambda i, n: 1 - i / n, end=lambda i, n: 1 - (i + 1) / n),
        "Time runs the other way",
    ),
    (
        walk_with(
            step=lambda n: -1 / n, begin=lambda i, n: 1 - i / n, end=lambda i, n: 1 - (i + 1) / n
        ),
        "Time runs the other way",
    ),
    (walk_with(step=lambda n: -1 / n), "against the velocity"),
    (walk_with(step=lambda n: 1), "size of the step is missing"),
    (
        walk_with(begin=lambda i, n: i / max(n - 1, 1), end=lambda i, n: (i + 1) / max(n - 1, 1)),
        "do not fit",
    ),
    (lambda v, x, n, m: walk(lambda x, t: v(x, 0 * t), x, n, m), "The time stands still"),
    (
        walk_with(begin=lambda i, n: i, end=lambda i, n: i + 1),
        "The time counts steps",
    ),
    (walk_with(heun=lambda x, h, a, v, t: a + v(x + h * a, t)), "Heun adds both slopes"),
    (walk_with(heun=lambda x, h, a, v, t: v(x + h * a, t)), "second slope alone"),
    (
        walk_with(end=lambda i, n: (i + 0.5) / n, heun=lambda x, h, a, v, t: v(x + h / 2 * a, t)),
        "the midpoint rule",
    ),
    (walk_with(is_heun=lambda m, i, n: False), "This is the other method"),
    (walk_with(is_heun=lambda m, i, n: m == "Heun"), "This is the other method"),
    (walk_with(is_heun=lambda m, i, n: m == "euler"), "This is the other method"),
    (walk_with(is_heun=lambda m, i, n: m == "heun" and i < n - 1), "The last step is Euler's"),
    (walk_with_both_slopes, "calls are what a sampler costs"),
    (walk_in_finer_steps, "calls are what a sampler costs"),
    (walk_with_a_time(lambda x, t: column(t, x)), "takes t as (B,)"),
    (walk_with_a_time(lambda x, t: float(t[0])), "takes t as (B,)"),
    (lambda *a: walk(*a) * 1.01, "Take velocity = t"),
    (lambda v, x, n, m: walk(v, x, n, m).clamp(-1, 1), "Take velocity = t"),
]


# ---- guided


@right("guided")
def line(with_label, without, scale):
    return without + scale * (with_label - without)


@right("guided")
def by_weights(with_label, without, scale):
    return scale * with_label + (1 - scale) * without


@right("guided")
def as_in_the_paper(with_label, without, scale):
    w = scale - 1
    return (1 + w) * with_label - w * without


@right("guided")
def in_numpy(with_label, without, scale):
    c, u = (v.numpy().astype("float64") for v in (with_label, without))
    return torch.from_numpy(np.tensordot(np.array([scale, 1 - scale]), np.stack([c, u]), 1))


@right("guided")
class Guided:
    def __new__(cls, with_label, without, scale):
        weights = torch.tensor([float(scale), 1.0 - scale])
        return torch.einsum("k,k...->...", weights, torch.stack([with_label, without]))


WRONG["guided"] += [
    (lambda c, u, s: (1 + s) * c - s * u, "w = scale - 1"),
    (lambda c, u, s: c + s * (c - u), "w = scale - 1"),
    (lambda c, u, s: (2 + s) * c - (s + 1) * u, "the wrong way round"),
    (lambda c, u, s: line(u, c, s), "two velocities are exchanged"),
    (lambda c, u, s: (1 + s) * u - s * c, "walks away from the class"),
    (lambda c, u, s: u - s * (c - u), "walks away from the class"),
    (lambda c, u, s: s * (c - u), "Only the difference is left"),
    (lambda c, u, s: c.mul(s), "has no part in it"),
    (lambda c, u, s: c.clone(), "this is the velocity with the"),
    (lambda c, u, s: u.clone(), "without a label"),
    (lambda c, u, s: 0.5 * c + 0.5 * u, "the mean of the two"),
    (lambda c, u, s: u.lerp(c, min(1.0, s)), "kept within 0 and 1"),
    (lambda c, u, s: u + s * c, "weights of a line"),
    (lambda c, u, s: (s * c + u) / (s + 1), "weights of a line"),
    (lambda c, u, s: line(c, u, s) / line(c, u, s).norm() * c.norm(), "length was changed"),
    (lambda c, u, s: line(c, u, s).clamp(-1, 1), "Scale 0, 1 and 2"),
    (lambda c, u, s: line(c, u, s).mean(0), "the shape of both"),
    (lambda c, u, s: u.add_(s * (c - u)), "In-place"),
]


# ---- exact_velocity


@right("exact_velocity")
def exact(x, t, data):
    points, examples, t = x.flatten(1), data.flatten(1), t[:, None]
    squares = (points[:, None] - t[:, None] * examples).square().sum(-1)
    weights = (-squares / (2 * (1 - t) ** 2)).softmax(1)
    return ((weights @ examples - points) / (1 - t)).view_as(x)


@right("exact_velocity")
def exact_by_distances(x, t, data):
    examples = data.flatten(1)
    rows = []
    for point, time in zip(x.flatten(1), t, strict=True):
        distance = torch.cdist(point[None], time * examples)[0]
        weights = F.softmax(-((distance / (1 - time)) ** 2) / 2, dim=0)
        rows.append((torch.einsum("n,nd->d", weights, examples) - point) / (1 - time))
    return torch.stack(rows).reshape(x.shape)


@right("exact_velocity")
def exact_by_the_noise(x, t, data):
    """Each example would need its own noise; the velocity is the mean of data - noise."""
    examples, s = data.flatten(1)[None], t[:, None, None]
    noise = (x.flatten(1)[:, None] - s * examples) / (1 - s)
    weights = (-noise.square().sum(-1, keepdim=True) / 2).softmax(1)
    return (weights * (examples - noise)).sum(1).unflatten(1, x.shape[1:])


@right("exact_velocity")
def exact_in_numpy(x, t, data):
    """Products instead of distances, in float64; the largest exponent taken away by hand."""
    p, e = (v.flatten(1).numpy().astype(np.float64) for v in (x, data))
    s = t.numpy().astype(np.float64)[:, None]
    exponents = (s * (p @ e.T) - s**2 * (e**2).sum(1) / 2) / (1 - s) ** 2
    weights = np.exp(exponents - exponents.max(1, keepdims=True))
    weights /= weights.sum(1, keepdims=True)
    return torch.from_numpy((weights @ e - p) / (1 - s)).reshape(x.shape)


@right("exact_velocity")
class Exact:
    def __new__(cls, x, t, data):
        return torch.func.vmap(cls.one, in_dims=(0, 0, None))(x, t, data)

    @staticmethod
    def one(x, t, data):
        squares = (x - t * data).pow(2).flatten(1).sum(1)
        weights = torch.softmax(-squares / (1 - t).square() / 2, 0)
        return (torch.tensordot(weights, data, 1) - x) / (1 - t)


def exact_with(
    centre=lambda t: t,
    exponent=lambda d2, left, t: -d2 / (2 * left**2),
    weigh=lambda e: e.softmax(1),
    finish=lambda mean, x, left, t: (mean - x) / left,
    times=lambda t: t,
):
    """A solution with parts to get wrong."""

    def answer(x, t, data):
        t = times(t)[:, None]
        points, examples = x.flatten(1), data.flatten(1)
        d2 = torch.stack([((points - centre(t) * e) ** 2).sum(1) for e in examples], 1)
        mean = weigh(exponent(d2, 1 - t, t)) @ examples
        return finish(mean, points, 1 - t, t).view_as(x)

    return answer


def exact_by_division(x, t, data):
    return exact_with(weigh=lambda e: e.exp() / e.exp().sum(1, keepdim=True))(x, t, data)


def exact_on_the_plane(x, t, data):
    t = t[:, None]
    d2 = ((x[:, None, :] - t[:, :, None] * data[None, :, :]) ** 2).sum(2)
    return ((-d2 / (2 * (1 - t) ** 2)).softmax(1) @ data - x) / (1 - t)


WRONG["exact_velocity"] += [
    (exact_with(weigh=lambda e: F.softmax(e, 0)), "The softmax runs over the batch"),
    (exact_with(exponent=lambda d2, left, t: -0.5 * d2), "How wide is the Gaussian"),
    (exact_with(exponent=lambda d2, left, t: -d2 / left**2), "How wide is the Gaussian"),
    (exact_with(exponent=lambda d2, left, t: -d2 / 2 / left), "How wide is the Gaussian"),
    (exact_with(exponent=lambda d2, left, t: -d2 / 2 * left**2), "How wide is the Gaussian"),
    (exact_with(exponent=lambda d2, left, t: -d2 / (2 * t**2)), "Time runs the other way"),
    (exact_with(centre=lambda t: 1 - t), "Time runs the other way"),
    (exact_with(exponent=lambda d2, left, t: d2 / (2 * left**2)), "that are far away"),
    (
        exact_with(exponent=lambda d2, left, t: -(d2**0.5) / (2 * left**2)),
        "The distance is not squared",
    ),
    (exact_with(centre=lambda t: 1.0), "x is compared with t * x_i"),
    (exact_with(weigh=lambda e: torch.ones_like(e) / e.shape[1]), "All examples count alike"),
    (exact_with(weigh=lambda e: F.one_hot(e.argmax(1), e.shape[1]).float()), "Only the nearest"),
    (exact_with(weigh=lambda e: e.exp()), "do not add up to 1: divide"),
    (exact_with(weigh=lambda e: e.log_softmax(1)), "weights are logarithms"),
    (exact_with(finish=lambda m, x, left, t: m - x), "*per time that is left*"),
    (exact_with(finish=lambda m, x, left, t: m), "*per time that is left*"),
    (exact_with(finish=lambda m, x, left, t: (m - x) / left**2), "*per time that is left*"),
    (exact_with(finish=lambda m, x, left, t: (x - m) / left), "walks away from the examples"),
    (exact_with(finish=lambda m, x, left, t: (m - x) / t), "Divided by the time that is gone"),
    (exact_with(finish=lambda m, x, left, t: (t * m - x) / left), "minus the noise"),
    (exact_with(times=lambda t: t[0].expand(len(t))), "One time for the whole batch"),
    (exact_with(times=lambda t: t.mean().repeat(len(t))), "One time for the whole batch"),
    (exact_by_division, "0/0"),
    *[
        (
            exact_with(finish=lambda m, x, left, t, tiny=tiny: (m - x) / (left + tiny)),
            "something added to 1 - t",
        )
        for tiny in (1e-3, 1e-5)
    ],
    (
        exact_with(finish=lambda m, x, left, t: (m - x) / left.clamp_min(0.02)),
        "something added to 1 - t",
    ),
    (exact_on_the_plane, "Here x are pictures"),
    (lambda *a: exact(*a) * 1.02, "tanh(1)"),
    (lambda *a: exact(*a).sum(0), "One velocity for each x"),
]


# ---- from_velocity


@right("from_velocity")
def ends_of_the_line(x, t, velocity):
    s = column(t, x)
    clean, noise = x + (1 - s) * velocity, x - s * velocity
    return clean, noise, -noise / (1 - s)


@right("from_velocity")
def ends_of_each_line(x, t, velocity):
    """One row after the other; the clean picture from the noise."""
    noise = torch.stack([a - float(s) * v for a, s, v in zip(x, t, velocity, strict=True)])
    score = torch.stack([n / (float(s) - 1) for n, s in zip(noise, t, strict=True)])
    return [noise + velocity, noise, score]


@right("from_velocity")
class Ends:
    """In numpy, with the noise as what the clean picture leaves of x."""

    def __new__(cls, x, t, velocity):
        a, v = (z.numpy().astype(np.float64) for z in (x, velocity))
        s = t.numpy().astype(np.float64).reshape(-1, *[1] * (a.ndim - 1))
        clean = a + v - s * v
        noise = (a - s * clean) / (1 - s)
        return tuple(torch.from_numpy(z) for z in (clean, noise, -noise / (1 - s)))


def ends_with(
    clean=lambda x, s, v: x + (1 - s) * v,
    noise=lambda x, s, v: x - s * v,
    score=lambda n, s: -n / (1 - s),
    shaped=column,
):
    """A solution with parts to get wrong."""

    def answer(x, t, velocity):
        s = shaped(t, x)
        found = noise(x, s, velocity)
        return clean(x, s, velocity), found, score(x - s * velocity, s)

    return answer


WRONG["from_velocity"] += [
    (ends_with(clean=lambda x, s, v: torch.addcmul(x, s, v)), "Time runs the other way"),
    (ends_with(noise=lambda x, s, v: x - v + s * v), "Time runs the other way"),
    (ends_with(clean=lambda x, s, v: x - v * (1 - s)), "leads *to* the data"),
    (ends_with(noise=lambda x, s, v: x + v * s), "leads *to* the data"),
    (ends_with(clean=lambda x, s, v: x.add(v)), "one whole unit of time"),
    (ends_with(noise=lambda x, s, v: x.sub(v)), "one whole unit of time"),
    (ends_with(clean=lambda x, s, v: x / s), "if x held no noise"),
    (ends_with(noise=lambda x, s, v: -(s - 1) * -v), "x holds only a share of both"),
    (lambda x, t, v: [ends_of_the_line(x, t, v)[k] for k in (1, 0, 2)], "are exchanged"),
    (lambda x, t, v: [ends_of_the_line(x, t, v)[k] for k in (2, 0, 1)], "in this order"),
    (lambda x, t, v: ends_of_the_line(x, t, v)[:2], "in this order"),
    (ends_with(score=lambda n, s: n / (1 - s)), "where the cloud is dense"),
    (ends_with(score=lambda n, s: -n), "the standard deviation 1 - t"),
    (ends_with(score=lambda n, s: -n * (1 - s) ** -2), "the standard deviation 1 - t"),
    (ends_with(score=lambda n, s: n / -s), "Divided by t"),
    (ends_with(shaped=lambda t, x: t), "the *last* dimension"),
    (ends_with(shaped=lambda t, x: t[:, None]), "for one kind of x only"),
    (ends_with(score=lambda n, s: 1.02 * n / (s - 1)), "the score -8/3"),
]


# ---- ddim


def circle(t):
    return (t**2 + (1 - t) ** 2) ** -0.5


@right("ddim")
def on_the_circle(network, noise, steps):
    x = noise
    for k in range(steps):
        now, then = k / steps, (k + 1) / steps
        x_line, t = x / circle(now), torch.full((len(x),), now)
        clean, mean_noise, _ = ends_of_the_line(x_line, t, network(x_line, t))
        x = circle(then) * (then * clean + (1 - then) * mean_noise)
    return x


@right("ddim")
def as_the_paper_writes_it(network, noise, steps):
    """With alpha and sigma, which are data's and noise's share on the circle."""
    x, times = noise, torch.linspace(0, 1, steps + 1)
    alpha, sigma = times * circle(times), (1 - times) * circle(times)
    for k in range(steps):
        line = x / circle(times[k])
        v = network(line, times[k].expand(len(x)))
        epsilon = line - times[k] * v
        x_0 = epsilon + v
        x = alpha[k + 1] * x_0 + sigma[k + 1] * epsilon
    return x


@right("ddim")
def by_euler_on_the_line(network, noise, steps):
    """What the next cell finds out: it is the same algorithm."""
    return walk(network, noise, steps, "euler")


def ddim_with(
    to_line=lambda x, now: x / circle(now),
    told=lambda now, then: now,
    guess=lambda *a: ends_of_the_line(*a)[:2],
    weights=lambda now, then: (then, 1 - then),
    to_circle=lambda now, then: circle(then),
    more=0,
    times=lambda x, t: torch.full((len(x),), t),
):
    """A solution with parts to get wrong."""

    def answer(network, noise, steps):
        x = noise
        for k in range(steps + more):
            now, then = k / steps, (k + 1) / steps
            line = to_line(x, now)
            v = network(line, times(x, told(now, then)))
            first, second = guess(line, torch.full((len(x),), now), v)
            a, b = weights(now, then)
            x = to_circle(now, then) * (a * first + b * second)
        return x

    return answer


def ddim_with_noise(network, noise, steps):
    return on_the_circle(network, noise, steps) + 0.1 * torch.randn_like(noise)


WRONG["ddim"] += [
    (ddim_with(to_line=lambda x, now: x), "knows the straight line"),
    (ddim_with(to_line=lambda x, now: x * circle(now)), "knows the straight line"),
    (ddim_with(to_circle=lambda now, then: 1.0), "on the circle again"),
    (ddim_with(to_circle=lambda now, then: circle(now)), "on the circle again"),
    (ddim_with(weights=lambda now, then: (now, 1 - now)), "nothing moves"),
    (ddim_with(weights=lambda now, then: (1 - then, then)), "the share of the clean picture is"),
    (ddim_with(weights=lambda now, then: (1, 0)), "jumps to the guess"),
    (ddim_with(weights=lambda now, then: (then**0.5, (1 - then) ** 0.5)), "square roots"),
    (ddim_with(told=lambda now, then: then), "which stands at `now`"),
    (ddim_with(told=lambda now, then: 1 - now), "Time runs the other way"),
    (ddim_with(guess=lambda *a: ends_of_the_line(*a)[1::-1]), "the share of the clean picture is"),
    (ddim_with(guess=lambda *a: ends_of_the_line(*a)[::2]), "returns clean picture, noise"),
    (ddim_with(more=-1), "The last step is missing"),
    (ddim_with(times=lambda x, t: t), "takes t as (B,)"),
    (ddim_with(times=lambda x, t: torch.full((len(x), 1), t)), "takes t as (B,)"),
    (ddim_with_noise, "In one step from t = 0"),
]


# ---- noisy_walk


@right("noisy_walk")
def noisy(velocity, noise, kicks, until):
    x, h = noise, until / len(kicks)
    for k, kick in enumerate(kicks):
        t = x.new_full((len(x),), k * h)
        v = velocity(x, t)
        _, mean_noise, _ = ends_of_the_line(x, t, v)
        x = x + h * (v - mean_noise) + (2 * (1 - k * h) * h) ** 0.5 * kick
    return x


@right("noisy_walk")
def noisy_by_the_score(velocity, noise, kicks, until):
    """With g, as the paper writes it, and by recursion."""
    h = until / len(kicks)

    def after(k, x):
        if k == len(kicks):
            return x
        t = torch.full((len(x),), k * h)
        v, g = velocity(x, t), (2 * (1 - t[:, None])).sqrt()
        score = ends_of_the_line(x, t, v)[2]
        return after(k + 1, x + (v + g**2 / 2 * score) * h + g * h**0.5 * kicks[k])

    return after(0, noise)


@right("noisy_walk")
def noisy_in_one_line(velocity, noise, kicks, until):
    """Half of g² times the score is the noise with its sign turned, and the noise is x - t v; all times at once."""
    times = torch.arange(len(kicks)) * (until / len(kicks))
    spread = (2 * (1 - times) * until / len(kicks)).sqrt()
    x = noise.clone()
    for t, width, kick in zip(times, spread, kicks, strict=True):
        pull = (1 + t) * velocity(x, t.expand(len(x))) - x
        x = x + pull * until / len(kicks) + width * kick
    return x


def noisy_with(
    drift=lambda v, score, t: v + (1 - t) * score,
    kick=lambda t, h: (2 * (1 - t) * h) ** 0.5,
    told=lambda t, h: t,
    length=lambda until, n: until / n,
    clock=lambda until, n: until / n,
    fresh=lambda kicks, k: kicks[k],
    times=lambda x, t: torch.full((len(x),), t),
    first=0,
):
    """A solution with parts to get wrong."""

    def answer(velocity, noise, kicks, until):
        x, n = noise, len(kicks)
        h = length(until, n)
        for k in range(first, n):
            t = k * clock(until, n)
            v = velocity(x, times(x, told(t, h)))
            score = ends_of_the_line(x, torch.full((len(x),), t), v)[2]
            x = x + drift(v, score, t) * h + kick(t, h) * fresh(kicks, k)
        return x

    return answer


def noisy_with_two_calls(velocity, noise, kicks, until):
    velocity(noise, torch.zeros(len(noise)))
    return noisy(velocity, noise, kicks, until)


WRONG["noisy_walk"] += [
    (noisy_with(kick=lambda t, h: 2 * (1 - t) * h), "of *variance* g² h"),
    (noisy_with(kick=lambda t, h: (2 - 2 * t) ** 0.5 * h), "of *variance* g² h"),
    (noisy_with(kick=lambda t, h: (2 - 2 * t) ** 0.5), "length of the step"),
    (noisy_with(kick=lambda t, h: (h - t * h) ** 0.5), "The kick is too small"),
    (noisy_with(kick=lambda t, h: (2 - 2 * t) * h**0.5), "g² where its root"),
    (noisy_with(kick=lambda t, h: (2 * t * h) ** 0.5), "Time runs the other way"),
    (noisy_with(fresh=lambda kicks, k: 0 * kicks[k]), "No fresh noise was added"),
    (noisy_with(drift=lambda v, s, t: v), "The velocity did not grow"),
    (noisy_with(drift=lambda v, s, t: v - s + t * s), "takes the fresh noise back"),
    (noisy_with(drift=lambda v, s, t: v + s), "Half of g²"),
    (noisy_with(drift=lambda v, s, t: v + (2 - 2 * t) * s), "Half of g²"),
    (noisy_with(drift=lambda v, s, t: s * (1 - t)), "velocity itself is missing"),
    (noisy_with(told=lambda t, h: t + h), "where the step *begins*"),
    (noisy_with(length=lambda until, n: 1 / n), "The steps are too long"),
    (
        noisy_with(length=lambda until, n: 1 / n, clock=lambda until, n: 1 / n),
        "walks on to t = 1",
    ),
    (noisy_with(clock=lambda until, n: 1 / n), "The clock runs to 1"),
    (noisy_with(first=1), "The first step is missing"),
    (noisy_with(fresh=lambda kicks, k: torch.randn_like(kicks[k])), "draw none of your own"),
    (noisy_with(times=lambda x, t: t), "takes t as (B,)"),
    (noisy_with_two_calls, "one call gives the noise"),
    (lambda v, x, kicks, until: 1.1 * noisy(v, x, kicks, until), "One step of length h"),
]


# ---- guided_velocity


def doubled(network, x, t, label, none):
    labels = torch.cat([label, none])
    return network(torch.cat([x, x]), torch.cat([t, t]), labels)


@right("guided_velocity")
def in_one_call(network, x, t, label, scale):
    if scale == 1:
        return network(x, t, label)
    none = torch.full_like(label, network.classes)
    return line(*doubled(network, x, t, label, none).chunk(2), scale)


@right("guided_velocity")
def in_one_call_with_none_first(network, x, t, label, scale):
    if float(scale) == 1.0:
        return network(x, t, label)
    labels = F.pad(label, (len(label), 0), value=network.classes)
    both = network(x.repeat(2, 1, 1, 1), t.repeat(2), labels)
    return by_weights(both[len(x) :], both[: len(x)], scale)


@right("guided_velocity")
class InOneCall:
    """Side by side, and taken apart again."""

    def __new__(cls, network, x, t, label, scale):
        if scale == 1:
            return network(x, t, label)
        pairs = torch.stack([label, network.classes + 0 * label], 1).flatten()
        both = network(x.repeat_interleave(2, 0), t.repeat_interleave(2), pairs)
        return torch.lerp(both[1::2], both[::2], float(scale))


def steered(
    none=lambda network, label: torch.full_like(label, network.classes),
    halves=lambda both: both.chunk(2),
    mix=line,
    double=lambda x: torch.cat([x, x]),
    once=lambda scale: scale == 1,
):
    """A solution with parts to get wrong."""

    def answer(network, x, t, label, scale):
        if once(scale):
            return network(x, t, label)
        labels = torch.cat([label, none(network, label)])
        return mix(*halves(network(double(x), double(t), labels)), scale)

    return answer


def in_two_calls(network, x, t, label, scale):
    none = torch.full_like(label, network.classes)
    return line(network(x, t, label), network(x, t, none), scale)


def of_one_time(network, x, t, label, scale):
    none = torch.full_like(label, network.classes)
    both = network(torch.cat([x, x]), t, torch.cat([label, none]))
    return line(*both.chunk(2), scale)


def of_one_label(network, x, t, label, scale):
    both = network(torch.cat([x, x]), torch.cat([t, t]), label)
    return line(*both.chunk(2), scale)


def hiding_in_place(network, x, t, label, scale):
    with_label = network(x, t, label)
    return line(with_label, network(x, t, label.fill_(network.classes)), scale)


WRONG["guided_velocity"] += [
    (steered(halves=lambda both: both.chunk(2)[::-1]), "two halves are exchanged"),
    (steered(none=lambda f, label: 0 * label + f.classes - 1), "one more than that of the last"),
    (steered(none=lambda f, label: 0 * label), "one more than that of the last"),
    (steered(none=lambda f, label: label.clone()), "The scale has no effect: were"),
    (steered(halves=lambda both: (both[0::2], both[1::2])), "do not belong together"),
    (steered(double=lambda x: x.repeat_interleave(2, 0)), "do not belong together"),
    (steered(mix=lambda a, b, s: a), "The scale has no effect: were"),
    (steered(mix=lambda a, b, s: b), "The scale has no effect: were"),
    (steered(mix=lambda a, b, s: a + s * (a - b)), "counts as the paper does"),
    (steered(mix=lambda a, b, s: a.lerp(b, float(s))), "two halves are exchanged"),
    (steered(mix=lambda a, b, s: a - b), "Compare with two calls"),
    (steered(mix=lambda a, b, s: s * a - s * b), "Only the difference"),
    (steered(once=lambda scale: False), "has no part in the result"),
    (in_two_calls, "in the place of two calls"),
    (of_one_time, "Everything is doubled"),
    (of_one_label, "Everything is doubled"),
    (hiding_in_place, "In-place"),
    (lambda f, x, t, label, s: doubled(f, x, t, label, label), "the two halves become one"),
]


# ---- train_step


def flow_step(
    order=("zero", "backward", "cut", "step"),
    none=lambda network, label, hidden: label.masked_fill(hidden, network.classes),
    cost=loss,
    cut=lambda weights: nn.utils.clip_grad_norm_(weights, 1.0),
    told=lambda value: value.item(),
    inside=True,
):
    """The step in this order, with one part exchanged."""

    def answer(network, optimizer, x, label, noise, t, hidden, autocast):
        shown = none(network, label, hidden)
        with autocast() if inside else nullcontext():
            value = cost(lambda x_t, t: network(x_t, t, shown), x, noise, t)
        weights = list(network.parameters())
        acts = {
            **{"zero": optimizer.zero_grad, "backward": value.backward},
            **{"cut": lambda: cut(weights), "step": optimizer.step},
        }
        for name in order:
            acts[name]()
        return told(value)

    return answer


@right("train_step")
def flow_step_of_the_package(network, optimizer, x, label, noise, t, hidden, autocast):
    lr = optimizer.param_groups[0]["lr"]
    shown = torch.where(hidden, network.classes, label)
    return flow.flow_step(network, optimizer, x, shown, noise, t, lr, autocast)["loss"]


@right("train_step")
def flow_step_with_partial(network, optimizer, x, label, noise, t, hidden, autocast):
    shown = label * ~hidden + network.classes * hidden
    optimizer.zero_grad(set_to_none=False)
    with autocast():
        value = loss(partial(network, label=shown), x, noise, t)
    value.backward()
    length = torch.stack([p.grad.norm() for p in network.parameters()]).norm()
    for p in network.parameters():
        p.grad /= max(1.0, float(length))
    optimizer.step()
    return value.item()


def flow_step_inside(network, optimizer, x, label, noise, t, hidden, autocast):
    with autocast():
        return flow_step(inside=False)(network, optimizer, x, label, noise, t, hidden, autocast)


def flow_step_of_the_shown(network, optimizer, x, label, noise, t, hidden, autocast):
    some = (v[~hidden] for v in (x, label, noise, t, hidden))
    return flow_step()(network, optimizer, *some, autocast)


def flow_step_without_a_label(network, optimizer, x, label, noise, t, hidden, autocast):
    return loss(network, x, noise, t).item()


def flow_step_by_an_optimizer_of_its_own(network, optimizer, *others):
    own = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    return flow_step()(network, own, *others)


def hidden_in_place(network, label, hidden):
    label[hidden] = network.classes
    return label


def cut_each(weights):
    for p in weights:
        nn.utils.clip_grad_norm_(p, 1.0)


def cut_always(weights):
    length = torch.stack([p.grad.norm() for p in weights]).norm()
    for p in weights:
        p.grad /= length


RIGHT["train_step"] += [flow_step(), flow_step(order=("zero", "backward", "cut", "step", "zero"))]
WRONG["train_step"] += [
    (flow_step(none=lambda f, label, hidden: label), "No label was hidden"),
    (
        flow_step(none=lambda f, label, hidden: label.masked_fill(~hidden, f.classes)),
        "The wrong labels",
    ),
    (flow_step(none=lambda f, label, hidden: 0 * label + f.classes), "Every label was hidden"),
    (flow_step(none=lambda f, label, hidden: label * ~hidden), "became class 0"),
    (
        flow_step(none=lambda f, label, hidden: label.masked_fill(hidden, f.classes - 1)),
        "became the last class",
    ),
    (flow_step(none=hidden_in_place), "In-place"),
    (flow_step_of_the_shown, "were left out"),
    (flow_step(cost=lambda f, d, n, t: loss(f, n, d, t)), "are exchanged"),
    (flow_step(cost=loss_with(lambda e: (e**2).sum())), "`flow_loss` gives a mean"),
    (flow_step(order=("backward", "cut", "step")), "Gradients of the step before"),
    (flow_step(order=("backward", "zero", "step")), "cleared between"),
    (flow_step(order=("zero", "backward", "step")), "not cut to length 1 in time"),
    (flow_step(order=("zero", "cut", "backward", "step")), "not cut to length 1 in time"),
    (flow_step(order=("zero", "backward", "step", "cut")), "not cut to length 1 in time"),
    (flow_step(cut=lambda w: nn.utils.clip_grad_value_(w, 1.0)), "turns the direction"),
    (flow_step(cut=cut_always), "Short gradients were made longer"),
    (flow_step(cut=cut_each), "Each layer was cut alone"),
    (flow_step(order=("zero", "backward", "cut")), "by `optimizer.step()`"),
    (flow_step(order=("zero", "backward", "cut", "step", "step")), "by `optimizer.step()`"),
    (flow_step_by_an_optimizer_of_its_own, "by `optimizer.step()`"),
    (flow_step(inside=False), "belongs around the call"),
    (flow_step_inside, "only the loss is to be"),
    (flow_step_without_a_label, "which adds the label"),
    (flow_step(told=lambda value: value), "keeps the whole step"),
    (flow_step(cut=lambda w: nn.utils.clip_grad_norm_(w, 0.5)), "Take it apart"),
]
