"""Uploads a data set or model folder to the Hub, its card checked first."""

from __future__ import annotations

from pathlib import Path

from .dataset_card import CARD, Kind, card_data, check_card, data_patterns

_LEFT_BEHIND = ["*.part", "*.part/*", "*__pycache__/*"]  # by builds that were killed, and by Python


def push_folder(
    folder: str | Path,
    repo_id: str,
    kind: Kind,
    private: bool = True,
    create_pr: bool = False,
    message: str | None = None,
    endpoint: str | None = None,
    token: str | None = None,
) -> str:
    """Uploads a folder; returns the address of the commit or pull request.

    What arrived stays there: after an error the same call goes on and sends only the rest. Files of a data set's splits
    that are on the Hub but not in the folder are deleted there, so that no shard of an older build is read along.

    Args:
        folder: a Hub-layout data set, or a model with its weights.
        repo_id: owner/name; made where it is not there yet.
        kind: "dataset" or "model".
        private: of a new repository; one that exists stays as it is.
        create_pr: opens a pull request on a repository that exists, rather than committing.
        message: of the commit.
        endpoint: of the Hub; default: `HF_ENDPOINT`, else huggingface.co.
        token: default: `HF_TOKEN`, else what `hf auth login` saved.

    Raises:
        ValueError: a bad name, a card with a fault, or no token.
        OSError: no such folder, no weights, or the server refused or stopped.
    """
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.errors import HFValidationError, HTTPError
    from huggingface_hub.utils import validate_repo_id

    folder = Path(folder)
    if not folder.is_dir():
        raise OSError(f"{folder}: no such folder")
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise ValueError(f"{repo_id}: no name of a repository ({error}); give owner/name") from error
    if "/" not in repo_id:
        raise ValueError(f"{repo_id}: give owner/name")
    if kind == "model" and not (any(folder.glob("*.safetensors")) and (folder / "config.json").is_file()):
        raise OSError(f"{folder}: no model; config.json and *.safetensors must lie in it")
    if problems := check_card(folder, kind):
        raise ValueError("; ".join(problems))
    token = token or get_token()
    if not token:
        raise ValueError("no token for the Hub; run `hf auth login`, or set HF_TOKEN to one that may write")
    old = None
    if kind == "dataset":
        splits = data_patterns(card_data(folder / CARD)).values()
        old = [pattern for config in splits for paths in config.values() for pattern in paths]
    api = HfApi(endpoint=endpoint, token=token)
    try:
        if not create_pr:
            api.create_repo(repo_id, repo_type=kind, private=private, exist_ok=True)
        done = api.upload_folder(
            repo_id=repo_id, folder_path=folder, repo_type=kind, create_pr=create_pr,
            commit_message=message or f"Upload {folder.resolve().name}", ignore_patterns=list(_LEFT_BEHIND),
            delete_patterns=old,
        )  # fmt: skip
    except (HTTPError, OSError, RuntimeError) as error:
        raise OSError(f"{folder} to {api.endpoint}, {repo_id}: {_reason(error)}") from error
    return str(done.pr_url or done.commit_url)


def _reason(error: BaseException) -> str:
    """What the server said, and what a user can do about it."""
    cause: BaseException | None = error
    while cause is not None:  # a file's upload hides the server's answer in its cause
        response = getattr(cause, "response", None)
        status = getattr(response, "status_code", None)
        if status is not None:
            break
        cause = cause.__cause__
    else:
        return f"{error}; run the same command again, it sends only what is missing"
    said = " ".join(str(cause).split())
    mend = {
        401: "the token is not accepted; run `hf auth login` again, or set HF_TOKEN",
        403: "the token may not write there; make one with write access to this owner",
        404: "there is no such repository, or the token may not see it",
    }.get(status, "run the same command again, it sends only what is missing")
    return f"the server answered {status} ({said}); {mend}"
