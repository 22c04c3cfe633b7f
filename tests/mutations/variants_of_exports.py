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
)
