"""Every reason and flag of the CSV in words, for the report and the closing summary."""

REASONS = {
    # failed
    "empty_file": "the file is empty",
    "truncated": "the file ends too early: copied or sent incompletely",
    "damaged_header": "the header is damaged or incomplete",
    "damaged_pixels": "the pixel data is damaged",
    "no_pixel_data": "an image header without an image",
    "unsupported_transfer_syntax": "a compression nobody decodes any more",
    "unsupported_format": "an image format that is not read",
    "too_large": "larger than the limits allow",
    "timeout": "reading took too long",
    "decoder_crashed": "the decoder crashed on it",
    "unreadable": "the file cannot be opened",
    "changed": "the file was changed while the scan ran; the next run reads it again",
    "unexpected_error": "an error nobody foresaw: please report it",
    # rejected
    "duplicate": "the same image was judged already",
    "not_an_image": "a DICOM object without pixels (report, presentation state, plan)",
    "other_modality": "not made by a radiography machine",
    "other_body_part": "not a chest",
    "lateral_view": "a lateral view",
    "oblique_view": "an oblique view",
    "for_processing": "raw detector data, not for reading",
    "multi_frame": "several frames in one file",
    "colour_image": "a colour image",
    "ai_result": "another program's result",
    "not_human": "an animal",
    "blank_image": "nothing is shown",
    "upside_down": "upside down",
    "turned": "turned on its side",
    "inverted": "black and white are swapped",
    "several_images": "several pictures in one",
    "ct_slice": "a slice of a CT",
    "not_a_radiograph": "not a radiograph",
    "no_lungs": "no lungs are found",
}

FLAGS = {
    "modality_unclear": "the header does not say how it was made",
    "body_part_missing": "the header does not say what is shown",
    "body_part_unclear": "the header names an unknown body part",
    "view_missing": "the header does not state the view",
    "view_unclear": "the header states an unknown view",
    "view_decubitus": "taken lying on the side",
    "orientation_unusual": "may be mirrored or turned",
    "odd_pixel_aspect": "the header states impossible pixel proportions",
    "species_unclear": "may not be a human",
    "polarity_conflict": "black and white may be swapped",
    "coloured": "colour in it: marks, a tint or a heat map",
    "low_resolution": "very few pixels",
    "kind_unclear": "may not be a frontal chest radiograph",
    "lungs_cut": "lungs are cut off by the edge of the picture",
    "out_of_distribution": "unlike the images the model was trained on",
    "uncertain": "could be of several classes",
    "looks_outside_lungs": "the evidence lies outside the lungs",
    "cam_empty": "no part of the image speaks for the prediction",
}

PASSED_OVER = {
    "archive": "archives (zip, gz), not opened",
    "dicomdir": "DICOMDIR",
    "other": "other files",
    "symbolic_link": "symbolic links, not followed",
    "not_a_regular_file": "devices, pipes and sockets",
    "output_of_a_scan": "output folders of cxr-scan",
    "folder_seen_before": "folders reached a second time",
}


def in_words(slug: str) -> str:
    """Return a reason or flag for people; a slug without an entry is shown as it is."""
    return REASONS.get(slug) or FLAGS.get(slug) or slug
