"""digits: 1,797 hand-written digits of 8 x 8 pixels that come with scikit-learn. No network, seconds to train."""

import numpy as np

from learnability.sources.keys import row_key
from learnability.sources.source import Options, Source


def open_digits(rest: str, options: Options) -> Source:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images_MHW = ((bunch.images * 255 + 8) // 16).astype(np.uint8)  # 0..16 to 0..255, rounded
    return Source(
        hint="digits (scikit-learn)",
        name="digits",
        keys=[row_key(i) for i in range(len(images_MHW))],
        labels_M=bunch.target.astype(np.int64),
        class_names=tuple(str(digit) for digit in range(10)),
        read=lambda rows: (images_MHW[i] for i in rows),
        test_fraction=0.2,
        encoded=False,
    )
