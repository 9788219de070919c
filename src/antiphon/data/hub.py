"""Data sets on the Hugging Face hub: `hf://owner/name`; the necessary files are downloaded once and then kept.

Where the hub cannot be reached, or may not be asked (`HF_HUB_OFFLINE`), what was fetched before serves.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from antiphon.contracts.files import HUB, FileConfig
from antiphon.data.splits import chosen
from antiphon.errors import ConfigError, MissingPackageError
from antiphon.features.published import hub_answers

_NAME = re.compile(r"(?:datasets/)?([\w.-]+/[\w.-]+?)(?:@([\w.-]+))?(?:/(.+))?")
_FACTS = ("state.json", "dataset_info.json", "dataset_dict.json")


def fetched(file: FileConfig) -> FileConfig:
    """The same data on this machine: the folder of a data set, or the named file or folder in it.

    Raises ConfigError when the name is none, or is not known, or the hub cannot be reached; DataError when there are several subsets or
    splits, and none is named.
    """
    name = str(file.path)
    match = _NAME.fullmatch(name.removeprefix(HUB))
    if match is None:
        raise ConfigError(f"`{name}` must be {HUB}owner/name, such as {HUB}Helsinki-NLP/opus-100.")
    try:
        import huggingface_hub  # noqa: F401
    except ImportError as error:
        raise MissingPackageError(f"`{name}`", "huggingface_hub", "hf") from error
    repository, revision, inside = match.groups()
    try:
        names, get = _online(repository, revision) if hub_answers() else _kept(name, repository, revision)
        if inside is not None:
            wanted = [one for one in names if one == inside or one.startswith(f"{inside}/")]
            if not wanted:
                more = ", ..." if len(names) > 20 else ""
                raise ConfigError(f"`{name}` is not there; `{repository}` has: {', '.join(names[:20])}{more}.")
            return replace(file, path=str(get(wanted) / inside))
        wanted = chosen(names, lambda one: (get([one]) / one).read_text("utf-8") if one in names else None, file.subset, file.split, name)
        facts = [one for one in names if one.rpartition("/")[2] in _FACTS]
        return replace(file, path=str(get([*facts, *wanted])), format=file.format or "hf_datasets")
    except OSError as error:  # those of the hub are such, too
        raise ConfigError(f"The hub does not give `{name}`: {str(error).splitlines()[0]}") from error


Get = Callable[[list[str]], Path]
"""The folder of a data set, with at least these of its files in it."""


def _online(repository: str, revision: str | None) -> tuple[list[str], Get]:
    from huggingface_hub import HfApi, snapshot_download

    facts = HfApi().dataset_info(repository, revision=revision)
    names = sorted(one.rfilename for one in facts.siblings or ())

    def get(wanted: list[str]) -> Path:
        patterns = [re.sub(r"([*?\[])", r"[\1]", one) for one in wanted]
        return Path(snapshot_download(repository, repo_type="dataset", revision=facts.sha, allow_patterns=patterns))

    return names, get


def _kept(name: str, repository: str, revision: str | None) -> tuple[list[str], Get]:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(repository, repo_type="dataset", revision=revision, local_files_only=True))
    except LocalEntryNotFoundError as error:
        raise ConfigError(f"`{name}` was not fetched before, and the hub cannot be reached. Fetch it where there is network.") from error
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()), lambda _: folder
