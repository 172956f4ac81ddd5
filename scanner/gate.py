"""Is this a frontal chest radiograph we may judge? The header's part of the answer.

Headers are often empty and sometimes wrong, so only what a header states plainly rejects; what it
leaves open is judged and flagged. Under ``--strict`` the flags reject as well.
"""

import re

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import DigitalXRayImageStorageForProcessing

from scanner.errors import Rejection
from scanner.header import code, frame_count, text
from scanner.radiograph import FloatArray

# CR, DX: PS3.3 C.7.3.1.1.1; RG is digitised film; DR and XR are not in the standard but occur.
_RADIOGRAPHY = frozenset({"CR", "DX", "RG", "DR", "XR"})
# Scanned film and converted files arrive as these; they say nothing about what is shown.
_UNCLEAR_MODALITIES = frozenset({"", "OT", "SC", "HC"})

_CHEST = re.compile(
    r"CHEST|THORA[XK]|THORACIC(?! ?(?:SP|VERT|COL))|TORAX|TÓRAX|TORACE|LUNG|\bCXR\b|^CHST|"
    r"POUMON|BRUST(?!W|BEIN)"
)
# Words of PS3.16 CID 4031 and what vendors write for body parts that are not the chest.
_ELSEWHERE = re.compile(
    r"ABDOM|ANKLE|ARM\b|BREAST|CLAVICLE|COCCYX|COLON|EAR\b|ELBOW|EXTREMITY|EYE|FACE|FACIAL|FEMUR|"
    r"FIBULA|FINGER|FOOT|FOREARM|HAND|HEAD|HEEL|HIP|HUMERUS|ILEUM|JAW|KIDNEY|KNEE|LEG\b|LIMB|"
    r"LIVER|MANDIBLE|MAXILLA|NASAL|NECK|NOSE|ORBIT|PATELLA|PELVI|RADIUS|\bRIBS?\b|SACRUM|SCAPULA|"
    r"SHOULDER|SINUS|SKULL|SPINE|STERNUM|TEETH|THIGH|THUMB|TIBIA|\bTOES?\b|TOOTH|ULNA|WRIST|"
    r"ZYGOMA|DENTAL|SÄULE|SAEULE"
)
_FRONTAL_VIEW = re.compile(r"^(PA|AP|POSTERO.?ANTERIOR|ANTERO.?POSTERIOR|FRONTAL)\b")
_FRONTAL_WORD = re.compile(r"\b(PA|AP|FRONTAL)\b")
_LATERAL_VIEW = re.compile(r"^(LL|RL|LLAT|RLAT)$|\bLAT(ERAL)?\b(?!\.? ?DECUB)")
_OBLIQUE_VIEW = re.compile(r"^([LR]PO|[LR]AO|[LR]LO)$|OBLIQUE|\bOBL\b")
_DECUBITUS_VIEW = re.compile(r"^(LLD|RLD)$|DECUB")
# In the fields that state a species or a breed.
_HUMAN = re.compile(r"\b(HUMAN|HOMO|MAN|MENSCH)\b", re.IGNORECASE)
_ANIMAL = re.compile(r"\b(DOG|CAT|HORSE|RABBIT|BIRD|COW|PIG|SHEEP|GOAT)\b", re.IGNORECASE)
# In any description.
_NOT_HUMAN = re.compile(
    r"\b(CANINE|FELINE|EQUINE|BOVINE|AVIAN|VETERINAR\w*|CANIS|FELIS|EQUUS)\b", re.IGNORECASE
)
# Names under which other programs store their findings beside the images. Fields in which people
# write about their images (comments, protocols) are not asked: a radiograph must not go by a word.
_OTHER_PROGRAM = re.compile(
    r"\b(lunit|insight cxr|qure|qxr|annalise|oxipit|chestlink|gleamer|chestview|milvue|"
    r"infervision|inferread|vuno|deepnoid|riverain|clearread|aidoc|rayscape|"
    r"radiobotics|arterys|zebra medical|cxr-scan|cad4tb|jf cxr|"
    r"ai[ -]?(result|report|overlay|heat ?map|findings|analysis|score)s?|"
    r"heat ?map|saliency|grad-?cam|cad (result|overlay|marks?)|computer aided detection)\b",
    re.IGNORECASE,
)
_OTHER_PROGRAM_FIELDS = (
    "SeriesDescription",
    "Manufacturer",
    "ManufacturerModelName",
    "SoftwareVersions",
    "DerivationDescription",
)
_DESCRIPTIONS = (
    "SeriesDescription",
    "ProtocolName",
    "AcquisitionDeviceProcessingDescription",
)
# Less than one grey level of 255 between dark and bright: nothing is shown.
_MIN_CONTRAST = 1 / 255
# Half the model's input: finer structure than that is not there to be judged.
_MIN_SIDE = 128


def admit_header(dataset: Dataset) -> tuple[str, ...]:
    """Return the flags that the header raises; raise `Rejection` if it rules the image out.

    Reasons: ``multi_frame``, ``other_modality``, ``ai_result``, ``not_human``, ``for_processing``,
    ``other_body_part``, ``lateral_view``, ``oblique_view``. Flags: ``modality_unclear``,
    ``body_part_missing``, ``body_part_unclear``, ``view_missing``, ``view_unclear``,
    ``view_decubitus``, ``orientation_unusual``,
    ``species_unclear``.
    """
    frames = frame_count(dataset)
    if frames > 1:
        raise Rejection("multi_frame", f"it has {frames} frames where one radiograph is expected")
    flags = _check_modality(dataset)
    flags += _check_origin(dataset)
    flags += _check_body_part(dataset)
    flags += _check_view(dataset)
    return tuple(flags)


def _check_modality(dataset: Dataset) -> list[str]:
    modality = code(dataset, "Modality").upper()
    if modality in _RADIOGRAPHY:
        return []
    if modality in _UNCLEAR_MODALITIES:
        return ["modality_unclear"]
    raise Rejection("other_modality", f"its modality is {modality}, not CR or DX")


def _check_origin(dataset: Dataset) -> list[str]:
    for keyword in _OTHER_PROGRAM_FIELDS:
        found = _OTHER_PROGRAM.search(text(dataset, keyword, longest=10_240))  # VR LT
        if found:
            raise Rejection(
                "ai_result", f"{keyword} names another program's result ({found.group()})"
            )
    species = text(dataset, "PatientSpeciesDescription")
    stated = f"{species} {text(dataset, 'PatientBreedDescription')}"
    described = [text(dataset, k) for k in (*_DESCRIPTIONS, "InstitutionName")]
    described.append(text(dataset, "ResponsibleOrganization"))
    if _ANIMAL.search(stated) or _NOT_HUMAN.search(" ".join([stated, *described])):
        raise Rejection("not_human", "its header says that the patient is an animal")
    if (
        text(dataset, "SOPClassUID") == DigitalXRayImageStorageForProcessing
        or text(dataset, "PresentationIntentType").upper() == "FOR PROCESSING"
    ):
        raise Rejection(
            "for_processing", "it is raw detector data (FOR PROCESSING), not to be read"
        )
    return ["species_unclear"] if species and not _HUMAN.search(species) else []


def _check_body_part(dataset: Dataset) -> list[str]:
    stated = text(dataset, "BodyPartExamined").upper().replace("_", " ")
    region = stated or _code_meaning(dataset, "AnatomicRegionSequence")
    if not region:
        return ["body_part_missing"]
    if _CHEST.search(region):
        return []
    # Only the words looked for are quoted: the rest may be somebody's free text.
    if elsewhere := _ELSEWHERE.search(region):
        raise Rejection("other_body_part", f"its body part is {elsewhere.group()}, not the chest")
    return ["body_part_unclear"]


def _check_view(dataset: Dataset) -> list[str]:
    stated = text(dataset, "ViewPosition").upper()
    view = (stated or _code_meaning(dataset, "ViewCodeSequence")).replace("_", " ")
    orientation = _orientation(dataset)
    if not view:
        descriptions = [text(dataset, keyword).upper() for keyword in _DESCRIPTIONS]
        # "PA AND LATERAL" names the whole study and leaves this image's view open.
        if not any(map(_FRONTAL_WORD.search, descriptions)):
            if any(map(_LATERAL_VIEW.search, descriptions)):
                raise Rejection("lateral_view", "its description says that it is a lateral view")
            if any(map(_OBLIQUE_VIEW.search, descriptions)):
                raise Rejection("oblique_view", "its description says that it is an oblique view")
        # The rows of a lateral view run from front to back (PS3.3 C.7.6.1.1.1).
        if orientation[0][:1] in ("A", "P"):
            raise Rejection("lateral_view", "its PatientOrientation is that of a lateral view")
        return ["view_missing"]
    if _DECUBITUS_VIEW.search(view):
        return ["view_decubitus"]
    frontal = _FRONTAL_WORD.search(view)
    lateral, oblique = _LATERAL_VIEW.search(view), _OBLIQUE_VIEW.search(view)
    if lateral and not frontal:
        raise Rejection("lateral_view", f"its view is {lateral.group()}, not PA or AP")
    if oblique and not frontal:
        raise Rejection("oblique_view", f"its view is {oblique.group()}, not PA or AP")
    flags = [] if _is_plainly_frontal(view) else ["view_unclear"]
    if any(orientation) and (orientation[0][:1] != "L" or orientation[-1][:1] != "F"):
        flags.append("orientation_unusual")
    return flags


def states_frontal_chest(body_part: str, view: str) -> bool:
    """Tell whether BodyPartExamined and ViewPosition plainly state a frontal chest radiograph."""
    return bool(_CHEST.search(body_part.upper()) and _is_plainly_frontal(view.upper()))


def _is_plainly_frontal(view: str) -> bool:
    """Tell whether a view in capitals is frontal and nothing else, unlike PA AND LATERAL."""
    words = view.replace("_", " ")
    other = _LATERAL_VIEW.search(words) or _OBLIQUE_VIEW.search(words)
    return bool(_FRONTAL_VIEW.search(words)) and not other


def _orientation(dataset: Dataset) -> list[str]:
    """Return the directions of rows and columns, as in ["L", "F"]; one blank if not stated."""
    return [part.strip("[]' ") for part in text(dataset, "PatientOrientation").split(",")]


def _code_meaning(dataset: Dataset, keyword: str) -> str:
    items = dataset.get(keyword)
    return text(items[0], "CodeMeaning").upper() if items else ""


def admit_pixels(pixels: FloatArray) -> tuple[str, ...]:
    """Return the flags that display pixels (H, W) in 0..1 raise.

    Raises `Rejection` with reason ``blank_image`` when nothing is shown. Flag: ``low_resolution``.
    """
    if float(np.ptp(pixels)) < _MIN_CONTRAST:
        raise Rejection("blank_image", "it shows nothing: every pixel has the same grey")
    return ("low_resolution",) if min(pixels.shape) < _MIN_SIDE else ()
