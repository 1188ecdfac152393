"""Checks of lesson 07, the debugging clinic: each judges a mended program by what it does, and knows useless fixes."""

from course_utils.checks import Answer, exercise
from course_utils.checks import _clinic_claims as claims
from course_utils.checks import _clinic_gan as gan
from course_utils.checks import _clinic_loud as loud
from course_utils.checks import _clinic_same as same
from course_utils.checks import _clinic_steps as steps
from course_utils.checks import _clinic_text as text
from course_utils.checks import _clinic_theory as theory
from course_utils.checks._gan_step import gan_step_with_labels, inspect_gan_step


@exercise("7.1", loud.epoch_by_chunks)
def exercise_7_1(fn: Answer) -> None:
    """Check ``train_epoch(images, batch_size, log_every, folder) -> steps``; notes in ``folder/notes/STEP.txt``."""
    loud.inspect_epoch(fn)


@exercise("7.2", loud.loss_by_softplus)
def exercise_7_2(fn: Answer) -> None:
    """Check ``label_loss(logits, label)``: logits of any shape and float type -> scalar of that type."""
    loud.inspect_label_loss(fn)


@exercise("7.3", loud.generator_input_by_view)
def exercise_7_3(fn: Answer) -> None:
    """Check ``generator_input(z)``: (B, D) -> (B, D, 1, 1)."""
    loud.inspect_generator_input(fn)


@exercise("7.4", loud.judge_by_depth)
def exercise_7_4(fn: Answer) -> None:
    """Check ``make_judge(size)``: a module (B, 3, size, size) -> logits (B,), size 32 or 64."""
    loud.inspect_judge(fn)


@exercise("7.5", steps.critic_step_by_halves)
def exercise_7_5(fn: Answer) -> None:
    """Check ``critic_step(generator, critic, g_optimizer, c_optimizer, real, noise)`` -> (critic's, G's loss)."""
    steps.inspect_critic_step(fn)


@exercise("7.6", gan.equilibrium_by_largest_gap)
def exercise_7_6(fn: Answer) -> None:
    """Check ``is_equilibrium(d_loss, g_loss, d_real, d_fake)`` -> bool."""
    gan.inspect_equilibrium(fn)


@exercise("7.7", gan.losses_by_softplus)
def exercise_7_7(fn: Answer) -> None:
    """Check ``gan_losses(real_logits, fake_logits)`` -> (discriminator's loss, generator's loss)."""
    gan.inspect_losses(fn)


@exercise("7.8", gan_step_with_labels)
def exercise_7_8(fn: Answer) -> None:
    """Check ``gan_step(generator, discriminator, g_optimizer, d_optimizer, real, noise) -> (float, float)``."""
    inspect_gan_step(fn)


@exercise("7.9", gan.ranges_by_affine)
def exercise_7_9(fn: Answer) -> None:
    """Check ``match_ranges()`` -> (prepare, last): pictures in [0, 1] -> the range that the layer ``last`` fills."""
    gan.inspect_ranges(fn)


@exercise("7.10", gan.objective_by_entropies)
def exercise_7_10(fn: Answer) -> None:
    """Check ``generator_objective(p_data, p_g)``: probabilities (N,), (N,) -> V at the best D, nats."""
    gan.inspect_objective(fn)


@exercise("7.11", theory.elbo_by_distributions)
def exercise_7_11(fn: Answer) -> None:
    """Check ``elbo(x, mean, log_var, noise, w, s)``: (B,), (B,), (B,), (K, 1) -> (B,) nats."""
    theory.inspect_elbo(fn)


@exercise("7.12", theory.kl_by_ratio)
def exercise_7_12(fn: Answer) -> None:
    """Check ``kl(p, q)``: probabilities (N,), (N,) -> scalar, nats."""
    theory.inspect_kl(fn)


@exercise("7.13", text.adam_without_decay)
def exercise_7_13(fn: Answer) -> None:
    """Check ``make_optimizer(model, lr)``: AdamW with weight decay 0 and eps 1e-6."""
    text.inspect_optimizer(fn)


@exercise("7.14", text.batch_by_columns)
def exercise_7_14(fn: Answer) -> None:
    """Check ``encode_batch(tokenizer, rows)``: pairs (text, "pos" or "neg") -> dict with ids, mask and labels."""
    text.inspect_encode(fn)


@exercise("7.15", text.classifier_of_two)
def exercise_7_15(fn: Answer) -> None:
    """Check ``make_classifier(vocab_size)``: a BERT whose own loss is the cross-entropy of two logits."""
    text.inspect_classifier(fn)


@exercise("7.16", text.shuffled_by_generator)
def exercise_7_16(fn: Answer) -> None:
    """Check ``shuffled(texts, labels, seed)`` -> (texts, labels)."""
    text.inspect_shuffled(fn)


@exercise("7.17", text.share_by_kept)
def exercise_7_17(fn: Answer) -> None:
    """Check ``share_cut(lengths, limit)``: share of all tokens that a limit throws away."""
    text.inspect_share(fn)


@exercise("7.18", theory.break_by_pairs)
def exercise_7_18(fn: Answer) -> None:
    """Check ``first_break(lines, points)``: index of the first line that differs from the one above, or None."""
    theory.inspect_first_break(fn)


@exercise("7.19", claims.errors_by_normal)
def exercise_7_19(fn: Answer) -> None:
    """Check ``errors_apart(claimed, known, n)``: distance in standard errors, signed."""
    claims.inspect_errors(fn)


@exercise("7.20", claims.objections_by_table)
def exercise_7_20(fn: Answer) -> None:
    """Check ``objections(prompt, text, limit, count, years, trained)`` -> set of "prompt", "length", "date"."""
    claims.inspect_objections(fn)


@exercise("7.21", claims.folder_by_digest)
def exercise_7_21(fn: Answer) -> None:
    """Check ``commons_folder(name)``: a file's name -> "a/a9"."""
    claims.inspect_folder(fn)


@exercise("7.22", same.same_by_outcome)
def exercise_7_22(fn: Answer) -> None:
    """Check ``same_training(step, other, make_players, batches)`` -> bool."""
    same.inspect_same_training(fn)
