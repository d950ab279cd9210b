"""Each command with a table of bad values: status 2, one line, and the option, key, file or place in it.

And terminals that lack letters: escapes in place of a traceback.
"""

import io
import json
import sys

import pytest

from recbole_llmfashion.cli.main import app, run
from recbole_llmfashion.cli.options import config_paths
from recbole_llmfashion.cli.terminal import escape_unknown_letters, json_line
from recbole_llmfashion.config.keys import properties_folder
from recbole_llmfashion.serving.session import read_actions
from tests.helpers.command_lines import run_arguments
from tests.helpers.fakes import ITEM, write_tiny

ROWS = [f"u{user},{'ab'[i]},{1700000000 + 100 * user + i}\n" for user in range(9) for i in (0, 1)]
EVENTS = "user,item,time\n" + "".join(ROWS)
ITEMS = "item,title\na,red boots\nb,blue boots\n"
BAD_EVENTS = {
    "ragged.csv": b"u1,a,1700000000,x\n",
    "latin.csv": b"u\xe9,a,1700000000\n",
    "ragged-latin.csv": b"u\xe9,a,1700000000,x\n",
    "open-quote.csv": b'"u1,a,1700000000\n',
    "no-time.csv": b"u1,a,yesterday\n",
}
INTER = "user_id:token\titem_id:token\ttimestamp:float\nu1\ta\t1700000000\nu1\tb\t1700000001\n"
SESSION = '{"action": "click", "item_id": "11", "timestamp": 1701000000}\n'
RECBOLE = {
    "ragged": (INTER.encode() + b"u1\ta\t1\t2\n", b""),
    "ragged-latin": (INTER.encode() + b"u\xe9\ta\t1\t2\n", b""),
    "latin": (INTER.encode() + b"u\xe9\ta\t1700000000\n", b""),
    "item-latin": (INTER.encode(), b"c\tr\xe9d\n"),
    "item-ragged-latin": (INTER.encode(), b"c\tr\xe9d\tx\n"),
    "head": (b"\xe9" + INTER.encode(), b""),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder with a dataset, and files of each kind that are wrong in one way."""
    folder = tmp_path_factory.mktemp("bad values")
    write_tiny(folder)
    write_tiny(folder, item=ITEM.replace("Plain Socks", ""), name="untitled")
    (folder / "items.csv").write_text(ITEMS)
    (folder / "latin-items.csv").write_bytes(ITEMS.encode() + b"c,r\xe9d\n")
    (folder / "events.csv").write_text(EVENTS)
    for name, line in BAD_EVENTS.items():
        (folder / name).write_bytes(EVENTS.encode() + line)
    for name, (inter, item) in RECBOLE.items():
        (folder / name).mkdir()
        (folder / name / f"{name}.inter").write_bytes(inter)
        (folder / name / f"{name}.item").write_bytes(b"item_id:token\ttitle:token\na\tred\nb\tblue\n" + item)
    (folder / "no.jsonl").write_text("{broken\n")
    (folder / "latin.jsonl").write_bytes(b'{"query": "\xe9"}\n')
    (folder / "session.jsonl").write_text(SESSION)
    (folder / "view.jsonl").write_text(SESSION.rstrip("\n") + '\n{"action": "view", "item_id": "11", "timestamp": 1}\n')
    (folder / "no-mapping.yaml").write_text("- a\n- b\n")
    (folder / "latin.yaml").write_bytes(b"seed: \xe9\n")
    (folder / "bad-value.yaml").write_text("lora_r: 0\n")
    (folder / "space.yaml").write_text("hidden_size: {choice: [64, 0]}\n")
    (folder / "rate.yaml").write_text("learning_rate: {uniform: [0.1, 1000.0]}\n")
    (folder / "pretrain.yaml").write_text((properties_folder() / "pretrain.yaml").read_text() + "width: 0\n")
    (folder / "file").write_text("")
    return folder


GONE = {  # converters and their files
    "rent-the-runway": ["reviews"],
    "modcloth": ["reviews"],
    "retailrocket": ["events", "properties"],
    "diginetica": ["views", "purchases", "queries-file", "products", "categories"],
    "kuaisearch": ["recall", "items"],
    "kuaisar": ["recommended", "searched", "items"],
    "sequences": ["sequences", "items"],
    "minionerec": ["windows"],
}


def commands(root):
    """Command lines, and what the line must name."""
    tiny = ["-d", "tiny", f"--data_path={root}"]
    data = [*tiny, "--topk=[3]", "--valid_metric=NDCG@3"]
    runs, study = ["run", "-m", "LLMFashionRec", *data], [*tiny, "--topk=[3,10]", "--valid_metric=NDCG@3"]
    amazon = ["convert", "amazon-2023", "--out", root / "o"]
    table = ["convert", "table", "--user", "user", "--item", "item", "--time", "time", "--title", "title"]
    converted = [*table, "--out", root / "out"]
    yield from (
        ([*runs, "--seed=-1"], "seed"),
        ([*runs, "--seed=2020,2021"], "`study compare --seeds 3` runs several"),
        (["run", "-m", "CORE", *tiny, "--topk=5,10"], "write --topk=[5,10]"),
        ([*runs, "--prompt_attributes=brand,color"], "write --prompt_attributes=[brand,color]"),
        ([*runs, "--lora_r=0"], "lora_r"),
        ([*runs, "--sess_dropout=1"], "sess_dropout"),
        ([*runs, f"--config_files={root}/bad-value.yaml"], "lora_r"),
        ([*runs, "--config_files", f"{root}/no-mapping.yaml"], "no-mapping.yaml"),
        ([*runs, "--config_files", f"{root}/bad-value.yaml", f"{root}/gone.yaml"], "gone.yaml: no such file"),
        ([*runs, f"--config_files={root}/latin.yaml"], "latin.yaml"),
        ([*runs, "--config_files='a.yaml"], "--config_files: a quote"),
        ([*runs, "--config_files"], "--config_files"),
        ([*runs, "--dry_run=maybe"], "--dry_run"),
        (["tune", "-m", "SASRec", *data, "--params_file", root / "space.yaml"], "hidden_size"),
        (["tune", "-m", "SASRec", *data, "--params_file", root / "rate.yaml"], "learning_rate"),
        (["tune", "-m", "SASRec", *data, "--params_file", root / "gone.yaml"], "gone.yaml"),
        (["tune", "-m", "SASRec", *data, "--params_file", root / "space.yaml", "--n_heads=3"], "n_heads"),
    )
    for name in ("compare", "ablation", "curriculum", "cold-start", "low-resource", "time-split", "reproduce"):
        yield ["study", name, *study, "--lora_r=0"], "lora_r"
        yield ["study", name, *study, "--seed=4294967295"], "seed"
    yield from (
        (["study", "zero-shot", "--source", "tiny", "--targets", "tiny", *study[2:], "--lora_r=0"], "lora_r"),
        (["study", "compare", *study, "--seeds", "0"], "--seeds"),
        (["study", "cost", *study, "--lora_r=0"], "lora_r"),
        (["study", "cost", *study, "--seed=4294967295", "--seeds=2"], "seed"),
        (["study", "ablation", *study, "--beside=Fushion"], "did you mean 'Fusion'"),
        (["study", "curriculum", *study, "--beside=Fushion"], "did you mean 'Fusion'"),
        (["study", "compare", *study, "--models=LLMFashionRec-papers"], "LLMFashionRec-papers"),
        (["study", "cost", *study, "--users", "0"], "--users"),
        (["study", "cost", *study, "--groups=colour"], "--groups: expected all or some of"),
        (["study", "cost", *study, "--lengths=long"], "--lengths: expected numbers"),
        (["validate"], "DIR"),
        (["clean", root / "gone"], "gone"),
        (["clean", root / "untitled"], "untitled.item, line 7"),
        (["simulate", "--category", "footwear", "--users", "-1", "--out", root / "s"], "users"),
        (["simulate", "--category", "shoes", "--users", "9", "--out", root / "s"], "--category"),
        (
            ["simulate", "--category", "footwear", "--users", "9", "--out", root / "s", "--images", root / "file"],
            "--images",
        ),
        (["describe-images", "--images", root / "gone", "--out", root / "tiny"], "--images: expected a folder"),
        (["describe-images", "--images", root / "tiny", "--out", root / "tiny"], "--images: no picture"),
        (["describe-images", "--images", root, "--out", root / "gone"], "gone"),
        (["describe-images", "--images", root, "--out", root / "tiny", "--margin", "2"], "--margin"),
        (["analyze", root / "gone"], "gone"),
        (["analyze", root / "tiny", "--output", root / "file"], "--output"),
        ([*converted, "--items", root / "latin-items.csv", "--interactions", root / "events.csv"], "latin-items.csv"),
        ([*converted, "--items", root / "items.csv", "--interactions", root / "gone.csv"], "gone.csv"),
    )
    for name in BAD_EVENTS:
        yield [*converted, "--items", root / "items.csv", "--interactions", root / name], name
    for name in RECBOLE:
        yield ["convert", "recbole", root / name, "--title", "title", "--out", root / "out"], f"{name}.it"[:4]
    yield from (
        ([*amazon, "--reviews", root / "no.jsonl", "--metadata", root / "no.jsonl"], "no.jsonl"),
        ([*amazon, "--reviews", root / "gone", "--metadata", root / "no.jsonl"], "gone"),
        (["convert", "hm", "--articles", root / "latin.csv", "--transactions", root / "events.csv", *amazon[2:]],
         ".csv"),
        *(
            ([*f"convert {source}".split(), *(word for option in options for word in (f"--{option}", root / "gone")),
              "--out", root / "o"], "gone")
            for source, options in GONE.items()
        ),
        (["pretrain", "-m", "Recformer", *study, "--recformer_batch_size=0"], "recformer_batch_size"),
        (["pretrain", "-m", "SASRec", *study], "--model"),
        (["pretrain-backbone", "--config", root / "gone.yaml"], "gone.yaml"),
        (["pretrain-backbone", "--config", root / "pretrain.yaml"], "width"),
        (["recommend", "--run", root / "gone", "--actions", root / "no.jsonl"], "no.jsonl, line 1"),
        (["recommend", "--run", root / "gone", "--actions", root / "latin.jsonl"], "latin.jsonl"),
        (["recommend", "--run", root / "gone", "--actions", root / "gone.jsonl"], "gone.jsonl"),
        (["recommend", "--run", root / "gone", "--actions", root / "session.jsonl"], "gone"),
        (["recommend", "--run", root / "gone", "--actions", root / "session.jsonl", "--k", "many"], "--k"),
        (["recommend", "--run", root / "gone", "--actions", root / "session.jsonl", "--k", "0"], "--k"),
        (["recommend", "--run", root / "gone", "--actions", root / "session.jsonl", "--now", "5"], "now: 5 is before"),
        (["recommend", "--run", root / "gone", "--actions", root / "view.jsonl"], "view.jsonl, line 2: expected"),
        (["export", "--run", root / "gone", "--out", root / "x"], "gone"),
        (["demo", "--run", root / "gone"], "gone"),
        (["demo", "--run", root / "gone", "--port", "0"], "--port"),
        (["generate", "--run", root / "gone"], "gone"),
        (["generate", "--run", root / "gone", "--split", "train"], "--split"),
        (["audit", "--run", root / "gone"], "gone"),
        (["audit", "--run", root / "gone", "--users", "1"], "--users"),
        (["audit", "--plant", root / "gone", "--out", root / "x"], "gone"),
        (["audit", "--plant", root / "tiny", "--out", root / "x", "--counts", "0"], "--counts"),
        (["audit", "--plant", root / "tiny", "--out", root / "x", "--left_out", "99"], "--left_out"),
        (["audit", "--plant", root / "tiny", "--out", root / "tiny"], "--out"),
    )  # fmt: skip


def test_bad_values_are_one_line(root, capsys):
    table = list(commands(root))
    wrong = []
    for words, expected in table:
        status = run([str(word) for word in words])
        out, err = capsys.readouterr()
        lines = [line for line in err.splitlines() if line.strip() and "%|" not in line and "[00:" not in line]
        if status != 2 or len(lines) != 1 or not lines[0].startswith("error: ") or expected not in lines[0] or out:
            wrong.append((words, expected, status, lines, out))
    assert wrong == []
    assert len(table) >= 60
    assert {path.name for path in root.iterdir()} & {"out", "o", "s", "x"} == set()


def test_every_command_is_in_the_table(root):
    tried = {tuple(map(str, words[:2])) for words, _ in commands(root)}
    groups = {group.name: group.typer_instance for group in app.registered_groups}
    names = {(command.name,) for command in app.registered_commands}
    names |= {(name, command.name) for name, group in groups.items() for command in group.registered_commands}
    assert {name for name in names if not any(words[: len(name)] == name for words in tried)} == set()


@pytest.mark.parametrize(
    ("words", "files"),
    [
        (["--config_files", "a.yaml", "b.yaml"], ["a.yaml", "b.yaml"]),
        (["--config_files=a.yaml", "b.yaml"], ["a.yaml", "b.yaml"]),
        (["--config_files", "a.yaml b.yaml"], ["a.yaml", "b.yaml"]),
        (["--config_files=a.yaml b.yaml"], ["a.yaml", "b.yaml"]),
        (["--config_files=a.yaml,b.yaml"], ["a.yaml", "b.yaml"]),
        (["--config_files=a.yaml, b.yaml"], ["a.yaml", "b.yaml"]),
        (["--config_files=a.yaml", "--config_files=b.yaml"], ["a.yaml", "b.yaml"]),
        (["--config_files=my conf.yaml"], ["my conf.yaml"]),
        (["--config_files", "my conf.yaml", "a.yaml"], ["my conf.yaml", "a.yaml"]),
        (["--config_files='my conf.yaml' a.yaml"], ["my conf.yaml", "a.yaml"]),
        (["--config_files=a,b.yaml"], ["a,b.yaml"]),
        (["--config_files", "größe.yaml", "鞋.yaml"], ["größe.yaml", "鞋.yaml"]),
        (["--config_files", "gone.yaml"], ["gone.yaml"]),
        (["--config_files="], []),
        ([], []),
    ],
)
def test_config_files_in_every_form(tmp_path, monkeypatch, words, files):
    monkeypatch.chdir(tmp_path)
    for name in ("a.yaml", "b.yaml", "my conf.yaml", "a,b.yaml", "größe.yaml", "鞋.yaml"):
        (tmp_path / name).write_text("seed: 1\n")
    base = ["-m", "CORE", "-d", "shoes"]
    for whole in ([*base, *words, "--epochs=3"], [*words, *base, "--epochs", "3"]):
        arguments = run_arguments(whole)
        assert arguments.config_files == files and arguments.overrides == {"epochs": 3}
        assert arguments.models == ["CORE"] and arguments.dataset == "shoes"
    assert config_paths(None) == []


ODD = {"title": "鞋 boots \U0001f45f é", "line": "a\u2028b"}


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii", "cp1252", "cp437"])
def test_a_terminal_that_lacks_a_letter_gets_escapes(monkeypatch, encoding):
    """Text as Python's escapes, JSON as JSON's, so that a line can be read back."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    with pytest.raises(UnicodeEncodeError) if encoding != "utf-8" else monkeypatch.context():
        sys.stdout.write(ODD["title"])
        sys.stdout.flush()
    raw.truncate(0), raw.seek(0)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    escape_unknown_letters()
    print(ODD["title"], "\ud800")
    print(json_line(ODD))
    sys.stdout.flush()
    text, line = raw.getvalue().decode(encoding).split("\n")[:2]
    assert text.endswith("\\ud800") and ("boots" in text)
    assert json.loads(line) == ODD
    assert ("鞋" in text and "鞋" in line) is (encoding == "utf-8")


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_a_command_that_prints_names_of_any_script(tmp_path, monkeypatch, encoding):
    write_tiny(tmp_path, item=ITEM.replace("Norda Red", "鞋 Norda").replace("Plain Socks", ""), name="鞋")
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    status = run(["validate", str(tmp_path / "鞋")])
    sys.stdout.flush()
    # click writes UTF-8 where Python found no encoding but ASCII
    name = "鞋".encode() if encoding == "ascii" else b"\\u978b"
    assert status == 2 and name + b".item, line 7" in raw.getvalue()


@pytest.mark.parametrize(
    ("text", "queries"),
    [
        ('{"query": "a\u2028b"}\n{"query": "c\x85d"}\n', ["a\u2028b", "c\x85d"]),
        ('\ufeff{"query": "a"}\n', ["a"]),
        ('\ufeff{"query": "a"}\r\n\r\n{"query": "b\\u2028c"}\r\n', ["a", "b\u2028c"]),
        ('{"query": "a\x0bb\x1cc"}', None),
        ('{"query": "\u2029"}\n  \n', ["\u2029"]),
    ],
)
def test_actions_with_line_ends_of_other_kinds_or_a_mark(tmp_path, text, queries):
    file = tmp_path / "session.jsonl"
    file.write_bytes(text.replace('{"query"', '{"action": "search", "timestamp": 1, "query"').encode())
    if queries is None:
        with pytest.raises(Exception, match="line 1: not valid JSON"):
            read_actions(file)
    else:
        assert [action["query"] for action in read_actions(file)] == queries
