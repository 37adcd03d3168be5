"""What others have recorded or scored, read into the cache.

tables        Parquet, CSV and JSON lines as tables, with errors that name the file and the column
dynamics      what was noted of M samples at E looks, and the run it becomes
aum           asappresearch/aum: full_aum_records.csv
cartography   allenai/cartography: training_dynamics/dynamics_epoch_<e>.jsonl
plain         a table of predictions, probabilities or logits: one row a sample and epoch
scores        a score of each sample, made elsewhere
own_metrics   functions of one's own that make a score of a recording
"""

from learnability.imports.aum import read_aum
from learnability.imports.cartography import read_cartography
from learnability.imports.dynamics import Dynamics, keep
from learnability.imports.own_metrics import score_runs
from learnability.imports.plain import read_plain
from learnability.imports.scores import ImportedScore, import_score

READERS = {"aum": read_aum, "cartography": read_cartography, "table": read_plain}

__all__ = ["READERS", "Dynamics", "ImportedScore", "import_score", "keep", "read_aum", "read_cartography", "read_plain", "score_runs"]
