"""Where samples come from: digits, torchvision's data sets, image folders, Parquet, CSV. `spellings.open_source` opens one.

A source lists its samples (keys, labels, splits) without decoding a single image, and then hands out their bytes in order.
Nothing in it is trusted: links, devices, paths out of the folder, URLs and pickles are never followed, opened or run.
"""
