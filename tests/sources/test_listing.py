"""CSV: which paths are taken, which are not, and what becomes of the other columns."""

import numpy as np
import pyarrow as pa
import pytest

from learnability.errors import SourceError
from learnability.sources.listing import open_listing
from learnability.sources.source import Options


def opened(folder, text: str | bytes, **options):
    (folder / "list.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return open_listing(str(folder / "list.csv"), Options(**options))


@pytest.fixture
def folder(tmp_path):
    inside = tmp_path / "inside"
    (inside / "img").mkdir(parents=True)
    for name in ("1.jpg", "2.jpg", "3.jpg", "line\nbreak.jpg"):
        (inside / "img" / name).write_bytes(b"x")
    (tmp_path / "outside.jpg").write_bytes(b"x")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "1.jpg").write_bytes(b"x")
    (inside / "link.jpg").symlink_to(tmp_path / "outside.jpg")
    (inside / "linked").symlink_to(tmp_path / "outside")
    return inside


def test_rows_are_samples(folder):
    source = opened(folder, "path,label,sku,price,supplier\nimg/2.jpg,dog,007,1.5,A\nimg/1.jpg,cat,008,,B\n")
    assert source.keys == ["img/2.jpg", "img/1.jpg"] and source.class_names == ("cat", "dog")
    assert source.labels_M.tolist() == [1, 0] and source.name == "list"
    assert source.columns.to_pydict() == {"sku": ["007", "008"], "price": [1.5, None], "supplier": ["A", "B"]}
    assert list(source.read(np.array([1]))) == [str(folder / "img/1.jpg")]


def test_nothing_outside_the_folder_is_taken(folder):
    paths = {
        "../outside.jpg": "outside",
        "img/../../outside.jpg": "outside",
        "/etc/passwd": "outside",
        str(folder.parent / "outside.jpg"): "outside",
        "http://169.254.169.254/latest/meta-data": "outside",
        "file:///etc/passwd": "outside",
        "link.jpg": "symbolic link",
        "linked/1.jpg": "symbolic link",
        "~/x.jpg": "no such file",
        "img": "no regular file",
        "img/gone.jpg": "no such file",
        "..": "outside",
        "": "outside",
        "C:\\windows\\x.jpg": "no such file",
        "\\\\server\\share\\x.jpg": "no such file",
        "%2e%2e/outside.jpg": "no such file",
    }
    text = "path,label\nimg/1.jpg,a\nimg/2.jpg,b\n" + "".join(f'"{path}",a\n' for path in paths)
    source = opened(folder, text)
    assert source.keys == ["img/1.jpg", "img/2.jpg"]
    assert [reason.split(":")[0] for _, reason in source.rejects] == list(paths.values())


def test_paths_that_stay_inside_are_taken_however_spelled(folder):
    source = opened(folder, f"path,label\n./img//1.jpg,a\nimg/../img/2.jpg,b\n{folder}/img/3.jpg,a\n")
    assert source.keys == ["img/1.jpg", "img/2.jpg", "img/3.jpg"]


def test_a_path_that_comes_again_has_its_own_key(folder):
    source = opened(folder, "path,label\nimg/1.jpg,a\nimg/1.jpg,b\nimg/1.jpg,a\n")
    assert source.keys == ["img/1.jpg", "img/1.jpg#2", "img/1.jpg#3"]
    assert len(set(source.read(np.arange(3)))) == 1


def test_a_split_column_is_followed(folder):
    source = opened(folder, "path,label,split\nimg/1.jpg,a,train\nimg/2.jpg,b,train\nimg/3.jpg,a,test\n")
    assert source.test_M.tolist() == [False, False, True]


def test_a_split_that_is_misspelled_is_refused_and_not_trained_on(folder):
    rows = "path,label,{}\nimg/1.jpg,a,Train\nimg/2.jpg,b,train\nimg/3.jpg,a,{}\n"
    for word in ("tset", "", "dev"):
        with pytest.raises(SourceError, match=f"'img/3.jpg': got '{word}', 1 rows have no split. Expected train, test or val"):
            opened(folder, rows.format("split", word))
    assert opened(folder, rows.format(" Split", " VAL")).test_M.tolist() == [False, False, True]
    own = opened(folder, "path,label,split\nimg/1.jpg,a,left\nimg/2.jpg,b,right\n")
    assert own.test_M is None and own.columns["split"].to_pylist() == ["left", "right"]


def test_columns_by_other_names(folder):
    text = "where,what,label\nimg/1.jpg,x,1\nimg/2.jpg,y,2\n"
    assert opened(folder, text, image_column="where", label_column="what").class_names == ("x", "y")
    with pytest.raises(SourceError, match="--image-column"):
        opened(folder, text)


def test_names_with_line_breaks_quotes_and_other_bytes(folder):
    (folder / "img" / 'q"uote.jpg').write_bytes(b"x")
    odd = bytes(folder) + b"/img/\xff.jpg"
    with open(odd, "wb") as file:
        file.write(b"x")
    source = opened(folder, b'path,label,who\n"img/line\nbreak.jpg",a,\xe9\n"img/q""uote.jpg",\xfe,\xc3\xa9\nimg/\xff.jpg,a\\b,\n')
    assert source.class_names == (r"\xfe", "a", r"a\b") and source.columns["who"].to_pylist() == [r"\xe9", "é", ""]
    assert source.keys == ["img/line\nbreak.jpg", 'img/q"uote.jpg', r"img/\xff.jpg"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "path\nimg/1.jpg\n",
        "path,label\nimg/1.jpg\n",
        'path,label\n"img/1.jpg,a\n',
        "path,path\na,b\n",
        "path,label\n",
        "path,label\nimg/1.jpg,a,b\n",
    ],
)
def test_what_is_no_table_is_refused(folder, text):
    with pytest.raises(SourceError, match="[Ee]xpected"):
        opened(folder, text)


def test_types_of_columns(folder):
    source = opened(folder, "path,label,n,x,t,zip\nimg/1.jpg,a,1,1e3,one,01234\nimg/2.jpg,b,,2,two,12345\n")
    assert [source.columns[name].type for name in ("n", "x", "t", "zip")] == [pa.int64(), pa.float64(), pa.string(), pa.string()]
