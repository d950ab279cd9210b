"""Small data written by hand, and stand-ins for what is too heavy for a unit test."""

import os
from collections.abc import Collection, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast
from typer.testing import CliRunner

from recbole_llmfashion.cli.main import app
from recbole_llmfashion.llm.modeling.tiny_falcon import TINY_FALCON_FOLDER, new_tiny_falcon, save_tiny_falcon

SHARED = Path(os.environ.get("LLMFASHION_SHARED", Path(__file__).parents[3] / "shared"))

INTER = """user_id:token\titem_id:token\taction:token\ttimestamp:float
u1\t11\tclick\t1701000000
u1\t12\tpurchase\t1701000100
u1\t13\tclick\t1701000200
u1\t14\tpurchase\t1701000300
u1\t15\tclick\t1701000400
u1\t16\tpurchase\t1702900000
u2\t12\tpurchase\t1701000000
u2\t13\tpurchase\t1701000060
u3\t16\tclick\t1701000000
u3\t11\tpurchase\t1701000001
u3\t12\tpurchase\t1701000002
u3\t14\tpurchase\t1701000003
"""
SEARCH = """user_id:token\ttimestamp:float\tquery:token\tresults:token_seq
u1\t1700999999\tred boots\t11 12
u1\t1701000250\tBlack  Sandals\t14 13
u1\t1702899999\tred boot\t16 11
u1\t1702900000\tlast minute\t15
u3\t1701000001\tblack sandals\t13
"""
ITEM = """item_id:token\ttitle:token\tbrand:token\tcolor:token\tsize:token\tcategory:token
16\tGilt Evening Clutch\tLumo\tgold\t\tbags
11\tNorda Red Winter Boots\tNorda\tred\t8\tboots
12\tNorda Blue Winter Boots\tNorda\tblue\t8\tboots
13\tVela Black Sandals\tVela\tblack\t7\tsandals
14\tVela White Sandals\tVela\twhite\t7\tsandals
15\tPlain Socks\t\t\t\tsocks
"""
# A dataset's own names for three columns, as keys of its YAML file.
OWN_FIELDS = {"USER_ID_FIELD": "uid", "ITEM_ID_FIELD": "iid", "TIME_FIELD": "time"}

BACKBONE_LAYERS = 2
_BACKBONE = TemporaryDirectory()


def _backbone() -> str:
    """The folder of an untrained Falcon of width 32 with the shipped tokenizer; its digest is the same every time."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(str(TINY_FALCON_FOLDER))
    save_tiny_falcon(new_tiny_falcon(len(tokenizer), 32, BACKBONE_LAYERS, 2, seed=0), tokenizer, Path(_BACKBONE.name))
    return _BACKBONE.name


# The main job in seconds, on a shop of forty users. The shipped backbone takes ten times as long.
SMALL = {
    "epochs": 1, "llm_name_or_path": _backbone(), "llm_epochs": 1, "curriculum_epochs": 2, "lora_r": 4, "num_beams": 20,
    "title_model.epochs": 1, "clip.epochs": 1, "max_length": 200, "show_progress": False, "train_batch_size": 64,
}  # fmt: skip


@cache
def _shoes() -> dict[str, bytes]:
    """The files of a simulated shop by name; several modules want the same one."""
    command = ["simulate", "--category", "footwear", "--users", "40", "--items", "300", "--seed", "3"]
    with TemporaryDirectory() as root:
        result = CliRunner().invoke(app, [*command, "--out", f"{root}/shoes"])
        assert result.exit_code == 0, result.output
        return {path.name: path.read_bytes() for path in Path(root, "shoes").iterdir()}


def simulated_shop(root: Path) -> Path:
    """A folder with the dataset `shoes`: forty users, three hundred items."""
    (root / "shoes").mkdir(parents=True)
    for name, content in _shoes().items():
        (root / "shoes" / name).write_bytes(content)
    return root


def write_tiny(root: Path, inter: str = INTER, search: str = SEARCH, item: str = ITEM, name: str = "tiny") -> Path:
    """The folder <root>/tiny."""
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    for suffix, text in (("inter", inter), ("search", search), ("item", item)):
        if text:
            (folder / f"{name}.{suffix}").write_text(text, encoding="utf-8")
    return folder


def with_own_fields(text: str) -> str:
    """A file with the names of OWN_FIELDS in its header."""
    header, _, rows = text.partition("\n")
    for column, key in (("user_id", "USER_ID_FIELD"), ("item_id", "ITEM_ID_FIELD"), ("timestamp", "TIME_FIELD")):
        header = header.replace(f"{column}:", f"{OWN_FIELDS[key]}:")
    return f"{header}\n{rows}"


def own_tiny(root: Path) -> Path:
    """The folder <root>/tiny with the rows of `write_tiny` and names of its own."""
    return write_tiny(root, *map(with_own_fields, (INTER, SEARCH, ITEM)))


def purchases_only(root: Path, users: int, items: int, length: int, seed: int = 0, name: str = "bought") -> Path:
    """Random purchases; `.item` in order of first appearance, so that RecBole's own ids are the same."""
    rng = np.random.default_rng(seed)
    rows = [(u, int(i), t) for u in range(users) for t, i in enumerate(rng.integers(0, items, length))]
    order = list(dict.fromkeys(item for _, item, _ in rows))
    inter = "user_id:token\titem_id:token\taction:token\ttimestamp:float\n" + "".join(
        f"u{u}\ti{i}\tpurchase\t{t}\n" for u, i, t in rows
    )
    item = ITEM.splitlines()[0] + "\n" + "".join(f"i{i}\ttitle {i}\t\t\t\t\n" for i in order)
    return write_tiny(root, inter, "", item, name)


def hash_encoder(texts: Sequence[str]) -> np.ndarray:
    """Bag of words as a unit vector: equal texts meet, texts with common words are near."""
    vectors = np.zeros((len(texts), 256), np.float32)
    for row, text in enumerate(texts):
        for word in text.lower().split():
            vectors[row, sum(map(ord, word)) % 256] += 1
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def real_data(name: str) -> Path:
    """A folder of real data, or a skip with the reason."""
    folder = SHARED / "data" / name
    if not folder.is_dir():
        pytest.skip(f"real data {name} is not at {folder}; set LLMFASHION_SHARED to the folder that holds data/")
    return folder


def replace_test_targets(folder: Path, to: Path, users: Collection[str] | None = None) -> None:
    """Copies a dataset; in the copy each user's final purchase is another item, seven further in the catalogue.

    Args:
        users: whose; None for all.
    """
    to.mkdir(parents=True)
    for file in folder.glob(f"{folder.name}.*"):
        (to / file.name).write_bytes(file.read_bytes())
    inter = to / f"{folder.name}.inter"
    items = [line.split("\t")[0] for line in (to / f"{folder.name}.item").read_text().splitlines()[1:]]
    rows = [line.split("\t") for line in inter.read_text().splitlines()]
    for row, following in zip(rows[1:], [*rows[2:], [""]], strict=True):
        if row[0] != following[0] and (users is None or row[0] in users):
            row[1] = items[(items.index(row[1]) + 7) % len(items)]
    inter.write_text("\n".join("\t".join(row) for row in rows) + "\n")
