"""What leaves the cache: tables, corrected labels, scores with the source's own columns, a corrected image folder.

tables      a table as the bytes of a Parquet or CSV file
labels      one row a sample: old label, new label, who decided and why; scores beside the source's own columns
names       class names as folder names, exactly and back
originals   where a sample's own file lies, if it can be reached
encoded     a sample's picture as a file, from the cache
elsewhere   what Hugging Face datasets, FiftyOne and cleanlab read
folder      one folder a class under the new labels, hard links where that is possible
"""

from learnability.export.elsewhere import cleanlab, fiftyone, hugging_face, score_columns
from learnability.export.folder import Exported, corrected_folder
from learnability.export.labels import corrected_labels, scores_table
from learnability.export.names import folder_name, name_of
from learnability.export.originals import Originals
from learnability.export.tables import FORMATS, safe_cells, table_file

__all__ = [
    "FORMATS",
    "Exported",
    "Originals",
    "cleanlab",
    "corrected_folder",
    "corrected_labels",
    "fiftyone",
    "folder_name",
    "hugging_face",
    "name_of",
    "safe_cells",
    "score_columns",
    "scores_table",
    "table_file",
]
