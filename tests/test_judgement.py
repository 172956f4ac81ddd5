"""From what the network says to what stands in the row: rejection, flags, uncertainty, focus."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from scanner import ood
from scanner.bundle import Bundle
from scanner.errors import SetupError
from scanner.heads import KINDS
from scanner.judgement import Judge
from scanner.predictor import Predictions
from scanner.preprocess import PreprocessSpec
from scanner.records import Record

CLASSES = ("Covid-19", "Normal", "Pneumonia")
TRUST = {
    "lung_focus": {"threshold": 0.4},
    "conformal": {
        "promised": 0.95,
        "thresholds": {"Covid-19": 0.05, "Normal": 0.3, "Pneumonia": 0.3},
    },
    "gate": {"reject_below": 0.05, "flag_below": 0.5},
    "left_out": [],
}
RASTER = Record(path="a.png", format="png")
STATED = Record(path="a.dcm", format="dicom", body_part="CHEST", view="PA")


def bundle(trust: Any = TRUST, classes: tuple[str, ...] = CLASSES, **weights: Any) -> Bundle:
    card = {} if trust is None else {"trust": trust}
    return Bundle("0123456789ab", classes, PreprocessSpec(), 1.0, weights, card)


def seen(
    probabilities: tuple[float, ...] = (0.01, 0.97, 0.02),
    cam_at: tuple[int, int] | None = (8, 3),
    lungs: bool = True,
    kind: str | None = "frontal",
    sure: float = 0.99,
) -> Predictions:
    """One image: lungs on either side, all evidence in one cell, `sure` that it is of `kind`."""
    cam = np.zeros((1, 16, 16), np.float32)
    if cam_at:
        cam[0][cam_at] = 1
    field = np.zeros((1, 32, 32), np.float32)
    field[0, 6:25, 4:13] = field[0, 6:25, 19:28] = 0.97
    kinds = np.full((1, len(KINDS)), (1 - sure) / (len(KINDS) - 1), np.float32)
    if kind:
        kinds[0, KINDS.index(kind)] = sure
    return Predictions(
        probabilities=np.array([probabilities], np.float32),
        cam=cam,
        embedding=np.ones((1, 8), np.float32),
        lungs=field if lungs else None,
        kinds=kinds if kind else None,
    )


def judged(predictions: Predictions, record: Record = RASTER, **changes: Any) -> Record:
    (row,) = Judge(bundle(**changes)).judge([record], predictions)
    return row


def test_a_plain_chest_is_judged_without_a_flag() -> None:
    row = judged(seen())
    assert (row.status, row.flags, row.reason) == ("ok", "", "")
    assert (row.prediction, row.prediction_set) == ("Normal", "Normal")
    assert row.confidence == pytest.approx(0.97)
    assert row.probabilities == pytest.approx((0.01, 0.97, 0.02))
    assert row.lung_focus == 1
    assert row.lung_area == pytest.approx(2 * 19 * 9 / 1024)
    assert row.lung_lift == pytest.approx(1024 / (2 * 19 * 9))
    assert (row.cam_empty, row.ood_score) == ("no", None)


def test_facts_of_the_file_stay() -> None:
    row = judged(seen(), replace(STATED, sha256="ab", patient="cd"))
    assert (row.path, row.sha256, row.patient, row.view) == ("a.dcm", "ab", "cd", "PA")


@pytest.mark.parametrize("trust", [None, {}, {"left_out": ["No lung focus: ..."]}])
def test_a_model_without_heads_says_what_it_always_said(trust: Any) -> None:
    row = judged(seen((0.4, 0.35, 0.25), lungs=False, kind=None), trust=trust)
    assert (row.status, row.prediction, row.prediction_set) == ("ok", "Covid-19", "")
    assert (row.lung_focus, row.lung_area, row.lung_lift, row.ood_score) == (None,) * 4


def test_without_operating_points_heads_measure_and_flag_nothing_unsure() -> None:
    row = judged(seen((0.4, 0.35, 0.25), cam_at=(0, 0), kind="ct_slice"), trust=None)
    assert (row.status, row.prediction, row.lung_focus) == ("ok", "Covid-19", 0)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_another_kind_of_picture_is_rejected_and_gets_no_prediction(kind: str) -> None:
    row = judged(seen(kind=kind), replace(RASTER, flags="low_resolution"))
    assert (row.status, row.reason) == ("rejected", kind)
    assert "probability 0.99" in row.detail
    empty = replace(RASTER, status="rejected", reason=kind, detail=row.detail)
    assert row == empty


@pytest.mark.parametrize("kind", KINDS[1:])
def test_where_the_header_states_a_frontal_chest_it_is_flagged_instead(kind: str) -> None:
    row = judged(seen(kind=kind), STATED)
    assert (row.status, row.flags, row.prediction) == ("flagged", kind, "Normal")


def test_a_picture_that_may_be_another_kind_is_flagged() -> None:
    row = judged(seen(kind="turned", sure=0.8))
    assert row.reason == "turned"
    row = judged(seen(kind="frontal", sure=0.3))
    assert (row.status, row.flags, row.prediction) == ("flagged", "kind_unclear", "Normal")


def test_a_picture_without_lungs_is_rejected() -> None:
    predictions = replace(seen(), lungs=np.zeros((1, 32, 32), np.float32))
    assert judged(predictions).reason == "no_lungs"
    assert judged(predictions, STATED).flags.split(";")[0] == "no_lungs"


def test_cut_lungs_are_flagged() -> None:
    predictions = seen()
    assert predictions.lungs is not None
    cut = np.roll(predictions.lungs, -6, axis=1)  # the apices leave at the top
    assert judged(replace(predictions, lungs=cut)).flags == "lungs_cut"


def test_what_the_model_cannot_tell_is_uncertain() -> None:
    row = judged(seen((0.36, 0.63, 0.01)))
    assert (row.status, row.flags) == ("flagged", "uncertain")
    assert (row.prediction, row.prediction_set) == ("uncertain", "Covid-19;Normal")
    assert row.confidence == pytest.approx(0.63)


def test_thresholds_belong_to_their_classes() -> None:
    # A little of Covid-19 is enough to keep it, the same of Pneumonia is not.
    assert judged(seen((0.1, 0.9, 0.0))).prediction_set == "Covid-19;Normal"
    assert judged(seen((0.0, 0.9, 0.1))).prediction_set == "Normal"


@pytest.mark.parametrize(("cam_at", "flags"), [((0, 0), "looks_outside_lungs"), ((8, 3), "")])
def test_evidence_outside_the_lungs_is_flagged(cam_at: tuple[int, int], flags: str) -> None:
    assert judged(seen(cam_at=cam_at)).flags == flags


def test_an_empty_map_is_said_and_not_taken_for_one_outside_the_lungs() -> None:
    row = judged(seen(cam_at=None))
    assert (row.flags, row.cam_empty) == ("cam_empty", "yes")
    assert (row.lung_focus, row.lung_lift) == (None, None)
    assert row.lung_area is not None


def statistics() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2)
    return ood.fit(rng.uniform(0.9, 1.1, (60, 8)).astype(np.float32), np.zeros(60, np.int64))


def test_an_image_unlike_those_of_training_is_flagged() -> None:
    near, far = seen(), replace(seen(), embedding=np.eye(8, dtype=np.float32)[:1])
    trust = {**TRUST, "ood": {"threshold": 3.0}}
    row = judged(near, trust=trust, **statistics())
    assert row.ood_score is not None and row.ood_score < 3
    assert row.flags == ""
    row = judged(far, trust=trust, **statistics())
    assert row.ood_score is not None and row.ood_score > 3
    assert row.flags == "out_of_distribution"
    assert judged(far, **statistics()).flags == ""  # measured, no line drawn


def test_flags_of_the_file_come_first_then_picture_training_sets_and_focus() -> None:
    record = replace(RASTER, flags="low_resolution;coloured")
    predictions = seen((0.5, 0.5, 0), cam_at=(0, 0), sure=0.3)
    assert judged(predictions, record).flags.split(";") == [
        *("low_resolution", "coloured", "kind_unclear", "uncertain", "looks_outside_lungs")
    ]


def test_every_image_of_a_batch_gets_its_own_row() -> None:
    parts = [seen(), seen(kind="ct_slice"), seen((0.9, 0.05, 0.05), cam_at=(0, 0))]
    both = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("probabilities", "cam", "embedding", "lungs", "kinds")
    }
    records = [replace(RASTER, path=name) for name in "abc"]
    rows = Judge(bundle()).judge(records, Predictions(**both))
    assert [row.path for row in rows] == ["a", "b", "c"]
    assert [row.prediction for row in rows] == ["Normal", "", "Covid-19"]
    assert [row.flags for row in rows] == ["", "", "looks_outside_lungs"]


def test_a_class_named_uncertain_is_refused() -> None:
    with pytest.raises(SetupError, match="class named uncertain"):
        Judge(bundle(None, ("Normal", "uncertain")))


@pytest.mark.parametrize(
    "trust",
    [
        ["lung_focus"],
        {"lung_focus": {"threshold": None}},
        {"ood": {"quantile": 0.99}},
        {"conformal": {"thresholds": {"Normal": 0.1}}},
        {"gate": {"reject_below": "little", "flag_below": 0.5}},
    ],
)
def test_operating_points_that_cannot_be_read_are_refused_in_one_line(trust: Any) -> None:
    with pytest.raises(SetupError, match="operating points") as raised:
        Judge(bundle(trust))
    assert "\n" not in str(raised.value)
