"""``mailarchive completion``: let a shell complete commands and options."""

from typing import Annotated, Literal

import typer

from mailarchive.cli.terminal import out

Shell = Literal["bash", "zsh", "fish"]


def completion(shell: Annotated[Shell, typer.Argument(help="The shell that is to complete.")]) -> int:
    """Print what makes a shell complete mailarchive's commands and options.

    bash: mailarchive completion bash > ~/.local/share/bash-completion/completions/mailarchive;
    zsh: into a file _mailarchive in a folder of $fpath; fish: into ~/.config/fish/completions/mailarchive.fish.
    """
    from typer._completion_shared import get_completion_script

    out(get_completion_script(prog_name="mailarchive", complete_var="_MAILARCHIVE_COMPLETE", shell=shell))
    return 0
