"""The broken variants of what leaves the mirror in the forms of other programs."""

from tests.mutations.mutated_copy import Variant

EXPORTS = (
    Variant(
        "a task in error is a COCO image",
        "db/export/drawn_shapes.py",
        "is_image = and_(not_(_is_error()), or_(answered, _has_shapes()))",
        "is_image = or_(answered, _has_shapes())",
        ("export/test_coco.py::test_a_task_in_error_is_no_image[sqlite]",),
    ),
    Variant(
        "a shape without an area is a COCO annotation",
        "export/coco.py",
        "if not geometry.area:",
        "if geometry.area < 0:",
        ("export/test_coco.py::test_what_has_no_area_is_left_out_and_counted",),
    ),
    Variant(
        "annotations of other geometries are not counted for COCO",
        "export/coco.py",
        "counts.leave_out(_skip_reason(item), item.number)",
        "counts.leave_out(_skip_reason(item), 0)",
        ("export/test_coco.py::test_a_file_and_its_count_add_up_to_the_mirror[sqlite]",),
    ),
    Variant(
        "an attribute with a name of FiftyOne's own is exported",
        "export/fiftyone.py",
        "if not _is_free(name, _RESERVED_BY_KIND[kind]) and not _is_fitting(name, value, kind):",
        "if not name:",
        ("export/test_fiftyone.py::test_nothing_that_is_exported_stops_the_importer",),
    ),
    Variant(
        "a global attribute may change its form for FiftyOne",
        "export/fiftyone.py",
        "elif self.known_forms.get(name, form) is not form:",
        "elif False:",
        ("export/test_fiftyone.py::test_a_global_attribute_keeps_the_form_that_it_had_first",),
    ),
    Variant(
        "a project whose name is too long stops a partitioned export",
        "export/parquet.py",
        "if error.errno != errno.ENAMETOOLONG:",
        "if error.errno:",
        ("export/test_parquet.py::test_a_name_too_long_for_a_directory_is_shortened",),
    ),
    Variant(
        "names that a file system takes for one share a directory",
        "export/parquet.py",
        "except FileExistsError:",
        "except IsADirectoryError:",
        ("export/test_parquet.py::test_names_that_a_file_system_takes_for_one_are_kept_apart",),
    ),
    Variant(
        "a shape is not clipped to its picture",
        "export/picture_dataset.py",
        "yield LabeledShape(indexes[category_of(shape.label)], shape.geometry, outline, visible)",
        "yield LabeledShape(indexes[category_of(shape.label)], shape.geometry, outline, outline)",
        ("export/test_yolo.py::test_what_reaches_beyond_is_clipped_and_counted[sqlite]",),
    ),
    Variant(
        "a picture of unknown size does not make a dataset incomplete",
        "export/picture_dataset.py",
        'self._leave_out(shapes, "pictures of unknown size", is_final=False)',
        'self._leave_out(shapes, "pictures of unknown size", is_final=True)',
        ("export/test_yolo.py::test_pictures_of_unknown_size_are_left_out[sqlite]",),
    ),
    Variant(
        "the split of a task depends on the other tasks",
        "export/splits.py",
        'place = int.from_bytes(digest, "big") / 2**64 * ends[-1]',
        "place = abs(hash(task_id)) / 2**64 * ends[-1]",
        ("export/test_splits.py::test_a_task_stays_where_it_is",),
    ),
    Variant(
        "a dataset with a link to elsewhere is replaced",
        "export/dataset_folder.py",
        "if any(Path(place, folder).is_symlink() for folder in folders):",
        "if not place:",
        ("export/test_dataset_folder.py::test_a_folder_that_is_not_signed_is_none",),
    ),
    Variant(
        "a label that looks like YAML is written as it is",
        "export/dataset_folder.py",
        'return _YAML_LINE_BREAKS.sub(lambda found: f"\\\\u{ord(found[0]):04x}", quoted)',
        "return quoted",
        ("export/test_dataset_folder.py::test_every_text_comes_back_from_yaml",),
    ),
    Variant(
        "pictures without objects come first for Hugging Face",
        "export/huggingface.py",
        "(self.with_objects if picture.shapes else self.without).write(line)",
        "self.with_objects.write(line)",
        ("export/test_huggingface.py::test_columns_have_their_types[sqlite]",),
    ),
    Variant(
        "a filter of labels is not applied to COCO",
        "db/export/drawn_shapes.py",
        "return equal(annotations, self.wanted, OF_ANNOTATIONS)",
        'return equal(annotations, self.wanted, ("geometry",))',
        ("export/test_annotation_filters.py::test_coco_keeps_images_without_a_chosen_shape[sqlite]",),
    ),
)
