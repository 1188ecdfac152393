"""The cases of lesson 07: what each symptom may come from, what it came from, and what keeps it from coming back."""

from dataclasses import dataclass

from course_utils.errors import CourseError
from course_utils.learner import catalogue


@dataclass(frozen=True)
class Case:
    """A case of the clinic.

    Attributes:
        function: the name of the function that the learner mends or writes.
        sign: how the fault shows.
        needs: what a learner should have met: a lesson in words, or ``""``.
        causes: what the symptom may come from, one of them right; none where nothing is guessed.
        right: the letter of the right one, from ``"a"``; ``""`` where nothing is guessed.
        diagnosis: what the fault is. It is told by the check that passes, and stands on no page.
        habit: what keeps it from coming back, as a line of a checklist.
    """

    function: str
    sign: str
    needs: str
    causes: tuple[str, ...]
    right: str
    diagnosis: str
    habit: str

    @property
    def number(self) -> str:
        """The number of its exercise."""
        return catalogue.number_of(f"clinic.{self.function}")

    @property
    def lettered(self) -> list[tuple[str, str]]:
        """The causes, each with its letter."""
        return [(chr(ord("a") + place), cause) for place, cause in enumerate(self.causes)]


_LOUD = (
    Case(
        "train_epoch",
        "passes its trial, stops an hour later",
        "",
        (
            "Memory runs out as the notes pile up.",
            "Lines that only a long run reaches: a short last batch, the first note.",
            "The labels have the wrong type.",
            "The loss becomes NaN, and NaN cannot be written.",
        ),
        "b",
        "Three lines wait for a condition of their own: a last batch that is not full, a note (a name that nobody "
        "defined), and a folder that nobody made. A short trial meets none of them.",
        "The first trial of any training is 80 examples in batches of 32, a note at every step, an empty folder; and "
        "then the same again.",
    ),
    Case(
        "label_loss",
        "a type that cannot be cast, and a size that does not fit",
        "",
        (
            "The logits should be rounded to whole numbers.",
            "`binary_cross_entropy_with_logits` wants one logit per class.",
            "The label tensor takes its type from the label and its shape from a length.",
            "The label should be -1 or 1.",
        ),
        "c",
        "`torch.full((3,), 1)` is int64, because 1 is an integer (since PyTorch 1.7); `.float()` silences the "
        "message and fails again in half or double precision. And `len(logits)` is a batch size, not a shape.",
        "Make labels from the logits, `torch.full_like(logits, label)`, never from sizes and numbers that you "
        "remember.",
    ),
    Case(
        "make_judge",
        "one loss stops, the other does not",
        "lesson 2",
        (
            "Each picture gets one answer for every patch, 25 in all.",
            "The batch is read as channels.",
            "`Flatten(0)` mixes the two pictures before the last layer.",
            "Pictures of 64 pixels are cut to 32.",
        ),
        "a",
        "The network judges patches: at 64 pixels its last map is 5×5, so that each picture gets 25 logits, and "
        "`full_like` makes 25 labels to match. The second loss trains another network than the one that you meant.",
        "`assert logits.shape == (len(pictures),)` right after the discriminator. Labels made from logits fit "
        "everything, faults included.",
    ),
    Case(
        "critic_step",
        "modified by an inplace operation",
        "lesson 1",
        (
            "An activation with `inplace=True`.",
            "The noise is changed between the two losses.",
            "`zero_grad` erases a gradient that is still needed.",
            "`c_optimizer.step()` changes weights that the generator's loss still needs.",
        ),
        "d",
        "`c_optimizer.step()` changes the critic's weights in place, and `g_loss`, computed before, needs the old"
        " ones for its backward pass. The message names the victim, not the culprit.",
        "Loss, zero_grad, backward, step: finish one half before the other begins; and ask what a message *says* "
        "before you take its advice.",
    ),
)
_COMMON = (
    Case(
        "accuracy",
        "one network, one set of digits, three accuracies",
        "",
        (
            "The digits come in a new order each time.",
            "The network still works as it does in training.",
            "Rounding: sums of floats depend on their order.",
            "`argmax` breaks ties at random.",
        ),
        "b",
        "Without `model.eval()` dropout goes on switching units off, and batch norm standardises with the batch at "
        "hand, and even learns from it. With `eval()` and no way back, training goes on without both from the "
        "first validation on.",
        "Evaluate one batch twice: the same numbers must come. Inside the evaluating function, leave each network"
        " in the mode in which it came.",
    ),
    Case(
        "squared_error",
        "a sum of its inputs, and no better than the mean",
        "",
        (
            "The learning rate is too low.",
            "A linear layer cannot fit this target.",
            "The gradient is lost on its way.",
            "The difference is a table: each prediction minus *every* target.",
        ),
        "d",
        "(B, 1) minus (B,) is (B, B), by the rules of broadcasting: every prediction is drawn to every target, "
        "and the best answer to all targets at once is their mean. Arithmetic says nothing; `F.mse_loss` warns.",
        "Assert `prediction.shape == target.shape` on the line above each loss.",
    ),
    Case(
        "class_loss",
        "almost every digit right, and a loss that stops at 1.5",
        "",
        (
            "Softmax is applied twice.",
            "The network is too small for ten classes.",
            "The labels hold errors.",
            "The loss is a sum where a mean was meant.",
        ),
        "a",
        "`cross_entropy` takes logits and applies log-softmax itself. Fed with probabilities, which lie between 0"
        " and 1, it can never fall below log(1 + 9/e) = 1.461 with ten classes, and its gradients are weak.",
        "Know the loss of a perfect answer (0) and of a clueless one (log of the number of classes), and compute "
        "both before you train.",
    ),
    Case(
        "make_network",
        "saved, loaded again, and useless",
        "",
        (
            "`state_dict` rounds the weights.",
            "The copy was loaded in training mode.",
            "The network does not know of some of its layers.",
            "The optimiser's state was not saved.",
        ),
        "c",
        "Layers in a plain Python list are no part of the network: `parameters()`, `state_dict()` and "
        "`.to(device)` pass them by. They are never trained; with enough random features, the last layer alone "
        "gets far enough that nobody notices.",
        "Count the parameters by hand once, and save and load before the first long run. Lists of layers are "
        "`nn.ModuleList` or `nn.Sequential`.",
    ),
    Case(
        "first_nan",
        "the loss is NaN from one step on",
        "",
        (
            "The learning rate is too high.",
            "The logarithm of a probability that is 0.",
            "Too large a gradient in the last layer.",
            "One picture cannot be standardised.",
        ),
        "d",
        "A blank picture has the standard deviation 0, and 0/0 is NaN. One such row makes the mean loss NaN, the"
        " loss makes the gradients NaN, and one step makes every weight NaN. At the next batch each layer looks guilty;"
        " only the first one is.",
        "Stop at the first loss that is not finite, keep that batch and the weights before it, and look for the "
        "first module that gives what is not finite.",
    ),
    Case(
        "overfit_one_batch",
        "four programs and one batch",
        "",
        (
            "All four: each of them is ill.",
            "The patients of `class_loss` and `squared_error`: their losses cannot reach 0.",
            "The patient of `make_network`: its copy was useless.",
            "The one with random labels: there is nothing to learn.",
        ),
        "b",
        "A network that is large enough can memorise any single batch, random labels included, and a last "
        "layer on random features can do so as well. A loss that cannot be 0 stays where its floor is.",
        "Before any training: one batch, some hundred steps, a loss near 0. It proves that the program *can* learn; "
        "what it learns, random labels and held-out data have to tell.",
    ),
)
_QUIET = (
    Case(
        "is_equilibrium",
        "the generator's loss stands where the theory has it",
        "lesson 1",
        (
            "Run A: its losses wobble.",
            "Run B: D is sure about the data and undecided about fakes.",
            "Both: neither generator's loss reaches 0.",
        ),
        "b",
        "Without `detach` both losses reach both networks. The discriminator's pulls a fake's logit down with "
        "σ(a), the generator's up with σ(a) - 1. Their sum, 2σ(a) - 1, is 0 where D says 1/2: nobody moves, and "
        "1/2 is what the textbook promises.",
        "Log D(x) *and* D(G(z)), and look at the spread of the samples; `diagnose` reads all three.",
    ),
    Case(
        "gan_losses",
        "the generator's loss goes to 0",
        "lesson 1",
        (
            "The generator has memorised the data.",
            "The discriminator has given up.",
            "The generator is rewarded for being recognised.",
            "The samples have collapsed to one point.",
        ),
        "c",
        "The generator's label is *fake*: it is trained to be caught, and succeeds. A minus sign turns it round, and "
        "leaves hardly any slope where D is sure. Healthy generators do not reach a loss of 0.",
        "Test a loss by its *slope* at logits of -8 and 8; its value proves nothing.",
    ),
    Case(
        "gan_step",
        "no message, and all samples in one place",
        "lesson 1",
        (
            "Gradients of one player's loss are still there when the other steps.",
            "The two optimisers share their state.",
            "The generator sees the real data.",
            "The discriminator sees new noise in each half.",
        ),
        "a",
        "Follow one `.grad`. `d_loss.backward()` fills the generator's too, for nothing is detached, and nobody "
        "clears it before the generator steps. `g_loss.backward()` leaves one in the discriminator, which is "
        "added to that of the *next* step.",
        "`zero_grad` directly above `backward`, always; and three SGD steps against a second, independent "
        "implementation. One step would not show what is left for the next.",
    ),
    Case(
        "match_ranges",
        "D wins before anything is learned",
        "lesson 2",
        (
            "The untrained generator makes grey pictures.",
            "The discriminator is too large.",
            "Real pictures have too much contrast.",
            "A single pixel gives the generator away.",
        ),
        "d",
        "Tanh reaches from -1 to 1, the pictures from 0 to 1: any pixel below 0 is fake. What D teaches first "
        "is to avoid dark pixels, which says nothing about pictures.",
        "Print minimum and maximum of a real and of a generated batch, side by side, before the first step.",
    ),
    Case(
        "generator_objective",
        "converges, to the wrong place",
        "lesson 1",
        (
            "One optimiser cannot train two networks.",
            "The data are not where this objective is smallest.",
            "Five runs are too few.",
            "D is not strong enough to help.",
        ),
        "b",
        "Both players are on one side: D makes fakes look fake *and* real at once. For a fixed D the sum is linear "
        "in the generator's distribution, so the least over all D is concave. It is flat at the data, which are "
        "therefore its highest point.",
        "Evaluate an objective at the data themselves: it has to be best there.",
    ),
    Case(
        "elbo",
        "sharp copies, samples that are junk",
        "lesson 3",
        (
            "The second term holds nothing that is trained.",
            "The likelihood has the wrong variance.",
            "Too few draws of the noise.",
            "The encoder's variance is too small to matter.",
        ),
        "a",
        "The second term is made of noise alone: a constant, about 0.88. Without a KL the posterior may go "
        "anywhere, and the 'bound' can lie above what it should bound.",
        "Ask every term for its gradient, `torch.autograd.grad(term, parameters, allow_unused=True)`; and hold a "
        "bound against a model that can be solved.",
    ),
    Case(
        "kl",
        "a divergence below 0",
        "lesson 1",
        (
            "Rounding, near a divergence of 0.",
            "Probabilities that do not sum to 1.",
            "The mean is taken over the other distribution.",
            "The logarithm has the wrong base.",
        ),
        "c",
        "The logarithm is that of KL(p || q), the weights are q. The whole is -KL(q || p); to descend it drives the "
        "model *away* from the data, without end.",
        "Test a divergence on two *unequal* distributions, in both directions, and where it is infinite.",
    ),
)
_TEXT = (
    Case(
        "encode_batch",
        "100 % on random labels",
        "lesson 4",
        (
            "The test reviews were trained on.",
            "The label can be read in the input.",
            "The random labels are not random.",
            "Padding tells long reviews from short ones.",
        ),
        "b",
        "A list of *pairs* means two segments to a tokenizer: the label's text was encoded after the review, and the "
        "classifier reads it there.",
        "Train once on random labels: held-out accuracy has to be chance. Decode one batch, and read it.",
    ),
    Case(
        "make_classifier",
        "a falling loss, and half of the answers wrong",
        "lesson 4",
        (
            "The learning rate is too high.",
            "The classes are not balanced.",
            "The labels are exchanged.",
            "The loss is not the one that you think.",
        ),
        "d",
        "With `num_labels=1` the library trains a *regression* with squared error, without a word; and `argmax` "
        "over one logit is always 0. Cross-entropy costs at least log 2 for each wrong answer.",
        "Assert the logits' shape. The loss of an untrained classifier is about log(number of classes): look at it "
        "before you train.",
    ),
    Case(
        "shuffled",
        "training loss 0, test accuracy one half",
        "lesson 4",
        (
            "What came last is what it believes.",
            "It has memorised the training reviews.",
            "The test reviews are of another kind.",
            "One epoch is too short.",
        ),
        "a",
        "In the second half of the epoch everything is negative. The model learns the cheapest rule that is true "
        "there, 'negative', and forgets the rest.",
        "Print the labels of the first three batches.",
    ),
)
_LAST = (
    Case(
        "first_break",
        "a proof that ends in 0",
        "lesson 1",
        (
            "Line 1: p/(p + q) is not p/2m.",
            "Line 2: the logarithm of a mean is not the mean of logarithms.",
            "Line 3: the probabilities do not sum to 1.",
            "None: lesson 1 is about another game.",
        ),
        "b",
        "Line 2 pulls the logarithm out of the mean, and Jensen's inequality forbids it. At p = q the line still "
        "agrees: a symmetric point hides errors.",
        "Before you believe a derivation, evaluate both sides of each line at random points, none of them symmetric.",
    ),
    Case(
        "same_training",
        "three complaints of a reviewer",
        "lesson 1",
        (
            "The labels are overwritten before they are used.",
            "The fakes of the two halves differ.",
            "It is not ill.",
            "Means over 5 and over 8 examples may not be added.",
        ),
        "c",
        "All three complaints are void: each loss had gone backward before its labels were overwritten; the same "
        "noise gives the same fakes; two means do not mind different sizes.",
        "Before mending, show by a test that the program is broken.",
    ),
    Case(
        "mystery",
        "one script, three faults",
        "",
        (),
        "",
        "Pictures without ink were left out, their labels were not: from there on each picture had a neighbour's "
        "label. The scheduler stepped with every batch, so that the learning rate was gone after one epoch. And "
        "test pictures were divided by 255, training pictures by 16.",
        "Look at what enters (a row and its label), at what moves (rate and weights), at what is measured (the "
        "same data as training and as test): each alone, before the whole.",
    ),
)
CASES = (*_LOUD, *_COMMON, *_QUIET, *_TEXT, *_LAST)
"""All cases, in the order of the page."""


def find(function: str) -> Case:
    """The case of a function.

    Raises:
        CourseError: there is none.
    """
    for one in CASES:
        if one.function == function:
            return one
    raise CourseError(
        "clinic-unknown-case",
        f"There is no case {function!r}.",
        f"Known: {', '.join(one.function for one in CASES)}.",
        'checks.clinic.reveal("kl")',
    )
