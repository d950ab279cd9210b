"""What the commands that run models share: their options, RecBole's `--key=value` words, and the help about keys."""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer
from typer.core import TyperCommand

from recbole_llmfashion.config.command_line import Arguments, read_keys, split_names, split_paths
from recbole_llmfashion.config.keys import properties_folder, recbole_folder
from recbole_llmfashion.errors import UserError

if TYPE_CHECKING:
    from recbole_llmfashion.data.atomic.field_names import FieldNames


def folder_option(option: str, text: str) -> Any:
    """An option that names a folder to write; an empty text, which would be the folder of the command, is an error.

    Args:
        option: as it is typed, with --.
        text: for the help.
    """

    def folder(value: str) -> Path:
        if not value:
            raise UserError(f"{option}: expected a folder, found an empty text; name a folder")
        return Path(value)

    return typer.Option(option, metavar="DIR", parser=folder, help=text)


Models = Annotated[str, typer.Option("--model", "-m", metavar="NAMES", help="models, separated by commas")]
Model = Annotated[str, typer.Option("--model", "-m", metavar="NAME", help="the model")]
Dataset = Annotated[str, typer.Option("--dataset", "-d", metavar="NAME", help="folder of the dataset below data_path")]
Output = Annotated[Path | None, folder_option("--output", "folder of the results")]
ConfigFiles = Annotated[
    list[str] | None,
    typer.Option("--config_files", metavar="FILES", help="YAML files of keys, separated by spaces; later ones win"),
]
DryRun = Annotated[
    bool, typer.Option("--dry_run", help="check everything, print the settings and row counts, and train nothing")
]
# Of the commands that read a folder: the names that its files have for three columns.
FieldFiles = Annotated[
    list[str] | None,
    typer.Option("--config_files", metavar="FILE", help="YAML file with the names of columns; repeatable"),
]
UserField = Annotated[
    str | None, typer.Option("--USER_ID_FIELD", metavar="COL", help="column of user IDs, for user_id")
]
ItemField = Annotated[
    str | None, typer.Option("--ITEM_ID_FIELD", metavar="COL", help="column of item IDs, for item_id")
]
TimeField = Annotated[
    str | None, typer.Option("--TIME_FIELD", metavar="COL", help="column of timestamps, for timestamp")
]

TYPER_STOPPED = 130  # what typer makes of a KeyboardInterrupt
CONFIG_FILES = "--config_files"
WORDS = "recbole_llmfashion.words"
COMMON_KEYS = {
    "overall": ("data_path", "checkpoint_dir", "seed", "topk", "valid_metric", "click_filter", "use_tuned", "state"),
    "model/LLMFashionRec": (
        "llm_name_or_path",
        "item_tokens",
        "llm_epochs",
        "llm_learning_rate",
        "decoding",
        "ranking",
    ),
    "model/CORE": ("epochs", "train_batch_size", "stopping_step"),
    "recbole": ("learning_rate",),
}
_KEY_LINE = re.compile(r"^(\w+):\s*(.*?)\s*#\s*(\(.*)$", re.M)


def _one_file_each(words: Sequence[str]) -> list[str]:
    """The words with `--config_files` before each of the files that follow it, as RecBole's users write them.

    >>> _one_file_each(["--config_files", "a.yaml", "b.yaml", "--epochs", "3"])
    ['--config_files=a.yaml', '--config_files=b.yaml', '--epochs', '3']
    """
    whole: list[str] = []
    files = False  # whether the word before this one is the option or one of its files
    for number, word in enumerate(words):
        if word == CONFIG_FILES and number + 1 < len(words):
            files = True
            continue
        whole.append(f"{CONFIG_FILES}={word}" if files and not word.startswith("-") else word)
        files = whole[-1].startswith(f"{CONFIG_FILES}=")
    return whole


def config_paths(given: Sequence[str] | None) -> list[str]:
    """The files that `--config_files` names: a path with or without spaces, or several paths.

    Args:
        given: what each of the options has.

    Raises:
        UserError: quotes that do not end.
    """
    return [path for text in given or () for path in split_paths(text)]


def given_fields(user: str | None, item: str | None, time: str | None) -> dict[str, str]:
    """The keys of the options UserField, ItemField and TimeField that are given."""
    options = {"USER_ID_FIELD": user, "ITEM_ID_FIELD": item, "TIME_FIELD": time}
    return {key: name for key, name in options.items() if name is not None}


def field_names(folder: Path, config_files: Sequence[str] | None, given: Mapping[str, str]) -> "FieldNames":
    """The names that a dataset's files have for three columns, as a run on the dataset finds them.

    Args:
        folder: of the dataset, which has its name.
        config_files: of the option FieldFiles.
        given: as given_fields returns it.

    Raises:
        UserError: an unreadable file, or a name that cannot be a column's.
    """
    from recbole_llmfashion.config.layers import dataset_field_keys
    from recbole_llmfashion.data.atomic.field_names import FieldNames

    return FieldNames.of(dataset_field_keys(folder, config_paths(config_files), given))


class KeysCommand(TyperCommand):
    """A command that leaves unknown `--key=value` words in `context.args`, as keys of properties/."""

    defaults: ClassVar[Mapping[str, Any]] = {}  # of the command, over those of properties/
    allow_extra_args = True
    ignore_unknown_options = True

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Keeps the words for the reports, and rejects an option that is given twice."""
        ctx.meta[WORDS] = list(args)
        names = {name: param.opts[0] for param in self.params for name in param.opts}
        args = _one_file_each(args)
        given = [word.partition("=")[0] for word in args if word.startswith("-")]
        options = [names[word] for word in given if word in names]
        for option in options:
            if options.count(option) > 1 and option != CONFIG_FILES:
                raise UserError(f"command line: {option} is given twice")
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The options, then the commonest keys of properties/ with their comments."""
        super().format_help(ctx, formatter)
        formatter.write(f"\nCommon keys, as --key=value:\n{keys_help(self.defaults)}\n")
        formatter.write("\nAll keys: docs/config.md, and the comments in properties/.\n")


def keys_help(defaults: Mapping[str, Any] = MappingProxyType({})) -> str:
    """The lines about the commonest keys: key, default, comment.

    Args:
        defaults: of the command, over those of properties/.
    """
    lines = []
    for part, names in COMMON_KEYS.items():
        file = (
            recbole_folder() / "properties/overall.yaml" if part == "recbole" else properties_folder() / f"{part}.yaml"
        )
        comments = {key: (default, text) for key, default, text in _KEY_LINE.findall(file.read_text(encoding="utf-8"))}
        lines += [
            f"  {f'{name}={defaults.get(name, comments[name][0])}':<32} {comments[name][1]}"
            for name in names
            if name in comments
        ]
    return "\n".join(lines)


def keys_of(context: typer.Context) -> dict[str, Any]:
    """The keys among the words that are no option of the command."""
    return read_keys(context.args, f"see `{context.command_path} --help`")


def command_of(context: typer.Context, *left_out: str) -> str:
    """The command line as it was typed, without some of its words."""
    words = [word for word in context.meta[WORDS] if word not in left_out]
    return shlex.join([*context.command_path.split(), *words])


def arguments_of(
    context: typer.Context, model: str, dataset: str, output: Path | None, config_files: list[str] | None, default: str
) -> Arguments:
    """The parsed options of a command that runs models.

    Args:
        default: where --output is not given; {dataset} and {model} are replaced.

    Raises:
        UserError: a word that is no option and no key.
    """
    models = split_names(model)
    if not models:
        raise UserError(f"--model: expected a name, found '{model}'; see `{context.command_path} --help`")
    folder = output or Path(default.format(dataset=dataset, model="-".join(models)))
    return Arguments(
        models, dataset, folder, config_paths(config_files), keys_of(context), command_of(context, "--resume")
    )


def run_app(app: typer.Typer, words: Sequence[str], prog: str) -> int:
    """Runs a typer application.

    Returns:
        the exit status.

    Raises:
        UserError: typer rejects the words.
        KeyboardInterrupt: a signal stopped the command.
    """
    try:
        status = app(args=list(words), prog_name=prog, standalone_mode=False)
    except _click_exception() as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()
            return 2
        place = error.ctx.command_path if getattr(error, "ctx", None) else prog
        value = _value_of(getattr(error, "param", None), words)
        raise UserError(f"{place}: {error.format_message().rstrip('.')}{value}; see `{place} --help`") from None
    if status == TYPER_STOPPED:
        raise KeyboardInterrupt
    return status if isinstance(status, int) else 0


def _value_of(param: Any, words: Sequence[str]) -> str:
    """What the words give for an option, as the end of an error message."""
    for place, word in enumerate(words):
        name, equals, value = word.partition("=")
        if param is not None and name in param.opts and (equals or place + 1 < len(words)):
            return f", found '{value if equals else words[place + 1]}'"
    return ""


def _click_exception() -> Any:
    """The base of typer's usage errors: click's, or that of the copy of click which typer carries."""
    return next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")
