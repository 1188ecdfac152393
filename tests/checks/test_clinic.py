"""Lesson 07: the patients themselves do not pass the checks of their cure."""

import pytest

from course_utils.authoring.lessons import load_definitions
from course_utils.checks import CheckFailed, clinic

PATIENTS = {
    "train_epoch": "broken_epoch",
    "label_loss": "broken_label_loss",
    "make_judge": "broken_judge",
    "critic_step": "broken_critic_step",
    "gan_losses": "broken_losses",
    "gan_step": "broken_gan_step",
    "generator_objective": "broken_objective",
    "elbo": "broken_elbo",
    "kl": "broken_kl",
    "encode_batch": "broken_encode",
    "shuffled": "broken_shuffle",
}


@pytest.fixture(scope="module")
def lesson():
    return load_definitions("07_debugging_clinic")


@pytest.mark.parametrize(("exercise", "patient"), PATIENTS.items())
def test_the_patient_itself_is_refused(exercise, patient, lesson):
    with pytest.raises(CheckFailed):
        getattr(clinic, exercise)(getattr(lesson, patient))
